"""JSON patch (RFC 6902) with JSON pointers (RFC 6901), bounded as the API server bounds it.

A patch is user input that says how much work to do, so there are three limits: the number of operations, the
bytes that ``copy`` may add, and the depth a pointer may reach. Containers on a changed path are copied once and
then changed in place; everything else stays shared with the stored object. Sentences follow the library upstream
uses (evanphx/json-patch v4), codes follow apiserver's ``pkg/endpoints/handlers/patch.go``.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from ..errors import Obj, StatusError, bad_request

MAX_OPERATIONS: Final = 10_000
MAX_COPIED_BYTES: Final = 3 * 1024 * 1024
"""What all ``copy`` operations of one patch may add together: the size of the largest request body."""
MAX_DEPTH: Final = 200
"""Steps in a pointer. Serializers stop a little above this, and no kind comes near it."""

_INDEX = re.compile(r"-?(?:0|[1-9][0-9]{0,8})", re.ASCII)
_MISSING: Final = object()


class _Failed(Exception):
    """An operation that does not apply; becomes a 422."""


class _TestFailed(_Failed):
    """A test that does not hold."""


def why_refused(error: StatusError) -> str:
    """What the library says of an operation that does not apply, where a patch is not a client's own request."""
    return str(error.__cause__) if isinstance(error.__cause__, _Failed) else error.message


def is_failed_test(error: StatusError) -> bool:
    """Whether a patch was refused because one of its tests does not hold."""
    return isinstance(error.__cause__, _TestFailed)


def apply_json_patch(obj: Obj, operations: Any) -> Obj:
    """``obj`` with a JSON patch applied; unchanged parts are shared, neither argument is changed.

    Raises:
        StatusError: 400 where the patch is no list of operations, 413 for more than :data:`MAX_OPERATIONS`,
            422 where an operation does not apply.
    """
    if not isinstance(operations, list):
        kind = "object" if isinstance(operations, dict) else type(operations).__name__
        raise bad_request(f"json: cannot unmarshal {kind} into Go value of type jsonpatch.Patch")
    if len(operations) > MAX_OPERATIONS:
        raise StatusError(
            413,
            "RequestEntityTooLarge",
            "Request entity too large: The allowed maximum operations in a JSON patch is "
            f"{MAX_OPERATIONS}, got {len(operations)}",
        )
    document = _Document(obj)
    try:
        for operation in operations:
            if not isinstance(operation, dict):
                raise bad_request("json: cannot unmarshal patch operation into an object")
            document.apply(operation)
    except RecursionError:
        raise bad_request("the patch is nested too deeply") from None
    except _Failed as failure:
        # Upstream keeps its library's reason to itself, and kubectl prints the sentence where there is no cause.
        raise StatusError(
            422, "Invalid", "the server rejected our request due to an error in our request"
        ) from failure
    if not isinstance(document.root, dict):
        raise bad_request("the patched document is not an object")
    return document.root


def _pointer(path: Any, operation: str) -> list[str]:
    if not isinstance(path, str):
        raise _Failed(f"{operation} operation: path must be a string: missing value")
    if path == "":
        return []
    if not path.startswith("/"):
        raise _Failed(f'{operation} operation does not apply: doc is missing path: "{path}": missing value')
    steps = path[1:].split("/")
    if len(steps) > MAX_DEPTH:
        raise _Failed(f"{operation} operation does not apply: path is deeper than {MAX_DEPTH} steps")
    if "~" in path:
        steps = [step.replace("~1", "/").replace("~0", "~") for step in steps]
    return steps


