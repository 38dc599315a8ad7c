"""Special functions: scipy's compiled ones, without the Python around them.

Law: they are the ufuncs behind `scipy.special`, so every value is scipy's own to the last bit.
The package brings array backends, f2py and test kits: 27 MB and a third of the time a daemon takes to start.
Its compiled part alone is 6 MB, so that is imported through a doorway that stands for the package meanwhile.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

PACKAGE: Final = "scipy.special"


class _Doorway(ModuleType):
    """The package while its compiled part is imported; who wants more of it, another thread say, gets the real one."""

    def __getattr__(self, name: str) -> Any:
        _remove(self)
        return getattr(import_module(PACKAGE), name)


def _remove(doorway: ModuleType) -> None:
    if sys.modules.get(PACKAGE) is doorway:
        del sys.modules[PACKAGE]


def compiled() -> ModuleType:
    """Where the functions are: the compiled part, or the whole package if that was imported before."""
    if (package := sys.modules.get(PACKAGE)) is not None:
        return package
    found = find_spec(PACKAGE)
    assert found is not None, "there is a scipy without scipy.special"
    doorway = _Doorway(PACKAGE)
    doorway.__path__ = list(found.submodule_search_locations or ())
    sys.modules[PACKAGE] = doorway
    before = set(sys.modules)
    try:
        return import_module(f"{PACKAGE}._ufuncs")
    except ImportError:  # a scipy that is built otherwise: the whole package then
        _remove(doorway)
        return import_module(PACKAGE)
    finally:
        _remove(doorway)
        if PACKAGE not in sys.modules:  # else its parts would be known, and not be in it, when it is imported itself
            for part in sys.modules.keys() - before:
                if part.startswith(f"{PACKAGE}."):
                    del sys.modules[part]


def _function(name: str) -> Any:
    """From the package where a newer scipy has moved it."""
    return getattr(_functions, name) if hasattr(_functions, name) else getattr(import_module(PACKAGE), name)


_functions: Final = compiled()
chdtri: Final = _function("chdtri")
chndtr: Final = _function("chndtr")
entr: Final = _function("entr")
gammaincinv: Final = _function("gammaincinv")
gammaln: Final = _function("gammaln")
kl_div: Final = _function("kl_div")
ndtri: Final = _function("ndtri")
rel_entr: Final = _function("rel_entr")
xlog1py: Final = _function("xlog1py")
xlogy: Final = _function("xlogy")
