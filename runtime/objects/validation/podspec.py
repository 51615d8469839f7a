"""The rules of a pod's spec, the same for pods and for templates (``ValidatePodSpec``)."""

from __future__ import annotations

import re

from ..errors import Obj, duplicate, forbidden_field, invalid, not_found_field, required
from ..selectors import label_key_errors
from .affinity import check_affinity, check_tolerations, check_topology
from .containers import (
    MAX_ID,
    check_container,
    check_host_ports,
    check_ids,
    check_init_container,
    check_profile,
)
from .meta import Errors, add, check_annotations, check_labels, one_of, unsupported
from .names import between, label, loose_address, subdomain
from .resources import check_amounts
from .volumes import check_host_aliases, check_volumes

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
SYSCTL_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
SYSCTL = rf"({SYSCTL_SEGMENT}[\./])*{SYSCTL_SEGMENT}"
_IS_SYSCTL = re.compile(SYSCTL)
MAX_NAMESERVERS = 3
MAX_SEARCHES = 32
MAX_SEARCH_CHARACTERS = 2048


def _containers(spec: Obj, path: str, errors: Errors) -> None:
    volumes = check_volumes(spec["volumes"], f"{path}.volumes", errors) if spec.get("volumes") else {}
    claims = frozenset(claim.get("name", "") for claim in spec.get("resourceClaims") or ())
    grace = spec.get("terminationGracePeriodSeconds", 30)
    containers = spec.get("containers") or ()
    if not containers:
        errors.append(required(f"{path}.containers"))
    names: set[str] = set()
    for kind, group in (("containers", containers), ("initContainers", spec.get("initContainers") or ())):
        for index, container in enumerate(group):
            place = f"{path}.{kind}[{index}]"
            check_container(container, volumes, claims, grace, place, errors)
            if kind == "initContainers":
                check_init_container(container, place, errors)
            name = container.get("name") or ""
            if name in names:
                errors.append(duplicate(f"{place}.name", name))
            elif name:
                names.add(name)
    check_host_ports(containers, set(), f"{path}.containers", errors)
    if spec.get("initContainers"):
        sidecars = [one for one in spec["initContainers"] if one.get("restartPolicy") == "Always"]
        check_host_ports(sidecars, set(), f"{path}.initContainers", errors)
    if spec.get("ephemeralContainers"):
        check_ephemeral(spec, volumes, claims, path, errors)
    if spec.get("hostNetwork"):
        for kind in ("containers", "initContainers"):
            for index, container in enumerate(spec.get(kind) or ()):
                _host_network(container, f"{path}.{kind}[{index}]", errors)


def _host_network(container: Obj, path: str, errors: Errors) -> None:
    for index, port in enumerate(container.get("ports") or ()):
        number, host = port.get("containerPort", 0), port.get("hostPort", 0)
        if host != number:
            sentence = "must match `hostPort` when `hostNetwork` is true"
            errors.append(invalid(f"{path}.ports[{index}].containerPort", number, sentence))


_NOT_EPHEMERAL = ("lifecycle", "livenessProbe", "ports", "readinessProbe", "resizePolicy", "startupProbe")


def check_ephemeral(
    spec: Obj, volumes: dict[str, Obj], claims: frozenset[str], path: str, errors: Errors
) -> None:
    """Ephemeral containers (``validateEphemeralContainers``)."""
    others = {one.get("name") for kind in ("containers", "initContainers") for one in spec.get(kind) or ()}
    names: set[str] = set()
    for index, container in enumerate(spec.get("ephemeralContainers") or ()):
        place = f"{path}.ephemeralContainers[{index}]"
        plain = {name: value for name, value in container.items() if name not in _NOT_EPHEMERAL}
        check_container(plain, volumes, claims, None, place, errors)
        name = container.get("name") or ""
        if name in names or name in others:
            errors.append(duplicate(f"{place}.name", name))
        names.add(name)
        target = container.get("targetContainerName")
        if target and target not in others:
            errors.append(not_found_field(f"{place}.targetContainerName", target))
        for field in _NOT_EPHEMERAL:
            if container.get(field):
                sentence = "cannot be set for an Ephemeral Container"
                errors.append(forbidden_field(f"{place}.{field}", sentence))
        if container.get("resources"):
            sentence = "cannot be set for an Ephemeral Container"
            errors.append(forbidden_field(f"{place}.resources", sentence))
        for number, mount in enumerate(container.get("volumeMounts") or ()):
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    sentence = "cannot be set for an Ephemeral Container"
                    errors.append(forbidden_field(f"{place}.volumeMounts[{number}].{field}", sentence))


def _dns(spec: Obj, path: str, errors: Errors) -> None:
    policy, config = spec.get("dnsPolicy"), spec.get("dnsConfig")
    place = f"{path}.dnsConfig"
    one_of(policy, DNS_POLICIES, f"{path}.dnsPolicy", errors)
    if policy == "None":
        if config is None:
            errors.append(required(place, "must provide `dnsConfig` when `dnsPolicy` is None"))
            return
        if not config.get("nameservers"):
            sentence = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            errors.append(required(f"{place}.nameservers", sentence))
            return
    if config is None:
        return
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > MAX_NAMESERVERS:
        sentence = f"must not have more than {MAX_NAMESERVERS} nameservers"
        errors.append(invalid(f"{place}.nameservers", servers, sentence))
    for index, server in enumerate(servers):
        add(errors, f"{place}.nameservers[{index}]", server, loose_address(server))
    if len(searches) > MAX_SEARCHES:
        sentence = f"must not have more than {MAX_SEARCHES} search paths"
        errors.append(invalid(f"{place}.searches", searches, sentence))
    if len(" ".join(searches)) > MAX_SEARCH_CHARACTERS:
        sentence = f"must not have more than {MAX_SEARCH_CHARACTERS} characters (including spaces) in the search list"
        errors.append(invalid(f"{place}.searches", searches, sentence))
    for index, search in enumerate(searches):
        name = search.removesuffix(".").replace("_", "-").strip("-") if search != "." else "a"
        if found := subdomain(name):
            add(errors, f"{place}.searches[{index}]", search, found)
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            errors.append(required(f"{place}.options[{index}]", "must not be empty"))


