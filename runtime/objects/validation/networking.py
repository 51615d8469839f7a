"""The rules of ingresses, network policies, endpoint slices and leases.

Follows pkg/apis/{networking,discovery,coordination}/validation/validation.go.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..errors import FieldError, Obj, duplicate, forbidden_field, invalid, required
from ..selectors import label_key_errors
from .containers import PROTOCOLS
from .core import check_special
from .meta import (
    Errors,
    add,
    check_labels,
    check_meta,
    check_meta_update,
    check_selector,
    immutable,
    one_of,
)
from .names import (
    any_name,
    between,
    label,
    loose_address,
    network,
    parse_address,
    parse_network,
    port_name,
    port_number,
    subdomain,
    wildcard,
)
from .probes import check_port

PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
INGRESS_CLASS = "kubernetes.io/ingress.class"
MAX_ENDPOINTS = 1000
MAX_ADDRESSES = 100
_IN_PATH = ("//", "/./", "/../", "%2f", "%2F")
_AT_END = ("/..", "/.")


def _service_backend(service: Obj, path: str, errors: Errors) -> None:
    name, port = service.get("name") or "", service.get("port") or {}
    if not name:
        errors.append(required(f"{path}.name"))
    else:
        add(errors, f"{path}.name", name, label(name))
    has_name, has_number = bool(port.get("name")), bool(port.get("number"))
    if has_name and has_number:
        errors.append(invalid(path, f"{path}.port", "cannot set both port name & port number"))
    elif has_name:
        add(errors, f"{path}.port.name", port["name"], port_name(port["name"]))
    elif has_number:
        add(errors, f"{path}.port.number", port["number"], port_number(port["number"]))
    else:
        errors.append(required(path, "port name or number is required"))


def _backend(backend: Obj, path: str, errors: Errors) -> None:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        errors.append(invalid(path, "", "cannot set both resource and service backends"))
    elif service is not None:
        _service_backend(service, f"{path}.service", errors)
    elif resource is not None:
        for name in ("kind", "name"):
            if not resource.get(name):
                errors.append(required(f"{path}.resource.{name}"))
    else:
        errors.append(required(path, "resource or service backend is required"))


def _http_path(one: Obj, path: str, errors: Errors) -> None:
    kind, text = one.get("pathType"), one.get("path") or ""
    if kind is None:
        errors.append(required(f"{path}.pathType", "pathType must be specified"))
    elif kind in ("Exact", "Prefix"):
        if not text.startswith("/"):
            errors.append(invalid(f"{path}.path", text, "must be an absolute path"))
        if text:
            for mark in _IN_PATH:
                if mark in text:
                    errors.append(invalid(f"{path}.path", text, f"must not contain '{mark}'"))
            for mark in _AT_END:
                if text.endswith(mark):
                    errors.append(invalid(f"{path}.path", text, f"cannot end with '{mark}'"))
    elif kind == "ImplementationSpecific":
        if text and not text.startswith("/"):
            errors.append(invalid(f"{path}.path", text, "must be an absolute path"))
    else:
        one_of(kind, PATH_TYPES, f"{path}.pathType", errors)
    _backend(one.get("backend") or {}, f"{path}.backend", errors)


def _host(host: str, path: str, errors: Errors) -> None:
    if parse_address(host) is not None:
        errors.append(invalid(path, host, "must be a DNS name, not an IP address"))
    elif "*" in host:
        add(errors, path, host, wildcard(host))
    else:
        add(errors, path, host, subdomain(host))


def _ingress_spec(spec: Obj, errors: Errors) -> None:
    rules = spec.get("rules") or ()
    if not rules and spec.get("defaultBackend") is None:
        sentence = "either `defaultBackend` or `rules` must be specified"
        errors.append(invalid("spec", [], sentence))
    if spec.get("defaultBackend") is not None:
        _backend(spec["defaultBackend"], "spec.defaultBackend", errors)
    for index, rule in enumerate(rules):
        place = f"spec.rules[{index}]"
        if rule.get("host"):
            _host(rule["host"], f"{place}.host", errors)
        http = rule.get("http")
        if http is not None:
            if not http.get("paths"):
                errors.append(required(f"{place}.http.paths"))
            for number, one in enumerate(http.get("paths") or ()):
                _http_path(one, f"{place}.http.paths[{number}]", errors)
    for index, tls in enumerate(spec.get("tls") or ()):
        for number, host in enumerate(tls.get("hosts") or ()):
            place = f"spec.tls[{index}].hosts[{number}]"
            add(errors, place, host, wildcard(host) if "*" in host else subdomain(host))
        if tls.get("secretName"):
            name = tls["secretName"]
            add(errors, f"spec.tls[{index}].secretName", name, subdomain(name))
    if spec.get("ingressClassName") is not None:
        name = spec["ingressClassName"]
        add(errors, "spec.ingressClassName", name, subdomain(name))


def check_ingress(obj: Obj) -> Errors:
    """A new Ingress."""
    errors: Errors = []
    check_meta(obj, errors)
    spec = obj.get("spec") or {}
    _ingress_spec(spec, errors)
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    if INGRESS_CLASS in annotations and spec.get("ingressClassName") is not None:
        sentence = "can not be set when the class field is also set"
        place = f"metadata.annotations[{INGRESS_CLASS}]"
        errors.append(invalid(place, annotations[INGRESS_CLASS], sentence))
    return errors


def check_ingress_update(new: Obj, old: Obj) -> Errors:
    """A changed Ingress."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _ingress_spec(new["spec"], errors)
    return errors


