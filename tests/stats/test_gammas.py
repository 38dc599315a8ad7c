"""The table of gamma quantiles against the inverse itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaincinv

from driftmon.stats.gammas import LARGEST, SMALLEST, gamma_quantile


@pytest.mark.parametrize("level", [0.99, 0.999])
@settings(max_examples=25)
@given(exponents=st.lists(st.floats(np.log(SMALLEST / 2), np.log(LARGEST * 2)), min_size=1, max_size=20))
def test_it_is_the_inverse_at_any_shape_and_beside_any_others(level: float, exponents: list[float]) -> None:
    shapes = np.exp(np.array(exponents))
    found = gamma_quantile(shapes, level)
    np.testing.assert_allclose(found, gammaincinv(shapes, level), rtol=1e-10)
    alone = np.concatenate([gamma_quantile(shape[None], level) for shape in shapes])
    np.testing.assert_array_equal(found, alone)
