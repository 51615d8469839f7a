"""What a DELETE makes of an object: gone, marked, or waiting for somebody.

Pure decisions over one object and its options, after apiserver ``pkg/registry/rest/delete.go`` (BeforeDelete),
``registry/generic/registry/store.go`` (finalizers) and ``pkg/registry/core/{pod,namespace}``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from runtime.objects.clock import format_time, parse_time
from runtime.objects.custom import CLEANUP
from runtime.objects.errors import FieldError, Obj, conflict, invalid, invalid_object, not_supported
from runtime.objects.registry import Resource

from .definitions import DEFINITIONS

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
POLICIES = ("Foreground", "Background", "Orphan")

RETURNS_DELETED = frozenset(
    {
        "csidrivers.storage.k8s.io",
        "csinodes.storage.k8s.io",
        "deviceclasses.resource.k8s.io",
        "devicetaintrules.resource.k8s.io",
        "persistentvolumeclaims",
        "persistentvolumes",
        "pods",
        "podtemplates",
        "resourceclaims.resource.k8s.io",
        "resourceclaimtemplates.resource.k8s.io",
        "resourcequotas",
        "resourceslices.resource.k8s.io",
        "serviceaccounts",
        "services",
        "storageclasses.storage.k8s.io",
        "volumeattachments.storage.k8s.io",
        "volumeattributesclasses.storage.k8s.io",
    }
)
"""Kinds whose DELETE answers with the object that is gone instead of a Status (``ReturnDeletedObject``)."""


def check_options(options: Obj) -> None:
    """The rules of DeleteOptions (apimachinery ``ValidateDeleteOptions``).

    Raises:
        StatusError: 422.
    """
    errors: list[FieldError] = []
    policy = options.get("propagationPolicy")
    if policy is not None and options.get("orphanDependents") is not None:
        errors.append(
            invalid(
                "propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set"
            )
        )
    if policy is not None and policy not in POLICIES:
        errors.append(not_supported("propagationPolicy", policy, (*POLICIES, "nil")))
    dry_run = options.get("dryRun") or []
    if dry_run and dry_run != ["All"]:
        errors.append(not_supported("dryRun", dry_run, ("All",)))
    if errors:
        raise invalid_object("DeleteOptions", "meta.k8s.io", "", errors)


@dataclass(frozen=True, slots=True)
class Decision:
    """``remove``: it is gone. ``metadata`` (and ``phase``): what to store instead. Neither: it stays as it is."""

    remove: bool = False
    metadata: Obj | None = None
    phase: str = ""
    condition: Obj | None = None
    """A condition that the deletion sets."""


def check_preconditions(resource: Resource, metadata: Obj, options: Obj) -> None:
    """uid and resourceVersion that the client expects.

    Raises:
        StatusError: 409 when they are others.
    """
    expected = options.get("preconditions") or {}
    name = metadata.get("name", "")
    uid, version = expected.get("uid"), expected.get("resourceVersion")
    if uid and uid != metadata.get("uid"):
        raise conflict(
            resource.kind,
            name,
            f"the UID in the precondition ({uid}) does not match the UID in record ({metadata.get('uid')}). "
            "The object might have been deleted and then recreated",
            resource.group,
        )
    if version and version != metadata.get("resourceVersion"):
        raise conflict(
            resource.kind,
            name,
            f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record "
            f"({metadata.get('resourceVersion')}). The object might have been modified",
            resource.group,
        )


def decide(resource: Resource, obj: Obj, options: Obj, now: datetime) -> Decision:
    """What a DELETE with these options does to the object now."""
    metadata: Obj = obj["metadata"]
    if resource.group_resource == "namespaces":
        return _decide_namespace(resource, obj, options, now)
    if resource.group_resource == DEFINITIONS and "deletionTimestamp" not in metadata:
        return _decide_definition(metadata, now)
    marked = metadata
    graceful = False
    if resource.strategy.graceful_deletion:
        step = _graceful(obj, options, now)
        if step is None:
            return Decision()
        graceful, marked = step
    marked = _with_finalizers(resource, marked, options)
    if graceful:
        if marked.get("finalizers") or marked["deletionGracePeriodSeconds"] > 0:
            return Decision(metadata=marked)
        return Decision(remove=True)
    if not marked.get("finalizers"):
        return Decision(remove=True)
    marked = _mark(marked, now)
    return Decision() if marked == metadata else Decision(metadata=marked)


def _decide_namespace(resource: Resource, obj: Obj, options: Obj, now: datetime) -> Decision:
    """A namespace is Terminating until its controller has emptied it and removed ``spec.finalizers``."""
    metadata = obj["metadata"]
    held = bool((obj.get("spec") or {}).get("finalizers"))
    marked = (
        _with_finalizers(resource, metadata, options) if "deletionTimestamp" not in metadata else metadata
    )
    if not held and not marked.get("finalizers"):
        return Decision(remove=True)
    if "deletionTimestamp" in metadata:
        return Decision()
    marked = {**marked, "deletionTimestamp": format_time(now)}
    return Decision(metadata=marked, phase="Terminating")


def _decide_definition(metadata: Obj, now: datetime) -> Decision:
    """A definition waits, with a finalizer, until its instances are gone (``customresourcedefinition/etcd.go``)."""
    finalizers = [one for one in metadata.get("finalizers") or () if one != CLEANUP]
    stamp = format_time(now)
    marked = {**metadata, "deletionTimestamp": stamp, "finalizers": [*finalizers, CLEANUP]}
    condition: Obj = {
        "type": "Terminating",
        "status": "True",
        "lastTransitionTime": stamp,
        "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    }
    return Decision(metadata=marked, condition=condition)


def _graceful(obj: Obj, options: Obj, now: datetime) -> tuple[bool, Obj] | None:
    """(whether gracefully, the metadata then); None when a deletion is under way and nothing changes."""
    metadata: Obj = obj["metadata"]
    asked = options.get("gracePeriodSeconds")
    if asked is not None and asked < 0:
        asked = 1
    if "deletionTimestamp" in metadata:
        running = metadata.get("deletionGracePeriodSeconds") or 0
        if running <= 0:
            return False, metadata
        if asked is None or asked >= running:
            return None
        moment = parse_time(metadata["deletionTimestamp"]) + timedelta(seconds=asked - running)
        if moment < now:
            moment = now
            asked = min(asked, 1)
        return True, {
            **metadata,
            "deletionTimestamp": format_time(moment),
            "deletionGracePeriodSeconds": asked,
        }
    period = _pod_grace(obj, asked)
    marked = {
        **metadata,
        "deletionTimestamp": format_time(now + timedelta(seconds=period)),
        "deletionGracePeriodSeconds": period,
    }
    if metadata.get("generation"):
        marked["generation"] = metadata["generation"] + 1
    return True, marked


def _pod_grace(pod: Obj, asked: int | None) -> int:
    """Seconds a pod gets (``podStrategy.CheckGracefulDelete``)."""
    spec = pod.get("spec") or {}
    period = asked
    if period is None:
        period = spec.get("terminationGracePeriodSeconds")
        if period is None:
            period = 30
    if not spec.get("nodeName") or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    return 1 if period < 0 else int(period)


def _with_finalizers(resource: Resource, metadata: Obj, options: Obj) -> Obj:
    """The metadata with the garbage collector's finalizers as the propagation policy wants them."""
    present: list[str] = metadata.get("finalizers") or []
    orphan, foreground = _policy(resource, present, options)
    wanted = [entry for entry in present if entry not in (ORPHAN, FOREGROUND)]
    if orphan:
        wanted.append(ORPHAN)
    if foreground:
        wanted.append(FOREGROUND)
    if set(wanted) == set(present):
        return metadata
    changed = {**metadata, "finalizers": wanted}
    if not wanted:
        del changed["finalizers"]
    return changed


