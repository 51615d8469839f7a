"""Writing a set of files so that a reader sees all of the old or all of the new, never a mixture.

The scheme is upstream's ``pkg/volume/util/atomic_writer.go``: files live in a folder named after the moment,
``..data`` points at it, and the names a user sees point through ``..data``. Replacing that one link is the update.
A container sees it through its bind mount, because the links are relative.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_DATA = "..data"


class FileContent(NamedTuple):
    """One file of a volume."""

    data: bytes
    mode: int
    user: int | None = None
    """Whose it is, where it is not for everybody."""


Payload = Mapping[str, FileContent]
"""Relative path → content."""


class BadPath(ValueError):
    """A path that would leave its volume."""


def check_paths(payload: Payload) -> None:
    """Refuse absolute paths and ``..`` (validatePath).

    Raises:
        BadPath: with the path named.
    """
    for name in payload:
        path = PurePosixPath(name)
        if not name or path.is_absolute() or ".." in path.parts or path.parts[0].startswith(".."):
            raise BadPath(f"invalid path: must be relative path without '..': {name}")


def unchanged(target: Path, payload: Payload) -> bool:
    """Whether the folder already shows exactly this."""
    current = target / _DATA
    if not current.is_symlink() or not current.is_dir():
        return False
    found: set[str] = set()
    for folder, _, names in os.walk(current):
        for name in names:
            path = Path(folder) / name
            relative = path.relative_to(current).as_posix()
            wanted = payload.get(relative)
            # The pod's group may have been given more than was asked for.
            if wanted is None or stat.S_IMODE(path.stat().st_mode) & wanted.mode != wanted.mode:
                return False
            if path.read_bytes() != wanted.data:
                return False
            found.add(relative)
    return len(found) == len(payload)


def _give(path: Path, content: FileContent) -> None:
    try:
        os.chown(path, content.user or 0, -1)
    except PermissionError:
        # Rootless: the id is out of our reach, and the state folder is nobody else's. Its reader must get in.
        path.chmod(content.mode | 0o044)


def write(
    target: Path, payload: Payload, now: datetime, own: Callable[[Path], None] = lambda _: None
) -> bool:
    """Make the folder show ``payload``; says whether anything changed.

    Args:
        target: the volume's folder; made when it is missing.
        payload: all its files.
        now: names the new generation.
        own: called with every new file and folder, to give it its owner.

    Raises:
        BadPath: a path leaves the volume.
        OSError: the disk refused.
    """
    check_paths(payload)
    target.mkdir(parents=True, exist_ok=True)
    if unchanged(target, payload):
        return False
    target.chmod(0o777)
    own(target)
    data = target / _DATA
    previous = data.readlink() if data.is_symlink() else None
    fresh = Path(tempfile.mkdtemp(prefix=f"..{now:%Y_%m_%d_%H_%M_%S}.", dir=target))
    fresh.chmod(0o755)
    own(fresh)
    for name, content in payload.items():
        path = fresh / name
        for folder in reversed(path.relative_to(fresh).parents[:-1]):
            if not (fresh / folder).is_dir():
                (fresh / folder).mkdir()
                (fresh / folder).chmod(0o755)
                own(fresh / folder)
        path.write_bytes(content.data)
        path.chmod(content.mode)
        if content.user is not None:
            _give(path, content)
        own(path)
    staged = target / "..data_tmp"
    staged.unlink(missing_ok=True)
    staged.symlink_to(fresh.name)
    staged.rename(data)
    visible = {PurePosixPath(name).parts[0] for name in payload}
    for name in visible:
        link = target / name
        if not link.is_symlink():
            link.symlink_to(f"{_DATA}/{name}")
    for entry in list(target.iterdir()):
        if entry.name.startswith(".."):
            continue
        if entry.name not in visible and entry.is_symlink():
            entry.unlink()
    if previous is not None and previous.name != fresh.name:
        shutil.rmtree(target / previous.name, ignore_errors=True)
    return True
