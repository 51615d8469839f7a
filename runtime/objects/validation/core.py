"""The rules of the core group's smaller kinds: ConfigMaps, Secrets, Namespaces, Nodes, quotas, events, …

Follows pkg/apis/core/validation/{validation,events}.go.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from ..errors import Obj, duplicate, forbidden_field, invalid, required, too_long
from ..jsonerrors import go_json_error
from ..quantity import parse
from ..selectors import label_key_errors, label_value_errors
from .affinity import check_taint_effect
from .containers import PROTOCOLS
from .meta import Errors, add, check_meta, check_meta_update, immutable, one_of
from .names import config_key, label, label_name, loose_address, parse_address, port_number, subdomain
from .resources import check_amount, is_huge_page

MAX_DATA = 1024 * 1024
"""Bytes of all values of a ConfigMap or Secret together."""
ACCOUNT = "kubernetes.io/service-account.name"
REDACTED = "<secret contents redacted>"
WHEN_IMMUTABLE = "field is immutable when `immutable` is set"
_POD_COMPUTE = ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
QUOTA_RESOURCES = frozenset(
    {*_POD_COMPUTE, "ephemeral-storage", "requests.ephemeral-storage", "limits.ephemeral-storage"}
    | {"requests.storage", "pods", "resourcequotas", "services", "replicationcontrollers", "secrets"}
    | {"persistentvolumeclaims", "configmaps", "services.nodeports", "services.loadbalancers"}
)
"""What can be counted by its plain name."""
QUOTA_SCOPES = (
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
)


def _decoded_size(text: str | None) -> int:
    text = text or ""  # a null is bytes that are not there
    return len(text) * 3 // 4 - text[-2:].count("=")


def check_config_map(obj: Obj) -> Errors:
    """A new ConfigMap."""
    errors: Errors = []
    check_meta(obj, errors)
    _config_data(obj, errors)
    return errors


def _config_data(obj: Obj, errors: Errors) -> None:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    size = 0
    for key, value in data.items():
        if found := config_key(key):
            add(errors, f"data[{key}]", key, found)
        if key in binary:
            errors.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
        size += len(value) if value.isascii() else len(value.encode())
    for key, value in binary.items():
        if found := config_key(key):
            add(errors, f"binaryData[{key}]", key, found)
        size += _decoded_size(value)
    if size > MAX_DATA:
        errors.append(too_long("[]", "", MAX_DATA))


def _immutable_data(new: Obj, old: Obj, names: tuple[str, ...], errors: Errors) -> None:
    if old.get("immutable"):
        if not new.get("immutable"):
            errors.append(forbidden_field("immutable", WHEN_IMMUTABLE))
        for name in names:
            if (new.get(name) or {}) != (old.get(name) or {}):
                errors.append(forbidden_field(name, WHEN_IMMUTABLE))


def check_config_map_update(new: Obj, old: Obj) -> Errors:
    """A changed ConfigMap."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _immutable_data(new, old, ("data", "binaryData"), errors)
    _config_data(new, errors)
    return errors


def check_secret(obj: Obj) -> Errors:
    """A new Secret."""
    errors: Errors = []
    check_meta(obj, errors)
    _secret(obj, errors)
    return errors


def _secret(obj: Obj, errors: Errors) -> None:
    data = obj.get("data") or {}
    for key in data:
        if found := config_key(key):
            add(errors, f"data[{key}]", key, found)
    values = list(filter(None, data.values()))
    # What is decoded is shorter than what is written, which is counted much faster.
    if sum(map(len, values)) > MAX_DATA and sum(map(_decoded_size, values)) > MAX_DATA:
        errors.append(too_long("data", "", MAX_DATA))
    match obj.get("type"):
        case "kubernetes.io/service-account-token":
            annotations = (obj.get("metadata") or {}).get("annotations") or {}
            if not annotations.get(ACCOUNT):
                errors.append(required(f"metadata.annotations[{ACCOUNT}]"))
        case "kubernetes.io/dockercfg":
            _docker(data, ".dockercfg", errors)
        case "kubernetes.io/dockerconfigjson":
            _docker(data, ".dockerconfigjson", errors)
        case "kubernetes.io/basic-auth":
            if "username" not in data and "password" not in data:
                errors.append(required("data[%s][username]"))  # upstream's own slip
                errors.append(required("data[%s][password]"))
        case "kubernetes.io/ssh-auth":
            if not data.get("ssh-privatekey"):
                errors.append(required("data[%s][ssh-privatekey]"))
        case "kubernetes.io/tls":
            for key in ("tls.crt", "tls.key"):
                if key not in data:
                    errors.append(required(f"data[{key}]"))


