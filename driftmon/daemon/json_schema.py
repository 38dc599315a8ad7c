"""The JSON Schema (draft 2020-12) of the configuration, made of the very classes that read it.

Law: what `load` accepts the schema accepts; what it refuses by key, type, bound or choice the schema refuses.
Any value may also be text with a `${VARIABLE}`, which no schema can look into.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from driftmon.daemon.fields import Field, OneOf, fields_of
from driftmon.daemon.settings import PluginSettings
from driftmon.daemon.shapes import VERSION, ConfigShape
from driftmon.daemon.units import DURATION, SIZE, size
from driftmon.monitor.panes import span

Json = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
VARIABLE: Final[Json] = {"type": "string", "pattern": r"\$\{"}
SCALARS: Final[Mapping[type, str | list[str]]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    object: ["boolean", "number", "string"],
}


def config_schema() -> Json:
    """The whole document."""
    body = _shape(ConfigShape)
    body["properties"]["version"] = {"description": body["properties"]["version"]["description"], "const": VERSION}
    return {"$schema": DIALECT, "title": "driftmon configuration", **body}


def _shape(shape: type) -> Json:
    fields = fields_of(shape)
    made: Json = {
        "description": " ".join((shape.__doc__ or "").split()),
        "type": "object",
        "properties": {key: _field(field) for key, field in fields.items()},
        "additionalProperties": False,
    }
    either = getattr(shape, "EITHER", ())
    if either:
        made["oneOf"] = [{"required": list(keys)} for keys in either]
    required = [key for key, field in fields.items() if field.required]
    return {**made, "required": required} if required else made


def _field(field: Field) -> Json:
    told: Json = {"description": field.bounds["doc"]} if "doc" in field.bounds else {}
    default = _default(field)
    return {**told, **_value(field.hint, field), **({} if default is None else {"default": default})}


def _value(hint: Any, field: Field) -> Json:
    origin = get_origin(hint)
    if origin is tuple:
        least = {"minItems": 1} if field.bounds.get("least") else {}
        return {"type": "array", "items": _element(get_args(hint)[0], field), **least}
    if origin is Annotated:
        return _one_of(get_args(hint)[1])
    if origin in (Mapping, dict):
        least = {"minProperties": 1} if field.bounds.get("least") else {}
        return {"type": "object", "additionalProperties": _element(get_args(hint)[1], field), **least}
    if dataclasses.is_dataclass(hint):
        return _shape(hint)  # type: ignore[arg-type]
    return _scalar(hint, field)


def _element(hint: Any, field: Field) -> Json:
    return _value(hint, dataclasses.replace(field, bounds={}, default=None))


def _one_of(choice: OneOf) -> Json:
    branches = []
    for name, shape in choice.shapes().items():
        made = _shape(shape)
        made["properties"] = {"type": {"const": name}, **made["properties"]}
        made["required"] = ["type", *made.get("required", ())]
        branches.append(made)
    return {"oneOf": branches}


def _scalar(hint: Any, field: Field) -> Json:
    if get_origin(hint) is Literal:
        return {"anyOf": [{"enum": list(get_args(hint))}, VARIABLE]}
    if field.duration:
        return {"anyOf": [{"type": "string", "pattern": f"^(?=.){DURATION}$"}, {"const": 0}, VARIABLE]}
    if field.size:
        return {"anyOf": [{"type": "integer", **_bounds(field)}, {"type": "string", "pattern": f"^{SIZE}$"}, VARIABLE]}
    if hint in SCALARS:
        words = [{"enum": list(field.bounds["words"])}] if "words" in field.bounds else []
        return {"anyOf": [{"type": SCALARS[hint], **_bounds(field)}, *words, VARIABLE]}
    if "pattern" in field.bounds:
        return {"anyOf": [{"type": "string", "pattern": f"^{field.bounds['pattern']}$"}, VARIABLE]}
    return {"type": "string", "minLength": 1} if field.bounds else {"type": "string"}


def _bounds(field: Field) -> Json:
    names = {"least": "minimum", "above": "exclusiveMinimum", "most": "maximum"}
    return {names[key]: limit for key, limit in field.bounds.items() if key in names}


def _default(field: Field) -> Any:
    """As it would be written; None where there is nothing to write."""
    if field.required or field.default is None:
        return None
    if field.duration:
        return span(field.default)
    return size(field.default) if field.size else _plain(field.default)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, PluginSettings):
        return {"type": value.type, **_plain(value.options)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            key: found for key, field in fields_of(type(value)).items() if (found := _kept(field, value)) is not None
        }
    return value


def _kept(field: Field, owner: Any) -> Any:
    return _default(dataclasses.replace(field, default=getattr(owner, field.name)))
