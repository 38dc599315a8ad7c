"""Documents: configurations, web files, snapshots and expositions.

Law: a document is read, or refused with the one error that its loader documents, which names a place or a part.
"""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import Any, Final

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from driftmon.daemon.access import web_file
from driftmon.daemon.config import ConfigError, example, loads
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.references import reference_of
from driftmon.monitor.snapshot import Snapshot, SnapshotError
from driftmon.render.catalogue import METRICS
from driftmon.render.openmetrics import Family, clean, render_openmetrics, render_text
from tests.campaigns.fuzz.mutation import TOKENS, mutated, value

CONFIGS: Final = (
    example().encode(),
    b"version: 1\nstreams:\n  s:\n    reference: {type: warmup, observations: 9}\n    features: {x: {type: numeric}}\n",
    b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
)
WEB: Final = (
    b"basic_auth_users:\n  me: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG\n",
    b"tls_server_config: {cert_file: a.pem, key_file: b.pem, client_auth_type: RequestClientCert}\n",
    b"bearer_tokens: {ingest: {file: t}, read: {file: t}}\n",
)
ENVIRON: Final = {"X": "1", "HOSTNAME": "h"}
FOLDER: Final = Path(tempfile.gettempdir())


def _snapshot() -> bytes:
    columns: dict[str, Any] = {"x": [float(at) for at in range(40)], "c": list("abca" * 10)}
    monitor = Monitor(reference_of(columns), (Window.sliding("fast", 3_600_000),))
    monitor.observe_columns(columns, 0)
    return monitor.snapshot().to_bytes()


SNAPSHOT: Final = _snapshot()


def config_input(chance: random.Random) -> bytes:
    return mutated(chance, CONFIGS)


def check_config(data: bytes) -> None:
    try:
        loads(data, FOLDER / "d.yaml", ENVIRON)
    except ConfigError as error:
        _placed(error, "d.yaml")


def web_input(chance: random.Random) -> bytes:
    return mutated(chance, WEB)


def check_web(data: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".yml") as file:
        file.write(data)
        file.flush()
        try:
            web_file.load(Path(file.name), ENVIRON)
        except ConfigError as error:
            _placed(error, Path(file.name).name)


def snapshot_input(chance: random.Random) -> bytes:
    """Changed bytes, or a changed tree whose checksum does not give it away."""
    if chance.random() < 0.3:
        return mutated(chance, (SNAPSHOT,))
    tree = json.loads(SNAPSHOT)
    del tree["checksum"]
    for _ in range(chance.randint(1, 3)):
        _change(chance, tree)
    return json.dumps(tree).encode(errors="surrogatepass")


def check_snapshot(data: bytes) -> None:
    """What is read can be written, read again, and merged with itself."""
    try:
        found = Snapshot.from_bytes(data)
        doubled = found.merge(found)
        found.measured_dispersion()
    except SnapshotError:
        return
    assert (doubled.counts == 2 * found.counts).all()
    assert Snapshot.from_bytes(found.to_bytes()).to_bytes() == found.to_bytes()


def exposition_input(chance: random.Random) -> bytes:
    """Label values as JSON: texts that somebody chose badly."""
    texts = [mutated(chance, (b'a"b\\c\nd', "ü\u202e\ud800".encode(errors="surrogatepass"), *TOKENS)) for _ in range(6)]
    return json.dumps([text.decode(errors=chance.choice(("replace", "surrogateescape"))) for text in texts]).encode()


def check_exposition(data: bytes) -> None:
    labels = json.loads(data)
    values = [1e308, -0.0, 1e-320, 2.0**53, -1.5, 0.1]
    wanted = {(clean(label), "w"): number for label, number in zip(labels, values, strict=True)}
    if len(wanted) < len(labels):
        return
    samples = [((label, "w", "x"), number) for label, number in zip(labels, values, strict=True)]
    families = [Family(METRICS["driftmon_window_observations"], samples)]
    for render, parse in ((render_text, parse_text), (render_openmetrics, parse_openmetrics)):
        found = [sample for family in parse(render(families).decode()) for sample in family.samples]
        got = {(sample.labels["stream"], sample.labels["feature"]): sample.value for sample in found}
        assert got == wanted, (got, wanted)


def _placed(error: ConfigError, file: str) -> None:
    assert error.faults
    for fault in error.faults:
        assert file in fault.place, fault
        assert fault.fault, fault
        assert fault.cure, fault


def _change(chance: random.Random, tree: Any) -> None:
    """Put something else somewhere into the tree."""
    while True:
        keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        if not keys:
            return
        key = chance.choice(keys)
        if isinstance(tree[key], (dict, list)) and chance.random() < 0.75:
            tree = tree[key]
            continue
        if chance.random() < 0.2:
            del tree[key]
        else:
            tree[key] = value(chance)
        return
