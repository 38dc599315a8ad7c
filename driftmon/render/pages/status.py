"""Status: how the daemon does: build, memory, queue, what arrives, what is refused and why, who is told.

Law: what is refused is shown with its reason, newest first, so that a broken sender is found without a log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from driftmon.render.alert_words import iso
from driftmon.render.own import Intake, Receiver, Refusal
from driftmon.render.pages.alerts import receivers_table
from driftmon.render.pages.words import DASH, ago, count, size, text
from driftmon.render.replay_words import lasting


@dataclass(frozen=True, slots=True)
class StatusView:
    """All of the page; sizes in bytes, times of the wall clock in ms, durations in seconds."""

    version: str
    python: str
    started_ms: int
    now_ms: int
    memory_bytes: int | None
    mailbox_bytes: int
    mailbox_limit_bytes: int
    storage: str
    config_file: str
    loaded_ms: int
    load_succeeded: bool
    unready: str
    tick_s: float | None
    intake: Sequence[Intake]
    refusals: Sequence[Refusal]
    receivers: Sequence[Receiver]
    limits: Mapping[str, int]
    budget: Mapping[str, int]
    connections: int


def status(view: StatusView) -> str:
    """The body of the page."""
    heading = f"Not ready: {text(view.unready)}" if view.unready else "Up and ready"
    facts = "".join(f"<div><dt>{name}</dt><dd>{said}</dd></div>" for name, said in _facts(view))
    return (
        f'<div data-live="status"><h1 class="{"hot" if view.unready else "calm"}">{heading}</h1>'
        f'<dl class="tiles">{facts}</dl><h2>What arrives</h2>{_intake(view.intake)}'
        f"<h2>Refused lately</h2>{_refusals(view)}<h2>Who is told</h2>{receivers_table(view.receivers)}"
        f"<h2>Limits</h2>{_limits(view)}</div>"
    )


def _facts(view: StatusView) -> Iterator[tuple[str, str]]:
    yield "version", f"{text(view.version)} <small>Python {text(view.python)}</small>"
    yield "up for", f"{lasting(max(view.now_ms - view.started_ms, 0) // 1000 * 1000)}"
    held = DASH if view.memory_bytes is None else size(view.memory_bytes)
    yield "memory", f"{held} <small>of a budget of {size(sum(view.budget.values()))}</small>"
    yield "connections", f"{view.connections} <small>of {view.limits['connections']}</small>"
    yield "waiting to be counted", f"{size(view.mailbox_bytes)} <small>of {size(view.mailbox_limit_bytes)}</small>"
    yield "a tick takes", DASH if view.tick_s is None else f"{1000 * view.tick_s:.1f} ms"
    yield "state is kept", text(view.storage) if view.storage else "nowhere <small>no --storage.path</small>"
    taken = "" if view.load_succeeded else ' <small class="bad">the last reload failed</small>'
    yield "configuration", f"loaded {ago(view.loaded_ms, view.now_ms)}{taken} <small>{text(view.config_file)}</small>"


def _limits(view: StatusView) -> str:
    rows = "".join(
        f'<tr><th scope="row">limits.{text(name.removesuffix("_ms"))}</th><td class="n">{_limit(name, most)}</td></tr>'
        for name, most in view.limits.items()
    )
    return (
        '<div class="scroll"><table class="plain"><caption class="hidden">Every limit in force</caption><thead><tr>'
        f'<th scope="col">Key</th><th scope="col" class="n">Value</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _limit(name: str, most: int) -> str:
    if name.endswith("_bytes"):
        return size(most)
    return f"{most / 1000:g} s" if name.endswith("_ms") else f"{most:,}"


def _intake(streams: Sequence[Intake]) -> str:
    if not streams:
        return '<p class="card empty">No source has been opened.</p>'
    rows = "".join(map(_intake_row, streams))
    return (
        '<div class="scroll"><table class="plain"><caption class="hidden">Records by stream and source</caption>'
        "<thead><tr>"
        '<th scope="col">Stream</th><th scope="col">Source</th><th scope="col" class="n">Records</th>'
        '<th scope="col" class="n">a second</th><th scope="col" class="n">Late</th><th scope="col">Refused</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _intake_row(one: Intake) -> str:
    refused = ", ".join(f"{number:,} {text(reason)}" for reason, number in sorted(one.rejected.items())) or "none"
    bad = ' class="bad"' if one.rejected else ""
    rate = DASH if one.per_second is None else count(one.per_second)
    return (
        f'<tr><th scope="row">{text(one.stream)}</th><td>{text(one.source)}</td><td class="n">{one.records:,}</td>'
        f'<td class="n">{rate}</td><td class="n">{one.late:,}</td><td{bad}>{refused}</td></tr>'
    )


def _refusals(view: StatusView) -> str:
    if not view.refusals:
        return '<p class="card empty">Nothing.</p>'
    rows = "".join(
        f'<tr><td title="{iso(one.at_ms)}">{ago(one.at_ms, view.now_ms)}</td><td>{text(one.stream)}</td>'
        f'<td>{text(one.source)}</td><td class="n">{one.line}</td><td>{text(one.reason)}</td>'
        f"<td>{text(one.message)}</td></tr>"
        for one in view.refusals
    )
    return (
        '<div class="scroll"><table class="plain"><caption class="hidden">Refused records, newest first</caption>'
        "<thead><tr>"
        '<th scope="col">When</th><th scope="col">Stream</th><th scope="col">Source</th>'
        '<th scope="col" class="n">Line</th><th scope="col">Reason</th><th scope="col">Message</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
