"""What sources tell of themselves: gaps only add up, a lag is there as long as its source."""

from driftmon.daemon.telemetry import Telemetry
from driftmon.sources.base import Progress


def samples(telemetry: Telemetry) -> dict[str, dict[tuple[str, ...], object]]:
    return {
        family.metric.name.removeprefix("driftmon_source_"): dict(family.samples)
        for family in telemetry.families()
        if family.metric.name.startswith("driftmon_source_")
    }


def test_gaps_outlive_their_source_and_lags_do_not() -> None:
    telemetry, key = Telemetry(), ("s", "file")
    telemetry.expect(*key)
    assert samples(telemetry) == {"gap_events_total": {key: 0.0}, "lag_records": {}, "lag_bytes": {}}
    one, other = Progress(gap_events=1, lag_bytes=lambda: 5), Progress(lag_bytes=lambda: 7)
    with telemetry.watched(*key, one):
        with telemetry.watched(*key, other):
            other.gap_events = 2
            assert samples(telemetry) == {"gap_events_total": {key: 3.0}, "lag_records": {}, "lag_bytes": {key: 12.0}}
        assert samples(telemetry) == {"gap_events_total": {key: 3.0}, "lag_records": {}, "lag_bytes": {key: 5.0}}
    with telemetry.watched("s", "broker", Progress(lag_records=lambda: 9)):
        found = samples(telemetry)
    assert (found["gap_events_total"][key], found["lag_records"]) == (3.0, {("s", "broker"): 9.0})
