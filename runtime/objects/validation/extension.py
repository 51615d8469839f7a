"""The rules of what guards the API: webhooks, admission policies, flow control.

Follows pkg/apis/admissionregistration/validation and pkg/apis/flowcontrol/validation.
"""

from __future__ import annotations

import re
import urllib.parse

from ..custom.rule_checks import Reader
from ..custom.structural import Structural
from ..errors import FieldError, Obj, duplicate, forbidden_field, invalid, required
from ..selectors import label_key_errors
from .meta import (
    Errors,
    add,
    check_meta,
    check_meta_update,
    check_selector,
    non_negative,
    one_of,
    unsupported,
)
from .names import path_segment_name, port_number, subdomain

OPERATIONS = ("*", "CREATE", "UPDATE", "DELETE", "CONNECT")
REVIEW_VERSIONS = ("v1", "v1beta1")
MOST_CONDITIONS = 64
MUTATIONS = {
    "ApplyConfiguration": ("applyConfiguration", "Object"),
    "JSONPatch": ("jsonPatch", "list(JSONPatch)"),
}
"""The sorts of mutations: the field that has the expression, and what it gives."""


def _rule(rule: Obj, path: str, errors: Errors) -> None:
    operations = rule.get("operations") or []
    if not operations:
        errors.append(required(f"{path}.operations"))
    if len(operations) > 1 and "*" in operations:
        sentence = "if '*' is present, must not specify other operations"
        errors.append(invalid(f"{path}.operations", operations, sentence))
    for index, operation in enumerate(operations):
        if operation not in OPERATIONS:
            errors.append(unsupported(f"{path}.operations[{index}]", operation, sorted(OPERATIONS)))
    for name in ("apiGroups", "apiVersions", "resources"):
        values = rule.get(name) or []
        if not values:
            errors.append(required(f"{path}.{name}"))
        if len(values) > 1 and "*" in values:
            what = {"apiGroups": "API groups", "apiVersions": "API versions"}.get(name, "")
            if what:
                sentence = f"if '*' is present, must not specify other {what}"
                errors.append(invalid(f"{path}.{name}", values, sentence))
        for index, value in enumerate(values):
            if not value and name != "apiGroups":
                errors.append(required(f"{path}.{name}[{index}]"))
    one_of(rule.get("scope"), ("*", "Cluster", "Namespaced"), f"{path}.scope", errors, needed=False)


def check_client(config: Obj, path: str, errors: Errors) -> None:
    """Where a webhook listens: a URL or a Service, not both."""
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        errors.append(required(path, "exactly one of url or service is required"))
    if url is not None:
        parts = urllib.parse.urlsplit(url)
        form = "; desired format: https://host[/path]"
        if parts.scheme != "https":
            sentence = f"'https' is the only allowed URL scheme{form}"
            errors.append(invalid(f"{path}.url", url, sentence))
        if not parts.netloc:
            errors.append(invalid(f"{path}.url", url, f"host must be specified{form}"))
        unwanted = (
            (parts.username, "user information"),
            (parts.fragment, "fragments"),
            (parts.query, "query parameters"),
        )
        for part, word in unwanted:
            if part:
                sentence = f"{word} are not permitted in the URL"
                errors.append(invalid(f"{path}.url", part, sentence))
    if service is not None:
        for name in ("name", "namespace"):
            if not service.get(name):
                errors.append(required(f"{path}.service.{name}", f"service {name} is required"))
        port = service.get("port", 443)
        if port_number(port):
            sentence = "port is not valid: must be between 1 and 65535, inclusive"
            errors.append(invalid(f"{path}.service.port", port, sentence))
        _service_path(service.get("path") or "/", f"{path}.service.path", errors)