class _Document:
    """The object being patched, with the containers that already are private copies."""

    def __init__(self, root: Any) -> None:
        self.root = root
        # Keyed by identity; the values keep the containers alive, so that no id can be used twice.
        self.owned: dict[int, Any] = {}
        self.copied = 0

    def apply(self, operation: Obj) -> None:
        name = operation.get("op")
        path = operation.get("path", _MISSING)
        match name:
            case "add":
                self.add(path, _value(operation, "add"))
            case "remove":
                self.remove(path)
            case "replace":
                self.replace(path, _value(operation, "replace"))
            case "move":
                source = operation.get("from", _MISSING)
                if isinstance(path, str) and isinstance(source, str) and path.startswith(source + "/"):
                    raise _Failed(f'move operation does not apply: "{source}" can\'t be moved into itself')
                value = self.get(_pointer(source, "move"), "move", source)
                if path != source:
                    self.remove(source, "move")
                    self.add(path, value, "move")
            case "copy":
                source = operation.get("from", _MISSING)
                self.add(path, self.duplicate(self.get(_pointer(source, "copy"), "copy", source)), "copy")
            case "test":
                self.test(path, operation.get("value"))
            case _:
                raise _Failed(f"Unexpected kind: {name if isinstance(name, str) else 'unknown'}")

    # --- reading ---

    def get(self, steps: list[str], operation: str, path: Any) -> Any:
        value = self.root
        for step in steps:
            value = _child(value, step)
            if value is _MISSING:
                raise _Failed(
                    f'{operation} operation does not apply: doc is missing path: "{path}": missing value'
                )
        return value

    def duplicate(self, value: Any) -> Any:
        try:
            encoded = orjson.dumps(value)
        except TypeError:
            raise _Failed("Unable to complete the copy, the value is nested too deeply") from None
        self.copied += len(encoded)
        if self.copied > MAX_COPIED_BYTES:
            raise _Failed(
                "Unable to complete the copy, the accumulated size increase of copy is "
                f"{self.copied}, exceeding the limit {MAX_COPIED_BYTES}"
            )
        return orjson.loads(encoded)

    def test(self, path: Any, expected: Any) -> None:
        steps = _pointer(path, "test")
        value = self.root
        for index, step in enumerate(steps):
            value = _child(value, step)
            if value is _MISSING:
                if expected is None and index == len(steps) - 1:
                    return  # a missing member equals null
                raise _TestFailed(f"testing path {path} failed: missing value")
        if not json_equal(value, expected):
            raise _TestFailed(f"testing value {path} failed: test failed")

    # --- changing ---

    def _own(self, value: Any) -> Any:
        if id(value) in self.owned:
            return value
        mine = value.copy()
        self.owned[id(mine)] = mine
        return mine

    def _parent(self, steps: list[str], operation: str, path: Any) -> Any:
        """The container of the last step, with all containers above it made private."""
        missing = f'{operation} operation does not apply: doc is missing path: "{path}": missing value'
        if not isinstance(self.root, dict | list):
            raise _Failed(missing)
        parent = self.root = self._own(self.root)
        for step in steps[:-1]:
            child = _child(parent, step)
            if not isinstance(child, dict | list):
                raise _Failed(missing)
            child = self._own(child)
            if isinstance(parent, dict):
                parent[step] = child
            else:
                parent[int(step)] = child
            parent = child
        return parent

    def add(self, path: Any, value: Any, operation: str = "add") -> None:
        steps = _pointer(path, operation)
        if not steps:
            self.root = value
            return
        parent = self._parent(steps, operation, path)
        last = steps[-1]
        if isinstance(parent, dict):
            parent[last] = value
        elif last == "-":
            parent.append(value)
        else:
            parent.insert(_index(last, len(parent) + 1), value)

    def remove(self, path: Any, operation: str = "remove") -> None:
        steps = _pointer(path, operation)
        if not steps:
            raise _Failed("remove operation does not apply: the whole document can't be removed")
        parent = self._parent(steps, operation, path)
        last = steps[-1]
        if isinstance(parent, dict):
            if last not in parent:
                raise _Failed(f"Unable to remove nonexistent key: {last}: missing value")
            del parent[last]
        else:
            del parent[_index(last, len(parent))]

    def replace(self, path: Any, value: Any) -> None:
        steps = _pointer(path, "replace")
        if not steps:
            self.root = value
            return
        parent = self._parent(steps, "replace", path)
        last = steps[-1]
        if isinstance(parent, dict):
            if last not in parent:
                raise _Failed(f"replace operation does not apply: doc is missing key: {path}: missing value")
            parent[last] = value
        else:
            parent[_index(last, len(parent))] = value


def _value(operation: Obj, name: str) -> Any:
    value = operation.get("value", _MISSING)
    if value is _MISSING:
        raise _Failed(f"{name} operation does not apply: missing value")
    return value


def _child(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step, _MISSING)
    if isinstance(value, list) and _INDEX.fullmatch(step):
        index = int(step)
        if -len(value) <= index < len(value):
            return value[index]
    return _MISSING


def _index(step: str, size: int) -> int:
    """A list index below ``size``; negative ones count from the end, as upstream's library lets them."""
    if not _INDEX.fullmatch(step):
        raise _Failed(f'strconv.Atoi: parsing "{step}": invalid syntax')
    index = int(step)
    if not -size <= index < size:
        raise _Failed(f"Unable to access invalid index: {index}: invalid index referenced")
    return index + size if index < 0 else index


def json_equal(left: Any, right: Any) -> bool:
    """Equality of JSON values: 1 equals 1.0, but true does not equal 1."""
    if left is right:
        return True
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(json_equal(value, right[key]) for key, value in left.items())
        )
    if isinstance(left, list):
        return (
            isinstance(right, list)
            and len(left) == len(right)
            and all(json_equal(a, b) for a, b in zip(left, right, strict=True))
        )
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)
