"""Users and groups of an image: whom a name or number in ``USER`` means, and which groups come with it.

Kubernetes merges a user's groups in the image with those of the pod, unless the pod wants its own strictly; and
Podman merges them, unless the primary group is given. So who builds the container has to know them. They stand in
two files of the image, which are read from its layers where these are on this machine.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a process is."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    """Supplementary groups, without the primary one unless it is named there too."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """``/etc/passwd`` and ``/etc/group`` of an image; both empty in one that has none."""

    users: tuple[tuple[str, int, int], ...] = ()
    """Name, uid and primary gid."""
    groups: tuple[tuple[str, int, tuple[str, ...]], ...] = ()
    """Name, gid and members."""

    def identity(self, user: str) -> Identity | None:
        """Whom ``user``, ``uid``, ``user:group`` or nothing (root) means here; None for a name that is unknown."""
        name, _, group = user.partition(":")
        name = name or "0"
        found = next((entry for entry in self.users if entry[0] == name or str(entry[1]) == name), None)
        if found is None and not name.isdigit():
            return None
        own, uid, gid = found if found is not None else ("", int(name), 0)
        if group:
            known = next((entry[1] for entry in self.groups if entry[0] == group), None)
            if known is None and not group.isdigit():
                return None
            gid = int(group) if known is None else known
        return Identity(uid, gid, tuple(number for _, number, members in self.groups if own in members))


def layers(item: Mapping[str, Any], storage: Path | None) -> list[Path]:
    """Where the image of ``images/NAME/json`` is unpacked, the top layer first; empty where that is not told.

    Args:
        item: the answer.
        storage: the folder in which the storage keeps its images, when that is on this machine.
    """
    driver: Mapping[str, Any] = item.get("GraphDriver") or {}
    if driver.get("Name") == "vfs" and storage is not None:
        # Each layer is a whole copy, and Podman names none of them.
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            known = orjson.loads((storage / "images.json").read_bytes())
            top = next(str(one["layer"]) for one in known if one["id"] == item["Id"])
            return [storage.parent / "vfs" / "dir" / top]
    data: Mapping[str, Any] = driver.get("Data") or {}
    found = [data.get("UpperDir") or "", *(data.get("LowerDir") or "").split(":")]
    return [Path(layer) for layer in found if layer]


def read_accounts(layers: Sequence[Path]) -> Accounts | None:
    """The accounts of an image whose unpacked layers these are, the top one first; None when they can't be read."""
    texts = [_read(layers, name) for name in ("passwd", "group")]
    if texts[0] is None or texts[1] is None:
        return None
    users, groups = [], []
    for fields in (line.split(":") for line in texts[0].splitlines()):
        if len(fields) > 3 and fields[2].isdigit() and fields[3].isdigit():
            users.append((fields[0], int(fields[2]), int(fields[3])))
    for fields in (line.split(":") for line in texts[1].splitlines()):
        if len(fields) > 3 and fields[2].isdigit():
            groups.append((fields[0], int(fields[2]), tuple(filter(None, fields[3].split(",")))))
    return Accounts(tuple(users), tuple(groups))


def _read(layers: Sequence[Path], name: str) -> str | None:
    for layer in layers:
        path = layer / "etc" / name
        if (layer / "etc" / f".wh.{name}").exists():  # how storages without the right to make devices say it
            return ""
        try:
            mode = path.lstat().st_mode
            if stat.S_ISCHR(mode):
                return ""  # a later layer removed it
            if not stat.S_ISREG(mode) or path.parent.is_symlink():
                return None
            with path.open("rb") as file:
                return file.read(_LIMIT).decode("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return None
    return ""
