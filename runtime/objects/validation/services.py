"""The rules of Services (pkg/apis/core/validation, ``ValidateService`` and ``ValidateServiceUpdate``)."""

from __future__ import annotations

from ..defaults.core import externally_accessible
from ..errors import Obj, duplicate, forbidden_field, invalid, required
from ..selectors import label_key_errors
from .containers import PROTOCOLS
from .meta import Errors, add, check_labels, check_meta, check_meta_update, one_of
from .names import (
    address,
    label,
    label_1035_name,
    loose_address,
    network,
    parse_address,
    port_number,
    subdomain,
)
from .probes import check_port

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
MAX_AFFINITY = 86400
KUBELET_PORT = 10250
SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"


def _port(port: Obj, named: bool, headless: bool, names: set[str], path: str, errors: Errors) -> None:
    name = port.get("name") or ""
    if named and not name:
        errors.append(required(f"{path}.name"))
    elif name:
        add(errors, f"{path}.name", name, label(name))
        if name in names:
            errors.append(duplicate(f"{path}.name", name))
        names.add(name)
    number = port.get("port") or 0
    add(errors, f"{path}.port", number, port_number(number))
    one_of(port.get("protocol"), PROTOCOLS, f"{path}.protocol", errors)
    target = port.get("targetPort")
    check_port(target, f"{path}.targetPort", errors)
    if port.get("appProtocol"):
        add(errors, f"{path}.appProtocol", port["appProtocol"], label_key_errors(port["appProtocol"]))


def _ports(spec: Obj, headless: bool, errors: Errors) -> None:
    ports = spec.get("ports") or []
    kind = spec.get("type")
    if not ports and not headless and kind != "ExternalName":
        errors.append(required("spec.ports"))
    names: set[str] = set()
    numbers: set[tuple[str, int]] = set()
    node_ports: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        _port(port, len(ports) > 1, headless, names, path, errors)
        key = (port.get("protocol") or "", port.get("port") or 0)
        if key in numbers:
            errors.append(duplicate(path, {"Protocol": key[0], "Port": key[1]}))
        numbers.add(key)
        if kind == "LoadBalancer" and key[1] == KUBELET_PORT:
            sentence = f"may not expose port {KUBELET_PORT} externally since it is used by kubelet"
            errors.append(invalid(path, KUBELET_PORT, sentence))
        node_port = port.get("nodePort") or 0
        if node_port:
            if kind in ("ClusterIP", "ExternalName"):
                sentence = f"may not be used when `type` is '{kind}'"
                errors.append(forbidden_field(f"{path}.nodePort", sentence))
            node_key = (key[0], node_port)
            if node_key in node_ports:
                errors.append(duplicate(f"{path}.nodePort", node_port))
            node_ports.add(node_key)


def _by_type(spec: Obj, headless: bool, errors: Errors) -> None:
    kind = spec.get("type")
    if kind in ("LoadBalancer", "NodePort") and headless:
        sentence = f"may not be set to 'None' for {kind} services"
        errors.append(invalid("spec.clusterIPs[0]", "None", sentence))
    if kind == "ExternalName":
        for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if spec.get(field):
                errors.append(forbidden_field(f"spec.{field}", "may not be set for ExternalName services"))
        name = (spec.get("externalName") or "").removesuffix(".")
        if not name:
            errors.append(required("spec.externalName"))
        else:
            add(errors, "spec.externalName", name, subdomain(name))
    if kind == "LoadBalancer":
        if spec.get("allocateLoadBalancerNodePorts") is None:
            errors.append(required("spec.allocateLoadBalancerNodePorts"))
        if spec.get("loadBalancerClass"):
            name = spec["loadBalancerClass"]
            add(errors, "spec.loadBalancerClass", name, label_key_errors(name))
    else:
        sentence = "may only be used when `type` is 'LoadBalancer'"
        for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if spec.get(name) not in (None, [], ""):
                errors.append(forbidden_field(f"spec.{name}", sentence))


def _source_ranges(obj: Obj, errors: Errors) -> None:
    """Whom a load balancer lets in, as the field says it or, without it, the annotation."""
    spec = obj["spec"]
    ranges = spec.get("loadBalancerSourceRanges") or []
    annotation = (obj["metadata"].get("annotations") or {}).get(SOURCE_RANGES)
    if not ranges and annotation is None:
        return
    field = "spec.LoadBalancerSourceRanges" if ranges else f"metadata.annotations[{SOURCE_RANGES}]"
    if spec.get("type") != "LoadBalancer":
        errors.append(forbidden_field(field, "may only be used when `type` is 'LoadBalancer'"))
    if ranges:
        for index, text in enumerate(map(str.strip, ranges)):
            add(errors, f"{field}[{index}]", text, network(text))
    elif annotation and annotation.strip():
        for text in map(str.strip, annotation.split(",")):
            add(errors, field, text, network(text))


def _affinity(spec: Obj, errors: Errors) -> None:
    affinity, config = spec.get("sessionAffinity"), spec.get("sessionAffinityConfig")
    one_of(affinity, ("ClientIP", "None"), "spec.sessionAffinity", errors)
    if affinity == "ClientIP":
        seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")
        place = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
        if seconds is None:
            errors.append(required(place, "when session affinity type is ClientIP"))
        elif not 0 < seconds <= MAX_AFFINITY:
            sentence = f"must be greater than 0 and less than {MAX_AFFINITY}"
            errors.append(invalid(place, seconds, sentence))
    elif affinity == "None" and config is not None:
        sentence = "must not be set when session affinity is None"
        errors.append(forbidden_field("spec.sessionAffinityConfig", sentence))