def _security(spec: Obj, path: str, errors: Errors) -> None:
    context = spec.get("securityContext") or {}
    if spec.get("hostPID") and spec.get("shareProcessNamespace"):
        sentence = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(invalid(f"{path}.shareProcessNamespace", True, sentence))
    if not context:
        return
    place = f"{path}.securityContext"
    check_ids(context, ("fsGroup", "runAsUser", "runAsGroup"), place, errors)
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        if not 0 <= group <= MAX_ID:
            errors.append(invalid(f"{place}.supplementalGroups[{index}]", group, between(0, MAX_ID)))
    names: set[str] = set()
    for index, sysctl in enumerate(context.get("sysctls") or ()):
        name = sysctl.get("name") or ""
        if not name:
            errors.append(required(f"{place}.sysctls[{index}].name"))
        elif len(name) > 253 or not _IS_SYSCTL.fullmatch(name):
            sentence = f"must have at most 253 characters and match regex {SYSCTL}"
            errors.append(invalid(f"{place}.sysctls[{index}].name", name, sentence))
        elif name in names:
            errors.append(duplicate(f"{place}.sysctls[{index}].name", name))
        names.add(name)
    policies = ("Always", "OnRootMismatch")
    one_of(context.get("fsGroupChangePolicy"), policies, f"{place}.fsGroupChangePolicy", errors, needed=False)
    policies = ("Merge", "Strict")
    one_of(
        context.get("supplementalGroupsPolicy"),
        policies,
        f"{place}.supplementalGroupsPolicy",
        errors,
        needed=False,
    )
    check_profile(context.get("seccompProfile"), f"{place}.seccompProfile", errors)
    check_profile(context.get("appArmorProfile"), f"{place}.appArmorProfile", errors)


def _gates(spec: Obj, path: str, errors: Errors) -> None:
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType") or ""
        add(errors, f"{path}.readinessGates[{index}].conditionType", kind, label_key_errors(kind))
    names: set[str] = set()
    for index, gate in enumerate(spec.get("schedulingGates") or ()):
        name = gate.get("name") or ""
        place = f"{path}.schedulingGates[{index}]"
        add(errors, f"{place}.name", name, label_key_errors(name))
        if name in names:
            errors.append(duplicate(place, name))
        names.add(name)


def check_pod_spec(spec: Obj, path: str, errors: Errors) -> None:
    """Everything about a pod's spec."""
    _containers(spec, path, errors)
    if spec.get("restartPolicy") not in RESTART_POLICIES:
        one_of(spec.get("restartPolicy"), RESTART_POLICIES, f"{path}.restartPolicy", errors)
    _dns(spec, path, errors)
    check_labels(spec.get("nodeSelector"), f"{path}.nodeSelector", errors)
    _security(spec, path, errors)
    if "affinity" in spec:
        check_affinity(spec["affinity"], f"{path}.affinity", errors)
    for name in ("serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"):
        value = spec.get(name)
        if value and (found := subdomain(value)):
            add(errors, f"{path}.{name}", value, found)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= MAX_ID:
        errors.append(invalid(f"{path}.activeDeadlineSeconds", deadline, between(1, MAX_ID)))
    for name in ("hostname", "subdomain"):
        value = spec.get(name)
        if value and (found := label(value)):
            add(errors, f"{path}.{name}", value, found)
    if "tolerations" in spec:
        check_tolerations(spec["tolerations"], f"{path}.tolerations", errors)
    if "hostAliases" in spec:
        check_host_aliases(spec["hostAliases"], f"{path}.hostAliases", errors)
    if "topologySpreadConstraints" in spec:
        constraints = spec["topologySpreadConstraints"]
        check_topology(constraints, f"{path}.topologySpreadConstraints", errors)
    _gates(spec, path, errors)
    if "preemptionPolicy" in spec:
        policies = ("Never", "PreemptLowerPriority")
        one_of(spec["preemptionPolicy"], policies, f"{path}.preemptionPolicy", errors)
    if "overhead" in spec:
        check_amounts(spec["overhead"], f"{path}.overhead", errors)
    if "os" in spec:
        name = spec["os"].get("name") or ""
        if not name:
            errors.append(required(f"{path}.os.name"))
        elif name not in ("linux", "windows"):
            errors.append(unsupported(f"{path}.os", name, ("linux", "windows")))


def check_template(template: Obj, path: str, errors: Errors) -> None:
    """A pod template: labels, annotations and the spec (``ValidatePodTemplateSpec``)."""
    metadata = template.get("metadata") or {}
    check_labels(metadata.get("labels"), f"{path}.labels", errors)
    check_annotations(metadata.get("annotations"), f"{path}.annotations", errors)
    spec = template.get("spec") or {}
    check_pod_spec(spec, f"{path}.spec", errors)
    if spec.get("ephemeralContainers"):
        sentence = "ephemeral containers not allowed in pod template"
        errors.append(forbidden_field(f"{path}.spec.ephemeralContainers", sentence))
