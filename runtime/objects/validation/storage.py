"""The rules of volumes, claims and what provides them (pkg/apis/{core,storage}/validation)."""

from __future__ import annotations

import posixpath

from ..errors import Obj, forbidden_field, invalid, required
from ..quantity import parse
from ..selectors import label_key_errors
from .affinity import check_node_selector
from .meta import (
    Errors,
    add,
    check_meta,
    check_meta_update,
    check_selector,
    difference,
    immutable,
    one_of,
    unsupported,
)
from .names import label, subdomain
from .resources import check_amount

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
_NOT_SOURCES = frozenset(
    {
        "capacity",
        "accessModes",
        "claimRef",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "mountOptions",
        "volumeMode",
        "nodeAffinity",
        "volumeAttributesClassName",
    }
)


def _access_modes(modes: list[str], path: str, errors: Errors) -> None:
    for mode in modes:
        if mode not in ACCESS_MODES:
            errors.append(unsupported(path, mode, ACCESS_MODES))
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        sentence = "may not use ReadWriteOncePod with other access modes"
        errors.append(forbidden_field(path, sentence))


def check_claim_spec(spec: Obj, path: str, errors: Errors) -> None:
    """A PersistentVolumeClaimSpec (``ValidatePersistentVolumeClaimSpec``)."""
    modes = spec.get("accessModes") or []
    if not modes:
        errors.append(required(f"{path}.accessModes", "at least 1 access mode is required"))
    check_selector(spec.get("selector"), f"{path}.selector", errors)
    _access_modes(modes, f"{path}.accessModes", errors)
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    place = f"{path}.resources[storage]"
    if storage is None:
        errors.append(required(place))
    elif parse(storage).nano <= 0:
        errors.append(invalid(place, storage, "must be greater than zero"))
    name = spec.get("storageClassName")
    if name and (found := subdomain(name)):
        add(errors, f"{path}.storageClassName", name, found)
    one_of(spec.get("volumeMode"), VOLUME_MODES, f"{path}.volumeMode", errors, needed=False)
    for kind in ("dataSource", "dataSourceRef"):
        source = spec.get(kind)
        if source is not None:
            for member in ("name", "kind"):
                if not source.get(member):
                    errors.append(required(f"{path}.{kind}.{member}"))
            group = source.get("apiGroup") or ""
            if not group and source.get("kind") not in (None, "", "PersistentVolumeClaim"):
                sentence = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
                errors.append(invalid(f"{path}.{kind}", source["kind"], sentence))


def check_claim(obj: Obj) -> Errors:
    """A new PersistentVolumeClaim."""
    errors: Errors = []
    check_meta(obj, errors)
    check_claim_spec(obj.get("spec") or {}, "spec", errors)
    return errors


def check_claim_update(new: Obj, old: Obj) -> Errors:
    """A changed claim: only a bound one may grow (``ValidatePersistentVolumeClaimUpdate``)."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    check_claim_spec(new.get("spec") or {}, "spec", errors)
    spec, before = dict(new["spec"]), dict(old["spec"])
    if not before.get("volumeName"):
        before["volumeName"] = spec.get("volumeName")
    if before.get("volumeName") is None:
        before.pop("volumeName", None)
    if not before.get("storageClassName") and spec.get("storageClassName"):
        before["storageClassName"] = spec["storageClassName"]
    for one in (spec, before):
        one.pop("volumeAttributesClassName", None)
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    was = ((before.get("resources") or {}).get("requests") or {}).get("storage")
    bound = (old.get("status") or {}).get("phase") == "Bound"
    if size and was and bound:
        if parse(size) < parse(was):
            sentence = "field can not be less than status.capacity"
            capacity = ((old.get("status") or {}).get("capacity") or {}).get("storage", was)
            if parse(size) <= parse(capacity):
                errors.append(forbidden_field("spec.resources.requests.storage", sentence))
        resources = dict(before.get("resources") or {})
        resources["requests"] = {**resources.get("requests", {}), "storage": size}
        before["resources"] = resources
    if spec != before:
        errors.append(
            forbidden_field(
                "spec",
                "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
                f"bound claims\n{difference(spec, before)}",
            )
        )
    return errors


def check_claim_status(new: Obj, old: Obj) -> Errors:
    """A claim's status: an access mode at least once it is bound."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    status = new.get("status") or {}
    if not (new.get("spec") or {}).get("accessModes"):
        errors.append(required("Spec.accessModes"))
    for name, amount in (status.get("capacity") or {}).items():
        check_amount(name, amount, f"status.capacity[{name}]", errors)
    return errors


