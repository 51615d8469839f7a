"""Lists: of now, of a version, and in pages that all show the first page's moment.

apiserver ``pkg/storage/{interfaces,continue}.go`` and ``pkg/storage/etcd3/{store,errors}.go``; the meaning of
resourceVersion and resourceVersionMatch is the table of the API concepts page.
"""

from __future__ import annotations

import base64
import binascii
from itertools import islice

import orjson

from runtime.objects.errors import (
    FieldError,
    Obj,
    StatusError,
    bad_request,
    forbidden_field,
    invalid,
    invalid_object,
    not_supported,
    version_too_large,
)
from runtime.objects.registry import Resource
from runtime.store import Compacted, Key, Record, Store

from .context import ListOptions, ListResult
from .matching import Predicate
from .serving import all_served

TOKEN_VERSION = "meta.k8s.io/v1"

EXPIRED = "The resourceVersion for the provided list is too old."
CONTINUE_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
    "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may show up in the list."
)


class ContinueExpired(StatusError):
    """410 for a continue token, with another token in its metadata that goes on at the present state."""

    def __init__(self, token: str) -> None:
        super().__init__(410, "Expired", CONTINUE_EXPIRED)
        self.token = token

    @property
    def status(self) -> Obj:
        """The ``v1.Status`` body."""
        return {**super().status, "metadata": {"continue": self.token}}


def encode_continue(version: int, start: str) -> str:
    """The token for the page that begins after the object named by ``start``."""
    text = orjson.dumps({"v": TOKEN_VERSION, "rv": version, "start": start + "\0"})
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def decode_continue(token: str) -> tuple[int, str]:
    """A token's version (-1: the present) and the key after which to go on.

    Raises:
        StatusError: 400 for anything that was not given out as a token.
    """
    try:
        raw = token.encode("ascii")
        data = orjson.loads(base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True))
    except (UnicodeEncodeError, binascii.Error, orjson.JSONDecodeError, ValueError):
        raise bad_request("invalid continue token: continue key is not valid") from None
    if not isinstance(data, dict) or data.get("v") != TOKEN_VERSION:
        raise bad_request(
            "invalid continue token: continue key is not valid: server does not recognize this encoded version"
        )
    version, start = data.get("rv"), data.get("start")
    if not isinstance(version, int) or isinstance(version, bool) or version == 0:
        raise bad_request(
            "invalid continue token: continue key is not valid: incorrect encoded start resourceVersion "
            f"(version {TOKEN_VERSION})"
        )
    if not isinstance(start, str) or not start:
        raise bad_request(
            "invalid continue token: continue key is not valid: encoded start key empty (version meta.k8s.io/v1)"
        )
    parts = start.rstrip("\0").split("/")
    if any(part in ("", ".", "..") for part in parts) or len(parts) > 2:
        raise bad_request(f"invalid continue token: continue key is not valid: {start}")
    return version, start


def parse_version(text: str) -> int:
    """A resourceVersion as a number.

    Raises:
        StatusError: 400 where it is none.
    """
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        number = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise bad_request(f'invalid resource version: resourceVersion: Invalid value: "{text}": {number}')
    return int(text)


def check_not_ahead(text: str, revision: int) -> None:
    """A get may ask for a version that is at least this fresh.

    Raises:
        StatusError: 400 where it is none, 504 for one of the future.
    """
    asked = parse_version(text)
    if asked > revision:
        raise version_too_large(asked, revision)


def check_match(
    version: str, match: str, *, watch: bool, initial_events: bool | None, continue_: str = ""
) -> None:
    """The rules of resourceVersionMatch and sendInitialEvents (apimachinery ``ValidateListOptions``).

    Raises:
        StatusError: 422, naming everything that is wrong.
    """
    errors = (_watch_errors if watch else _list_errors)(version, match, continue_, initial_events)
    if errors:
        raise invalid_object("ListOptions", "meta.k8s.io", "", errors)


_WITH_CONTINUE = "resourceVersionMatch is forbidden when continue is provided"


def _forbidden_match(why: str) -> FieldError:
    return forbidden_field("resourceVersionMatch", why)


