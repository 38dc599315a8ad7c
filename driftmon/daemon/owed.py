"""Ledger: what one sink is still owed. No clock, no network: times are arguments, outcomes are calls.

Law: per alert at most the newest firing and the newest resolve are owed, so the ledger is bounded by
the alerts there are and cannot overflow while a receiver is away. A receiver that forgets
(`resends`) is told a firing alert each minute and a resolved one for 15 minutes more. After an outage as long
as that, only how things stand is told. `row` and `restore` are the same over a restart, by the wall clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from driftmon.render.alertmanager import RESEND_MS
from driftmon.render.notice import Notice

RESOLVED_RETENTION_MS: Final = 15 * 60_000
BATCH: Final = 64  # as Prometheus sends
BACKOFF_FIRST_MS: Final = 1000
BACKOFF_MOST_MS: Final = 300_000
BACKOFF: Final = ""  # no alert's fingerprint


class _Owed(Struct):
    notice: Notice
    due_ms: int
    drop_ms: int
    sent: bool = False


class Ledger:
    """One sink's debts, by fingerprint, each a firing notice, a resolve, or one after the other.

    >>> ledger = Ledger(resends=False)
    >>> ledger.tell(Notice("firing", {"alertname": "A"}), now_ms=0)
    >>> batch = ledger.due(0); ledger.settle(batch, 0); (len(batch), ledger.due(99_000), ledger.next_ms())
    (1, [], None)
    """

    def __init__(self, resends: bool) -> None:
        self.resends = resends
        self._owed: dict[str, list[_Owed]] = {}
        self._refused: set[str] = set()
        self._failures = 0
        self._not_before_ms = 0
        self.touched: set[str] = set()  # fingerprints whose row changed; BACKOFF: the ledger's own

    def __len__(self) -> int:
        return len(self._owed)

    def tell(self, notice: Notice, now_ms: int) -> None:
        """A transition. A new firing replaces what is owed of its alert; a resolve waits behind an untold firing."""
        key = notice.fingerprint
        self.touched.add(key)
        before = []
        if notice.status == "firing":
            self._refused.discard(key)
        elif key in self._refused:
            self._refused.discard(key)
            self._owed.pop(key, None)
            return
        else:
            before = [one for one in self._owed.get(key, ()) if one.notice.status == "firing" and not one.sent]
        self._owed[key] = [*before, _Owed(notice, now_ms, now_ms + RESOLVED_RETENTION_MS)]

    def refresh(self, notice: Notice, now_ms: int) -> None:
        """An alert that goes on firing: newer annotations for the next resend, a debt to a receiver that forgets.

        What was not sent yet stays as it fired: the value that crossed the threshold, not one that came after it.
        """
        key = notice.fingerprint
        owed = self._owed.get(key)
        if owed:
            if owed[-1].sent and owed[-1].notice.status == "firing":
                owed[-1].notice = notice
        elif self.resends and key not in self._refused:
            self._owed[key] = [_Owed(notice, now_ms, now_ms)]
            self.touched.add(key)

    def due(self, now_ms: int) -> list[Notice]:
        """The next batch; empty while backing off. A resolve nobody took within the retention is given up."""
        for key in [key for key, owed in self._owed.items() if len(owed) > 1 and now_ms >= owed[0].drop_ms]:
            self._drop_head(key)
        if self.resends:
            for key in [key for key, (head, *_) in self._owed.items() if _over(head, now_ms)]:
                del self._owed[key]
                self.touched.add(key)
        if now_ms < self._not_before_ms:
            return []
        return [head.notice for head, *_ in self._owed.values() if head.due_ms <= now_ms][:BATCH]

    def next_ms(self) -> int | None:
        """When to look again; None: nothing is owed."""
        due = min((head.due_ms for head, *_ in self._owed.values()), default=None)
        return None if due is None else max(due, self._not_before_ms)

    def settle(self, notices: Sequence[Notice], now_ms: int) -> None:
        """They were taken."""
        if self._failures:
            self.touched.add(BACKOFF)
        self._failures, self._not_before_ms = 0, 0
        for notice in notices:
            owed = self._heading(notice)
            if owed is None:
                continue
            self.touched.add(notice.fingerprint)
            if self.resends and len(owed) == 1:
                owed[0].sent, owed[0].due_ms = True, now_ms + RESEND_MS
            else:
                self._drop_head(notice.fingerprint)

    def refuse(self, notices: Sequence[Notice]) -> None:
        """They will never be taken; their alerts are not tried again before they fire anew."""
        for notice in notices:
            if self._heading(notice) is not None:
                self._drop_head(notice.fingerprint)
                if self.resends and notice.status == "firing" and notice.fingerprint not in self._owed:
                    self._refused.add(notice.fingerprint)

    def fail(self, now_ms: int, after_s: float | None, jitter: float) -> None:
        """Nothing was taken: wait `jitter` in [0, 1) of 1 s that doubles up to 5 min, and `after_s` at least."""
        wait_ms = min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** min(self._failures, 20))
        self._failures += 1
        self.touched.add(BACKOFF)
        self._not_before_ms = now_ms + int(max(jitter * wait_ms, min(1000 * (after_s or 0.0), BACKOFF_MOST_MS)))

    def _heading(self, notice: Notice) -> list[_Owed] | None:
        """The debts that this very notice heads; None where it was replaced while it was on its way."""
        owed = self._owed.get(notice.fingerprint)
        head = owed[0].notice if owed else None
        same = head is not None and (head.status, head.starts_ms) == (notice.status, notice.starts_ms)
        return owed if same else None

    def row(self, key: str, shift_ms: int) -> dict[str, Any] | None:
        """What a restart needs of one fingerprint, None: nothing. `shift_ms`: the wall clock less the one used here."""
        if key == BACKOFF:
            until_ms = self._not_before_ms + shift_ms
            return {"failures": self._failures, "not_before_ms": until_ms} if self._failures else None
        owed, refused = self._owed.get(key, []), key in self._refused
        if not owed and not refused:
            return None
        debts = [[msgspec.to_builtins(o.notice), o.due_ms + shift_ms, o.drop_ms + shift_ms, o.sent] for o in owed]
        return {"owed": debts, "refused": refused}

    def restore(self, key: str, row: Mapping[str, Any], now_ms: int, shift_ms: int) -> None:
        """A wall clock that was set back in between holds nothing longer than it could have been held."""
        if key == BACKOFF:
            self._failures = row["failures"]
            self._not_before_ms = min(row["not_before_ms"] - shift_ms, now_ms + BACKOFF_MOST_MS)
            return
        if row["refused"]:
            self._refused.add(key)
        debts = [
            _Owed(
                msgspec.convert(notice, Notice),
                min(due_ms - shift_ms, now_ms + RESEND_MS),
                min(drop_ms - shift_ms, now_ms + RESOLVED_RETENTION_MS),
                sent,
            )
            for notice, due_ms, drop_ms, sent in row["owed"]
        ]
        if debts:
            self._owed[key] = debts

    def fingerprints(self) -> set[str]:
        """All fingerprints that have a row."""
        return self._owed.keys() | self._refused | {BACKOFF}

    def _drop_head(self, key: str) -> None:
        self.touched.add(key)
        self._owed[key] = self._owed[key][1:]
        if not self._owed[key]:
            del self._owed[key]


def _over(head: _Owed, now_ms: int) -> bool:
    return head.notice.status == "resolved" and now_ms >= head.drop_ms
