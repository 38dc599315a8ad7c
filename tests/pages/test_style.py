"""The style sheet: enough contrast in both palettes, no font or image from elsewhere; the script is short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import driftmon

ASSETS = Path(driftmon.__file__).parent / "render" / "pages" / "assets"
CSS = (ASSETS / "page.css").read_text()
PALETTES = {
    name: dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-f]{3,6})", part))
    for name, part in zip(("light", "dark"), CSS.split("@media (prefers-color-scheme: dark)"), strict=True)
}
TEXT_ON = [
    *((ink, ground) for ink in ("ink", "soft", "accent", "hot") for ground in ("page", "card")),
    ("hot", "hot-tint"),
    ("warm", "warm-tint"),
    ("good", "good-tint"),
    ("mute", "mute-tint"),
    ("violet", "violet-tint"),
    ("card", "hot"),
    ("soft", "mute-tint"),
]
DRAWN_ON = [("hot", "track"), ("warm", "track"), ("good", "track"), ("live", "card"), ("limit", "track")]


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def test_contrast_is_measured_as_the_standard_does() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize(("ink", "ground"), TEXT_ON)
def test_text_can_be_read(palette: str, ink: str, ground: str) -> None:
    colours = PALETTES["light"] | PALETTES[palette]
    assert contrast(colours[ink], colours[ground]) >= 4.5


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize(("mark", "ground"), DRAWN_ON)
def test_marks_can_be_seen(palette: str, mark: str, ground: str) -> None:
    colours = PALETTES["light"] | PALETTES[palette]
    assert contrast(colours[mark], colours[ground]) >= 3


def test_nothing_is_fetched_and_the_script_is_short() -> None:
    for path in ASSETS.iterdir():
        said = path.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"url\(|@import|https?:|//[a-z]+\.[a-z]", said), path.name
    script = (ASSETS / "page.js").read_text()
    assert len(script.splitlines()) < 100
    assert not re.search(r"\beval\b|innerHTML\s*=(?!=)|document\.write|insertAdjacentHTML", script)
