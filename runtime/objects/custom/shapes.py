"""Built-in types as schemas, for what reads expressions about them."""

from __future__ import annotations

from typing import Final

from ..errors import Obj
from ..schema import TypeInfo
from .structural import Structural

_ANYTHING: Final[Obj] = {"x-kubernetes-preserve-unknown-fields": True}
_SCALARS: Final[dict[str, Obj]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "byte": {"type": "string", "format": "byte"},
    "date-time": {"type": "string", "format": "date-time"},
    "micro-time": {"type": "string", "format": "date-time"},
}


def shape_of(kind: TypeInfo) -> Structural:
    """The schema of a type; where a type holds itself, the inner one may be anything."""
    return Structural(_schema(kind, ()))


def _schema(kind: TypeInfo, around: tuple[str, ...]) -> Obj:
    match kind.kind:
        case "struct" if kind.definition not in around and not kind.open:
            inside = (*around, kind.definition)
            return {
                "type": "object",
                "properties": {name: _schema(field, inside) for name, field in kind.fields.items()},
            }
        case "map":
            return {"type": "object", "additionalProperties": _schema(kind.element, around)}
        case "list":
            return {"type": "array", "items": _schema(kind.element, around)}
        case "scalar":
            return _SCALARS.get(kind.scalar, _ANYTHING)
    return _ANYTHING
