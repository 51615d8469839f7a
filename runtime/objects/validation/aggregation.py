"""The rules of APIServices (kube-aggregator ``pkg/apis/apiregistration/validation``)."""

from __future__ import annotations

from ..errors import Obj, invalid, required
from .meta import Errors, add, check_meta, check_meta_update, one_of
from .names import Sentences, label_1035, path_segment, port_number, subdomain

MOST_GROUP_PRIORITY = 20000
MOST_VERSION_PRIORITY = 1000


def check_api_service(obj: Obj) -> Errors:
    """A new APIService (``ValidateAPIService``)."""
    errors: Errors = []
    spec = obj.get("spec") or {}
    group, version = spec.get("group") or "", spec.get("version") or ""
    wanted = f"{version}.{group}"

    def name(given: str, prefix: bool) -> Sentences:
        return path_segment(given) or (
            () if given == wanted else (f'must be `spec.version+"."+spec.group`: "{wanted}"',)
        )

    check_meta(obj, errors, namespaced=False, name=name)
    if not group and version != "v1":
        detail = "only v1 may have an empty group and it better be legacy kube"
        errors.append(required("spec.group", detail))
    if group:
        add(errors, "spec.group", group, subdomain(group))
    add(errors, "spec.version", version, label_1035(version))
    for member, most in (
        ("groupPriorityMinimum", MOST_GROUP_PRIORITY),
        ("versionPriority", MOST_VERSION_PRIORITY),
    ):
        value = spec.get(member) or 0
        if not 0 < value <= most:
            errors.append(invalid(f"spec.{member}", value, f"must be positive and less than {most}"))
    _check_service(spec, errors)
    return errors


def _check_service(spec: Obj, errors: Errors) -> None:
    bundle, insecure = spec.get("caBundle") or "", bool(spec.get("insecureSkipTLSVerify"))
    service = spec.get("service")
    if service is None:
        if bundle:
            size = f"{len(bundle) * 3 // 4 - bundle.count('=')} bytes"
            errors.append(invalid("spec.caBundle", size, "local APIServices may not have a caBundle"))
        if insecure:
            detail = "local APIServices may not have insecureSkipTLSVerify"
            errors.append(invalid("spec.insecureSkipTLSVerify", True, detail))
        return
    for member in ("namespace", "name"):
        if not service.get(member):
            errors.append(required(f"spec.service.{member}"))
    port = service.get("port") or 0
    if found := port_number(port):
        errors.append(invalid("spec.service.port", port, f"port is not valid: {', '.join(found)}"))
    if insecure and bundle:
        errors.append(invalid("spec.insecureSkipTLSVerify", True, "may not be true if caBundle is present"))


def check_api_service_update(new: Obj, old: Obj) -> Errors:
    """A changed APIService."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    return errors + [one for one in check_api_service(new) if one not in errors]


def check_api_service_status(new: Obj, old: Obj) -> Errors:
    """Conditions are true, false or unknown."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    for index, condition in enumerate((new.get("status") or {}).get("conditions") or ()):
        values = ("True", "False", "Unknown")
        one_of(condition.get("status"), values, f"status.conditions[{index}].status", errors)
    return errors
