"""Which files are manifests, and what is in them now.

Contents count, not times: a file that was touched, or saved unchanged, is no change. What editors leave beside a
file while they save it (swap files, backups, vim's ``4913``) is never read.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".yaml", ".yml", ".json")
FILE_LIMIT = 64 * 1024 * 1024
"""Bytes in one file."""


def is_manifest(name: str) -> bool:
    """Whether a file of this name, found in a folder, is read."""
    return (
        name.endswith(SUFFIXES)
        and not name.startswith((".", "#", "~"))
        and not name.endswith(("~", ".swp", ".tmp"))
        and name != "4913"
    )


@dataclass(frozen=True, slots=True)
class Content:
    """A file as it is now: its bytes, or why they can't be read."""

    data: bytes
    digest: str
    error: str = ""


@dataclass(slots=True)
class Scan:
    """One look at all roots."""

    files: dict[Path, Content]
    missing: set[Path]
    """Roots that are not there (or can't be opened): nothing below them counts as removed."""


class Files:
    """The manifest files below some roots. Reads again only what may have changed."""

    def __init__(self, roots: list[Path]) -> None:
        self.roots = [root.absolute() for root in roots]
        self._seen: dict[Path, tuple[tuple[int, int, int, int], Content]] = {}

    def scan(self) -> Scan:
        """Look at everything. Blocking; to be called in a thread."""
        files: dict[Path, Content] = {}
        missing: set[Path] = set()
        for root in self.roots:
            if root.is_dir():
                if not self._walk(root, files):
                    missing.add(root)
            elif root.exists():
                files[root] = self._content(root)
            else:
                missing.add(root)
        self._seen = {path: seen for path, seen in self._seen.items() if path in files}
        return Scan(files, missing)

    def _walk(self, root: Path, files: dict[Path, Content]) -> bool:
        readable = True

        def refuse(error: OSError) -> None:
            nonlocal readable
            readable = False

        seen: set[tuple[int, int]] = set()
        for folder, folders, names in os.walk(root, onerror=refuse, followlinks=True):
            status = Path(folder).stat()
            if (status.st_dev, status.st_ino) in seen:  # a link that leads back up
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if is_manifest(name):
                    path = Path(folder, name)
                    files[path] = self._content(path)
        return readable

    def _content(self, path: Path) -> Content:
        try:
            status = path.stat()
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            seen = self._seen.get(path)
            if seen is not None and seen[0] == stamp:
                return seen[1]
            if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for without end
                return Content(b"", "", "can't be read: this is no regular file")
            if status.st_size > FILE_LIMIT:
                return Content(b"", "", f"the file has {status.st_size} bytes; at most {FILE_LIMIT} are read")
            data = path.read_bytes()
            content = Content(data, hashlib.sha256(data).hexdigest())
            self._seen[path] = (stamp, content)
            return content
        except OSError as error:
            return Content(b"", "", f"can't be read: {error.strerror}")
