"""The rules of containers: names, images, ports, environment, mounts, probes, resources, security.

Follows pkg/apis/core/validation/validation.go (``validateContainers`` and below).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import Obj, duplicate, forbidden_field, invalid, not_found_field, required
from .meta import Errors, add, one_of, unsupported
from .names import between, config_key, env_name, label, loose_address, port_name, port_number, subdomain
from .probes import check_lifecycle, check_probe
from .references import ENV_PATHS, check_field_selector, check_resource_selector
from .resources import check_requirements
from .volumes import check_relative

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
PROTOCOLS = ("SCTP", "TCP", "UDP")
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_WITHOUT_RESTART = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
MAX_ID = 2147483647


def _key_selector(reference: Obj, path: str, errors: Errors) -> None:
    name, key = reference.get("name") or "", reference.get("key") or ""
    add(errors, f"{path}.name", name, subdomain(name))
    if not key:
        errors.append(required(f"{path}.key"))
    else:
        add(errors, f"{path}.key", key, config_key(key))


def _value_from(variable: Obj, path: str, errors: Errors) -> None:
    source = variable["valueFrom"]
    given = [name for name in _SOURCES if name in source]
    if "fieldRef" in source:
        check_field_selector(source["fieldRef"], ENV_PATHS, f"{path}.fieldRef", errors)
    if "resourceFieldRef" in source:
        place = f"{path}.resourceFieldRef"
        check_resource_selector(source["resourceFieldRef"], place, errors, in_volume=False)
    for name in ("configMapKeyRef", "secretKeyRef"):
        if name in source:
            _key_selector(source[name], f"{path}.{name}", errors)
    if "fileKeyRef" in source:
        for name in ("volumeName", "path", "key"):
            if not source["fileKeyRef"].get(name):
                errors.append(required(f"{path}.fileKeyRef.{name}"))
    if not given:
        listed = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        errors.append(invalid(path, "", f"must specify one of: {listed}"))
    elif variable.get("value"):
        errors.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif len(given) > 1:
        errors.append(invalid(path, "", "may not have more than one field specified at a time"))


def check_env(variables: Sequence[Obj], path: str, errors: Errors) -> None:
    """Environment variables (``ValidateEnv``)."""
    for index, variable in enumerate(variables):
        name = variable.get("name")
        if not name:
            errors.append(required(f"{path}[{index}].name"))
        elif found := env_name(name):
            add(errors, f"{path}[{index}].name", name, found)
        if "valueFrom" in variable:
            _value_from(variable, f"{path}[{index}].valueFrom", errors)


def check_env_from(sources: Sequence[Obj], path: str, errors: Errors) -> None:
    """Whole ConfigMaps and Secrets as environment (``ValidateEnvFrom``)."""
    for index, source in enumerate(sources):
        prefix = source.get("prefix")
        if prefix:
            add(errors, f"{path}[{index}].prefix", prefix, env_name(prefix))
        given = [name for name in ("configMapRef", "secretRef") if name in source]
        for kind in given:
            name = source[kind].get("name")
            if not name:
                errors.append(required(f"{path}[{index}].{kind}.name"))
            else:
                add(errors, f"{path}[{index}].{kind}.name", name, subdomain(name))
        if not given:
            errors.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            errors.append(invalid(path, "", "may not have more than one field specified at a time"))


def check_ports(ports: Sequence[Obj], path: str, errors: Errors) -> None:
    """Container ports (``validateContainerPorts``)."""
    names: set[str] = set()
    for index, port in enumerate(ports):
        name = port.get("name")
        if name:
            if found := port_name(name):
                add(errors, f"{path}[{index}].name", name, found)
            elif name in names:
                errors.append(duplicate(f"{path}[{index}].name", name))
            names.add(name)
        number = port.get("containerPort") or 0
        if number == 0:
            errors.append(required(f"{path}[{index}].containerPort"))
        elif not 1 <= number <= 65535:
            add(errors, f"{path}[{index}].containerPort", number, port_number(number))
        host = port.get("hostPort") or 0
        if host and not 1 <= host <= 65535:
            add(errors, f"{path}[{index}].hostPort", host, port_number(host))
        protocol = port.get("protocol")
        if protocol != "TCP":
            one_of(protocol, PROTOCOLS, f"{path}[{index}].protocol", errors)
        if port.get("hostIP"):
            add(errors, f"{path}[{index}].hostIP", port["hostIP"], loose_address(port["hostIP"]))


def check_mounts(container: Obj, volumes: dict[str, Obj], path: str, errors: Errors) -> None:
    """Volume mounts and devices against the pod's volumes (``ValidateVolumeMounts``)."""
    mounts, devices = container.get("volumeMounts") or (), container.get("volumeDevices") or ()
    device_names = {one.get("name") for one in devices}
    device_paths = {one.get("devicePath") for one in devices}
    paths: set[str] = set()
    for index, mount in enumerate(mounts):
        place = f"{path}.volumeMounts[{index}]"
        name, where = mount.get("name"), mount.get("mountPath")
        if not name:
            errors.append(required(f"{place}.name"))
        elif name not in volumes:
            errors.append(not_found_field(f"{place}.name", name))
        if not where:
            errors.append(required(f"{place}.mountPath"))
        elif where in paths:
            errors.append(invalid(f"{place}.mountPath", where, "must be unique"))
        paths.add(where or "")
        if where and where in device_paths:
            sentence = "must not already exist as a path in volumeDevices"
            errors.append(invalid(f"{place}.mountPath", where, sentence))
        if name and name in device_names:
            errors.append(invalid(f"{place}.name", name, "must not already exist in volumeDevices"))
        sub, expression = mount.get("subPath"), mount.get("subPathExpr")
        if sub:
            check_relative(sub, f"{place}.subPath", errors)
        if expression:
            if sub:
                sentence = "subPathExpr and subPath are mutually exclusive"
                errors.append(invalid(f"{place}.subPathExpr", expression, sentence))
            check_relative(expression, f"{place}.subPathExpr", errors)
        propagation = mount.get("mountPropagation")
        if propagation:
            kinds = ("None", "Bidirectional", "HostToContainer")
            one_of(propagation, kinds, f"{place}.mountPropagation", errors)
            privileged = (container.get("securityContext") or {}).get("privileged")
            if propagation == "Bidirectional" and not privileged:
                sentence = "Bidirectional mount propagation is available only to privileged containers"
                errors.append(forbidden_field(f"{place}.mountPropagation", sentence))
    _devices(devices, volumes, {mount.get("name") for mount in mounts}, path, errors)


