"""The rules of pods: new ones, changed ones, and changes through their subresources.

Follows pkg/apis/core/validation/validation.go (``ValidatePodCreate``, ``ValidatePodUpdate``,
``ValidatePodStatusUpdate``, ``ValidatePodEphemeralContainersUpdate``, ``ValidatePodResize``).
"""

from __future__ import annotations

import orjson

from ..errors import FieldError, Obj, forbidden_field, invalid, required
from ..meta import annotations_of
from ..qos import qos_class
from .affinity import check_tolerations
from .containers import MAX_ID
from .meta import Errors, add, check_meta, check_meta_update, difference
from .names import IMMUTABLE, between, subdomain
from .podspec import check_ephemeral, check_pod_spec, check_template
from .volumes import check_volumes

MIRROR = "kubernetes.io/config.mirror"
ONLY = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def check_pod(pod: Obj) -> Errors:
    """A new pod."""
    errors: Errors = []
    check_meta(pod, errors)
    _annotations(pod, errors)
    spec = pod.get("spec") or {}
    check_pod_spec(spec, "spec", errors)
    if spec.get("ephemeralContainers"):
        sentence = "cannot be set on create"
        errors.append(forbidden_field("spec.ephemeralContainers", sentence))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        sentence = "cannot be set until all schedulingGates have been cleared"
        errors.append(forbidden_field("spec.nodeName", sentence))
    return errors


def _annotations(pod: Obj, errors: Errors) -> None:
    value = annotations_of(pod).get(MIRROR)
    if value is not None and not pod["spec"].get("nodeName"):
        sentence = "must set spec.nodeName if mirror pod annotation is set"
        errors.append(invalid(f"metadata.annotations[{MIRROR}]", value, sentence))


def _annotation_update(new: Obj, old: Obj, errors: Errors) -> None:
    now, before = annotations_of(new), annotations_of(old)
    place = f"metadata.annotations[{MIRROR}]"
    if MIRROR in before and now.get(MIRROR) != before[MIRROR]:
        errors.append(forbidden_field(place, "may not remove or update mirror pod annotation"))
    elif MIRROR in now and MIRROR not in before:
        errors.append(forbidden_field(place, "may not add mirror pod annotation"))


def check_pod_update(new: Obj, old: Obj) -> Errors:
    """A changed pod: images, deadline, more tolerations; before scheduling also what gates allow."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _annotation_update(new, old, errors)
    spec, before = new["spec"], old["spec"]
    if spec == before:
        return errors
    gated = bool(before.get("schedulingGates"))
    munged = dict(spec)
    for kind in ("containers", "initContainers"):
        now, was = spec.get(kind) or [], before.get(kind) or []
        if len(now) != len(was):
            sentence = "pod updates may not add or remove containers"
            errors.append(forbidden_field(f"spec.{kind}", sentence))
            return errors
        for index, container in enumerate(now):
            image = container.get("image") or ""
            if not image:
                errors.append(required(f"spec.{kind}[{index}].image"))
            elif image != image.strip():
                sentence = "must not have leading or trailing whitespace"
                errors.append(invalid(f"spec.{kind}[{index}].image", image, sentence))
        if now:
            munged[kind] = [
                {**one, "image": other["image"]} if "image" in other else one
                for one, other in zip(now, was, strict=True)
            ]
    _deadline(spec, before, munged, errors)
    if gates := _gates(spec, before):
        errors.append(gates)
    _restore(munged, before, "schedulingGates")
    if (spec.get("tolerations") or []) != (before.get("tolerations") or []):
        _tolerations(spec, before, errors)
    _restore(munged, before, "tolerations")
    if before.get("terminationGracePeriodSeconds", 0) < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        _restore(munged, before, "terminationGracePeriodSeconds")
    if gated:
        _gated(spec, before, munged, errors)
    if munged != before:
        errors.append(forbidden_field("spec", f"{ONLY}\n{difference(munged, before)}"))
    return errors


def _restore(munged: Obj, before: Obj, name: str) -> None:
    if name in before:
        munged[name] = before[name]
    else:
        munged.pop(name, None)


def _deadline(spec: Obj, before: Obj, munged: Obj, errors: Errors) -> None:
    now, was = spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    place = "spec.activeDeadlineSeconds"
    if now is not None:
        if not 0 <= now <= MAX_ID:
            errors.append(invalid(place, now, between(0, MAX_ID)))
        elif was is not None and was < now:
            errors.append(invalid(place, now, "must be less than or equal to previous value"))
    elif was is not None:
        errors.append(invalid(place, None, "must not update from a positive integer to nil value"))
    _restore(munged, before, "activeDeadlineSeconds")


def _gates(spec: Obj, before: Obj) -> FieldError | None:
    was = {gate.get("name") for gate in before.get("schedulingGates") or ()}
    added = sorted({gate.get("name") for gate in spec.get("schedulingGates") or ()} - was)
    if added:
        sentence = f"only deletion is allowed, but found new scheduling gates {added}"
        return forbidden_field("spec.schedulingGates", sentence.replace("'", '"'))
    return None


def _gated(spec: Obj, before: Obj, munged: Obj, errors: Errors) -> None:
    """A pod that waits at a gate may still be told where to run, ever more narrowly."""
    was = before.get("nodeSelector") or {}
    now = spec.get("nodeSelector") or {}
    if any(now.get(key) != value for key, value in was.items()):
        value = now
        errors.append(invalid("spec.nodeSelector", value, "only additions are allowed"))
    _restore(munged, before, "nodeSelector")
    if not before.get("affinity"):
        _restore(munged, before, "affinity")


def _tolerations(spec: Obj, before: Obj, errors: Errors) -> None:
    def shape(toleration: Obj) -> bytes:
        bare = {name: value for name, value in toleration.items() if name != "tolerationSeconds"}
        return orjson.dumps(bare, option=orjson.OPT_SORT_KEYS)

    now = {shape(one) for one in spec.get("tolerations") or ()}
    for one in before.get("tolerations") or ():
        if shape(one) not in now:
            sentence = "existing toleration can not be modified except its tolerationSeconds"
            errors.append(forbidden_field("spec.tolerations", sentence))
            return
    check_tolerations(spec.get("tolerations") or (), "spec.tolerations", errors)


def check_pod_status(new: Obj, old: Obj) -> Errors:
    """A changed status: what has ended for good stays ended; the class never changes."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _annotation_update(new, old, errors)
    status, before = new.get("status") or {}, old.get("status") or {}
    nominated = status.get("nominatedNodeName")
    if nominated and nominated != before.get("nominatedNodeName"):
        add(errors, "status.nominatedNodeName", nominated, subdomain(nominated))
    if status.get("qosClass") != before.get("qosClass") and before.get("qosClass"):
        errors.append(invalid("status.qosClass", status.get("qosClass") or "", IMMUTABLE))
    spec = old["spec"]
    policy = spec.get("restartPolicy")
    if policy != "Always" and not _may_restart_all(spec):
        for name in ("containerStatuses", "initContainerStatuses"):
            _transitions(status.get(name), before.get(name), policy, spec, f"status.{name}", errors)
    for index, address in enumerate(status.get("podIPs") or ()):
        if not address.get("ip"):
            errors.append(required(f"status.podIPs[{index}]"))
    return errors


