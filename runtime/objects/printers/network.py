"""Tables of services, endpoints, ingresses and addresses.

Follows kubernetes ``pkg/printers/internalversion/printers.go``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..errors import Obj, qualified
from ..selectors import format_label_selector, format_labels
from .table import AGE, NAME, NONE, UNKNOWN, age, load_balancer, name_of, part, prints, text, wide, with_more


def _external_ip(service: Obj) -> str:
    spec = part(service, "spec")
    own = spec.get("externalIPs") or []
    match spec.get("type"):
        case "ClusterIP" | "NodePort":
            return ",".join(own) or NONE
        case "LoadBalancer":
            balanced = load_balancer(service)
            return ",".join(filter(None, [balanced, *own])) or "<pending>"
        case "ExternalName":
            return str(spec.get("externalName", ""))
        case _:
            return UNKNOWN


def _ports(service: Obj) -> str:
    pieces = []
    for port in part(service, "spec").get("ports") or ():
        node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
        pieces.append(f"{port.get('port', 0)}{node_port}/{port.get('protocol', '')}")
    return ",".join(pieces) or NONE


@prints(
    ("", "Service"),
    columns=(
        NAME,
        text("Type", "How the service is exposed."),
        text("Cluster-IP", "Its address inside the cluster."),
        text("External-IP", "Its addresses outside the cluster."),
        text("Port(s)", "Its ports."),
        AGE,
        wide("Selector", "The labels of the pods it leads to."),
    ),
)
def _service(obj: Obj, now: datetime) -> list[Any]:
    spec = part(obj, "spec")
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP")]
    return [
        name_of(obj),
        spec.get("type", ""),
        addresses[0] or NONE,
        _external_ip(obj),
        _ports(obj),
        age(obj, now),
        format_labels(spec.get("selector")),
    ]


def _host_port(address: str, port: Any) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _endpoints_cell(obj: Obj) -> str:
    shown: list[str] = []
    count = 0
    subsets = obj.get("subsets") or ()
    if not subsets:
        return NONE
    for subset in subsets:
        addresses = [address.get("ip", "") for address in subset.get("addresses") or ()]
        for port in subset.get("ports") or (None,):  # headless services may have no ports
            count += len(addresses)
            for address in addresses[: 3 - len(shown)]:
                shown.append(address if port is None else _host_port(address, port.get("port", 0)))
    joined = ",".join(shown)
    return f"{joined} + {count - 3} more..." if count > 3 else joined


@prints(("", "Endpoints"), columns=(NAME, text("Endpoints", "Addresses and ports of the ready pods."), AGE))
def _endpoints(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), _endpoints_cell(obj), age(obj, now)]


@prints(
    ("discovery.k8s.io", "EndpointSlice"),
    columns=(
        NAME,
        text("AddressType", "IPv4, IPv6 or FQDN."),
        text("Ports", "The ports of every endpoint."),
        text("Endpoints", "The addresses."),
        AGE,
    ),
)
def _endpoint_slice(obj: Obj, now: datetime) -> list[Any]:
    ports = [str(port.get("port") or port.get("name") or "*") for port in obj.get("ports") or ()]
    addresses = [
        address for endpoint in obj.get("endpoints") or () for address in endpoint.get("addresses") or ()
    ]
    return [
        name_of(obj),
        obj.get("addressType", ""),
        with_more(ports, len(ports)),
        with_more(addresses, len(addresses)),
        age(obj, now),
    ]


def _hosts(ingress: Obj) -> str:
    rules = part(ingress, "spec").get("rules") or ()
    hosts: list[str] = []
    for rule in rules:
        if len(hosts) == 3:
            return f"{','.join(hosts)} + {len(rules) - 3} more..."
        if rule.get("host"):
            hosts.append(rule["host"])
    return ",".join(hosts) or "*"


@prints(
    ("networking.k8s.io", "Ingress"),
    columns=(
        NAME,
        text("Class", "The IngressClass that serves it."),
        text("Hosts", "Hosts that incoming requests are matched against before the ingress rule"),
        text("Address", "Address is a list containing ingress points for the load-balancer"),
        text("Ports", "Ports of TLS configurations that open"),
        AGE,
    ),
)
def _ingress(obj: Obj, now: datetime) -> list[Any]:
    spec = part(obj, "spec")
    return [
        name_of(obj),
        spec.get("ingressClassName") or NONE,
        _hosts(obj),
        load_balancer(obj),
        "80, 443" if spec.get("tls") else "80",
        age(obj, now),
    ]


@prints(
    ("networking.k8s.io", "IngressClass"),
    columns=(
        NAME,
        text("Controller", "Controller that is responsible for handling this class"),
        text("Parameters", "A reference to a resource with additional parameters"),
        AGE,
    ),
)
def _ingress_class(obj: Obj, now: datetime) -> list[Any]:
    spec = part(obj, "spec")
    parameters = NONE
    if reference := spec.get("parameters"):
        kind = qualified(reference.get("kind", ""), reference.get("apiGroup") or "")
        parameters = f"{kind}/{reference.get('name', '')}"
    return [name_of(obj), spec.get("controller", ""), parameters, age(obj, now)]


@prints(
    ("networking.k8s.io", "NetworkPolicy"),
    columns=(NAME, text("Pod-Selector", "The pods it applies to."), AGE),
)
def _network_policy(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), format_label_selector(part(obj, "spec").get("podSelector") or {}), age(obj, now)]


@prints(
    ("networking.k8s.io", "ServiceCIDR"),
    columns=(NAME, text("CIDRs", "The ranges service addresses are taken from."), AGE),
)
def _service_cidr(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), ",".join(part(obj, "spec").get("cidrs") or ()), age(obj, now)]


@prints(
    ("networking.k8s.io", "IPAddress"),
    columns=(NAME, text("ParentRef", "What the address belongs to.")),
)
def _ip_address(obj: Obj, now: datetime) -> list[Any]:
    owner = NONE
    if reference := part(obj, "spec").get("parentRef"):
        resource = qualified(reference.get("resource", ""), reference.get("group") or "").lower()
        owner = "/".join(filter(None, [resource, reference.get("namespace"), reference.get("name", "")]))
    return [name_of(obj), owner]