def _service_path(where: str, path: str, errors: Errors) -> None:
    """The path behind a Service: segments that are names."""
    if where == "/":
        return
    if not where.startswith("/"):
        errors.append(invalid(path, where, "must start with a '/'"))
    for index, step in enumerate(where[1:].removesuffix("/").split("/")):
        if not step:
            errors.append(invalid(path, where, f"segment[{index}] may not be empty"))
        errors.extend(
            invalid(path, where, f"segment[{index}]: {sentence}")
            for sentence in (subdomain(step) if step else ())
        )


def _full_name(name: str, path: str, errors: Errors) -> None:
    if not name:
        errors.append(required(path))
    elif found := subdomain(name):
        errors.append(invalid(path, name, ",".join(found)))
    elif name.count(".") < 2:
        sentence = "should be a domain with at least three segments separated by dots"
        errors.append(invalid(path, name, sentence))


def _webhook(webhook: Obj, mutating: bool, path: str, errors: Errors) -> None:
    _full_name(webhook.get("name") or "", f"{path}.name", errors)
    for index, rule in enumerate(webhook.get("rules") or ()):
        _rule(rule, f"{path}.rules[{index}]", errors)
    one_of(webhook.get("failurePolicy"), ("Fail", "Ignore"), f"{path}.failurePolicy", errors, needed=False)
    one_of(webhook.get("matchPolicy"), ("Equivalent", "Exact"), f"{path}.matchPolicy", errors, needed=False)
    effects = ("None", "NoneOnDryRun")
    if not webhook.get("sideEffects"):
        errors.append(required(f"{path}.sideEffects", f"must specify one of {', '.join(effects)}"))
    else:
        one_of(webhook["sideEffects"], effects, f"{path}.sideEffects", errors)
    seconds = webhook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        sentence = "the timeout value must be between 1 and 30 seconds"
        errors.append(invalid(f"{path}.timeoutSeconds", seconds, sentence))
    for name in ("namespaceSelector", "objectSelector"):
        check_selector(webhook.get(name), f"{path}.{name}", errors)
    check_client(webhook.get("clientConfig") or {}, f"{path}.clientConfig", errors)
    seen = dict.fromkeys(("object", "oldObject", "request", "authorizer"))
    _match_conditions(webhook.get("matchConditions"), f"{path}.matchConditions", seen, errors)
    versions = webhook.get("admissionReviewVersions") or []
    listed = ", ".join(REVIEW_VERSIONS)
    if not versions:
        errors.append(required(f"{path}.admissionReviewVersions", f"must specify one of {listed}"))
    elif not set(versions) & set(REVIEW_VERSIONS):
        sentence = f"must include at least one of {listed}"
        errors.append(invalid(f"{path}.admissionReviewVersions", versions, sentence))
    if mutating:
        policies = ("IfNeeded", "Never")
        one_of(
            webhook.get("reinvocationPolicy"), policies, f"{path}.reinvocationPolicy", errors, needed=False
        )


def _webhooks(obj: Obj, errors: Errors) -> None:
    mutating = obj.get("kind") == "MutatingWebhookConfiguration"
    names: set[str] = set()
    for index, webhook in enumerate(obj.get("webhooks") or ()):
        _webhook(webhook, mutating, f"webhooks[{index}]", errors)
        name = webhook.get("name") or ""
        if name in names:
            errors.append(duplicate(f"webhooks[{index}].name", name))
        names.add(name)


def check_webhooks(obj: Obj) -> Errors:
    """A new webhook configuration of either kind."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False)
    _webhooks(obj, errors)
    return errors


def check_webhooks_update(new: Obj, old: Obj) -> Errors:
    """A changed webhook configuration."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _webhooks(new, errors)
    return errors


_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
_CEL_NAME = re.compile("[_a-zA-Z][_a-zA-Z0-9]*")
_ANYTHING = {"x-kubernetes-preserve-unknown-fields": True}