def check_volume(obj: Obj) -> Errors:
    """A new PersistentVolume (``ValidatePersistentVolume``)."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False)
    _volume_spec(obj.get("spec") or {}, errors)
    return errors


def _volume_spec(spec: Obj, errors: Errors) -> None:
    modes, capacity = spec.get("accessModes") or [], spec.get("capacity") or {}
    if not modes:
        errors.append(required("spec.accessModes"))
    _access_modes(modes, "spec.accessModes", errors)
    if not capacity:
        errors.append(required("spec.capacity"))
    if set(capacity) != {"storage"}:
        errors.append(unsupported("spec.capacity", capacity, ("storage",)))
    for name, amount in capacity.items():
        if parse(amount).nano <= 0:
            errors.append(invalid(f"spec.capacity[{name}]", amount, "must be greater than zero"))
    policy = spec.get("persistentVolumeReclaimPolicy")
    one_of(policy, RECLAIM_POLICIES, "spec.persistentVolumeReclaimPolicy", errors, needed=False)
    affinity = spec.get("nodeAffinity")
    if affinity is not None:
        if "required" not in affinity:
            errors.append(required("spec.nodeAffinity.required", "must specify required node constraints"))
        else:
            check_node_selector(affinity["required"], "spec.nodeAffinity.required", errors)
    sources = [name for name in spec if name not in _NOT_SOURCES]
    for name in sources[1:]:
        errors.append(forbidden_field(f"spec.{name}", "may not specify more than 1 volume type"))
    if not sources:
        errors.append(required("spec", "must specify a volume type"))
    _volume_source(spec, errors)
    name = spec.get("storageClassName")
    if name:
        add(errors, "spec.storageClassName", name, subdomain(name))
    one_of(spec.get("volumeMode"), VOLUME_MODES, "spec.volumeMode", errors, needed=False)


def _volume_source(spec: Obj, errors: Errors) -> None:
    host = spec.get("hostPath")
    if host is not None:
        if not host.get("path"):
            errors.append(required("spec.hostPath.path"))
        elif ".." in host["path"].split("/"):
            errors.append(invalid("spec.hostPath.path", host["path"], "must not contain '..'"))
        path = host.get("path") or "."
        if posixpath.normpath(path) in ("/", "//") and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
            sentence = "may not be 'recycle' for a hostPath mount of '/'"
            errors.append(forbidden_field("spec.persistentVolumeReclaimPolicy", sentence))
    local = spec.get("local")
    if local is not None:
        if not local.get("path"):
            errors.append(required("spec.local.path"))
        elif ".." in local["path"].split("/"):
            errors.append(invalid("spec.local.path", local["path"], "must not contain '..'"))
        if not (spec.get("nodeAffinity") or {}).get("required"):
            errors.append(required("spec.nodeAffinity", "Local volume requires node affinity"))
    nfs = spec.get("nfs")
    if nfs is not None:
        for member in ("server", "path"):
            if not nfs.get(member):
                errors.append(required(f"spec.nfs.{member}"))
        if nfs.get("path") and not nfs["path"].startswith("/"):
            errors.append(invalid("spec.nfs.path", nfs["path"], "must be an absolute path"))
    csi = spec.get("csi")
    if csi is not None:
        for member in ("driver", "volumeHandle"):
            if not csi.get(member):
                errors.append(required(f"spec.csi.{member}"))


def check_volume_update(new: Obj, old: Obj) -> Errors:
    """A changed volume: its source and mode stay (``ValidatePersistentVolumeUpdate``)."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    spec, before = new["spec"], old["spec"]
    _volume_spec(spec, errors)
    sources = {name: value for name, value in spec.items() if name not in _NOT_SOURCES}
    if sources != {name: value for name, value in before.items() if name not in _NOT_SOURCES}:
        sentence = "spec.persistentvolumesource is immutable after creation"
        errors.append(forbidden_field("spec.persistentvolumesource", sentence))
    immutable(spec.get("volumeMode"), before.get("volumeMode"), "spec.volumeMode", errors)
    if before.get("nodeAffinity"):
        immutable(spec.get("nodeAffinity"), before["nodeAffinity"], "spec.nodeAffinity", errors)
    return errors


def check_storage_class(obj: Obj) -> Errors:
    """A new StorageClass (``ValidateStorageClass``)."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False)
    provisioner = obj.get("provisioner") or ""
    if not provisioner:
        errors.append(required("provisioner", provisioner))
    else:
        add(errors, "provisioner", provisioner, label_key_errors(provisioner.lower()))
    parameters = obj.get("parameters") or {}
    if len(parameters) > 512:
        errors.append(invalid("parameters", len(parameters), "must have at most 512 items"))
    for key in parameters:
        if not key:
            errors.append(invalid("parameters", key, "field can not be empty."))
    one_of(obj.get("reclaimPolicy"), ("Delete", "Retain"), "reclaimPolicy", errors, needed=False)
    modes = ("Immediate", "WaitForFirstConsumer")
    one_of(obj.get("volumeBindingMode"), modes, "volumeBindingMode", errors)
    return errors


def check_storage_class_update(new: Obj, old: Obj) -> Errors:
    """What a StorageClass is made of never changes (``ValidateStorageClassUpdate``)."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    if new.get("parameters") != old.get("parameters"):
        errors.append(forbidden_field("parameters", "updates to parameters are forbidden."))
    if new.get("provisioner") != old.get("provisioner"):
        errors.append(forbidden_field("provisioner", "updates to provisioner are forbidden."))
    if new.get("reclaimPolicy") != old.get("reclaimPolicy"):
        errors.append(forbidden_field("reclaimPolicy", "updates to reclaimPolicy are forbidden."))
    immutable(new.get("volumeBindingMode"), old.get("volumeBindingMode"), "volumeBindingMode", errors)
    return errors