def _list_errors(version: str, match: str, continue_: str, initial_events: bool | None) -> list[FieldError]:
    errors: list[FieldError] = []
    if match:
        if not version:
            errors.append(
                _forbidden_match("resourceVersionMatch is forbidden unless resourceVersion is provided")
            )
        if continue_:
            errors.append(_forbidden_match(_WITH_CONTINUE))
        if match not in ("Exact", "NotOlderThan"):
            errors.append(not_supported("resourceVersionMatch", match, ("Exact", "NotOlderThan", "")))
        if match == "Exact" and version == "0":
            errors.append(
                _forbidden_match('resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
            )
    if initial_events is not None:
        errors.append(forbidden_field("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return errors


def _watch_errors(version: str, match: str, continue_: str, initial_events: bool | None) -> list[FieldError]:
    errors: list[FieldError] = []
    if initial_events is not None and match != "NotOlderThan":
        errors.append(
            _forbidden_match("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
        )
    if match:
        if initial_events is None:
            errors.append(
                _forbidden_match(
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
                )
            )
        if match != "NotOlderThan":
            errors.append(not_supported("resourceVersionMatch", match, ("NotOlderThan",)))
        if continue_:
            errors.append(_forbidden_match(_WITH_CONTINUE))
    return errors


async def list_objects(
    store: Store, resource: Resource, namespace: str, options: ListOptions, oldest: int = 0
) -> ListResult:
    """One list or one page of it; ``oldest`` is the oldest version that may be asked for.

    Raises:
        StatusError: 400 for selectors, versions and tokens that can't be read, 410 for a version or token that is
            too old, 422 for options that contradict each other, 500 where a conversion webhook failed, 504 for a
            version of the future.
    """
    predicate = Predicate(resource, options.label_selector, options.field_selector)
    if options.limit < 0:
        raise invalid_object(
            "ListOptions",
            "meta.k8s.io",
            "",
            [invalid("limit", options.limit, "must be greater than or equal to 0")],
        )
    place = resource.storage_resource
    namespace = namespace or (predicate.namespace if resource.namespaced else "")
    start = ""
    exact = 0
    check_match(
        options.resource_version,
        options.resource_version_match,
        watch=False,
        initial_events=options.send_initial_events,
        continue_=options.continue_,
    )
    if options.continue_:
        version, start = decode_continue(options.continue_)
        if options.resource_version not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        exact = max(version, 0)
    else:
        asked = parse_version(options.resource_version)
        if options.resource_version_match == "Exact" or (
            asked and options.limit and not options.resource_version_match
        ):
            exact = asked
        elif asked > store.revision:
            raise version_too_large(asked, store.revision)
    if exact > store.revision:
        raise version_too_large(exact, store.revision)
    records, version = _records(store, place, namespace, exact, start, predicate, oldest)
    if resource.from_storage is not None:
        records = await all_served(resource, records)
    matches = predicate.matches
    if matches is not None:
        records = [record for record in records if matches(record.obj)]
    token, remaining = "", None
    if options.limit and len(records) > options.limit:
        remaining = len(records) - options.limit if predicate.everything else None
        records = list(islice(records, options.limit))
        last = records[-1].key
        token = encode_continue(
            version, last.name if namespace or not last.namespace else f"{last.namespace}/{last.name}"
        )
    return ListResult(records, version, token, remaining)


def _records(
    store: Store, place: str, namespace: str, exact: int, start: str, predicate: Predicate, oldest: int
) -> tuple[list[Record], int]:
    if exact:
        try:
            if exact < oldest:
                raise Compacted(exact, oldest)
            records = store.list_at(place, namespace, exact)
        except Compacted:
            if start:
                raise ContinueExpired(encode_continue(-1, start.rstrip("\0"))) from None
            raise StatusError(410, "Expired", EXPIRED) from None
        version = exact
    else:
        version = store.revision
        if predicate.name and (namespace or not start):
            one = store.get(Key(place, namespace, predicate.name))
            if one is not None:
                return [one], version
        records = store.list(place, namespace)
    if start:
        after = tuple(start.rstrip("\0").split("/"))
        if len(after) == 2:
            records = [record for record in records if (record.key.namespace, record.key.name) > after]
        else:
            records = [record for record in records if record.key.name > after[0]]
    return records, version