def _expressions(spec: Obj, errors: Errors) -> None:
    """The expressions of a policy can be read and speak of what there is."""
    known: dict[str, Structural | None] = dict.fromkeys(
        ("object", "oldObject", "request", "namespaceObject", *(("params",) if spec.get("paramKind") else ()))
    )
    asking: dict[str, Structural | None] = {**known, "authorizer": None}
    _match_conditions(spec.get("matchConditions"), "spec.matchConditions", asking, errors)
    variables: Obj = {}
    for index, one in enumerate(spec.get("variables") or ()):
        path, name = f"spec.variables[{index}]", one.get("name") or ""
        if not name:
            errors.append(required(f"{path}.name", "name is not specified"))
        elif not _CEL_NAME.fullmatch(name):
            errors.append(invalid(f"{path}.name", name, "name is not a valid CEL identifier"))
        if not (one.get("expression") or "").strip():
            errors.append(required(f"{path}.expression", "expression is not specified"))
        shape = Structural({"type": "object", "properties": dict(variables)})
        _expression(one.get("expression"), f"{path}.expression", {**asking, "variables": shape}, "", errors)
        variables[name] = _ANYTHING
    shape = Structural({"type": "object", "properties": variables})
    for index, one in enumerate(spec.get("mutations") or ()):
        _mutation(one, f"spec.mutations[{index}]", {**asking, "variables": shape}, errors)
    for index, one in enumerate(spec.get("validations") or ()):
        path = f"spec.validations[{index}]"
        _expression(
            one.get("expression"), f"{path}.expression", {**asking, "variables": shape}, "bool", errors
        )
        telling = {**known, "variables": shape}
        _expression(one.get("messageExpression"), f"{path}.messageExpression", telling, "string", errors)
    for index, one in enumerate(spec.get("auditAnnotations") or ()):
        path = f"spec.auditAnnotations[{index}].valueExpression"
        _expression(one.get("valueExpression"), path, {**asking, "variables": shape}, "", errors)


def _match_conditions(
    conditions: list[Obj] | None, path: str, types: dict[str, Structural | None], errors: Errors
) -> None:
    """Conditions under which a webhook or a policy is asked (``validateMatchConditions``)."""
    conditions = conditions or []
    if len(conditions) > MOST_CONDITIONS:
        sentence = f"must have at most {MOST_CONDITIONS} items"
        errors.append(FieldError("FieldValueTooMany", path, sentence, len(conditions)))
    names: set[str] = set()
    for index, one in enumerate(conditions):
        place, name = f"{path}[{index}]", one.get("name") or ""
        if not (one.get("expression") or "").strip():
            errors.append(required(f"{place}.expression"))
        _expression(one.get("expression"), f"{place}.expression", types, "bool", errors)
        if not name:
            errors.append(required(f"{place}.name"))
        else:
            add(errors, f"{place}.name", name, label_key_errors(name))
        if name and name in names:
            errors.append(duplicate(f"{place}.name", name))
        names.add(name)


def _mutation(mutation: Obj, path: str, types: dict[str, Structural | None], errors: Errors) -> None:
    """One change of a mutating policy: of one of two sorts, with an expression that gives it."""
    kind = mutation.get("patchType") or ""
    if not kind:
        errors.append(required(f"{path}.patchType"))
        return
    if kind not in MUTATIONS:
        errors.append(unsupported(f"{path}.patchType", kind, sorted(MUTATIONS)))
        return
    for sort, (field, made) in MUTATIONS.items():
        given = mutation.get(field)
        if sort != kind:
            if given is not None:
                errors.append(invalid(f"{path}.{field}", given, f"must not be set when patchType is {kind}"))
            continue
        if given is None:
            errors.append(required(f"{path}.{field}", f"must be specified when patchType is {kind}"))
            continue
        text = given.get("expression") or ""
        if not text.strip():
            errors.append(required(f"{path}.{field}.expression", "expression is not specified"))
            continue
        reader = Reader(text, types)
        if reader.problem:
            sentence = f"compilation failed: {reader.problem}"
            errors.append(invalid(f"{path}.{field}.expression", text, sentence))
        elif reader.kind in ("bool", "string"):
            errors.append(invalid(f"{path}.{field}.expression", text, f"must evaluate to {made}"))


