"""Before-images: what an object has to look like for the server to make it again what it was."""

from __future__ import annotations

from kubetui.live.objects import Obj, meta

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
