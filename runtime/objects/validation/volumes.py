"""The rules of a pod's volumes (pkg/apis/core/validation/validation.go, ``ValidateVolumes`` and below)."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import Obj, duplicate, forbidden_field, invalid, required
from ..quantity import parse
from .meta import Errors, add, one_of
from .names import label, loose_address, subdomain
from .references import check_field_selector, check_resource_selector
from .storage import check_claim_spec

BACKSTEPS = "must not contain '..'"
HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
VOLUME_PATHS = frozenset(
    {"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"}
)
MODE_RANGE = "must be a number between 0 and 0777 (octal), both inclusive"

_NEEDED: dict[str, tuple[str, ...]] = {
    "nfs": ("server", "path"),
    "gitRepo": ("repository",),
    "persistentVolumeClaim": ("claimName",),
    "csi": ("driver",),
    "glusterfs": ("endpoints", "path"),
    "cephfs": ("monitors",),
    "rbd": ("monitors", "image"),
    "cinder": ("volumeID",),
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "azureFile": ("secretName", "shareName"),
    "vsphereVolume": ("volumePath",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "scaleIO": ("gateway", "system", "volumeName"),
    "quobyte": ("registry", "volume"),
    "flexVolume": ("driver",),
    "iscsi": ("targetPortal", "iqn"),
}
"""Members without which a source says nothing."""


def check_backsteps(value: str, path: str, errors: Errors) -> None:
    """No ``..`` among the parts of a path (``validatePathNoBacksteps``)."""
    if ".." in value and ".." in value.split("/"):
        errors.append(invalid(path, value, BACKSTEPS))


def check_relative(value: str, path: str, errors: Errors) -> None:
    """A path that stays below (``validateLocalDescendingPath``)."""
    if value.startswith("/"):
        errors.append(invalid(path, value, "must be a relative path"))
    check_backsteps(value, path, errors)


def check_local(value: str, path: str, errors: Errors) -> None:
    """A path that stays below and is not one the kubelet reserves (``validateLocalNonReservedPath``)."""
    check_relative(value, path, errors)
    if value.startswith("..") and not value.startswith("../"):
        errors.append(invalid(path, value, "must not start with '..'"))


def check_mode(mode: int | None, path: str, errors: Errors) -> None:
    """Permission bits."""
    if mode is not None and not 0 <= mode <= 0o777:
        errors.append(invalid(path, mode, MODE_RANGE))


def check_items(items: Sequence[Obj] | None, path: str, errors: Errors) -> None:
    """Keys shown as files (``validateKeyToPath``)."""
    for index, item in enumerate(items or ()):
        place = f"{path}.items[{index}]"
        if not item.get("key"):
            errors.append(required(f"{place}.key"))
        if not item.get("path"):
            errors.append(required(f"{place}.path"))
        else:
            check_local(item["path"], f"{place}.path", errors)
        check_mode(item.get("mode"), f"{place}.mode", errors)


def check_downward(items: Sequence[Obj] | None, path: str, errors: Errors) -> None:
    """Fields of the pod shown as files (``validateDownwardAPIVolumeFile``)."""
    for index, item in enumerate(items or ()):
        place = f"{path}.items[{index}]"
        if not item.get("path"):
            errors.append(required(f"{place}.path"))
        else:
            check_local(item["path"], f"{place}.path", errors)
        if "fieldRef" in item:
            check_field_selector(item["fieldRef"], VOLUME_PATHS, f"{place}.fieldRef", errors)
            if "resourceFieldRef" in item:
                sentence = "fieldRef and resourceFieldRef can not be specified simultaneously"
                errors.append(invalid(place, "resource", sentence))
        elif "resourceFieldRef" in item:
            selector = item["resourceFieldRef"]
            check_resource_selector(selector, f"{place}.resourceFieldRef", errors, in_volume=True)
        else:
            errors.append(required(place, "either fieldRef or resourceFieldRef is required"))
        check_mode(item.get("mode"), f"{place}.mode", errors)


def _projection(source: Obj, path: str, errors: Errors) -> None:
    """One part of a projected volume."""
    given = [name for name in source if source[name] is not None]
    if len(given) > 1:
        errors.append(forbidden_field(path, "may not specify more than 1 volume type"))
    for kind in ("secret", "configMap"):
        if kind in source:
            if not source[kind].get("name"):
                errors.append(required(f"{path}.{kind}.name"))
            check_items(source[kind].get("items"), f"{path}.{kind}", errors)
    if "downwardAPI" in source:
        check_downward(source["downwardAPI"].get("items"), f"{path}.downwardAPI", errors)
    if "serviceAccountToken" in source:
        token, place = source["serviceAccountToken"], f"{path}.serviceAccountToken"
        seconds = token.get("expirationSeconds", 3600)
        if seconds < 600:
            sentence = "may not specify a duration less than 10 minutes"
            errors.append(invalid(f"{place}.expirationSeconds", seconds, sentence))
        if seconds > 1 << 32:
            sentence = "may not specify a duration larger than 2^32 seconds"
            errors.append(invalid(f"{place}.expirationSeconds", seconds, sentence))
        if not token.get("path"):
            errors.append(required(f"{place}.path"))
        else:
            check_local(token["path"], f"{place}.path", errors)


def _projected_paths(sources: Sequence[Obj], path: str, errors: Errors) -> None:
    """No two parts write one file."""
    taken: set[str] = set()
    for index, source in enumerate(sources):
        for kind in ("secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle"):
            part = source.get(kind)
            if part is None:
                continue
            paths = [item.get("path", "") for item in part.get("items") or ()] or [part.get("path", "")]
            for one in filter(None, paths):
                if one in taken:
                    name = part.get("name", "")
                    sentence = f'conflicting duplicate paths: "{one}"'
                    errors.append(invalid(f"{path}[{index}].{kind}.path", name or one, sentence))
                taken.add(one)


def _source(kind: str, source: Obj, path: str, errors: Errors) -> None:
    """The rules of one kind of volume."""
    for name in _NEEDED.get(kind, ()):
        if not source.get(name):
            errors.append(required(f"{path}.{name}"))
    match kind:
        case "emptyDir":
            limit = source.get("sizeLimit")
            if limit is not None and parse(limit).nano < 0:
                sentence = "SizeLimit field must be a valid resource quantity"
                errors.append(forbidden_field(f"{path}.sizeLimit", sentence))
        case "hostPath":
            if not source.get("path"):
                errors.append(required(f"{path}.path"))
            else:
                check_backsteps(source["path"], f"{path}.path", errors)
            if source.get("type"):
                one_of(source["type"], HOST_PATH_TYPES, f"{path}.type", errors)
        case "secret" | "configMap":
            name = "secretName" if kind == "secret" else "name"
            if not source.get(name):
                errors.append(required(f"{path}.{name}"))
            check_mode(source.get("defaultMode"), f"{path}.defaultMode", errors)
            check_items(source.get("items"), path, errors)
        case "downwardAPI":
            check_mode(source.get("defaultMode"), f"{path}.defaultMode", errors)
            check_downward(source.get("items"), path, errors)
        case "projected":
            check_mode(source.get("defaultMode"), f"{path}.defaultMode", errors)
            parts = source.get("sources") or ()
            for index, part in enumerate(parts):
                _projection(part, f"{path}.sources[{index}]", errors)
            _projected_paths(parts, f"{path}.sources", errors)
        case "nfs":
            if source.get("path") and not source["path"].startswith("/"):
                errors.append(invalid(f"{path}.path", source["path"], "must be an absolute path"))
        case "gitRepo":
            if source.get("directory"):
                check_relative(source["directory"], f"{path}.directory", errors)
        case "ephemeral":
            if "volumeClaimTemplate" not in source:
                errors.append(required(f"{path}.volumeClaimTemplate"))
            else:
                template = source["volumeClaimTemplate"]
                check_claim_spec(template.get("spec") or {}, f"{path}.volumeClaimTemplate.spec", errors)
        case "image":
            if not source.get("reference"):
                errors.append(required(f"{path}.reference"))
            policies = ("Always", "IfNotPresent", "Never")
            one_of(source.get("pullPolicy"), policies, f"{path}.pullPolicy", errors, needed=False)


def check_volumes(volumes: Sequence[Obj], path: str, errors: Errors) -> dict[str, Obj]:
    """All volumes of a pod; the good ones by name, for mounts to be looked up in."""
    found: dict[str, Obj] = {}
    for index, volume in enumerate(volumes):
        place = f"{path}[{index}]"
        before = len(errors)
        count = 0
        for kind, source in volume.items():
            if kind == "name":
                continue
            if count:
                errors.append(forbidden_field(f"{place}.{kind}", "may not specify more than 1 volume type"))
            else:
                _source(kind, source, f"{place}.{kind}", errors)
            count += 1
        if not count:
            errors.append(required(place, "must specify a volume type"))
        name = volume.get("name") or ""
        if not name:
            errors.append(required(f"{place}.name"))
        else:
            add(errors, f"{place}.name", name, label(name))
        if name in found:
            errors.append(duplicate(f"{place}.name", name))
        if len(errors) == before:
            found[name] = volume
    return found


def check_host_aliases(aliases: Sequence[Obj], path: str, errors: Errors) -> None:
    """Lines for /etc/hosts (``ValidateHostAliases``)."""
    for index, alias in enumerate(aliases):
        address = alias.get("ip") or ""
        add(errors, f"{path}[{index}].ip", address, loose_address(address))
        for number, name in enumerate(alias.get("hostnames") or ()):
            add(errors, f"{path}[{index}].hostnames[{number}]", name, subdomain(name))
