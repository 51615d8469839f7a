"""Strategic merge patch: a merge patch that knows from the schema which lists merge, and by what key.

kubectl's ``apply``, ``edit``, ``label``, ``set`` and ``rollout`` speak it, with directives inside the patch:
``$patch``, ``$retainKeys``, ``$setElementOrder/<list>`` and ``$deleteFromPrimitiveList/<list>``. Follows
apimachinery's ``pkg/util/strategicpatch/patch.go`` (``StrategicMergeMapPatch``), but builds the result beside the
stored object instead of changing it.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from ..errors import Obj, StatusError, bad_request, render_value
from ..schema import ANY, TypeInfo

DIRECTIVE: Final = "$patch"
RETAIN_KEYS: Final = "$retainKeys"
DELETE_PREFIX: Final = "$deleteFromPrimitiveList"
ORDER_PREFIX: Final = "$setElementOrder"

_BAD_DELETE_LIST = "invalid patch format of primitive list"
_BAD_RETAIN_KEYS = "invalid patch format of retainKeys"
_BAD_ORDER = "invalid patch format of setElementOrder list"


class _Keyed(Protocol):
    """What finds an item's place in an order: the merge key of a map, the value of a scalar."""

    def __call__(self, item: Any, /) -> Any: ...


def apply_strategic_merge(obj: Obj, patch: Any, type_info: TypeInfo) -> Obj:
    """``obj`` with a strategic merge patch applied; unchanged parts are shared, neither argument is changed.

    ``type_info`` is the kind's type (``type_of(resource.definition)``).

    Raises:
        StatusError: 400 where the patch or a directive in it can't be read, 422 for a list of lists.
    """
    if not isinstance(patch, dict):
        raise bad_request(
            f"json: cannot unmarshal {_json_kind(patch)} into Go value of type map[string]interface {{}}"
        )
    try:
        return _merge_map(obj, patch, type_info)
    except RecursionError:
        raise bad_request("the patch is nested too deeply") from None


def _json_kind(value: Any) -> str:
    match value:
        case list():
            return "array"
        case str():
            return "string"
        case bool():
            return "bool"
        case None:
            return "null"
        case _:
            return "number"


def _field_type(parent: TypeInfo, name: str) -> TypeInfo:
    if parent.kind == "struct":
        return parent.fields.get(name, ANY)
    return parent.element if parent.kind == "map" else ANY


def _merge_map(original: Obj, patch: Obj, type_info: TypeInfo) -> Obj:
    if DIRECTIVE in patch:
        match patch[DIRECTIVE]:
            case "replace":
                replaced: Obj = _plain({key: value for key, value in patch.items() if key != DIRECTIVE})
                return replaced
            case "delete":
                return {}
            case other:
                raise _unknown_directive(other, patch)

    result = dict(original)
    retained = patch.get(RETAIN_KEYS)
    if RETAIN_KEYS in patch:
        _retain(result, patch, retained)

    done: set[str] = {RETAIN_KEYS}
    for key, order in patch.items():
        if key.startswith(ORDER_PREFIX):
            done.add(key)
            name = _directive_target(key, ORDER_PREFIX, _BAD_ORDER)
            done.add(name)
            _merge_ordered(result, patch, name, order, _field_type(type_info, name))

    for key, value in patch.items():
        if key in done:
            continue
        if key.startswith(DELETE_PREFIX):
            name = _directive_target(key, DELETE_PREFIX, _BAD_DELETE_LIST)
            current = result.get(name)
            if isinstance(current, list) and isinstance(value, list):
                result[name] = _without(current, value)
        elif value is None:
            result.pop(key, None)
        else:
            _merge_field(result, key, value, _field_type(type_info, key))
    return result


def _merge_field(result: Obj, key: str, value: Any, type_info: TypeInfo) -> None:
    current = result.get(key)
    if isinstance(value, dict) and isinstance(current, dict):
        if "replace" in type_info.patch_strategy:
            result[key] = value
        else:
            result[key] = _merge_map(current, value, type_info)
    elif isinstance(value, list) and isinstance(current, list):
        if "merge" in type_info.patch_strategy:
            result[key] = _merge_list(current, value, type_info)
        else:
            result[key] = value
    elif isinstance(value, dict) and DIRECTIVE in value:
        result.pop(key, None)  # a directive with nothing to act on
    else:
        result[key] = _plain(value)