def _devices(
    devices: Sequence[Obj], volumes: dict[str, Obj], mounted: set[str | None], path: str, errors: Errors
) -> None:
    """Block devices (``ValidateVolumeDevices``)."""
    names: set[str] = set()
    for index, device in enumerate(devices):
        place = f"{path}.volumeDevices[{index}]"
        name, where = device.get("name") or "", device.get("devicePath") or ""
        if not name:
            errors.append(required(f"{place}.name"))
        elif name in names:
            errors.append(invalid(f"{place}.name", name, "must be unique"))
        elif name not in volumes:
            errors.append(not_found_field(f"{place}.name", name))
        elif not ("persistentVolumeClaim" in volumes[name] or "ephemeral" in volumes[name]):
            sentence = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.append(invalid(f"{place}.name", name, sentence))
        if name in mounted:
            errors.append(invalid(f"{place}.name", name, "must not already exist in volumeMounts"))
        names.add(name)
        if not where:
            errors.append(required(f"{place}.devicePath"))
        elif ".." in where.split("/"):
            errors.append(invalid(f"{place}.devicePath", where, "can not contain backsteps ('..')"))


def check_ids(context: Obj, names: Sequence[str], path: str, errors: Errors) -> None:
    """User and group ids."""
    for name in names:
        value = context.get(name)
        if value is not None and not 0 <= value <= MAX_ID:
            errors.append(invalid(f"{path}.{name}", value, between(0, MAX_ID)))