def check_ingress_status(new: Obj, old: Obj) -> Errors:
    """The addresses an ingress is reached at."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    ingresses = ((new.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    for index, ingress in enumerate(ingresses):
        place = f"status.loadBalancer.ingress[{index}]"
        if ingress.get("ip"):
            add(errors, f"{place}.ip", ingress["ip"], loose_address(ingress["ip"]))
        if ingress.get("hostname"):
            _host(ingress["hostname"], f"{place}.hostname", errors)
    return errors


def _class_spec(spec: Obj, errors: Errors) -> None:
    controller = spec.get("controller") or ""
    if len(controller) > 250:
        errors.append(invalid("spec.controller", controller, "must be no more than 250 characters"))
    if not controller:
        errors.append(required("spec.controller"))
    else:
        host, slash, rest = controller.partition("/")
        if not (host and slash and rest):
            sentence = 'must be a domain-prefixed path (such as "acme.io/foo")'
            errors.append(invalid("spec.controller", controller, sentence))
        else:
            add(errors, "spec.controller", host, subdomain(host))
            if not re.fullmatch(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", rest):
                errors.append(invalid("spec.controller", rest, "Invalid path"))
    parameters = spec.get("parameters")
    if parameters is None:
        return
    place = "spec.parameters"
    for name in ("kind", "name"):
        if not parameters.get(name):
            errors.append(required(f"{place}.{name}", f"{name} is required"))
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    one_of(scope, ("Cluster", "Namespace"), f"{place}.scope", errors)
    if scope == "Namespace" and not namespace:
        sentence = "`parameters.scope` is set to 'Namespace'"
        errors.append(required(f"{place}.namespace", sentence))
    elif scope == "Cluster" and namespace is not None:
        sentence = "`parameters.scope` is set to 'Cluster'"
        errors.append(forbidden_field(f"{place}.namespace", sentence))


def check_ingress_class(obj: Obj) -> Errors:
    """A new IngressClass."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False)
    _class_spec(obj.get("spec") or {}, errors)
    return errors


