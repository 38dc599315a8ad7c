"""The special functions are scipy's own, and scipy is whole for whoever imports it beside driftmon."""

from __future__ import annotations

import subprocess
import sys

import pytest

ALONE = """
import sys
import driftmon.stats.special as ours
assert "scipy.special" not in sys.modules and not any(name.startswith("numpy.f2py") for name in sys.modules)
assert ours._functions.__name__ == "scipy.special._ufuncs"
"""
AFTERWARDS = """
import scipy.special, scipy.stats
assert type(scipy.special).__name__ == "module"
with scipy.special.errstate(all="ignore"):
    assert scipy.special.gammaln(1.0) == 0.0
for name in NAMES:
    assert getattr(scipy.special, name) is getattr(ours, name), name
assert scipy.stats.norm.ppf(0.99) == ours.ndtri(0.99)
"""
BEFORE = """
import scipy.special
import driftmon.stats.special as ours
for name in NAMES:
    assert getattr(scipy.special, name) is getattr(ours, name), name
"""
MEANWHILE = """
import sys
import driftmon.stats.special as ours
doorway = ours._Doorway("scipy.special")
doorway.__path__ = []
sys.modules["scipy.special"] = doorway
from scipy.special import erf
assert erf(0.0) == 0.0 and sys.modules["scipy.special"] is not doorway
"""
NAMES = ("chdtri", "chndtr", "entr", "gammaincinv", "gammaln", "kl_div", "ndtri", "rel_entr", "xlog1py", "xlogy")


@pytest.mark.parametrize(
    "script", [ALONE + AFTERWARDS, BEFORE, MEANWHILE], ids=["driftmon first", "scipy first", "at the same time"]
)
def test_the_functions_are_those_of_scipy_whoever_comes_first(script: str) -> None:
    subprocess.run([sys.executable, "-c", f"NAMES = {NAMES!r}\n{script}"], check=True)
