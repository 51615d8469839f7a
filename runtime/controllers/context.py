"""What every controller is given: its identity at the API, the shared informers, the clock and a voice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.client.controller import Controller
from runtime.client.informer import InformerFactory
from runtime.client.recorder import EventRecorder
from runtime.objects.clock import Clock, format_time
from runtime.objects.errors import StatusError
from runtime.objects.registry import Registry

if TYPE_CHECKING:
    from runtime.client.client import Client


@dataclass(frozen=True, slots=True)
class Context:
    """The surroundings of one controller."""

    client: Client
    informers: InformerFactory
    clock: Clock
    recorder: EventRecorder
    registry: Registry

    def stamp(self) -> str:
        """Now, as ``metav1.Time``."""
        return format_time(self.clock.now())


class BaseController(Controller):
    """A controller with its :class:`Context` unpacked."""

    def __init__(self, context: Context) -> None:
        super().__init__(context.clock)
        self.context = context
        self.client = context.client
        self.recorder = context.recorder


def namespace_terminating(error: Exception) -> bool:
    """Whether a create was refused because its namespace is on its way out."""
    if not isinstance(error, StatusError):
        return False
    causes = error.details.get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
