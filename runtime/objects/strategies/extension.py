"""What extends or guards the API itself: webhooks, admission policies, custom resources, flow control."""

from __future__ import annotations

from ..defaults.cluster import (
    default_admission_policy,
    default_custom_resource_definition,
    default_flow_schema,
    default_policy_binding,
    default_priority_level,
    default_webhooks,
)
from ..errors import Obj
from ..validation import custom_resources
from ..validation import extension as rules
from .base import KindStrategy


class DefinitionStrategy(KindStrategy):
    """CustomResourceDefinitions remember which versions were ever stored."""

    def prepare_for_create(self, obj: Obj) -> None:
        """The storage version is stored from now on."""
        super().prepare_for_create(obj)
        _remember_storage(obj)

    def prepare_for_update(self, new: Obj, old: Obj) -> None:
        """A new storage version is remembered beside the old ones."""
        super().prepare_for_update(new, old)
        new["status"] = dict(new.get("status") or {})
        _remember_storage(new)


def _remember_storage(obj: Obj) -> None:
    stored = list(obj["status"].get("storedVersions") or ())
    for version in obj["spec"].get("versions") or ():
        if version.get("storage") and version.get("name") not in stored:
            stored.append(version.get("name"))
    if stored:
        obj["status"]["storedVersions"] = stored


_CRD_STATUS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionStatus"
MUTATING_WEBHOOKS = KindStrategy(
    default=default_webhooks,
    check=rules.check_webhooks,
    compare=rules.check_webhooks_update,
    generation=True,
    unconditional_update=False,
)
VALIDATING_WEBHOOKS = MUTATING_WEBHOOKS
"""Which of the two it is stands in the object."""
ADMISSION_POLICY = KindStrategy(
    default=default_admission_policy,
    check=rules.check_admission_policy,
    compare=rules.check_admission_policy_update,
    generation=True,
    unconditional_update=False,
)
VALIDATING_POLICY = KindStrategy(
    default=default_admission_policy,
    check=rules.check_admission_policy,
    compare=rules.check_admission_policy_update,
    status="admissionregistration.v1.ValidatingAdmissionPolicyStatus",
    generation=True,
    unconditional_update=False,
)
POLICY_BINDING = KindStrategy(
    default=default_policy_binding,
    check=rules.check_policy_binding,
    compare=rules.check_policy_binding_update,
    generation=True,
    unconditional_update=False,
)
CUSTOM_RESOURCE_DEFINITION = DefinitionStrategy(
    default=default_custom_resource_definition,
    check=custom_resources.check_custom_resource_definition,
    compare=custom_resources.check_custom_resource_definition_update,
    compare_status=custom_resources.check_custom_resource_definition_status,
    warn=custom_resources.definition_warnings,
    status=_CRD_STATUS,
    status_keeps="all",
    generation=True,
    unconditional_update=False,
)
FLOW_SCHEMA = KindStrategy(
    default=default_flow_schema,
    check=rules.check_flow_schema,
    compare=rules.check_flow_schema_update,
    status="flowcontrol.v1.FlowSchemaStatus",
    status_keeps="all",
    generation=True,
)
PRIORITY_LEVEL = KindStrategy(
    default=default_priority_level,
    check=rules.check_priority_level,
    compare=rules.check_priority_level_update,
    status="flowcontrol.v1.PriorityLevelConfigurationStatus",
    status_keeps="all",
    generation=True,
)