def _docker(data: Mapping[str, str], key: str, errors: Errors) -> None:
    if key not in data:
        errors.append(required(f"data[{key}]"))
        return
    body = base64.b64decode(data[key] or "")
    problem = go_json_error(body)
    if not problem and not isinstance(found := json.loads(body), dict | None):
        kind = {list: "array", str: "string", bool: "bool"}.get(type(found), "number")
        problem = f"json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
    if problem:
        errors.append(invalid(f"data[{key}]", REDACTED, problem))


def check_secret_update(new: Obj, old: Obj) -> Errors:
    """A changed Secret; its type stays."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    immutable(new.get("type"), old.get("type"), "type", errors)
    _immutable_data(new, old, ("data",), errors)
    _secret(new, errors)
    return errors


def check_service_account(obj: Obj) -> Errors:
    """A new ServiceAccount."""
    errors: Errors = []
    check_meta(obj, errors)
    return errors


def check_namespace(obj: Obj) -> Errors:
    """A new Namespace."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False, name=label_name)
    _namespace_finalizers(obj, errors)
    return errors


def _namespace_finalizers(obj: Obj, errors: Errors) -> None:
    for index, name in enumerate((obj.get("spec") or {}).get("finalizers") or ()):
        place = f"spec.finalizers[{index}]"
        add(errors, place, name, label_key_errors(name))
        if "/" not in name and name != "kubernetes":
            sentence = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(invalid(place, name, sentence))


def check_namespace_update(new: Obj, old: Obj) -> Errors:
    """A changed Namespace."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _namespace_finalizers(new, errors)
    return errors


def check_namespace_status(new: Obj, old: Obj) -> Errors:
    """The phase says whether it is being deleted."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    phase = (new.get("status") or {}).get("phase") or ""
    if new["metadata"].get("deletionTimestamp"):
        if phase != "Terminating":
            sentence = "may only be 'Terminating' if `deletionTimestamp` is not empty"
            errors.append(invalid("status.Phase", phase, sentence))
    elif phase != "Active":
        sentence = "may only be 'Active' if `deletionTimestamp` is empty"
        errors.append(invalid("status.Phase", phase, sentence))
    return errors


def _taints(taints: list[Obj], errors: Errors) -> None:
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(taints):
        place = f"spec.taints[{index}]"
        key, value, effect = taint.get("key") or "", taint.get("value") or "", taint.get("effect") or ""
        add(errors, f"{place}.key", key, label_key_errors(key))
        if found := label_value_errors(value):
            errors.append(invalid(f"{place}.value", value, ";".join(found)))
        check_taint_effect(effect, f"{place}.effect", errors, empty=False)
        if (key, effect) in seen:
            errors.append(duplicate(place, taint))
        seen.add((key, effect))


def check_node(obj: Obj) -> Errors:
    """A new Node."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False)
    _taints((obj.get("spec") or {}).get("taints") or [], errors)
    _node_amounts(obj, errors)
    return errors


def _node_amounts(obj: Obj, errors: Errors) -> None:
    status = obj.get("status") or {}
    for part in ("capacity", "allocatable"):
        for name, amount in (status.get(part) or {}).items():
            check_amount(name, amount, f"status.{part}[{name}]", errors)


def check_node_update(new: Obj, old: Obj) -> Errors:
    """A changed Node: labels, taints, cordon, and addresses it did not have yet."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    _node_amounts(new, errors)
    if spec.get("taints") != before.get("taints"):
        _taints(spec.get("taints") or [], errors)
    for name, shown in (("podCIDRs", "podCIDR"), ("providerID", "providerID")):
        if before.get(name) and spec.get(name) != before[name]:
            sentence = f'node updates may not change {shown} except from "" to valid'
            errors.append(forbidden_field(f"spec.{name}", sentence))
    changeable = ("podCIDRs", "podCIDR", "providerID", "taints", "unschedulable", "configSource")
    rest = {name: value for name, value in spec.items() if name not in changeable}
    if rest != {name: value for name, value in before.items() if name not in changeable}:
        sentence = "node updates may only change labels, taints, or capacity"
        errors.append(forbidden_field("spec", sentence))
    addresses = (new.get("status") or {}).get("addresses") or ()
    seen: set[tuple[str, str]] = set()
    for index, address in enumerate(addresses):
        key = (address.get("type") or "", address.get("address") or "")
        if key in seen:
            errors.append(duplicate(f"status.addresses[{index}]", address))
        seen.add(key)
    return errors


def check_limit_range(obj: Obj) -> Errors:
    """A new LimitRange (``ValidateLimitRange``)."""
    errors: Errors = []
    check_meta(obj, errors)
    _limits(obj, errors)
    return errors


