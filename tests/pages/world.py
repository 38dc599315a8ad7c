"""A shop's scoring service on an afternoon: the stream behind every picture and test of the pages.

Law: drawn from a seed, on the data's own clock, so that a picture tomorrow is the picture of today.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from driftmon.daemon.config import load
from driftmon.monitor.references import reference_of

MINUTE_MS: Final = 60_000
START_MS: Final = 1_788_000_000_000 // 3_600_000 * 3_600_000
FEATURES: Final[Mapping[str, Any]] = {
    "amount": {"type": "numeric"},
    "basket_size": {"type": "numeric", "bins": 8},
    "country": {"type": "categorical", "top": 12},
    "customer_age_days": {"type": "numeric"},
    "device": {"type": "categorical"},
    "discount_ratio": {"type": "numeric"},
    "distance_km": {"type": "numeric"},
    "is_returning": {"type": "boolean"},
    "latency_ms": {"type": "numeric"},
    "payment_method": {"type": "categorical"},
    "score": {"type": "numeric"},
    "session_minutes": {"type": "numeric"},
    "voucher": {"type": "categorical"},
}
RULES: Final = (
    {"name": "DriftmonFeatureDrift", "metric": "kl_divergence_debiased", "above": 0.1, "resolve_below": 0.05,
     "for": "3m", "min_observations": 500},
    {"name": "DriftmonSchemaBreak", "metric": "missing_ratio", "above": 0.05, "for": "1m", "min_observations": 500},
)  # fmt: skip
COUNTRIES: Final = np.array(["DE", "FR", "NL", "PL", "IT", "ES", "SE", "AT"])
DEVICES: Final = np.array(["android", "ios", "desktop", "tablet"])
PAYMENTS: Final = np.array(["card", "invoice", "wallet", "bank transfer"])
STEADY: Final = {
    "country": np.array([0.34, 0.18, 0.14, 0.11, 0.09, 0.07, 0.04, 0.03]),
    "device": np.array([0.41, 0.33, 0.22, 0.04]),
    "payment": np.array([0.55, 0.18, 0.20, 0.07]),
}


def columns(rng: np.random.Generator, rows: int, after_min: float = -1.0) -> dict[str, Any]:
    """So many records `after_min` minutes into the afternoon; before it begins they are the reference."""
    late = max(after_min, 0.0)
    grows = 1 / (1 + np.exp(-(late - 100) / 8))  # a new checkout is rolled out from minute 100 on
    payment = STEADY["payment"] * (1 - 0.75 * grows) + np.array([0.0, 0.0, 1.0, 0.0]) * 0.75 * grows
    spike = np.exp(-(((late - 62) / 9) ** 2))  # an hour in, a slow database
    latency = rng.lognormal(3.2 + 1.1 * spike, 0.45, rows)
    voucher = rng.choice(["SUMMER", "WELCOME", "VIP"], rows, p=[0.6, 0.3, 0.1])
    missing = rng.random(rows) < 0.14 * (late > 135)
    return {
        "amount": rng.lognormal(3.4 + 0.2 * grows, 0.8, rows).round(2),
        "basket_size": rng.poisson(2.6, rows) + 1.0,
        "country": rng.choice(COUNTRIES, rows, p=STEADY["country"]),
        "customer_age_days": rng.exponential(410, rows).round(),
        "device": rng.choice(DEVICES, rows, p=STEADY["device"]),
        "discount_ratio": np.clip(rng.beta(1.2, 9, rows) + 0.012 * (late > 40), 0, 1).round(4),
        "distance_km": np.where(missing, np.nan, rng.gamma(2.0, 9.0, rows).round(1)),
        "is_returning": rng.random(rows) < 0.62,
        "latency_ms": latency.round(1),
        "payment_method": rng.choice(PAYMENTS, rows, p=payment),
        "score": rng.beta(2.2, 6.0 - 0.8 * grows, rows).round(5),
        "session_minutes": rng.gamma(1.7, 3.1, rows).round(2),
        "voucher": np.where(rng.random(rows) < 0.12, voucher, "none"),
    }


def records(rng: np.random.Generator, minute: int, rows: int = 60) -> bytes:
    """One minute of records as NDJSON."""
    drawn = columns(rng, rows, float(minute))
    start_ms = START_MS + minute * MINUTE_MS
    lines = []
    for at in range(rows):
        values = {name: _plain(column[at]) for name, column in drawn.items()}
        lines.append(json.dumps({"at": start_ms + at * MINUTE_MS // rows, **values}))
    return ("\n".join(lines) + "\n").encode()


def _plain(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else float(value)
    return value.item() if isinstance(value, np.generic) else value


def afternoon(minutes: int = 180, seed: int = 11) -> Iterator[bytes]:
    """Minute by minute."""
    rng = np.random.default_rng(seed)
    yield from (records(rng, minute) for minute in range(minutes))


def write(folder: Path, **more: Any) -> Path:
    """Configuration and reference of the shop; the file to start a daemon with."""
    stream = {
        "time": {"field": "at", "unit": "ms"},
        "reference": {"type": "file", "path": "shop.reference.json"},
        "features": dict(FEATURES),
        "windows": [{"name": "fast", "length": "1h"}],
        "tick": "100ms",
        "stale_after": "1d",
    }
    tree = {"version": 1, "streams": {"shop": stream}, "rules": list(RULES), **more}
    path = folder / "driftmon.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    sample = columns(np.random.default_rng(7), 20_000)
    specs = load(path, {}).streams["shop"].features
    snapshot = reference_of({spec.name: sample[spec.name].tolist() for spec in specs}, specs)
    (folder / "shop.reference.json").write_bytes(snapshot.to_bytes())
    return path
