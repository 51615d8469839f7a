"""Objects that expressions make: ``Object{...}``, ``Object.spec{...}`` and ``JSONPatch{...}``, and JSON of any value.

After apiserver ``pkg/cel/mutation``: the types have no schema; that an object stands where the name of its type says
is checked when the whole is there.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from .arithmetic import to_string
from .values import CelError, Struct, type_name

JSON_PATCH: Final = "JSONPatch"
OBJECT: Final = "Object"
_TEXTS: Final = ("op", "path", "from")


def make_struct(name: str, fields: dict[str, Any]) -> Struct:
    """An object of a type.

    Raises:
        CelError: it cannot have such fields.
    """
    if name == JSON_PATCH:
        for field, value in fields.items():
            if field in _TEXTS:
                if not isinstance(value, str):
                    raise CelError(f"unexpected type {type_name(value)} for JSONPatchType '{field}' field")
            elif field != "value":
                raise CelError(f"unexpected JSONPatchType field: {field}")
    return Struct(name, fields)


def escape_key(key: Any) -> str:
    """``jsonpatch.escapeKey``: a key as a step of a JSON pointer."""
    if not isinstance(key, str):
        raise CelError("no such overload")
    return key.replace("~", "~0").replace("/", "~1")


def misplaced(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    """What is wrong with the type names of the objects in a value, by where they stand."""
    if isinstance(value, Struct):
        wanted = ".".join(path)
        if value.cel_name != wanted:
            yield (
                f'unexpected type name "{value.cel_name}", expected "{wanted}", which matches field name path from '
                "root Object type"
            )
        for name, item in value.items():
            yield from misplaced(item, (*path, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from misplaced(item, path)
    elif isinstance(value, list):
        for item in value:
            yield from misplaced(item, path)


def to_json(value: Any) -> Any:
    """A value as JSON has it.

    Raises:
        CelError: it has no such form.
    """
    match value:
        case None | bool() | str():
            return value
        case int():
            return int(value)
        case float():
            return int(value) if value.is_integer() and abs(value) < 2**53 else value
        case bytes():
            return base64.b64encode(value).decode()
        case list():
            return [to_json(item) for item in value]
        case dict():
            for key in value:
                if not isinstance(key, str):
                    raise CelError(f"map key {key!r} is of type {type_name(key)}, not string")
            return {key: to_json(item) for key, item in value.items()}
        case datetime() | timedelta():
            return to_string(value)
    raise CelError(f"a {type_name(value)} has no form in JSON")
