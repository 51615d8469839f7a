"""Kinds of dynamic resource allocation (registry/resource/*/strategy.go)."""

from __future__ import annotations

from ..defaults.cluster import default_claim, default_claim_template
from ..validation import devices as rules
from .base import KindStrategy

CLAIM = KindStrategy(
    default=default_claim,
    check=rules.check_claim,
    compare=rules.check_claim_update,
    compare_status=rules.check_claim_status,
    status="resource.v1.ResourceClaimStatus",
    status_keeps="all",
)
TEMPLATE = KindStrategy(
    default=default_claim_template, check=rules.check_template, compare=rules.check_template_update
)
CLASS = KindStrategy(check=rules.check_class, compare=rules.check_class_update, generation=True)
SLICE = KindStrategy(check=rules.check_slice, compare=rules.check_slice_update, generation=True)
