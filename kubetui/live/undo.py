"""Before-images: what an object has to look like for the server to make it again what it was."""

from __future__ import annotations

from kubetui.live.merge import Clash, merge
from kubetui.live.objects import Obj, meta

# Annotations that controllers count with: they are never taken back, nor does anybody clash over them.
_COUNTED = frozenset({"deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"})

# What the server fills in; it must not be in an object that is created.
_SERVER_FIELDS = frozenset(
    {
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "managedFields",
        "selfLink",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    }
)


def restored(before: Obj, live: Obj) -> Obj:
    """``before`` as an update of ``live``: all of it but status and what the server owns."""
    metadata = {k: v for k, v in meta(live).items() if k not in ("labels", "annotations", "managedFields")}
    for key in ("labels", "annotations"):
        if meta(before).get(key):
            metadata[key] = meta(before)[key]
    found = {k: v for k, v in before.items() if k not in ("metadata", "status")}
    return {**found, "metadata": metadata, **({"status": live["status"]} if "status" in live else {})}


def taken_back(before: Obj, after: Obj, live: Obj) -> tuple[Obj, list[Clash]]:
    """``live`` without the change that led from ``before`` to ``after``; what others did since stays.

    The clashes are fields that somebody else has changed since as well: they become what they were before.
    """
    plain, clashes = merge(_own(after, _COUNTED), _own(before, _COUNTED), _own(live))
    return restored({**plain, **{k: live[k] for k in ("apiVersion", "kind") if k in live}}, live), clashes


def _own(obj: Obj, without: frozenset[str] = frozenset()) -> Obj:
    """What people write: all of an object but its status and what the server owns."""
    found = {k: v for k, v in obj.items() if k not in ("metadata", "status", "kind", "apiVersion")}
    kept = {k: meta(obj).get(k) or {} for k in ("labels", "annotations")}
    return {
        **found,
        "metadata": {k: {n: v for n, v in kept[k].items() if n not in without} for k in kept},
    }


def recreated(before: Obj) -> Obj:
    """``before`` as an object to create: without status, identity and owners that may be gone."""
    metadata = {k: v for k, v in meta(before).items() if k not in _SERVER_FIELDS and k != "finalizers"}
    found = {k: v for k, v in before.items() if k not in ("metadata", "status")}
    if before.get("kind") == "Pod":
        spec = dict(found.get("spec") or {})
        spec.pop("nodeName", None)
        found["spec"] = spec
    if before.get("kind") == "Service":
        spec = dict(found.get("spec") or {})
        for key in ("clusterIP", "clusterIPs"):
            if spec.get("clusterIP") != "None":
                spec.pop(key, None)
        found["spec"] = spec
    return {**found, "metadata": metadata}
