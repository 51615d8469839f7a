"""How every kind looks as a table: the columns ``kubectl get`` shows, computed by the server.

``printer_for(group, kind)`` gives the :class:`~runtime.objects.registry.Printer` of a built-in kind,
``custom_printer(columns)`` that of a custom resource. Cells are what upstream's server sends: strings, numbers and
booleans, ages counted from the moment given. All columns are always there; those with a priority are for wide output.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..errors import Obj
from ..registry import Column, Printer
from . import cluster, devices, network, pods, policy, storage, workloads
from .custom import PathError, compile_path, custom_printer
from .duration import human_duration, since
from .pods import PodSummary
from .table import NAME, PRINTERS, name_of, part

__all__ = [
    "PathError",
    "PodSummary",
    "compile_path",
    "custom_printer",
    "human_duration",
    "printer_for",
    "since",
]

_MODULES = (cluster, devices, network, pods, policy, storage, workloads)
"""Imported because they register their printers."""


def _default_row(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), part(obj, "metadata").get("creationTimestamp", "")]


DEFAULT = Printer(
    (NAME, Column("Created At", "date", "", "When the object was created.")),
    _default_row,
)
"""Built-in kinds without a printer (Role, LimitRange, …): NAME and CREATED AT, as apiserver's default convertor."""


def printer_for(group: str, kind: str) -> Printer:
    """The printer of a built-in kind (``"", "Pod"``; ``"apps", "Deployment"``); never None."""
    return PRINTERS.get((group, kind), DEFAULT)
