"""Scene: what `demo` shows. On a terminal a table that changes in place, elsewhere lines, one per alert."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from driftmon.cli.support.child import Notification

LAST_ALERTS: Final = 8
STYLES: Final = {"drift": "bold red", "ok": "green", "firing": "bold red", "resolved": "green"}
COLUMNS: Final = ("feature", "N", "KL(Q||P)", "debiased", "noise", "status")


class Scene:
    """Draws the newest report and the last alerts."""

    def __init__(self, console: Console, live: Live | None) -> None:
        self._console = console
        self._live = live
        self._alerts: list[Text] = []

    def alert(self, notification: Notification) -> None:
        """An alert that arrived at the webhook."""
        line = told(notification)
        self._alerts = [*self._alerts, line][-LAST_ALERTS:]
        if self._live is None:
            self._console.print(line, soft_wrap=True)

    def show(self, title: str, features: Mapping[str, Any]) -> None:
        """The table of a report's features."""
        if self._live is not None:
            self._live.update(Group(table(title, features), *self._alerts))

    def rest(self, title: str, features: Mapping[str, Any]) -> None:
        """Everything was sent: the table that stays."""
        if self._live is None:
            self._console.print(table(title, features))
        self.show(title, features)


@contextmanager
def opened(console: Console) -> Iterator[Scene]:
    """A scene on this console."""
    if not console.is_terminal:
        yield Scene(console, None)
        return
    with Live(console=console, refresh_per_second=8) as live:
        yield Scene(console, live)


def told(notification: Notification) -> Text:
    """One alert in a line: when on the data's clock, what, and which bins did it."""
    status, labels = notification["status"], notification["labels"]
    said = notification["annotations"]
    when = notification["startsAt" if status == "firing" else "endsAt"][:10]
    line = Text(f"{when}  ")
    line.append(f"{status:8}", STYLES.get(status, ""))
    line.append(f"  {labels['alertname']}  {labels.get('feature') or said.get('features', '')}")
    if status == "firing":
        first = said.get("top_bins", "").partition(";")[0]
        line.append(f"  {said.get('value', '')} nats, noise up to {said.get('noise_floor', '?')}: {first}")
    return line


def table(title: str, features: Mapping[str, Any]) -> Table:
    """Feature, N, KL, debiased KL, noise floor, status; nats."""
    drawn = Table(title=title, title_justify="left")
    for name in COLUMNS:
        drawn.add_column(name, justify="left" if name in ("feature", "status") else "right", no_wrap=True)
    for name, feature in features.items():
        for row in rows(feature):
            drawn.add_row(name, *row)
    return drawn


def rows(feature: Mapping[str, Any]) -> Iterator[Sequence[str | Text]]:
    """One row a window, from the report's JSON; what has no value is a dash."""
    status = Text(feature["status"], STYLES.get(feature["status"], "yellow"))
    for window in feature.get("windows", {}).values():
        numbers = (
            window.get("kl_divergence_nats", {}).get("q_p"),
            window.get("kl_divergence_debiased_nats"),
            window.get("kl_noise_floor_nats"),
        )
        yield (f"{window['observations']:.0f}", *("-" if n is None else f"{n:.4f}" for n in numbers), status)
