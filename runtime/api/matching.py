"""Which objects a list or watch is about: label and field selectors as one compiled question.

apiserver ``pkg/storage/selection_predicate.go``. Most watches have no selector or one exact field, so those cost
nothing or one comparison per object.
"""

from __future__ import annotations

from collections.abc import Callable

from runtime.objects.errors import Obj, bad_request
from runtime.objects.registry import Resource
from runtime.objects.selectors import metadata_fields, parse_field_selector, parse_label_selector

_NO_LABELS: dict[str, str] = {}
_METADATA_NAMES = frozenset({"metadata.name", "metadata.namespace"})


class Predicate:
    """A compiled selector; ``matches`` is None when it restricts nothing.

    Raises:
        StatusError: 400, a selector that can't be read or a field that the kind does not offer.
    """

    __slots__ = ("everything", "matches", "name", "namespace")

    def __init__(self, resource: Resource, label_selector: str = "", field_selector: str = "") -> None:
        labels = parse_label_selector(label_selector) if label_selector else None
        fields = parse_field_selector(field_selector) if field_selector else None
        if labels is not None and labels.everything:
            labels = None
        if fields is not None and fields.everything:
            fields = None
        self.name = ""
        """The one object the selector can match, where it names one."""
        self.namespace = ""
        """The one namespace the selector can match, where it names one."""
        tests: list[Callable[[Obj], bool]] = []
        if labels is not None:
            match_labels = labels.matches
            tests.append(lambda obj: match_labels(obj["metadata"].get("labels") or _NO_LABELS))
        if fields is not None:
            allowed = _METADATA_NAMES | resource.selectable_names
            for term in fields.terms:
                if term.field not in allowed:
                    if resource.selectable_names:
                        raise bad_request(f"field label not supported: {term.field}")
                    known = '"metadata.name", "metadata.namespace"'
                    raise bad_request(f'"{term.field}" is not a known field selector: only {known}')
            self.name = fields.requires("metadata.name") or ""
            self.namespace = fields.requires("metadata.namespace") or ""
            match_fields = fields.matches
            if all(term.field in _METADATA_NAMES for term in fields.terms):
                if self.name and len(fields.terms) == 1:
                    name = self.name
                    tests.append(lambda obj: bool(obj["metadata"]["name"] == name))
                else:
                    tests.append(lambda obj: match_fields(metadata_fields(obj)))
            else:
                selectable = resource.selectable
                assert selectable is not None  # the names above come with it
                if any(term.field in _METADATA_NAMES for term in fields.terms):
                    tests.append(lambda obj: match_fields({**metadata_fields(obj), **selectable(obj)}))
                else:
                    tests.append(lambda obj: match_fields(selectable(obj)))
        self.everything = not tests
        self.matches: Callable[[Obj], bool] | None
        if not tests:
            self.matches = None
        elif len(tests) == 1:
            self.matches = tests[0]
        else:
            self.matches = lambda obj: all(test(obj) for test in tests)