def _expression(
    text: str | None, path: str, types: dict[str, Structural | None], wanted: str, errors: Errors
) -> None:
    if not text or not text.strip():
        return
    reader = Reader(text, types)
    if reader.problem:
        errors.append(invalid(path, text, f"compilation failed: {reader.problem}"))
    elif wanted and reader.kind not in ("", wanted):
        errors.append(invalid(path, text, f"must evaluate to {wanted}"))


def _policy(obj: Obj, errors: Errors) -> None:
    spec = obj.get("spec") or {}
    one_of(spec.get("failurePolicy"), ("Fail", "Ignore"), "spec.failurePolicy", errors, needed=False)
    match = spec.get("matchConstraints")
    if match is None:
        errors.append(required("spec.matchConstraints"))
    else:
        place = "spec.matchConstraints"
        for name in ("namespaceSelector", "objectSelector"):
            check_selector(match.get(name), f"{place}.{name}", errors)
        if not match.get("resourceRules"):
            errors.append(required(f"{place}.resourceRules"))
        for name in ("resourceRules", "excludeResourceRules"):
            for index, rule in enumerate(match.get(name) or ()):
                _rule(rule, f"{place}.{name}[{index}]", errors)
    kind = spec.get("paramKind")
    if kind is not None:
        for name in ("apiVersion", "kind"):
            if not kind.get(name):
                errors.append(required(f"spec.paramKind.{name}"))
    _expressions(spec, errors)
    if obj.get("kind") == "ValidatingAdmissionPolicy":
        if not spec.get("validations") and not spec.get("auditAnnotations"):
            sentence = "validations or auditAnnotations must contain at least one item"
            errors.append(required("spec.validations", sentence))
        for index, one in enumerate(spec.get("validations") or ()):
            if not (one.get("expression") or "").strip():
                errors.append(
                    required(f"spec.validations[{index}].expression", "expression is not specified")
                )
            if one.get("reason") not in (None, *_REASONS):
                errors.append(unsupported(f"spec.validations[{index}].reason", one["reason"], _REASONS))
        return
    if not spec.get("mutations"):
        errors.append(required("spec.mutations", "mutations must contain at least one item"))
    policies = ("IfNeeded", "Never")
    one_of(spec.get("reinvocationPolicy"), policies, "spec.reinvocationPolicy", errors)
    for index, rule in enumerate((match or {}).get("resourceRules") or ()):
        for at, operation in enumerate(rule.get("operations") or ()):
            if operation == "DELETE":
                where = f"spec.matchConstraints.resourceRules[{index}].operations[{at}]"
                errors.append(unsupported(where, operation, sorted(set(OPERATIONS) - {"DELETE"})))


def check_admission_policy(obj: Obj) -> Errors:
    """A new admission policy of either kind."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False)
    _policy(obj, errors)
    return errors


def check_admission_policy_update(new: Obj, old: Obj) -> Errors:
    """A changed admission policy."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _policy(new, errors)
    return errors


def _policy_binding(obj: Obj, errors: Errors) -> None:
    spec = obj.get("spec") or {}
    name = spec.get("policyName") or ""
    if not name:
        errors.append(required("spec.policyName"))
    else:
        add(errors, "spec.policyName", name, subdomain(name))
    _param_ref(spec.get("paramRef"), errors)
    actions = spec.get("validationActions") or []
    if obj.get("kind") == "ValidatingAdmissionPolicyBinding":
        if not actions:
            sentence = "at least one validation action is required"
            errors.append(required("spec.validationActions", sentence))
        for index, action in enumerate(actions):
            one_of(action, ("Audit", "Deny", "Warn"), f"spec.validationActions[{index}]", errors)
        if "Deny" in actions and "Warn" in actions:
            sentence = (
                "must not contain both Deny and Warn (repeating the same validation failure information in the API "
                "response and headers serves no purpose)"
            )
            errors.append(invalid("spec.validationActions", actions, sentence))