def _addresses(spec: Obj, errors: Errors) -> None:
    addresses = spec.get("clusterIPs") or []
    first = spec.get("clusterIP") or ""
    if not first and addresses:
        sentence = "must be empty when `clusterIP` is not specified"
        errors.append(invalid("spec.clusterIPs", addresses, sentence))
    elif first and addresses and addresses[0] != first:
        sentence = "first value must match `clusterIP`"
        errors.append(invalid("spec.clusterIPs", addresses, sentence))
    for index, one in enumerate(addresses):
        if one == "None":
            if len(addresses) > 1 and index == 0:
                sentence = "'None' must be the first and only value"
                errors.append(invalid("spec.clusterIPs", addresses, sentence))
        elif found := address(one):
            add(errors, f"spec.clusterIPs[{index}]", one, found)
    if len(addresses) > 2:
        sentence = "may only hold up to 2 values"
        errors.append(invalid("spec.clusterIPs", addresses, sentence))
    families = spec.get("ipFamilies") or []
    for index, family in enumerate(families):
        one_of(family, ("IPv4", "IPv6"), f"spec.ipFamilies[{index}]", errors)
        if family in families[:index]:
            errors.append(duplicate(f"spec.ipFamilies[{index}]", family))
    policies = ("SingleStack", "PreferDualStack", "RequireDualStack")
    one_of(spec.get("ipFamilyPolicy"), policies, "spec.ipFamilyPolicy", errors, needed=False)
    for index, one in enumerate(spec.get("externalIPs") or ()):
        place = f"spec.externalIPs[{index}]"
        if found := loose_address(one):
            add(errors, place, one, found)
            continue
        parsed = parse_address(one)
        if parsed is not None:
            if parsed.is_unspecified:
                errors.append(invalid(place, one, f"may not be unspecified ({one})"))
            if parsed.is_loopback:
                errors.append(invalid(place, one, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))


def _traffic(spec: Obj, errors: Errors) -> None:
    external = spec.get("externalTrafficPolicy")
    if externally_accessible(spec):
        one_of(external, ("Cluster", "Local"), "spec.externalTrafficPolicy", errors)
    elif external:
        sentence = "may only be set for externally-accessible services"
        errors.append(invalid("spec.externalTrafficPolicy", external, sentence))
    check = spec.get("healthCheckNodePort") or 0
    local = spec.get("type") == "LoadBalancer" and external == "Local"
    if check and not local:
        sentence = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        errors.append(invalid("spec.healthCheckNodePort", check, sentence))
    internal = spec.get("internalTrafficPolicy")
    needed = spec.get("type") in ("NodePort", "LoadBalancer", "ClusterIP")
    one_of(internal, ("Cluster", "Local"), "spec.internalTrafficPolicy", errors, needed=needed)


def _spec(spec: Obj, errors: Errors) -> None:
    headless = spec.get("clusterIP") == "None" or (spec.get("clusterIPs") or [""])[0] == "None"
    _by_type(spec, headless, errors)
    _ports(spec, headless, errors)
    check_labels(spec.get("selector"), "spec.selector", errors)
    _affinity(spec, errors)
    _addresses(spec, errors)
    one_of(spec.get("type"), TYPES, "spec.type", errors)
    _traffic(spec, errors)


def check_service(obj: Obj) -> Errors:
    """A new Service."""
    errors: Errors = []
    check_meta(obj, errors, name=label_1035_name)
    _spec(obj.get("spec") or {}, errors)
    _source_ranges(obj, errors)
    return errors


def check_service_update(new: Obj, old: Obj) -> Errors:
    """A changed Service: an address that was given stays."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    spec, before = new["spec"], old["spec"]
    _spec(spec, errors)
    _source_ranges(new, errors)
    if spec.get("type") != "ExternalName" and before.get("type") != "ExternalName":
        was, now = before.get("clusterIPs") or [], spec.get("clusterIPs") or []
        if was and not now:
            errors.append(invalid("spec.clusterIPs[0]", now, "primary clusterIP can not be unset"))
        elif was and now[0] != was[0]:
            errors.append(invalid("spec.clusterIPs[0]", now, "may not change once set"))
        elif len(was) > 1 and len(now) > 1 and now[1] != was[1]:
            errors.append(invalid("spec.clusterIPs[1]", now, "may not change once set"))
    if before.get("type") == spec.get("type") == "LoadBalancer":
        was_class, now_class = before.get("loadBalancerClass"), spec.get("loadBalancerClass")
        if was_class != now_class:
            errors.append(invalid("spec.loadBalancerClass", now_class, "may not change once set"))
    return errors


def check_service_status(new: Obj, old: Obj) -> Errors:
    """The addresses a load balancer gave."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    ingresses = ((new.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    for index, ingress in enumerate(ingresses):
        place = f"status.loadBalancer.ingress[{index}]"
        if ingress.get("ip"):
            add(errors, f"{place}.ip", ingress["ip"], loose_address(ingress["ip"]))
        if ingress.get("hostname"):
            name = ingress["hostname"]
            add(errors, f"{place}.hostname", name, subdomain(name))
            if parse_address(name) is not None:
                sentence = "must be a DNS name, not an IP address"
                errors.append(invalid(f"{place}.hostname", name, sentence))
    if ingresses and new["spec"].get("type") != "LoadBalancer":
        sentence = "may only be used when `spec.type` is LoadBalancer"
        errors.append(forbidden_field("status.loadBalancer.ingress", sentence))
    return errors
