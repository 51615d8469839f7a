"""The conditions of CustomResourceDefinitions (apiextensions-apiserver ``pkg/apihelpers/helpers.go``)."""

from __future__ import annotations

from typing import Final

from ..errors import Obj

CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer that keeps a definition until its instances are gone."""


def condition_of(definition: Obj, kind: str) -> Obj | None:
    """The condition of a definition with this type."""
    for one in (definition.get("status") or {}).get("conditions") or ():
        if one.get("type") == kind:
            found: Obj = one
            return found
    return None


def is_true(definition: Obj, kind: str) -> bool:
    """Whether a definition has this condition with status True."""
    found = condition_of(definition, kind)
    return found is not None and found.get("status") == "True"


def with_condition(status: Obj, condition: Obj) -> Obj:
    """A status with the condition set; its time stays the old one's where its status did not change."""
    conditions = list(status.get("conditions") or ())
    for index, one in enumerate(conditions):
        if one.get("type") == condition["type"]:
            if one.get("status") == condition["status"]:
                condition = {**condition, "lastTransitionTime": one.get("lastTransitionTime")}
            conditions[index] = condition
            break
    else:
        conditions.append(condition)
    return {**status, "conditions": conditions}
