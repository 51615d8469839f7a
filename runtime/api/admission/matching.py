"""Which requests the rules of a webhook or a policy are about.

After apiserver ``pkg/admission/plugin/webhook/{generic,predicates}`` and ``plugin/policy/matching``. With matchPolicy
Equivalent a rule about one version of a kind is about its other versions too, and whoever is asked sees the object
in the version that the rule names.
"""

from __future__ import annotations

from collections.abc import Iterable

from runtime.objects.errors import Obj, not_found
from runtime.objects.registry import Registry, Resource
from runtime.objects.selectors import label_selector

from .chain import DELETE, Attributes

GROUP = "admissionregistration.k8s.io"


def exempt(a: Attributes) -> bool:
    """What guards admission itself is not asked about, or a wrong one could never be removed."""
    return a.resource.group == GROUP or a.ctx.own


def matches_criteria(a: Attributes, registry: Registry, criteria: Obj) -> Resource | None:
    """The version in which a policy's constraints (or a binding's resources) are about a request; None if not.

    Raises:
        SelectorError: a selector can't be read.
    """
    equivalent = criteria.get("matchPolicy") != "Exact"
    if matched_resource(a, registry, criteria.get("excludeResourceRules") or (), equivalent) is not None:
        return None
    rules = criteria.get("resourceRules") or ()
    found = matched_resource(a, registry, rules, equivalent) if rules else a.resource
    if found is None or not object_matches(a, criteria.get("objectSelector")):
        return None
    return found if namespace_matches(a, criteria.get("namespaceSelector")) else None


def namespace_matches(a: Attributes, selector: Obj | None) -> bool:
    """Namespaces are judged by their own labels; what is in none matches every selector.

    Raises:
        SelectorError: the selector can't be read.
        StatusError: 404, the namespace is not there.
    """
    if not selector:
        return True
    if a.resource.group_resource == "namespaces":
        changed = None if a.operation == DELETE or a.subresource else a.obj
        namespace = changed or a.view.get("namespaces", "", a.name) or a.old
    elif a.resource.namespaced:
        namespace = a.view.get("namespaces", "", a.namespace)
    else:
        return True
    if namespace is None:
        raise not_found("namespaces", a.namespace or a.name)
    return label_selector(selector).matches(namespace["metadata"].get("labels") or {})


def object_matches(a: Attributes, selector: Obj | None) -> bool:
    """Whether the object's labels, as they are or as they were, are selected.

    Raises:
        SelectorError: the selector can't be read.
    """
    if not selector:
        return True
    asked = label_selector(selector)
    if asked.everything:
        return True
    found = (obj["metadata"] for obj in (a.obj, a.old) if obj is not None and obj.get("metadata"))
    return any(asked.matches(metadata.get("labels") or {}) for metadata in found)


def matched_resource(
    a: Attributes, registry: Registry, rules: Iterable[Obj], equivalent: bool
) -> Resource | None:
    """The version in which a rule is about the request: its own if any is, else the first equivalent one."""
    rules = list(rules)
    if any(_rule_matches(a, rule, a.resource) for rule in rules):
        return a.resource
    if not equivalent:
        return None
    others = equivalents(registry, a.resource)
    for rule in rules:
        for other in others:
            if _rule_matches(a, rule, other):
                return other
    return None


def equivalents(registry: Registry, resource: Resource) -> list[Resource]:
    """The other versions (or groups) in which the same objects are served."""
    place = resource.storage_resource
    return [
        one
        for one in registry
        if one.storage_resource == place and one.gvk != resource.gvk and one.stored == resource.stored
    ]


def _rule_matches(a: Attributes, rule: Obj, resource: Resource) -> bool:
    def has(field: str, value: str) -> bool:
        listed = rule.get(field) or ()
        return "*" in listed or value in listed

    scope = rule.get("scope") or "*"
    # A namespace is of the cluster, though requests about one carry its name as their namespace.
    if scope != "*" and (scope == "Namespaced") is not resource.namespaced:
        return False
    if not has("apiGroups", resource.group) or not has("operations", a.operation):
        return False
    if not has("apiVersions", resource.version):
        return False
    plural, sub = resource.plural, a.subresource
    names = {f"{plural}/{sub}", f"*/{sub}", f"{plural}/*"} if sub else {plural, "*", f"{plural}/*"}
    if not ({*names, "*/*"} & set(rule.get("resources") or ())):
        return False
    wanted = rule.get("resourceNames")
    return not wanted or a.name in wanted