LIMIT_TYPES = ("Pod", "Container", "PersistentVolumeClaim")
_BOUNDS = ("max", "min", "default", "defaultRequest")


def _limits(obj: Obj, errors: Errors) -> None:
    kinds: set[str] = set()
    for index, item in enumerate((obj.get("spec") or {}).get("limits") or ()):
        place = f"spec.limits[{index}]"
        kind = item.get("type") or ""
        found = label_key_errors(kind)
        add(errors, f"{place}.type", kind, found)
        if not found and "/" not in kind and kind not in LIMIT_TYPES:
            sentence = "must be a standard limit type or fully qualified"
            errors.append(invalid(f"{place}.type", kind, sentence))
        if kind in kinds:
            errors.append(duplicate(f"{place}.type", kind))
        kinds.add(kind)
        if kind == "Pod":
            for name in ("default", "defaultRequest"):
                if item.get(name):
                    sentence = "may not be specified when `type` is 'Pod'"
                    errors.append(forbidden_field(f"{place}.{name}", sentence))
        amounts = {bound: item.get(bound) or {} for bound in _BOUNDS}
        if kind == "PersistentVolumeClaim" and not (
            "storage" in amounts["min"] or "storage" in amounts["max"]
        ):
            sentence = "either minimum or maximum storage value is required, but neither was provided"
            errors.append(required(f"{place}.limits", sentence))
        if kind == "Pod":
            amounts.update(default={}, defaultRequest={})
        _limit_order(amounts, place, errors)
        _limit_ratios(item.get("maxLimitRequestRatio") or {}, amounts, place, errors)


def _limit_ratios(
    ratios: dict[str, str], amounts: dict[str, dict[str, str]], path: str, errors: Errors
) -> None:
    """A ratio is at least 1, and no greater than the bounds themselves allow."""
    for name, ratio in ratios.items():
        place, wanted = f"{path}.maxLimitRequestRatio[{name}]", parse(ratio).nano
        if wanted < 10**9:
            errors.append(invalid(place, ratio, f"ratio {ratio} is less than 1"))
        low, high = amounts["min"].get(name), amounts["max"].get(name)
        if low is None or high is None or not parse(low).nano:
            continue
        most = parse(high).nano / parse(low).nano
        if wanted / 10**9 > most:
            errors.append(invalid(place, ratio, f"ratio {ratio} is greater than max/min = {most:f}"))


def _limit_order(amounts: dict[str, dict[str, str]], path: str, errors: Errors) -> None:
    """Min ≤ default request ≤ default ≤ max, resource by resource."""
    pairs = (
        ("min", "max", "min", "min", "min", "max"),
        ("min", "defaultRequest", "defaultRequest", "defaultRequest", "min", "default request"),
        ("defaultRequest", "max", "defaultRequest", "defaultRequest", "default request", "max"),
        ("defaultRequest", "default", "defaultRequest", "defaultRequest", "default request", "default limit"),
        ("min", "default", "default", "min", "min", "default"),
        ("default", "max", "default", "max", "default", "max"),
    )
    for name in sorted({name for bound in amounts.values() for name in bound}):
        for low, high, place, shown, low_word, high_word in pairs:
            below, above = amounts[low].get(name), amounts[high].get(name)
            if below is not None and above is not None and parse(below) > parse(above):
                sentence = f"{low_word} value {below} is greater than {high_word} value {above}"
                errors.append(invalid(f"{path}.{place}[{name}]", amounts[shown][name], sentence))


def check_limit_range_update(new: Obj, old: Obj) -> Errors:
    """A changed LimitRange."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _limits(new, errors)
    return errors


def _quota_name(name: str, path: str, errors: Errors) -> None:
    """A name that can be counted (``ValidateResourceQuotaResourceName``)."""
    if name in QUOTA_RESOURCES or is_huge_page(name.removeprefix("requests.")):
        return
    found = label_key_errors(name)
    add(errors, path, name, found)
    if not found and "/" not in name:
        errors.append(invalid(path, name, "must be a standard resource for quota"))


def _quota_scopes(spec: Obj, errors: Errors) -> None:
    """Scopes there are, that don't exclude each other, over resources that know them."""
    scopes = spec.get("scopes") or []
    for scope in scopes:
        if scope not in QUOTA_SCOPES:
            errors.append(invalid("spec.scopes", scopes, "unsupported scope"))
        known = {"pods"} if scope == "BestEffort" else {"pods", *_POD_COMPUTE}
        if scope == "VolumeAttributesClass":
            known = {"persistentvolumeclaims", "requests.storage"}
        if any(name in QUOTA_RESOURCES and name not in known for name in spec.get("hard") or ()):
            errors.append(invalid("spec.scopes", scopes, "unsupported scope applied to resource"))
    for pair in ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"}):
        if pair <= set(scopes):
            errors.append(invalid("spec.scopes", scopes, "conflicting scopes"))


