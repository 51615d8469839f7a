"""Admission: what completes, refuses and accounts for writes before they are stored."""

from __future__ import annotations

from runtime.api.authorization import Authorizer
from runtime.api.webhooks import WebhookClient
from runtime.objects.clock import Clock
from runtime.objects.registry import Registry

from .certificates import CertificateRequests
from .chain import Chain
from .classes import DefaultIngressClass, DefaultStorageClass
from .lifecycle import ImmortalNamespaces, NamespaceLifecycle, TaintNodesByCondition
from .limits import LimitRanger
from .mutations import MutatingPolicies
from .pods import (
    DefaultTolerationSeconds,
    PriorityAdmission,
    RuntimeClassAdmission,
    ServiceAccountAdmission,
)
from .policies import ValidatingPolicies
from .quota import ResourceQuota
from .security import PodSecurity
from .services import ServiceAllocation, well_known_addresses
from .webhooks import MutatingWebhooks, ValidatingWebhooks

__all__ = ["Chain", "default_chain", "well_known_addresses"]


def default_chain(
    clock: Clock,
    service_cidr: str,
    reserved_addresses: tuple[str, ...],
    registry: Registry,
    authorizer: Authorizer,
    hooks: WebhookClient,
) -> Chain:
    """Upstream's default plugins that mean something here, in upstream's order; quota is always last."""
    return Chain(
        [
            NamespaceLifecycle(),
            ImmortalNamespaces(),
            LimitRanger(),
            ServiceAccountAdmission(),
            TaintNodesByCondition(),
            PodSecurity(),
            PriorityAdmission(),
            DefaultTolerationSeconds(),
            DefaultStorageClass(),
            RuntimeClassAdmission(),
            CertificateRequests(clock),
            DefaultIngressClass(),
            MutatingPolicies(registry, authorizer),
            MutatingWebhooks(registry, authorizer, hooks),
            ServiceAllocation(service_cidr, reserved_addresses),
            ValidatingPolicies(registry, authorizer),
            ValidatingWebhooks(registry, authorizer, hooks),
            ResourceQuota(),
        ]
    )
