"""Words: numbers, times and states as a page says them, in one way everywhere.

Law: text out of the data is cleaned and escaped here and nowhere else; what has no value is a dash.
"""

from __future__ import annotations

import math
import re
from html import escape
from typing import Final
from urllib.parse import quote

from driftmon.monitor.report import Status
from driftmon.render.alert_words import iso
from driftmon.render.openmetrics import UNSAFE, clean
from driftmon.render.replay_words import lasting

DASH: Final = "–"
STATUS_WORDS: Final = {
    Status.OK: ("ok", "nothing beyond noise that matters"),
    Status.SIGNIFICANT: ("significant", "different from the reference beyond chance, not enough to matter"),
    Status.DRIFT: ("drift", "an alert fires"),
    Status.INSUFFICIENT_DATA: ("insufficient data", "too few observations to judge"),
    Status.WEAK_REFERENCE: ("weak reference", "the reference has too few observations to judge by"),
    Status.WARMING_UP: ("warming up", "the reference is being gathered"),
    Status.STALE: ("stale", "no data for too long"),
}
_PLAIN: Final = re.compile("[\\w./ -]+")
# From what must be looked at to what may be left alone.
URGENCY: Final = (
    Status.DRIFT,
    Status.STALE,
    Status.SIGNIFICANT,
    Status.WEAK_REFERENCE,
    Status.INSUFFICIENT_DATA,
    Status.WARMING_UP,
    Status.OK,
)


def text(raw: str) -> str:
    """Text out of the data, whole, for an element or an attribute in double quotes.

    >>> text('<b>"x"\\n'), text("ü")
    ('&lt;b&gt;&quot;x&quot;\\\\u000a', 'ü')
    """
    return escape(UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04x}", raw))


def name(raw: str) -> str:
    """A name that may break where people would break it.

    >>> name("customer_age.days")
    'customer_<wbr>age.<wbr>days'
    """
    return re.sub("(?<=[_./-])(?=[^_./-])", "<wbr>", clean(raw)) if _PLAIN.fullmatch(raw) else text(raw)


def feature_path(stream: str, feature: str) -> str:
    """Where the page of a feature is, below the root.

    >>> feature_path("s", "a/b <c>")
    'features/s/a%2Fb%20%3Cc%3E'
    """
    return f"features/{quote(stream, safe='')}/{quote(feature, safe='')}"


def nats(value: float) -> str:
    """
    >>> nats(0.31249), nats(0.00214), nats(-0.0004), nats(12.3456), nats(0.0), nats(math.nan)
    ('0.312', '0.0021', '−0.0004', '12.3', '0', '–')
    """
    if not math.isfinite(value):
        return DASH
    size = abs(value)
    said = f"{value:.1f}" if size >= 10 else f"{value:.3f}" if size >= 0.01 else f"{value:.4f}"
    return "0" if not float(said) else said.replace("-", "−")


def count(value: float) -> str:
    """
    >>> count(1234567), count(0.25), count(math.nan)
    ('1,234,567', '0.2', '–')
    """
    if not math.isfinite(value):
        return DASH
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:,.1f}"


def percent(share: float) -> str:
    """
    >>> percent(0.1234), percent(0.0012), percent(0.0), percent(math.nan)
    ('12.3 %', '0.12 %', '0 %', '–')
    """
    if not math.isfinite(share):
        return DASH
    return "0 %" if not share else f"{100 * share:.1f} %" if share >= 0.0095 else f"{100 * share:.2g} %"


def size(size_bytes: float) -> str:
    """
    >>> size(512), size(16 * 1024 * 1024), size(123456)
    ('512 B', '16 MiB', '121 KiB')
    """
    for unit, step in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size_bytes >= step:
            return f"{size_bytes / step:.3g} {unit}"
    return f"{size_bytes:.0f} B"


def ago(then_ms: float, now_ms: float) -> str:
    """
    >>> ago(1_000, 43_000), ago(5_000, 5_900), ago(0, 7_260_000)
    ('42 s ago', 'just now', '2h 1min ago')
    """
    passed_ms = now_ms - then_ms
    if passed_ms < 1_000:
        return "just now"
    return f"{passed_ms // 1000:.0f} s ago" if passed_ms < 60_000 else f"{lasting(passed_ms // 60_000 * 60_000)} ago"


def moment(time_ms: int) -> str:
    """An instant as an element that machines read too.

    >>> moment(1_360_000_000_123)
    '<time datetime="2013-02-04T17:46:40.123Z">2013-02-04 17:46:40</time>'
    """
    said = iso(time_ms)
    return f'<time datetime="{said}">{said[:10]} {said[11:19]}</time>'


def plural(number: int, noun: str) -> str:
    """
    >>> plural(1, "feature"), plural(3, "feature")
    ('1 feature', '3 features')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