def _quota(obj: Obj, errors: Errors) -> None:
    spec = obj.get("spec") or {}
    for name, amount in (spec.get("hard") or {}).items():
        place = f"spec.hard[{name}]"
        _quota_name(name, place, errors)
        check_amount(name, amount, place, errors)
    _quota_scopes(spec, errors)
    for index, term in enumerate((spec.get("scopeSelector") or {}).get("matchExpressions") or ()):
        place = f"spec.scopeSelector.matchExpressions[{index}]"
        if term.get("scopeName") not in QUOTA_SCOPES:
            name = term.get("scopeName") or ""
            errors.append(invalid(f"{place}.scopeName", name, "unsupported scope"))
        operators = ("In", "NotIn", "Exists", "DoesNotExist")
        if term.get("operator") not in operators:
            value = term.get("operator") or ""
            errors.append(invalid(f"{place}.operator", value, "not a valid selector operator"))
        if term.get("operator") in ("In", "NotIn") and not term.get("values"):
            sentence = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            errors.append(required(f"{place}.values", sentence))


def check_quota(obj: Obj) -> Errors:
    """A new ResourceQuota."""
    errors: Errors = []
    check_meta(obj, errors)
    _quota(obj, errors)
    return errors


def check_quota_update(new: Obj, old: Obj) -> Errors:
    """A changed ResourceQuota; its scopes stay."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _quota(new, errors)
    if sorted(new["spec"].get("scopes") or ()) != sorted(old["spec"].get("scopes") or ()):
        errors.append(invalid("spec.scopes", new["spec"].get("scopes") or [], "field is immutable"))
    return errors


def _endpoint_address(address: Obj, path: str, errors: Errors) -> None:
    text = address.get("ip") or ""
    found = loose_address(text)
    add(errors, f"{path}.ip", text, found)
    if address.get("hostname"):
        add(errors, f"{path}.hostname", address["hostname"], label(address["hostname"]))
    if address.get("nodeName") is not None:
        add(errors, f"{path}.nodeName", address["nodeName"], subdomain(address["nodeName"]))
    if not found:
        check_special(text, f"{path}.ip", errors)


def check_special(text: str, path: str, errors: Errors) -> None:
    """No address that reaches nobody else (``ValidateNonSpecialIP``)."""
    parsed = parse_address(text)
    if parsed is None:
        return
    if parsed.is_unspecified:
        errors.append(invalid(path, text, f"may not be unspecified ({text})"))
    if parsed.is_loopback:
        errors.append(invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
    if parsed.is_link_local:
        errors.append(invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"))
    multicast = parsed.packed[:3] == b"\xe0\0\0" if parsed.version == 4 else _links_multicast(parsed.packed)
    if multicast:
        sentence = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        errors.append(invalid(path, text, sentence))


def _links_multicast(packed: bytes) -> bool:
    """An IPv6 address for all that are on a link (Go's ``IsLinkLocalMulticast``)."""
    return packed[0] == 0xFF and packed[1] & 0x0F == 0x02


def check_endpoints(obj: Obj) -> Errors:
    """A new Endpoints object."""
    errors: Errors = []
    check_meta(obj, errors)
    _subsets(obj, errors)
    return errors


def _subsets(obj: Obj, errors: Errors) -> None:
    for index, subset in enumerate(obj.get("subsets") or ()):
        place = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            errors.append(required(place, "must specify `addresses` or `notReadyAddresses`"))
        for kind in ("addresses", "notReadyAddresses"):
            for number, address in enumerate(subset.get(kind) or ()):
                _endpoint_address(address, f"{place}.{kind}[{number}]", errors)
        ports = subset.get("ports") or ()
        for number, port in enumerate(ports):
            where = f"{place}.ports[{number}]"
            name = port.get("name") or ""
            if len(ports) > 1 and not name:
                errors.append(required(f"{where}.name"))
            elif name:
                add(errors, f"{where}.name", name, label(name))
            add(errors, f"{where}.port", port.get("port") or 0, port_number(port.get("port") or 0))
            one_of(port.get("protocol"), PROTOCOLS, f"{where}.protocol", errors)


def check_endpoints_update(new: Obj, old: Obj) -> Errors:
    """A changed Endpoints object."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _subsets(new, errors)
    return errors