def _may_restart_all(spec: Obj) -> bool:
    """Whether a rule may make every container begin anew, ended ones too (``AllContainersCouldRestart``)."""
    return any(
        rule.get("action") == "RestartAllContainers"
        for kind in ("initContainers", "containers")
        for entry in spec.get(kind) or ()
        for rule in entry.get("restartPolicyRules") or ()
    )


def _transitions(
    now: list[Obj] | None, was: list[Obj] | None, policy: str | None, spec: Obj, path: str, errors: Errors
) -> None:
    """No way back from terminated (``ValidateContainerStateTransition``)."""
    sidecars = {
        one.get("name")
        for kind in ("initContainers", "containers")
        for one in spec.get(kind) or ()
        if "restartPolicy" in one
    }
    for index, old in enumerate(was or ()):
        ended = (old.get("state") or {}).get("terminated")
        if ended is None or old.get("name") in sidecars:
            continue
        if ended.get("exitCode", 0) != 0 and policy == "OnFailure":
            continue
        for new in now or ():
            if new.get("name") == old.get("name") and "terminated" not in (new.get("state") or {}):
                sentence = "may not be transitioned to non-terminated state"
                errors.append(forbidden_field(f"{path}[{index}].state", sentence))


def check_ephemeral_update(new: Obj, old: Obj) -> Errors:
    """More ephemeral containers, none changed or removed."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    spec = new["spec"]
    volumes = check_volumes(spec.get("volumes") or (), "spec.volumes", [])
    check_ephemeral(spec, volumes, frozenset(), "spec", errors)
    if annotations_of(new).get(MIRROR) is not None:
        errors.append(forbidden_field("", "static pods do not support ephemeral containers"))
    now = {one.get("name"): one for one in spec.get("ephemeralContainers") or ()}
    place = "spec.ephemeralContainers"
    for was in old["spec"].get("ephemeralContainers") or ():
        name = was.get("name")
        if name not in now:
            sentence = f'existing ephemeral containers "{name}" may not be removed\n'
            errors.append(forbidden_field(place, sentence))
        elif now[name] != was:
            sentence = f'existing ephemeral containers "{name}" may not be changed\n'
            errors.append(forbidden_field(place, sentence + difference(now[name], was)))
    return errors


def check_resize(new: Obj, old: Obj) -> Errors:
    """New amounts of cpu and memory that keep the pod's class (``ValidatePodResize``)."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    check_pod_spec(new["spec"], "spec", errors)
    if annotations_of(old).get(MIRROR) is not None:
        errors.append(forbidden_field("", "static pods cannot be resized"))
    if qos_class(new) != qos_class(old):
        sentence = "Pod QOS Class may not change as a result of resizing"
        errors.append(invalid("metadata", qos_class(new), sentence))
    for kind in ("containers", "initContainers"):
        pairs = zip(new["spec"].get(kind) or (), old["spec"].get(kind) or (), strict=False)
        for index, (now, was) in enumerate(pairs):
            for part in ("requests", "limits"):
                amounts = (now.get("resources") or {}).get(part) or {}
                before = (was.get("resources") or {}).get(part) or {}
                place = f"spec.{kind}[{index}].resources.{part}"
                for name in sorted(set(before) - set(amounts)):
                    if name in ("cpu", "memory"):
                        errors.append(forbidden_field(place, f"resource {part} cannot be removed"))
                for name in sorted(set(amounts) | set(before)):
                    if name not in ("cpu", "memory") and amounts.get(name) != before.get(name):
                        sentence = "only cpu and memory resources are mutable"
                        errors.append(forbidden_field(place, sentence))
    return errors


def check_pod_template(obj: Obj) -> Errors:
    """A new PodTemplate."""
    errors: Errors = []
    check_meta(obj, errors)
    check_template(obj.get("template") or {}, "template", errors)
    return errors


def check_pod_template_update(new: Obj, old: Obj) -> Errors:
    """A changed PodTemplate."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    check_template(new.get("template") or {}, "template", errors)
    return errors