def check_ingress_class_update(new: Obj, old: Obj) -> Errors:
    """A changed IngressClass; its controller stays."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    controller, before = new["spec"].get("controller"), old["spec"].get("controller")
    immutable(controller, before, "spec.controller", errors)
    _class_spec(new["spec"], errors)
    return errors


def _policy_ports(ports: Sequence[Obj], path: str, errors: Errors) -> None:
    for index, port in enumerate(ports):
        place = f"{path}.ports[{index}]"
        one_of(port.get("protocol"), ("TCP", "UDP", "SCTP"), f"{place}.protocol", errors, needed=False)
        number, end = port.get("port"), port.get("endPort")
        if number is None:
            if end is not None:
                sentence = "may not be specified when `port` is not specified"
                errors.append(invalid(f"{place}.endPort", end, sentence))
            continue
        check_port(number, f"{place}.port", errors)
        if end is None:
            continue
        if isinstance(number, str):
            sentence = "may not be specified when `port` is non-numeric"
            errors.append(invalid(f"{place}.endPort", end, sentence))
        elif end < number:
            sentence = "must be greater than or equal to `port`"
            errors.append(invalid(f"{place}.endPort", end, sentence))
        else:
            add(errors, f"{place}.endPort", end, port_number(end))


def _policy_peers(peers: Sequence[Obj], path: str, errors: Errors) -> None:
    for index, peer in enumerate(peers):
        place = f"{path}[{index}]"
        count = 0
        for kind in ("podSelector", "namespaceSelector"):
            if peer.get(kind) is not None:
                count += 1
                check_selector(peer[kind], f"{place}.{kind}", errors)
        block = peer.get("ipBlock")
        if block is not None:
            if count:
                sentence = "may not specify both ipBlock and another peer"
                errors.append(forbidden_field(place, sentence))
            count += 1
            _ip_block(block, f"{place}.ipBlock", errors)
        if not count:
            errors.append(required(place, "must specify a peer"))


def _ip_block(block: Obj, path: str, errors: Errors) -> None:
    cidr = block.get("cidr") or ""
    if not cidr:
        errors.append(required(f"{path}.cidr"))
        return
    found = network(cidr)
    add(errors, f"{path}.cidr", cidr, found)
    whole = parse_network(cidr)
    for index, text in enumerate(block.get("except") or ()):
        place = f"{path}.except[{index}]"
        part = parse_network(text)
        if part is None:
            add(errors, place, text, network(text))
        elif whole is not None and (
            part.version != whole.version
            or part.prefixlen <= whole.prefixlen
            or part.network_address not in whole
        ):
            errors.append(invalid(place, text, "must be a strict subset of `cidr`"))


def _policy_spec(spec: Obj, errors: Errors) -> None:
    check_selector(spec.get("podSelector"), "spec.podSelector", errors)
    for direction, side in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            place = f"spec.{direction}[{index}]"
            _policy_ports(rule.get("ports") or (), place, errors)
            _policy_peers(rule.get(side) or (), f"{place}.{side}", errors)
    types = spec.get("policyTypes") or []
    if len(types) > 2:
        errors.append(invalid("spec.policyTypes", types, "may not specify more than two policyTypes"))
        return
    for index, kind in enumerate(types):
        one_of(kind, ("Ingress", "Egress"), f"spec.policyTypes[{index}]", errors)


def check_network_policy(obj: Obj) -> Errors:
    """A new NetworkPolicy."""
    errors: Errors = []
    check_meta(obj, errors)
    _policy_spec(obj.get("spec") or {}, errors)
    return errors


def check_network_policy_update(new: Obj, old: Obj) -> Errors:
    """A changed NetworkPolicy."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _policy_spec(new["spec"], errors)
    return errors


def check_ip_address(obj: Obj) -> Errors:
    """A new IPAddress; its name is the address."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False, name=any_name)
    name = (obj.get("metadata") or {}).get("name") or ""
    parsed = parse_address(name)
    if parsed is None or str(parsed) != name:
        errors.append(invalid("metadata.name", name, "must be a valid IP address in canonical form"))
    parent = (obj.get("spec") or {}).get("parentRef")
    if parent is None:
        errors.append(required("spec.parentRef"))
    else:
        for member in ("resource", "name"):
            if not parent.get(member):
                errors.append(required(f"spec.parentRef.{member}"))
    return errors


def check_ip_address_update(new: Obj, old: Obj) -> Errors:
    """Whose address it is stays."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    immutable(new["spec"].get("parentRef"), old["spec"].get("parentRef"), "spec.parentRef", errors)
    return errors


def check_service_cidr(obj: Obj) -> Errors:
    """A new ServiceCIDR."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False)
    cidrs = (obj.get("spec") or {}).get("cidrs") or []
    if not cidrs:
        errors.append(required("spec.cidrs", "at least one CIDR required"))
    if len(cidrs) > 2:
        errors.append(invalid("spec", obj["spec"], "may only hold up to 2 values"))
    for index, cidr in enumerate(cidrs):
        add(errors, f"spec.cidrs[{index}]", cidr, network(cidr))
    return errors


def check_service_cidr_update(new: Obj, old: Obj) -> Errors:
    """Its ranges stay."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    immutable(new["spec"].get("cidrs"), old["spec"].get("cidrs"), "spec.cidrs", errors)
    return errors


