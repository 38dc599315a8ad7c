"""Pipeline health: does driftmon get its data, keep up, and get its alerts out."""

from __future__ import annotations

from typing import Final

from grafana.panels import PLAIN, QUIET, Dashboard, Json, Panel, Target, mapping, series, stat, table, thresholds
from grafana.queries import RATE, Scope
from grafana.variables import COMMON, alerts, several, values

SCOPE: Final = Scope(("stream",))
STREAMS: Final = Scope().of("ingest_records_total")
RECORDS: Final = SCOPE.rate("ingest_records_total")


def dashboard() -> Dashboard:
    return Dashboard(
        "driftmon-pipeline",
        "driftmon / Pipeline health",
        "Ingest, lag, rejected records, memory, storage, notifications and configuration of the daemons.",
        (*COMMON, several("stream", values(STREAMS, "stream"))),
        alerts(SCOPE),
        {
            "": numbers(),
            "Ingest": [records(), rejected(), late(), ages()],
            "Keeping up": [durations("ingest_duration_seconds", "Time to count a block of records"),
                           durations("tick_duration_seconds", "Time to evaluate a stream"),
                           durations("storage_commit_duration_seconds", "Time to commit to --storage.path"),
                           mailbox(), memory()],
            "Getting out": [notifications(), features_left_out()],
            "Daemons and references": [daemons(), references()],
        },
        "now-1h",
    )  # fmt: skip


def numbers() -> list[Panel]:
    refused = SCOPE.rate("ingest_records_rejected_total")
    failed, sent = SCOPE.rate("alert_notifications_failed_total"), SCOPE.rate("alert_notifications_total")
    fill = f"max({SCOPE.of('mailbox_bytes')} / {SCOPE.of('mailbox_limit_bytes')})"
    return [
        stat("Records a second", "Received, over all streams.", Target(f"sum({RECORDS})"), "short", PLAIN),
        stat("Rejected", "Share of the records that could not be used.",
             Target(f"(sum({refused}) or vector(0)) / (sum({RECORDS}) > 0)"), "percentunit",
             ((None, "green"), (0.001, "yellow"), (0.05, "red"))),
        stat("Fullest mailbox", "At 100 % the daemon answers 429 and senders wait.", Target(fill), "percentunit",
             ((None, "green"), (0.5, "yellow"), (0.9, "red"))),
        stat("Oldest data", "Time since the last observation of the quietest stream.",
             Target(f"max(time() - max by (stream) ({SCOPE.of('last_observation_timestamp_seconds')}))"), "s",
             QUIET),
        stat("Notifications that fail", "Share of the attempts; 0 where there were none.",
             Target(f"(sum({failed}) / (sum({sent}) > 0)) or vector(0)"), "percentunit",
             ((None, "green"), (0.001, "red"))),
        stat("Configurations refused", "Daemons whose last reload failed: the old configuration stays.",
             Target(f"count({SCOPE.of('config_last_reload_successful')} == 0) or vector(0)"), "short",
             ((None, "green"), (1, "red"))),
    ]  # fmt: skip


def records() -> Panel:
    return series(
        "Records a second", "Received by each stream and source, rejected and late ones included.",
        [Target(f"sum by (stream, source) ({RECORDS})", "{{stream}} {{source}}")], "short", low=0,
    )  # fmt: skip


def rejected() -> Panel:
    by_reason = f"sum by (stream, reason) ({SCOPE.rate('ingest_records_rejected_total')})"
    return series(
        "Records rejected, by reason", "Per second. The reply to the sender names the lines.",
        [Target(by_reason, "{{stream}} {{reason}}")], "short", low=0,
    )  # fmt: skip


def late() -> Panel:
    return series(
        "Late records", "Per second: their pane had closed already and they were not counted; raise `lateness`.",
        [Target(f"sum by (stream) ({SCOPE.rate('ingest_late_records_total')})", "{{stream}}")], "short", low=0,
    )  # fmt: skip


def ages() -> Panel:
    seen = SCOPE.of("last_observation_timestamp_seconds")
    return series(
        "Time since the last observation", "By stream and instance.",
        [Target(f"time() - max by (stream, instance) ({seen})", "{{stream}} {{instance}}")], "s", low=0,
    )  # fmt: skip


