"""What pods use, as the autoscaler asks for it: read from ``metrics.k8s.io`` like any other object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runtime.objects.clock import parse_time
from runtime.objects.errors import StatusError
from runtime.objects.quantity import parse
from runtime.objects.selectors import Selector

from .hpa_math import PodMetrics

if TYPE_CHECKING:
    from runtime.client.client import Client


class ServedMetrics:
    """The use of pods as the API serves it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def pods(self, namespace: str, selector: Selector) -> Sequence[PodMetrics]:
        """The use of the pods of a namespace that match, as far as it was measured.

        Raises:
            StatusError: the API refused for another reason than that no metrics are served.
        """
        try:
            listing = await self._client.list("pods.metrics.k8s.io", namespace, label_selector=str(selector))
        except StatusError as error:
            if error.code == 404:
                return []
            raise
        return [
            PodMetrics(
                item["metadata"]["name"],
                parse_time(item["timestamp"]),
                float(item["window"].rstrip("s")),
                {
                    one["name"]: {
                        "cpu": parse(one["usage"]["cpu"]).milli,
                        "memory": parse(one["usage"]["memory"]).value,
                    }
                    for one in item["containers"]
                },
            )
            for item in listing.items
        ]