def check_service_cidr_status(new: Obj, old: Obj) -> Errors:
    """Upstream looks at its metadata only: the Ready condition of its own controllers has no reason."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    return errors


def _slice_endpoints(obj: Obj, errors: Errors) -> None:
    kind = obj.get("addressType") or ""
    endpoints = obj.get("endpoints") or []
    if len(endpoints) > MAX_ENDPOINTS:
        errors.append(too_many("endpoints", len(endpoints), MAX_ENDPOINTS))
        return
    for index, endpoint in enumerate(endpoints):
        place = f"endpoints[{index}]"
        addresses = endpoint.get("addresses") or []
        if not addresses:
            errors.append(required(f"{place}.addresses", "must contain at least 1 address"))
        elif len(addresses) > MAX_ADDRESSES:
            errors.append(too_many(f"{place}.addresses", len(addresses), MAX_ADDRESSES))
        for number, text in enumerate(addresses):
            _slice_address(text, kind, f"{place}.addresses[{number}]", errors)
        if endpoint.get("nodeName") is not None:
            name = endpoint["nodeName"]
            add(errors, f"{place}.nodeName", name, subdomain(name))
        check_labels(endpoint.get("deprecatedTopology"), f"{place}.deprecatedTopology", errors)
        if endpoint.get("hostname") is not None:
            add(errors, f"{place}.hostname", endpoint["hostname"], label(endpoint["hostname"]))


def _slice_address(text: str, kind: str, path: str, errors: Errors) -> None:
    if kind == "FQDN":
        add(errors, path, text, subdomain(text))
        return
    parsed = parse_address(text)
    if parsed is None:
        add(errors, path, text, loose_address(text))
    elif kind in ("IPv4", "IPv6") and f"IPv{parsed.version}" != kind:
        errors.append(invalid(path, text, f"must be an {kind} address"))
    else:
        check_special(text, path, errors)


def _slice_ports(ports: list[Obj], errors: Errors) -> None:
    if len(ports) > 20000:
        errors.append(too_many("ports", len(ports), 20000))
        return
    names: set[Any] = set()
    for index, port in enumerate(ports):
        place = f"ports[{index}]"
        name = port.get("name") or ""
        if name:
            add(errors, f"{place}.name", name, label(name))
        if name in names:
            errors.append(duplicate(f"{place}.name", name))
        names.add(name)
        if port.get("port") is not None and not 0 <= port["port"] <= 65535:
            errors.append(invalid(f"{place}.port", port["port"], between(1, 65535)))
        one_of(port.get("protocol"), PROTOCOLS, f"{place}.protocol", errors)
        if port.get("appProtocol"):
            add(errors, f"{place}.appProtocol", port["appProtocol"], label_key_errors(port["appProtocol"]))


def too_many(path: str, count: int, limit: int) -> FieldError:
    """A list that is too long (``field.TooMany``)."""
    return FieldError("FieldValueTooMany", path, f"must have at most {limit} items", count)


def check_endpoint_slice(obj: Obj) -> Errors:
    """A new EndpointSlice."""
    errors: Errors = []
    check_meta(obj, errors)
    kind = obj.get("addressType")
    one_of(kind, ("FQDN", "IPv4", "IPv6"), "addressType", errors)
    _slice_endpoints(obj, errors)
    _slice_ports(obj.get("ports") or [], errors)
    return errors


def check_endpoint_slice_update(new: Obj, old: Obj) -> Errors:
    """A changed EndpointSlice; its address type stays."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _slice_endpoints(new, errors)
    _slice_ports(new.get("ports") or [], errors)
    immutable(new.get("addressType"), old.get("addressType"), "addressType", errors)
    return errors


def _lease_spec(spec: Obj, errors: Errors) -> None:
    duration = spec.get("leaseDurationSeconds")
    if duration is not None and duration <= 0:
        errors.append(invalid("spec.leaseDurationSeconds", duration, "must be greater than 0"))
    transitions = spec.get("leaseTransitions")
    if transitions is not None and transitions < 0:
        sentence = "must be greater than or equal to 0"
        errors.append(invalid("spec.leaseTransitions", transitions, sentence))


def check_lease(obj: Obj) -> Errors:
    """A new Lease."""
    errors: Errors = []
    check_meta(obj, errors)
    _lease_spec(obj.get("spec") or {}, errors)
    return errors


def check_lease_update(new: Obj, old: Obj) -> Errors:
    """A changed Lease: renewed every few seconds, so little is asked."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _lease_spec(new.get("spec") or {}, errors)
    return errors