def durations(name: str, title: str) -> Panel:
    by_bucket = f"sum by (le) (rate({SCOPE.buckets(name)}[{RATE}]))"
    shares = {"median": 0.5, "99 %": 0.99}
    return series(
        title, "Over the chosen instances.",
        [Target(f"histogram_quantile({share}, {by_bucket})", words) for words, share in shares.items()], "s", low=0,
    )  # fmt: skip


def mailbox() -> Panel:
    styles = {"limit": {"custom.lineStyle": {"dash": [8, 6], "fill": "dash"}, "custom.fillOpacity": 0,
                        "color": {"mode": "fixed", "fixedColor": "red"}}}  # fmt: skip
    return series(
        "Mailbox", "Bytes received and not yet counted; at the limit the daemon answers 429.",
        [Target(SCOPE.of("mailbox_bytes"), "{{instance}}"),
         Target(f"min({SCOPE.of('mailbox_limit_bytes')})", "limit")], "bytes", styles=styles, low=0,
    )  # fmt: skip


def memory() -> Panel:
    return series(
        "Memory", "Of each daemon's process, and what the bounds of its configuration allow for.",
        [Target(SCOPE.of("resident_memory_bytes"), "{{instance}}"),
         Target(f"min({SCOPE.of('memory_budget_bytes')})", "budget")], "bytes", low=0,
    )  # fmt: skip


def notifications() -> Panel:
    styles = {"failed": {"color": {"mode": "fixed", "fixedColor": "red"}}}
    return series(
        "Notifications a second", "Attempts by sink, resends included, and those that failed.",
        [Target(f"sum by (sink) ({SCOPE.rate('alert_notifications_total')})", "{{sink}}"),
         Target(f"sum({SCOPE.rate('alert_notifications_failed_total')})", "failed")], "short", styles=styles, low=0,
    )  # fmt: skip


def features_left_out() -> Panel:
    return series(
        "Features left out", "Not exported, because `limits.series` would be exceeded: raise it or export less.",
        [Target(f"max by (stream) ({SCOPE.of('series_limit_exceeded')})", "{{stream}}")], "short", low=0,
    )  # fmt: skip


YES_NO: Final = mapping({0: ("no", "red"), 1: ("yes", "green")})
KEPT: Final = mapping({0: ("yes", "green"), 1: ("no", "yellow")})


def daemons() -> Panel:
    columns = {
        "Memory": f"max by (instance) ({SCOPE.of('resident_memory_bytes')})",
        "Version": f"max by (instance, version, python) ({SCOPE.of('build_info')})",
        "Configuration taken": f"max by (instance) ({SCOPE.of('config_last_reload_successful')})",
        "Loaded": f"1000 * max by (instance) ({SCOPE.of('config_last_reload_success_timestamp_seconds')})",
        "State is kept": f"max by (instance) ({SCOPE.of('storage_ephemeral')})",
    }
    colour = {"custom.cellOptions": {"type": "color-text"}, "unit": "short"}
    styles: dict[str, Json] = {
        "Memory": {"unit": "bytes"},
        "Version": {"custom.hidden": True},
        "Configuration taken": {**colour, "mappings": [YES_NO]},
        "Loaded": {"unit": "dateTimeFromNow"},
        "State is kept": {**colour, "mappings": [KEPT]},
    }
    return table(
        "Daemons", "State that is not kept is lost in a restart: start with `--storage.path`.",
        columns, ("instance", "version", "python"), "short", 12, 9, "Memory", styles,
    )  # fmt: skip


def references() -> Panel:
    columns = {"Daemons": f"count by (stream, reference, source) ({SCOPE.of('reference_info')})"}
    styles = {"Daemons": {"decimals": 0, "thresholds": thresholds(PLAIN)}}
    return table(
        "References", "Two references of one stream are two measures: their values must not be compared or merged.",
        columns, ("stream", "reference", "source"), "short", 12, 9, "Daemons", styles,
    )  # fmt: skip
