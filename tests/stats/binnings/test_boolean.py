"""A boolean binning knows 0 and 1; NaN is missing and every other number invalid."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftmon.stats.binnings.boolean import Binning


@given(values=st.lists(st.one_of(st.floats(), st.sampled_from([0.0, -0.0, 1.0])), max_size=40))
def test_every_number_has_its_bin(values: list[float]) -> None:
    labels = Binning().labels()
    for code, value in zip(Binning().codes(np.array(values, dtype=float)).tolist(), values, strict=True):
        word = {0.0: "false", 1.0: "true"}.get(value, "missing" if math.isnan(value) else "invalid")
        assert labels[code] == word