def _plain(value: Any) -> Any:
    """A part of a patch as it is stored: without directives, items with directives, and nulls in maps."""
    if isinstance(value, dict):
        if not any(
            item is None or isinstance(item, dict | list) or key.startswith("$")
            for key, item in value.items()
        ):
            return value
        return {
            key: _plain(item)
            for key, item in value.items()
            if item is not None
            and not (isinstance(item, dict) and DIRECTIVE in item)
            and not (key == RETAIN_KEYS or key.startswith((ORDER_PREFIX, DELETE_PREFIX)))
        }
    if isinstance(value, list):
        return [_plain(item) for item in value if not (isinstance(item, dict) and DIRECTIVE in item)]
    return value


def _retain(result: Obj, patch: Obj, retained: Any) -> None:
    if not isinstance(retained, list):
        raise bad_request(_BAD_RETAIN_KEYS)
    keep = {key for key in retained if isinstance(key, str)}
    for key, value in patch.items():
        if key == RETAIN_KEYS or value is None or key.startswith((DELETE_PREFIX, ORDER_PREFIX)):
            continue
        if key not in keep:
            raise bad_request(_BAD_RETAIN_KEYS)
    for key in [key for key in result if key not in keep]:
        del result[key]


def _directive_target(key: str, prefix: str, problem: str) -> str:
    head, slash, name = key.partition("/")
    if not slash or head != prefix:
        raise bad_request(problem)
    return name


# --- lists -------------------------------------------------------------------------------------------------------


def _merge_ordered(result: Obj, patch: Obj, name: str, order: Any, type_info: TypeInfo) -> None:
    """One list that comes with a ``$setElementOrder``: merged, then brought into that order."""
    if not isinstance(order, list):
        raise bad_request(_BAD_ORDER)
    current, change = result.get(name), patch.get(name)
    if name in patch and change is None:  # the list goes, whatever its order was to be
        result.pop(name, None)
        return
    if current is not None and not isinstance(current, list):
        raise bad_request(f"expected a list, but received a {_json_kind(current)}")
    if change is not None and not isinstance(change, list):
        raise bad_request(f"expected a list, but received a {_json_kind(change)}")
    merge_key = type_info.merge_key
    _check_order(change or [], order, merge_key)
    if current is None and change is None:
        return
    if change is None:
        merged = current or []
    elif current is None:
        merged = _plain(change)
    elif "merge" in type_info.patch_strategy:
        merged = _merge_list(current, change, type_info)
    else:
        merged = change
    key_of = _key_of(merge_key)
    result[name] = _arrange(merged, order, current or [], key_of)


def _check_order(change: list[Any], order: list[Any], merge_key: str) -> None:
    """What the patch changes has to stand in the order given, in the same relative order."""
    key_of = _key_of(merge_key)
    wanted = [key_of(item) for item in order]
    at = 0
    for item in change:
        if isinstance(item, dict) and DIRECTIVE in item:
            continue
        key = key_of(item)
        while at < len(wanted) and wanted[at] != key:
            at += 1
        if at == len(wanted) and wanted:
            raise bad_request(
                f"The order in patch list:\n{render_value(change)}\n doesn't match {ORDER_PREFIX} list:\n"
                f"{render_value(order)}\n"
            )
        at += 1


def _merge_list(current: list[Any], change: list[Any], type_info: TypeInfo) -> list[Any]:
    if not current and not change:
        return current
    if _items_are_maps(current, change):
        merge_key = type_info.merge_key
        if not merge_key:
            raise bad_request(f"cannot merge lists without merge key for {type_info.element.definition}")
        return _merge_maps(current, change, merge_key, type_info.element)
    merged = list(dict.fromkeys(map(_scalar_key, [*current, *change])))
    return _arrange([value for _, value in merged], change, current, _scalar_key)


