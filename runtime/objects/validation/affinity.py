"""The rules of where a pod may run: affinity, tolerations, topology spread.

Follows pkg/apis/core/validation/validation.go (``validateAffinity``, ``ValidateTolerations``,
``validateTopologySpreadConstraints``).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import Obj, duplicate, forbidden_field, invalid, required
from ..selectors import label_key_errors, label_value_errors
from .meta import Errors, add, check_selector, one_of, unsupported
from .names import label, subdomain

TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
WEIGHT = "must be in the range 1-100"


def _requirement(term: Obj, path: str, errors: Errors) -> None:
    values = term.get("values") or ()
    match term.get("operator"):
        case "In" | "NotIn":
            if not values:
                sentence = "must be specified when `operator` is 'In' or 'NotIn'"
                errors.append(required(f"{path}.values", sentence))
        case "Exists" | "DoesNotExist":
            if values:
                sentence = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                errors.append(forbidden_field(f"{path}.values", sentence))
        case "Gt" | "Lt":
            if len(values) != 1:
                sentence = "must be specified single value when `operator` is 'Lt' or 'Gt'"
                errors.append(required(f"{path}.values", sentence))
        case other:
            errors.append(invalid(f"{path}.operator", other or "", "not a valid selector operator"))
    add(errors, f"{path}.key", term.get("key") or "", label_key_errors(term.get("key") or ""))


def _field_requirement(term: Obj, path: str, errors: Errors) -> None:
    values = term.get("values") or ()
    operator = term.get("operator")
    if operator in ("In", "NotIn"):
        if len(values) != 1:
            sentence = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            errors.append(required(f"{path}.values", sentence))
    else:
        errors.append(invalid(f"{path}.operator", operator or "", "not a valid selector operator"))
    if term.get("key") != "metadata.name":
        errors.append(invalid(f"{path}.key", term.get("key") or "", "not a valid field selector key"))
        return
    for index, value in enumerate(values):
        add(errors, f"{path}.values[{index}]", value, subdomain(value))


def check_node_term(term: Obj, path: str, errors: Errors) -> None:
    """One NodeSelectorTerm."""
    for index, one in enumerate(term.get("matchExpressions") or ()):
        _requirement(one, f"{path}.matchExpressions[{index}]", errors)
    for index, one in enumerate(term.get("matchFields") or ()):
        _field_requirement(one, f"{path}.matchFields[{index}]", errors)


def check_node_selector(selector: Obj, path: str, errors: Errors) -> None:
    """A NodeSelector (``ValidateNodeSelector``)."""
    terms = selector.get("nodeSelectorTerms") or ()
    if not terms:
        sentence = "must have at least one node selector term"
        errors.append(required(f"{path}.nodeSelectorTerms", sentence))
    for index, term in enumerate(terms):
        check_node_term(term, f"{path}.nodeSelectorTerms[{index}]", errors)


def _pod_term(term: Obj, path: str, errors: Errors) -> None:
    check_selector(term.get("labelSelector"), f"{path}.labelSelector", errors)
    check_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector", errors)
    for name in term.get("namespaces") or ():
        add(errors, f"{path}.namespace", name, label(name))
    key = term.get("topologyKey") or ""
    if not key:
        errors.append(required(f"{path}.topologyKey", "can not be empty"))
    add(errors, f"{path}.topologyKey", key, label_key_errors(key))


def _pod_affinity(affinity: Obj, path: str, errors: Errors) -> None:
    for index, term in enumerate(affinity.get(REQUIRED) or ()):
        _pod_term(term, f"{path}.{REQUIRED}[{index}]", errors)
    for index, weighted in enumerate(affinity.get(PREFERRED) or ()):
        place = f"{path}.{PREFERRED}[{index}]"
        weight = weighted.get("weight", 0)
        if not 1 <= weight <= 100:
            errors.append(invalid(f"{place}.weight", weight, WEIGHT))
        _pod_term(weighted.get("podAffinityTerm") or {}, f"{place}.podAffinityTerm", errors)


def check_affinity(affinity: Obj, path: str, errors: Errors) -> None:
    """Affinity to nodes and to pods, and anti-affinity."""
    node = affinity.get("nodeAffinity")
    if node:
        if REQUIRED in node:
            check_node_selector(node[REQUIRED], f"{path}.nodeAffinity.{REQUIRED}", errors)
        for index, preferred in enumerate(node.get(PREFERRED) or ()):
            place = f"{path}.nodeAffinity.{PREFERRED}[{index}]"
            weight = preferred.get("weight", 0)
            if not 1 <= weight <= 100:
                errors.append(invalid(f"{place}.weight", weight, WEIGHT))
            check_node_term(preferred.get("preference") or {}, f"{place}.preference", errors)
    for kind in ("podAffinity", "podAntiAffinity"):
        if affinity.get(kind):
            _pod_affinity(affinity[kind], f"{path}.{kind}", errors)


def check_taint_effect(effect: str | None, path: str, errors: Errors, *, empty: bool) -> None:
    """What a taint does; ``empty`` says whether none is fine."""
    if effect:
        if effect not in TAINT_EFFECTS:
            errors.append(unsupported(path, effect, TAINT_EFFECTS))
    elif not empty:
        errors.append(required(path))


def check_tolerations(tolerations: Sequence[Obj], path: str, errors: Errors) -> None:
    """Tolerations (``ValidateTolerations``)."""
    for index, toleration in enumerate(tolerations):
        place = f"{path}[{index}]"
        key, operator = toleration.get("key"), toleration.get("operator") or ""
        effect = toleration.get("effect")
        if key:
            if found := label_key_errors(key):
                add(errors, f"{place}.key", key, found)
        elif operator != "Exists":
            errors.append(
                invalid(
                    f"{place}.operator",
                    operator,
                    'operator must be Exists when `key` is empty, which means "match all values and all keys"',
                )
            )
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            sentence = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            errors.append(invalid(f"{place}.effect", effect or "", sentence))
        value = toleration.get("value") or ""
        if operator in ("", "Equal"):
            if found := label_value_errors(value):
                errors.append(invalid(f"{place}.operator", value, ";".join(found)))
        elif operator == "Exists":
            if value:
                sentence = "value must be empty when `operator` is 'Exists'"
                errors.append(invalid(f"{place}.operator", toleration, sentence))
        else:
            errors.append(unsupported(f"{place}.operator", operator, ("Equal", "Exists")))
        check_taint_effect(effect, f"{place}.effect", errors, empty=True)


def check_topology(constraints: Sequence[Obj], path: str, errors: Errors) -> None:
    """Topology spread (``validateTopologySpreadConstraints``)."""
    seen: set[tuple[str, str]] = set()
    for index, constraint in enumerate(constraints):
        place = f"{path}[{index}]"
        skew, key = constraint.get("maxSkew", 0), constraint.get("topologyKey") or ""
        unmet = constraint.get("whenUnsatisfiable") or ""
        if skew <= 0:
            errors.append(invalid(f"{place}.maxSkew", skew, "must be greater than zero"))
        if not key:
            errors.append(required(f"{place}.topologyKey", "can not be empty"))
        else:
            add(errors, f"{place}.topologyKey", key, label_key_errors(key))
        if unmet not in ("DoNotSchedule", "ScheduleAnyway"):
            supported = ("DoNotSchedule", "ScheduleAnyway")
            errors.append(unsupported(f"{place}.whenUnsatisfiable", unmet, supported))
        if (key, unmet) in seen:
            pair = f"{{{key}, {unmet}}}"
            errors.append(duplicate(f"{place}.{{topologyKey, whenUnsatisfiable}}", pair))
        seen.add((key, unmet))
        domains = constraint.get("minDomains")
        if domains is not None:
            if domains <= 0:
                errors.append(invalid(f"{place}.minDomains", domains, "must be greater than zero"))
            if unmet != "DoNotSchedule":
                sentence = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {unmet}"
                errors.append(invalid(f"{place}.minDomains", domains, sentence))
        for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            one_of(constraint.get(name), ("Honor", "Ignore"), f"{place}.{name}", errors, needed=False)
        check_selector(constraint.get("labelSelector"), f"{place}.labelSelector", errors)
