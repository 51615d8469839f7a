"""What can go wrong with the state folder and the store, each under its own name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .records import Key, Record


class StoreError(Exception):
    """Anything the store refuses or can't do."""


class VersionMismatch(StoreError):
    """A change expected another stored version than there is; nothing of its transaction was written."""

    def __init__(self, key: Key, current: Record | None) -> None:
        super().__init__(f"{key} is at version {current.version if current else 'none'}")
        self.key = key
        self.current = current


class Compacted(StoreError):
    """The version asked for is older than the history that is kept."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"version {asked} is no longer kept; the oldest is {oldest}")
        self.asked = asked
        self.oldest = oldest


class SlowReader(StoreError):
    """A watch fell too far behind and was cut off."""


class StoreFull(StoreError):
    """The disk had no room for a write. Nothing of it was kept; later writes may succeed."""


class StoreFailed(StoreError):
    """The disk failed in a way after which nothing written can be trusted; the store takes no more writes."""


class Damaged(StoreError):
    """A file of the store does not hold what was written. ``place`` says where."""

    def __init__(self, path: Path, place: str, why: str) -> None:
        super().__init__(f"{path} is damaged at {place}: {why}")
        self.path = path
        self.place = place


class Foreign(StoreError):
    """A file is not the store's, or of a version that this program can't read."""


class InUse(StoreError):
    """Another process holds the state folder."""

    def __init__(self, folder: Path, pid: int) -> None:
        super().__init__(f"{folder} is in use by process {pid or 'unknown'}")
        self.folder = folder
        self.pid = pid
