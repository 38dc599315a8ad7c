"""The configuration page shows what the daemon goes by and no secret."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from driftmon.daemon.config import load
from driftmon.daemon.redaction import plain, redacted
from driftmon.daemon.settings import PluginSettings
from driftmon.sinks.base import REDACTED, shown_url
from tests.daemon.kit import RULE, stream, write_config

CALIBRATED = {"name": "Sure", "calibrated": {"effect": "small", "false_alarms": "1/30d"}, "per": "stream"}


def shown(folder: Path, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(redacted(load(write_config(folder, **more), {})))
    return found


def test_it_reads_like_the_file_with_defaults_filled_in(tmp_path: Path) -> None:
    found = shown(tmp_path, rules=[{**RULE, "for": "5m", "metric": "kl_divergence", "direction": "q_p"}, CALIBRATED])
    one = found["streams"]["s"]
    assert one["features"]["x"] == {"type": "numeric", "absent": "missing", "bins": 16, "method": "quantile_tails"}
    assert one["windows"] == [{"name": "fast", "length": "1h"}]
    assert (one["tick"], one["stale_after"]) == ("100ms", "15m")
    assert found["limits"]["mailbox_bytes"] == "16MiB"
    first, second = found["rules"]
    assert (first["for"], first["direction"], first["above"]) == ("5m", "q_p", 0.1)
    assert second["calibrated"] == {"effect": 0.02, "false_alarms": "1/30d"}
    assert "above" not in second


def test_what_is_shown_can_be_loaded_again(tmp_path: Path) -> None:
    config = write_config(tmp_path, {"s": stream(windows=[{"name": "d", "half_life": "6h"}])}, rules=[RULE, CALIBRATED])
    before = load(config, {})
    again = tmp_path / "again.yaml"
    again.write_text(redacted(before))
    assert redacted(load(again, {})) == redacted(before)


@dataclasses.dataclass(frozen=True)
class Options:
    """A plugin somebody may write."""

    endpoint: str
    api_key: str
    secret_file: Path
    headers: dict[str, str]


def test_no_secret_of_a_plugin_is_shown() -> None:
    headers = {"Authorization": "Bearer abc", "X-Token": "def", "Accept": "text/plain"}
    options = Options("https://me:hunter2@hooks.example/T0/s3cr3t?t=1", "k3y", Path("/run/secret"), headers)
    found = plain(PluginSettings("pager", options))
    assert found == {
        "type": "pager",
        "endpoint": f"https://hooks.example/{REDACTED}",
        "api_key": REDACTED,
        "secret_file": "/run/secret",
        "headers": {"Authorization": REDACTED, "X-Token": REDACTED, "Accept": "text/plain"},
    }


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:9093", "http://127.0.0.1:9093"),
        ("http://127.0.0.1:9093/", "http://127.0.0.1:9093"),
        ("https://t0k3n@host", "https://host"),
        ("https://host/services/T000/B000", f"https://host/{REDACTED}"),
        ("https://host?key=1", f"https://host/{REDACTED}"),
        ("https://a@b@host:1/#x", f"https://host:1/{REDACTED}"),
    ],
)
def test_of_a_url_only_the_place_is_shown(url: str, said: str) -> None:
    assert shown_url(url) == said


def test_secrets_from_the_environment_do_not_come_out(tmp_path: Path) -> None:
    sinks = [{"type": "webhook", "endpoint": "https://hooks.example/${HOOK}"}]
    config = load(write_config(tmp_path, sinks=sinks), {"HOOK": "s3cr3t"})
    assert "s3cr3t" not in redacted(config)