def _policy(resource: Resource, present: list[str], options: Obj) -> tuple[bool, bool]:
    """(orphan the dependents, wait for the dependents)."""
    orphan = options.get("orphanDependents")
    if orphan is not None:
        return bool(orphan), False
    policy = options.get("propagationPolicy")
    if policy is not None:
        return policy == "Orphan", policy == "Foreground"
    for entry in present:
        if entry == ORPHAN:
            return True, False
        if entry == FOREGROUND:
            return False, True
    return resource.strategy.default_propagation == "Orphan", False


def _mark(metadata: Obj, now: datetime) -> Obj:
    """Deleting, without grace (``markAsDeleting``)."""
    marked = dict(metadata)
    before = metadata.get("deletionTimestamp")
    if before is None and metadata.get("generation"):
        marked["generation"] = metadata["generation"] + 1
    if before is None or parse_time(before) > now:
        marked["deletionTimestamp"] = format_time(now)
    marked["deletionGracePeriodSeconds"] = 0
    return marked


def emptied(resource: Resource, new: Obj, old: Obj) -> bool:
    """Whether an update took the last thing that held a deleting object (``ShouldDeleteDuringUpdate``)."""
    if new["metadata"].get("finalizers"):
        return False
    metadata = old["metadata"]
    if "deletionTimestamp" not in metadata or (metadata.get("deletionGracePeriodSeconds") or 0) > 0:
        return False
    if resource.group_resource == "namespaces":
        return not (new.get("spec") or {}).get("finalizers")
    return True


def success(resource: Resource, metadata: Obj) -> Obj:
    """The Status that says an object is gone."""
    details: Obj = {"name": metadata.get("name", "")}
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.plural
    details["uid"] = metadata.get("uid", "")
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
