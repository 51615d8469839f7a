"""A strategy put together from functions, so that most kinds are a line in a table instead of a class.

Follows apiserver ``registry/rest/{create,update}.go`` and the many ``registry/*/strategy.go``, which differ in little
more than what is listed here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from ..errors import FieldError, Obj
from ..meta import copy
from ..registry import Strategy
from ..schema import zero_of
from ..validation.meta import check_meta_update

Change = Callable[[Obj], None]
Check = Callable[[Obj], list[FieldError]]
Compare = Callable[[Obj, Obj], list[FieldError]]
Warn = Callable[[Obj, Obj | None], list[str]]
Kept = Literal["labels", "all", "none"]

_META_KEPT = (
    "deletionTimestamp",
    "generation",
    "selfLink",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
)


def keep(new: Obj, old: Obj, *names: str) -> None:
    """Make the named members of ``new`` what they are in ``old``, absent where they are absent there."""
    for name in names:
        if name in old:
            new[name] = old[name]
        else:
            new.pop(name, None)


def metadata_only(new: Obj, old: Obj) -> list[FieldError]:
    """The rules of a change where only the metadata has any."""
    errors: list[FieldError] = []
    check_meta_update(new, old, errors)
    return errors


class KindStrategy(Strategy):
    """The rules of one kind, given as functions.

    Args:
        default: fills in what was left out.
        check: all rules on a new object.
        compare: all rules on a changed object, what :attr:`check` says of the new one included.
        compare_status: rules on a change through ``/status``; nothing means metadata is all there is to check.
        warn: sentences for the Warning header.
        status: the definition of the status that only ``/status`` changes, as ``apps.v1.DeploymentStatus``; empty
            for a kind that has none.
        status_keeps: which metadata a status change may not touch: only labels, all of it, or none.
        generation, create_on_update, unconditional_update, propagation: the flags of :class:`Strategy`.
    """

    def __init__(
        self,
        *,
        default: Change | None = None,
        check: Check | None = None,
        compare: Compare | None = None,
        compare_status: Compare | None = None,
        warn: Warn | None = None,
        status: str = "",
        status_keeps: Kept = "none",
        generation: bool = False,
        create_on_update: bool = False,
        unconditional_update: bool = True,
        propagation: str = "Background",
    ) -> None:
        self._default = default
        self._check = check
        self._compare = compare
        self._compare_status = compare_status
        self._warn = warn
        self._status = f"io.k8s.api.{status}" if status and not status.startswith("io.k8s.") else status
        self._zero_status: Obj | None = None
        self._status_keeps = status_keeps
        self.has_generation = generation
        self.allow_create_on_update = create_on_update
        self.allow_unconditional_update = unconditional_update
        self.default_propagation = propagation

    def default(self, obj: Obj) -> None:
        """Fill in what was left out."""
        if self._default is not None:
            self._default(obj)

    def new_status(self) -> Obj:
        """The status of an object that nobody looked after yet: what Kubernetes writes even when it is zero."""
        if self._zero_status is None:
            self._zero_status = zero_of(self._status)
        return copy(self._zero_status)

    def prepare_for_create(self, obj: Obj) -> None:
        """Clear the status, which only ``/status`` may set."""
        if self._status:
            obj["status"] = self.new_status()

    def prepare_for_update(self, new: Obj, old: Obj) -> None:
        """Keep the status, which only ``/status`` may change."""
        if self._status:
            keep(new, old, "status")

    def prepare_for_status_update(self, new: Obj, old: Obj) -> None:
        """Keep everything but the status (and the metadata this kind lets through)."""
        for name in old.keys() - {"apiVersion", "kind", "metadata", "status"}:
            new[name] = old[name]
        for name in new.keys() - old.keys() - {"status"}:
            del new[name]
        if self._status_keeps == "labels":
            keep(new["metadata"], old["metadata"], "labels")
        elif self._status_keeps == "all":
            keep(new["metadata"], old["metadata"], *_META_KEPT)

    def validate(self, obj: Obj) -> list[FieldError]:
        """All rules on a new object."""
        return self._check(obj) if self._check is not None else []

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """All rules on a changed object."""
        return (self._compare or metadata_only)(new, old)

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """All rules on a change through ``/status``."""
        return (self._compare_status or metadata_only)(new, old)

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        """Sentences for the Warning header."""
        return self._warn(obj, old) if self._warn is not None else []
