"""From an object to those who might own it: the indexes and look-ups the workload controllers share."""

from __future__ import annotations

from runtime.client.informer import Informer
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import controller_of, key_of, labels_of, namespace_of, uid_of
from runtime.objects.selectors import Selector, from_labels, label_selector

ORPHANS = "orphans"


def orphan_namespace(obj: Obj) -> tuple[str, ...]:
    """Index function: the namespace of an object that no controller manages."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return ()
    return (obj["metadata"].get("namespace") or "",)


def selector_of(owner: Obj) -> Selector:
    """An owner's selector, whichever of the two forms its kind has.

    Raises:
        StatusError: it can't be read.
    """
    selector = owner["spec"].get("selector")
    if owner["kind"] in ("ReplicationController", "Service"):
        return from_labels(selector)
    return label_selector(selector)


def matching_owners(owners: Informer, obj: Obj) -> list[str]:
    """The keys of those in ``obj``'s namespace whose selector is not empty and matches its labels."""
    found: list[str] = []
    labels = labels_of(obj)
    for owner in owners.list(namespace_of(obj)):
        try:
            selector = selector_of(owner)
        except StatusError:
            continue
        if not selector.everything and selector.matches(labels):
            found.append(key_of(owner))
    return found


def owner_key(owners: Informer, obj: Obj, kind: str) -> str | None:
    """The key of the controller of this kind that manages ``obj``, if it is there under that uid."""
    reference = controller_of(obj)
    if reference is None or reference.get("kind") != kind:
        return None
    key = f"{namespace_of(obj)}/{reference['name']}"
    owner = owners.get(key)
    return key if owner is not None and uid_of(owner) == reference.get("uid") else None
