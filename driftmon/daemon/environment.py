"""`${VAR}` in strings: the shell's meaning, without a shell.

Law: expansion happens after YAML is read, so a variable can never add keys; `$$` is a dollar sign.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from driftmon.daemon.faults import KeyFault

VARIABLE: Final = re.compile(r"\$\$|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<how>:-|:\?)(?P<rest>[^}]*))?\})?")


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Replace variables, KeyFault where one is not set; to `:-` and `:?` an empty one is unset, as in the shell.

    >>> expand("$$1 ${A} ${B:-two}", {"A": "one"})
    '$1 one two'
    """

    def value(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        name, how, rest = found["name"], found["how"], found["rest"]
        if name is None:
            raise KeyFault((), "${ without a name and }", "write ${NAME} or ${NAME:-default}, or $${ for the signs ${")
        if rest and "${" in rest:
            raise KeyFault((), f"${{ within the default of {name}", "name one variable; they do not nest")
        held = environ.get(name)
        if held is not None and (held or how is None):
            return held
        if how == ":-":
            return str(rest)
        if how == ":?":
            raise KeyFault((), f"{name} is not set in the environment: {rest or 'it is needed'}", "set it")
        raise KeyFault((), f"{name} is not set in the environment", f"set it, or give a default: ${{{name}:-default}}")

    return VARIABLE.sub(value, text)