def check_profile(profile: Obj | None, path: str, errors: Errors) -> None:
    """A seccomp or AppArmor profile: its type and, for Localhost alone, its file."""
    if profile is None:
        return
    kind, file = profile.get("type"), profile.get("localhostProfile")
    if kind == "Localhost":
        if not file:
            errors.append(required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost"))
        elif path.endswith("seccompProfile"):
            check_relative(file, f"{path}.localhostProfile", errors)
    elif kind in ("RuntimeDefault", "Unconfined"):
        if file is not None:
            sentence = "can only be set when seccomp type is Localhost"
            errors.append(invalid(f"{path}.localhostProfile", profile, sentence))
    elif not kind:
        errors.append(required(f"{path}.type", "type is required when seccompProfile is set"))
    else:
        errors.append(unsupported(f"{path}.type", kind, ("Localhost", "RuntimeDefault", "Unconfined")))


def check_security(context: Obj, path: str, errors: Errors) -> None:
    """A container's security context (``ValidateSecurityContext``)."""
    check_ids(context, ("runAsUser", "runAsGroup"), path, errors)
    if "procMount" in context:
        one_of(context["procMount"], ("Default", "Unmasked"), f"{path}.procMount", errors)
    check_profile(context.get("seccompProfile"), f"{path}.seccompProfile", errors)
    check_profile(context.get("appArmorProfile"), f"{path}.appArmorProfile", errors)
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            sentence = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            errors.append(invalid(path, context, sentence))
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            sentence = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            errors.append(invalid(path, context, sentence))


def check_container(
    container: Obj,
    volumes: dict[str, Obj],
    claims: frozenset[str],
    grace: int | None,
    path: str,
    errors: Errors,
) -> None:
    """What holds for containers of every sort (``validateContainerCommon`` and, for most, probes)."""
    name = container.get("name")
    if not name:
        errors.append(required(f"{path}.name"))
    elif found := label(name):
        add(errors, f"{path}.name", name, found)
    image = container.get("image")
    if not image:
        errors.append(required(f"{path}.image"))
    elif image != image.strip():
        errors.append(invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    policy = container.get("terminationMessagePolicy")
    if policy not in ("File", "FallbackToLogsOnError"):
        place, sentence = f"{path}.terminationMessagePolicy", "must be 'File' or 'FallbackToLogsOnError'"
        errors.append(invalid(place, policy, sentence) if policy else required(place, sentence))
    if "ports" in container:
        check_ports(container["ports"], f"{path}.ports", errors)
    if "env" in container:
        check_env(container["env"], f"{path}.env", errors)
    if "envFrom" in container:
        check_env_from(container["envFrom"], f"{path}.envFrom", errors)
    if "volumeMounts" in container or "volumeDevices" in container:
        check_mounts(container, volumes, path, errors)
    if container.get("imagePullPolicy") not in PULL_POLICIES:
        one_of(container.get("imagePullPolicy"), PULL_POLICIES, f"{path}.imagePullPolicy", errors)
    if container.get("resources"):
        check_requirements(container["resources"], f"{path}.resources", errors, claims)
    if "securityContext" in container:
        check_security(container["securityContext"], f"{path}.securityContext", errors)
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        if kind in container:
            check_probe(container[kind], kind, f"{path}.{kind}", errors)
    if "lifecycle" in container:
        check_lifecycle(container["lifecycle"], grace, f"{path}.lifecycle", errors)
    if "restartPolicy" in container:
        policies = ("Always", "OnFailure", "Never")
        one_of(container["restartPolicy"], policies, f"{path}.restartPolicy", errors, needed=False)
    if container.get("restartPolicyRules") and "restartPolicy" not in container:
        sentence = "must specify restartPolicy when restart rules are used"
        errors.append(required(f"{path}.restartPolicy", sentence))


def check_init_container(container: Obj, path: str, errors: Errors) -> None:
    """What only sidecars among the init containers may have."""
    if container.get("restartPolicy") != "Always":
        for name in _WITHOUT_RESTART:
            if name in container:
                sentence = "may not be set for init containers without restartPolicy=Always"
                errors.append(forbidden_field(f"{path}.{name}", sentence))


def check_host_ports(containers: Sequence[Obj], taken: set[str], path: str, errors: Errors) -> None:
    """No two containers on one port of the host (``AccumulateUniqueHostPorts``)."""
    for number, container in enumerate(containers):
        for index, port in enumerate(container.get("ports") or ()):
            host = port.get("hostPort")
            if host:
                key = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{host}"
                if key in taken:
                    errors.append(duplicate(f"{path}[{number}].ports[{index}].hostPort", key))
                taken.add(key)