def _items_are_maps(*lists: list[Any]) -> bool:
    kinds = {
        "map" if isinstance(item, dict) else "list" if isinstance(item, list) else _json_kind(item)
        for items in lists
        for item in items
    }
    if "list" in kinds:
        message = "the server rejected our request due to an error in our request"
        raise StatusError(422, "Invalid", message)
    if len(kinds) > 1:
        raise bad_request(f"list element types are not identical: {', '.join(map(render_value, lists))}")
    return kinds == {"map"}


def _merge_maps(current: list[Any], change: list[Any], merge_key: str, element: TypeInfo) -> list[Any]:
    key_of = _key_of(merge_key)
    plain: list[Obj] = []
    removed: set[Any] = set()
    replace = False
    for item in change:
        match item.get(DIRECTIVE):
            case None if DIRECTIVE not in item:
                plain.append(item)
            case "delete":
                removed.add(key_of(item))
            case "replace":
                replace = True
            case "merge":
                raise bad_request("merging lists cannot yet be specified in the patch")
            case other:
                raise _unknown_directive(other, item)
    base = (
        []
        if replace
        else [item for item in current if not removed or _soft_key(item, merge_key) not in removed]
    )
    merged: list[Any] = list(base)
    places: dict[Any, int] = {}
    for index, item in enumerate(merged):
        places.setdefault(_soft_key(item, merge_key), index)
    for item in plain:
        key = key_of(item)
        if (place := places.get(key)) is not None:
            merged[place] = _merge_map(merged[place], item, element)
        else:
            places[key] = len(merged)
            merged.append(_plain(item))
    return _arrange(merged, plain, base, key_of)


def _arrange(items: list[Any], order: list[Any], live: list[Any], key_of: _Keyed) -> list[Any]:
    """Items named by ``order`` in that order; the others stay in front of those they stood in front of."""
    wanted: dict[Any, int] = {}
    for index, item in enumerate(order):
        wanted.setdefault(key_of(item), index)
    before: dict[Any, int] = {}
    for index, item in enumerate(live):
        before.setdefault(key_of(item), index)
    named: list[Any] = []
    others: list[Any] = []
    for item in items:
        (named if key_of(item) in wanted else others).append(item)
    named.sort(key=lambda item: wanted[key_of(item)])
    others.sort(key=lambda item: before.get(key_of(item), len(before)))
    result: list[Any] = []
    left = 0
    for item in named:
        place = before.get(key_of(item), -1)
        while left < len(others) and 0 <= before.get(key_of(others[left]), -1) < place:
            result.append(others[left])
            left += 1
        result.append(item)
    result.extend(others[left:])
    return result


def _without(current: list[Any], removed: list[Any]) -> list[Any]:
    gone = {_scalar_key(item) for item in removed if not isinstance(item, dict | list)}
    return [item for item in current if isinstance(item, dict | list) or _scalar_key(item) not in gone]


def _scalar_key(value: Any) -> Any:
    """A scalar as something hashable under which true and 1 differ, and the value itself is kept."""
    if isinstance(value, dict | list):
        raise bad_request(f"list element types are not identical: {render_value(value)}")
    return (isinstance(value, bool), value)


def _key_of(merge_key: str) -> _Keyed:
    if not merge_key:
        return _scalar_key

    def key_of(item: Any) -> Any:
        if not isinstance(item, dict):
            raise bad_request(f"expected a map, but received a {_json_kind(item)}")
        if merge_key not in item:
            raise bad_request(f"map: {render_value(item)} does not contain declared merge key: {merge_key}")
        return _scalar_key(item[merge_key])

    return key_of


def _soft_key(item: Any, merge_key: str) -> Any:
    """Like :func:`_key_of`, for stored items, which may lack the key: those match nothing."""
    value = item.get(merge_key) if isinstance(item, dict) else None
    return None if value is None or isinstance(value, dict | list) else _scalar_key(value)


def _unknown_directive(directive: Any, item: Obj) -> StatusError:
    return bad_request(f"unknown patch type: {directive} in map: {render_value(item)}")
