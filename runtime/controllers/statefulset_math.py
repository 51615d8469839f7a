"""Identity and order of StatefulSet pods, as pure functions.

After ``statefulset/{stateful_set_utils,stateful_set_status_updater}.go``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from runtime.objects import meta
from runtime.objects.errors import Obj
from runtime.objects.meta import controller_reference, is_deleting, labels_of, name_of, namespace_of

from .deployment_math import replicas_of, scaled
from .pods import is_available, is_ready, phase
from .revisions import HASH_LABEL

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"
_NAME = re.compile(r"(.*)-([0-9]+)")


def ordinal_of(pod: Obj) -> int:
    """The number at the end of the pod's name; -1 without one."""
    match = _NAME.fullmatch(name_of(pod))
    return int(match[2]) if match else -1


def belongs(set_: Obj, pod: Obj) -> bool:
    """Whether the pod's name is one of the set's."""
    match = _NAME.fullmatch(name_of(pod))
    return match is not None and match[1] == name_of(set_)


def start_of(set_: Obj) -> int:
    """The first ordinal."""
    return int((set_["spec"].get("ordinals") or {}).get("start") or 0)


def is_parallel(set_: Obj) -> bool:
    """Whether pods need not wait for each other."""
    return bool(set_["spec"].get("podManagementPolicy") == "Parallel")


def strategy_of(set_: Obj) -> str:
    """``RollingUpdate`` or ``OnDelete``."""
    return str((set_["spec"].get("updateStrategy") or {}).get("type") or "RollingUpdate")


