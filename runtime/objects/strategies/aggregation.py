"""APIServices (kube-aggregator ``pkg/registry/apiservice/strategy.go``).

A local one stands for a group version that this server serves itself. One that names a Service is kept and shown,
but nothing is passed on to that Service, which its status and a warning say.
"""

from __future__ import annotations

from ..errors import Obj
from ..validation import aggregation as rules
from .base import KindStrategy

_STATUS = "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIServiceStatus"
_NOT_SERVED = "no requests are passed on to aggregated API servers"


def _default(obj: Obj) -> None:
    service = (obj.get("spec") or {}).get("service")
    if service is not None and not service.get("port"):
        service["port"] = 443


def _warn(obj: Obj, old: Obj | None) -> list[str]:
    if (obj.get("spec") or {}).get("service") is None:
        return []
    return [f"spec.service: {_NOT_SERVED}; the APIService stays unavailable"]


class APIServiceStrategy(KindStrategy):
    """An APIService's availability is known from the start."""

    def prepare_for_create(self, obj: Obj) -> None:
        """Local ones are available at once, others never."""
        super().prepare_for_create(obj)
        local = (obj.get("spec") or {}).get("service") is None
        condition = {
            "type": "Available",
            "status": "True" if local else "False",
            "reason": "Local" if local else "NotAggregated",
            "message": "Local APIServices are always available" if local else _NOT_SERVED,
        }
        created = obj["metadata"].get("creationTimestamp")
        if created:
            condition["lastTransitionTime"] = created
        obj["status"]["conditions"] = [condition]


API_SERVICE = APIServiceStrategy(
    default=_default,
    check=rules.check_api_service,
    compare=rules.check_api_service_update,
    compare_status=rules.check_api_service_status,
    warn=_warn,
    status=_STATUS,
    status_keeps="all",
    unconditional_update=False,
)