def _attributes(obj: Obj, errors: Errors) -> None:
    driver = obj.get("driverName") or ""
    if not driver:
        errors.append(required("driverName"))
    elif len(driver) > 63 or subdomain(driver.lower()):
        add(errors, "driverName", driver, subdomain(driver.lower()))
    if not obj.get("parameters"):
        errors.append(required("parameters", "must contain at least one key/value pair"))


def check_attributes_class(obj: Obj) -> Errors:
    """A new VolumeAttributesClass."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False)
    _attributes(obj, errors)
    return errors


def check_attributes_class_update(new: Obj, old: Obj) -> Errors:
    """Nothing of it may change."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    for name in ("driverName", "parameters"):
        if new.get(name) != old.get(name):
            errors.append(forbidden_field(name, f"updates to {name} are forbidden."))
    return errors


def check_csi_driver(obj: Obj) -> Errors:
    """A new CSIDriver (``ValidateCSIDriver``)."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False)
    spec = obj.get("spec") or {}
    for index, mode in enumerate(spec.get("volumeLifecycleModes") or ()):
        modes = ("Ephemeral", "Persistent")
        one_of(mode, modes, f"spec.volumeLifecycleModes[{index}]", errors)
    policies = ("ReadWriteOnceWithFSType", "File", "None")
    one_of(spec.get("fsGroupPolicy"), policies, "spec.fsGroupPolicy", errors, needed=False)
    return errors


def check_csi_driver_update(new: Obj, old: Obj) -> Errors:
    """A driver's ways of attaching stay as they are."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    errors += [one for one in check_csi_driver(new) if not one.field.startswith("metadata")]
    for name in ("attachRequired", "volumeLifecycleModes"):
        immutable(new["spec"].get(name), old["spec"].get(name), f"spec.{name}", errors)
    return errors


def check_csi_node(obj: Obj) -> Errors:
    """A new CSINode."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False)
    for index, driver in enumerate((obj.get("spec") or {}).get("drivers") or ()):
        for name in ("name", "nodeID"):
            if not driver.get(name):
                errors.append(required(f"spec.drivers[{index}].{name}"))
    return errors


def check_csi_node_update(new: Obj, old: Obj) -> Errors:
    """A driver that stays on a node stays the same."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    errors += [one for one in check_csi_node(new) if not one.field.startswith("metadata")]
    before = {one.get("name"): one for one in (old.get("spec") or {}).get("drivers") or ()}
    for index, driver in enumerate((new.get("spec") or {}).get("drivers") or ()):
        was = before.get(driver.get("name"))
        if was is not None:
            for name in ("nodeID", "topologyKeys"):
                immutable(driver.get(name), was.get(name), f"spec.drivers[{index}].{name}", errors)
    return errors


def check_storage_capacity(obj: Obj) -> Errors:
    """A new CSIStorageCapacity."""
    errors: Errors = []
    check_meta(obj, errors)
    name = obj.get("storageClassName") or ""
    add(errors, "storageClassName", name, subdomain(name))
    check_selector(obj.get("nodeTopology"), "nodeTopology", errors)
    for member in ("capacity", "maximumVolumeSize"):
        if member in obj and parse(obj[member]).nano < 0:
            errors.append(invalid(member, obj[member], "must be greater than or equal to 0"))
    return errors


def check_storage_capacity_update(new: Obj, old: Obj) -> Errors:
    """Topology and class stay."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    immutable(new.get("nodeTopology"), old.get("nodeTopology"), "nodeTopology", errors)
    immutable(new.get("storageClassName"), old.get("storageClassName"), "storageClassName", errors)
    return errors


def check_attachment(obj: Obj) -> Errors:
    """A new VolumeAttachment."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False)
    spec = obj.get("spec") or {}
    if not spec.get("attacher"):
        errors.append(required("spec.attacher"))
    node = spec.get("nodeName") or ""
    add(errors, "spec.nodeName", node, subdomain(node))
    source = spec.get("source") or {}
    if "persistentVolumeName" in source and "inlineVolumeSpec" in source:
        errors.append(
            forbidden_field(
                "spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
            )
        )
    elif not source.get("persistentVolumeName") and "inlineVolumeSpec" not in source:
        sentence = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        errors.append(required("spec.source", sentence))
    return errors


def check_attachment_update(new: Obj, old: Obj) -> Errors:
    """What is attached where never changes."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    immutable(new.get("spec"), old.get("spec"), "spec", errors)
    return errors


def check_runtime_class(obj: Obj) -> Errors:
    """A new RuntimeClass (pkg/apis/node/validation)."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False)
    handler = obj.get("handler") or ""
    add(errors, "handler", handler, label(handler))
    return errors


def check_runtime_class_update(new: Obj, old: Obj) -> Errors:
    """The handler stays."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    immutable(new.get("handler"), old.get("handler"), "handler", errors)
    return errors
