"""How a table printer is written down: its columns, its row function, and the kinds it is for.

Every printer module registers its printers here when it is imported; :mod:`runtime.objects.printers` imports
them all. What several kinds print alike (ages, containers, shortened lists) stands here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from .. import quantity
from ..errors import Obj
from ..registry import Column, Printer, Row
from .duration import since

PRINTERS: dict[tuple[str, str], Printer] = {}
"""(group, kind) → its printer."""

NOTHING: Mapping[str, Any] = {}
NONE = "<none>"
UNSET = "<unset>"
UNKNOWN = "<unknown>"

NAME = Column("Name", "string", "name", "Name must be unique within a namespace.")
AGE = Column("Age", "string", "", "Time since the object was created.")
CONTAINERS = Column("Containers", "string", "", "Names of each container in the template.", 1)
IMAGES = Column("Images", "string", "", "Images referenced by each container in the template.", 1)


def text(name: str, description: str = "") -> Column:
    """A column of strings."""
    return Column(name, "string", "", description)


def integer(name: str, description: str = "") -> Column:
    """A column of whole numbers."""
    return Column(name, "integer", "", description)


def boolean(name: str, description: str = "") -> Column:
    """A column of truth values."""
    return Column(name, "boolean", "", description)


def wide(name: str, description: str = "") -> Column:
    """A column of strings that is only shown when asked for (``-o wide``)."""
    return Column(name, "string", "", description, 1)


def prints(*kinds: tuple[str, str], columns: Sequence[Column]) -> Callable[[Row], Row]:
    """Register a row function for these (group, kind) pairs."""

    def register(row: Row) -> Row:
        printer = Printer(tuple(columns), row)
        for kind in kinds:
            PRINTERS[kind] = printer
        return row

    return register


def part(obj: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object inside, or an empty one: ``part(obj, "status")``."""
    return obj.get(name) or NOTHING


def age(obj: Obj, now: datetime) -> str:
    """The AGE cell."""
    return since(part(obj, "metadata").get("creationTimestamp"), now)


def name_of(obj: Obj) -> str:
    """The NAME cell."""
    return str(part(obj, "metadata").get("name", ""))


def template_spec(obj: Obj) -> Mapping[str, Any]:
    """The pod spec inside a workload's template."""
    return part(part(part(obj, "spec"), "template"), "spec")


def container_cells(pod_spec: Mapping[str, Any]) -> list[str]:
    """The CONTAINERS and IMAGES cells."""
    containers = pod_spec.get("containers") or ()
    return [
        ",".join(container.get("name", "") for container in containers),
        ",".join(container.get("image", "") for container in containers),
    ]


def condition_status(obj: Obj, kind: str) -> str:
    """The status of the first condition of this type, or an empty string."""
    for condition in part(obj, "status").get("conditions") or ():
        if condition.get("type") == kind:
            return str(condition.get("status", ""))
    return ""


def with_more(shown: Sequence[str], count: int) -> str:
    """At most three of ``count`` items, and how many there are beside (``listWithMoreString``)."""
    joined = ",".join(shown[:3])
    if count > 3:
        return f"{joined} + {count - 3} more..."
    return joined or UNSET


def load_balancer(obj: Obj) -> str:
    """The addresses of ``status.loadBalancer``, sorted."""
    ingress: Iterable[Any] = part(part(obj, "status"), "loadBalancer").get("ingress") or ()
    return ",".join(sorted({entry.get("ip") or entry.get("hostname") or "" for entry in ingress} - {""}))


def amount(value: Any) -> str:
    """A quantity in canonical form; what is absent is nought."""
    if value is None:
        return "0"
    try:
        return quantity.canonical(value)
    except quantity.QuantityError:
        return str(value)


def true_or_false(value: bool | None) -> str:
    """``True``, ``False`` or ``<unset>`` as strings, which is how these cells are sent."""
    return UNSET if value is None else str(value)