def _param_ref(reference: Obj | None, errors: Errors) -> None:
    """With which parameters a policy is asked: those of a name, or those that a selector finds."""
    if reference is None:
        return
    path, name, selector = "spec.paramRef", reference.get("name") or "", reference.get("selector")
    if name:
        add(errors, f"{path}.name", name, path_segment_name(name, False))
    if name and selector is not None:
        for field in ("name", "selector"):
            errors.append(forbidden_field(f"{path}.{field}", "name and selector are mutually exclusive"))
    if selector is not None:
        check_selector(selector, f"{path}.selector", errors)
    elif not name:
        errors.append(required(path, "one of name or selector must be specified"))
    actions = ("Allow", "Deny")
    one_of(reference.get("parameterNotFoundAction"), actions, f"{path}.parameterNotFoundAction", errors)


def check_policy_binding(obj: Obj) -> Errors:
    """A new policy binding of either kind."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False)
    _policy_binding(obj, errors)
    return errors


def check_policy_binding_update(new: Obj, old: Obj) -> Errors:
    """A changed policy binding."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _policy_binding(new, errors)
    return errors


def _flow_schema(obj: Obj, errors: Errors) -> None:
    spec = obj.get("spec") or {}
    precedence = spec.get("matchingPrecedence", 0)
    if precedence <= 0:
        errors.append(invalid("spec.matchingPrecedence", precedence, "must be a positive value"))
    elif precedence > 10000:
        sentence = "must not be greater than 10000"
        errors.append(invalid("spec.matchingPrecedence", precedence, sentence))
    if not (spec.get("priorityLevelConfiguration") or {}).get("name"):
        sentence = "must reference a priority level"
        errors.append(required("spec.priorityLevelConfiguration.name", sentence))
    method = spec.get("distinguisherMethod")
    if method is not None:
        kinds = ("ByNamespace", "ByUser")
        one_of(method.get("type") or "-", kinds, "spec.distinguisherMethod.type", errors)
    for index, rule in enumerate(spec.get("rules") or ()):
        if not rule.get("subjects"):
            sentence = "subjects must contain at least one value"
            errors.append(required(f"spec.rules[{index}].subjects", sentence))
        if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
            sentence = "at least one of resourceRules and nonResourceRules has to be non-empty"
            errors.append(required(f"spec.rules[{index}]", sentence))


def check_flow_schema(obj: Obj) -> Errors:
    """A new FlowSchema."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False)
    _flow_schema(obj, errors)
    return errors


def check_flow_schema_update(new: Obj, old: Obj) -> Errors:
    """A changed FlowSchema."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _flow_schema(new, errors)
    return errors


def _priority_level(obj: Obj, errors: Errors) -> None:
    spec = obj.get("spec") or {}
    kind = spec.get("type") or ""
    if kind == "Limited":
        if spec.get("limited") is None:
            errors.append(required("spec.limited", "must not be empty when type is Limited"))
        if spec.get("exempt") is not None:
            sentence = "must be nil if the type is Limited"
            errors.append(forbidden_field("spec.exempt", sentence))
        non_negative(
            (spec.get("limited") or {}).get("nominalConcurrencyShares"),
            "spec.limited.nominalConcurrencyShares",
            errors,
        )
    elif kind == "Exempt":
        if spec.get("limited") is not None:
            errors.append(forbidden_field("spec.limited", "must be nil if the type is not Limited"))
    else:
        errors.append(unsupported("spec.type", kind, ("Exempt", "Limited")))


def check_priority_level(obj: Obj) -> Errors:
    """A new PriorityLevelConfiguration."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False)
    _priority_level(obj, errors)
    return errors


def check_priority_level_update(new: Obj, old: Obj) -> Errors:
    """A changed PriorityLevelConfiguration."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _priority_level(new, errors)
    return errors
