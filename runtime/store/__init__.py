"""All state of a cluster: TinyDB behind a journal.

Memory holds the truth, a journal makes each write durable before it is answered, and from time to time the
whole state becomes one plain TinyDB file. See :mod:`.database` for how the three fit together.
"""

from .errors import (
    Compacted,
    Damaged,
    Foreign,
    InUse,
    SlowReader,
    StoreError,
    StoreFailed,
    StoreFull,
    VersionMismatch,
)
from .folder import FolderLock, back_up, check, restore
from .records import Change, Event, Key, Record
from .store import Store
from .watch import Watch

__all__ = [
    "Change",
    "Compacted",
    "Damaged",
    "Event",
    "FolderLock",
    "Foreign",
    "InUse",
    "Key",
    "Record",
    "SlowReader",
    "Store",
    "StoreError",
    "StoreFailed",
    "StoreFull",
    "VersionMismatch",
    "Watch",
    "back_up",
    "check",
    "restore",
]