def partition_of(set_: Obj) -> int:
    """Ordinals below this (counted from the first) keep the current revision."""
    rolling = (set_["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    return int(rolling.get("partition") or 0)


def max_unavailable(set_: Obj) -> int | None:
    """How many pods may be down during an update; None when not said."""
    rolling = (set_["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    value = rolling.get("maxUnavailable")
    return None if value is None else max(1, scaled(value, replicas_of(set_), up=False))


def wants_current(set_: Obj, ordinal: int) -> bool:
    """Whether a pod that is missing comes back in the current revision, not the new one."""
    if strategy_of(set_) != "RollingUpdate":
        return False
    rolling = (set_["spec"].get("updateStrategy") or {}).get("rollingUpdate")
    if rolling is None or rolling.get("partition") is None:
        return ordinal < start_of(set_) + int((set_.get("status") or {}).get("currentReplicas") or 0)
    return ordinal < start_of(set_) + int(rolling["partition"])


def claim_name(set_: Obj, template: Obj, ordinal: int) -> str:
    """The name of the PersistentVolumeClaim made from a template for a pod."""
    return f"{template['metadata']['name']}-{name_of(set_)}-{ordinal}"


def claims_for(set_: Obj, ordinal: int) -> list[Obj]:
    """The PersistentVolumeClaims of a pod."""
    labels = (set_["spec"].get("selector") or {}).get("matchLabels") or {}
    result = []
    for template in set_["spec"].get("volumeClaimTemplates") or ():
        claim = meta.copy(template)
        metadata = claim["metadata"]
        metadata["name"] = claim_name(set_, template, ordinal)
        metadata["namespace"] = namespace_of(set_)
        metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
        metadata.pop("creationTimestamp", None)
        claim.pop("status", None)
        claim["apiVersion"], claim["kind"] = "v1", "PersistentVolumeClaim"
        if retention(set_, "whenDeleted") == "Delete":
            metadata["ownerReferences"] = [controller_reference(set_)]
        result.append(claim)
    return result


def retention(set_: Obj, when: str) -> str:
    """``Retain`` or ``Delete``: what becomes of claims on ``whenDeleted`` or ``whenScaled``."""
    return str((set_["spec"].get("persistentVolumeClaimRetentionPolicy") or {}).get(when) or "Retain")


def in_range(set_: Obj, pod: Obj) -> bool:
    """Whether the pod's ordinal is one that the set wants."""
    return start_of(set_) <= ordinal_of(pod) < start_of(set_) + replicas_of(set_)


def _refers(reference: Obj, owner: Obj, kind: str) -> bool:
    return bool(reference.get("kind") == kind and reference.get("name") == name_of(owner))


def is_stale(claim: Obj, owner: Obj, kind: str) -> bool:
    """Whether the claim belongs to an earlier object of the owner's name (or to one not made yet)."""
    uid = owner["metadata"].get("uid")
    return any(_refers(ref, owner, kind) and ref.get("uid") != uid for ref in meta.owners_of(claim))


def claim_owners(set_: Obj, claim: Obj, pod: Obj) -> list[Obj]:
    """The owner references that the retention policy wants a pod's claim to have.

    With ``whenDeleted: Delete`` the claim goes with the set, with ``whenScaled: Delete`` it goes with a pod that
    was scaled away. A claim that somebody else controls, or that belongs to what came before, is left alone.
    (``updateClaimOwnerRefForSetAndPod``)
    """
    references = meta.owners_of(claim)
    if is_stale(claim, set_, "StatefulSet") or is_stale(claim, pod, "Pod"):
        return references
    others = [r for r in references if not _refers(r, set_, "StatefulSet") and not _refers(r, pod, "Pod")]
    if any(reference.get("controller") for reference in others):
        return others
    scaled_away = not in_range(set_, pod)
    if retention(set_, "whenScaled") == "Delete" and scaled_away:
        return [
            *others,
            controller_reference({"apiVersion": "v1", "kind": "Pod", "metadata": pod["metadata"]}),
        ]
    if retention(set_, "whenDeleted") == "Delete":
        return [*others, controller_reference(set_)]
    return others


def pod_for(set_: Obj, template: Obj, ordinal: int, revision: str) -> Obj:
    """The pod with this ordinal, from a template of the given revision."""
    name = f"{name_of(set_)}-{ordinal}"
    source = template.get("metadata") or {}
    labels = {
        **(source.get("labels") or {}),
        HASH_LABEL: revision,
        POD_NAME: name,
        POD_INDEX: str(ordinal),
    }
    metadata: Obj = {
        "name": name,
        "namespace": namespace_of(set_),
        "labels": labels,
        "ownerReferences": [controller_reference(set_)],
    }
    if source.get("annotations"):
        metadata["annotations"] = dict(source["annotations"])
    if source.get("finalizers"):
        metadata["finalizers"] = list(source["finalizers"])
    spec = {**template["spec"], "hostname": name}
    if set_["spec"].get("serviceName"):
        spec["subdomain"] = set_["spec"]["serviceName"]
    claimed = {
        entry["metadata"]["name"]: {
            "name": entry["metadata"]["name"],
            "persistentVolumeClaim": {"claimName": claim_name(set_, entry, ordinal)},
        }
        for entry in set_["spec"].get("volumeClaimTemplates") or ()
    }
    if claimed:
        others = [v for v in spec.get("volumes") or () if v["name"] not in claimed]
        spec["volumes"] = [*claimed.values(), *others]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def identity_labels(pod: Obj) -> dict[str, str]:
    """The labels that say which pod of its set this one is."""
    return {POD_NAME: name_of(pod), POD_INDEX: str(ordinal_of(pod))}


def is_running_ready(pod: Obj) -> bool:
    """Whether the pod runs and is ready."""
    return phase(pod) == "Running" and is_ready(pod)


def is_running_available(pod: Obj, min_ready: int, now: datetime) -> bool:
    """Whether the pod runs and has been ready long enough."""
    return phase(pod) == "Running" and is_available(pod, min_ready, now)


def is_unavailable(pod: Obj, min_ready: int, now: datetime) -> bool:
    """Whether the pod does not serve, or not for long any more."""
    return is_deleting(pod) or not is_running_available(pod, min_ready, now)


def revision_of(pod: Obj) -> str:
    """The revision a pod was made from."""
    return labels_of(pod).get(HASH_LABEL, "")


def calculate_status(set_: Obj, pods: Sequence[Obj], current: str, update: str, now: datetime) -> Obj:
    """Counters and revisions; a finished rolling update makes the new revision the current one."""
    min_ready = int(set_["spec"].get("minReadySeconds") or 0)
    counts = dict.fromkeys(("replicas", "readyReplicas", "availableReplicas"), 0)
    of_current = of_update = 0
    for pod in pods:
        counts["replicas"] += 1
        if is_running_ready(pod):
            counts["readyReplicas"] += 1
            if is_running_available(pod, min_ready, now):
                counts["availableReplicas"] += 1
        if not is_deleting(pod):
            of_current += revision_of(pod) == current
            of_update += revision_of(pod) == update
    wanted = replicas_of(set_)
    if (
        strategy_of(set_) == "RollingUpdate"
        and of_update == counts["replicas"] == counts["readyReplicas"]
        and (current == update or of_update == wanted)
    ):
        current, of_current = update, of_update
    status: Obj = {
        "observedGeneration": int(set_["metadata"].get("generation") or 0),
        "replicas": counts["replicas"],
        "availableReplicas": counts["availableReplicas"],
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": int((set_.get("status") or {}).get("collisionCount") or 0),
    }
    for name, count in (
        ("readyReplicas", counts["readyReplicas"]),
        ("currentReplicas", of_current),
        ("updatedReplicas", of_update),
    ):
        if count:
            status[name] = count
    conditions = (set_.get("status") or {}).get("conditions")
    if conditions:
        status["conditions"] = conditions
    return status
