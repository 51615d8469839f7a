"""``/logs/`` of a node: the machine's own log files, for ``kubectl get --raw /api/v1/nodes/NAME/proxy/logs/``.

Follows the kubelet's system log handler, which is on by default. Unlike it, nothing outside of the folder is shown,
wherever a link in it points: a container with this folder mounted could otherwise read the machine's files.
"""

from __future__ import annotations

import html
import mimetypes
import os
from pathlib import Path
from urllib.parse import quote, unquote

from runtime.api.node import NodeAnswer

FOLDER = Path("/var/log")
_HTML = "text/html; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"


def answer(path: str, folder: Path = FOLDER) -> NodeAnswer:
    """A file, or the list of a folder's files. Blocking.

    Args:
        path: below ``folder`` as in a URL, empty for itself.
        folder: the machine's logs.
    """
    try:
        root = folder.resolve(strict=True)
        found = (root / unquote(path).strip("/")).resolve(strict=True)
        if found != root and root not in found.parents:
            return _missing()
        if found.is_dir():
            return NodeAnswer(200, _HTML, _listing(found))
        if not found.is_file():
            return _missing()
        with found.open("rb"):
            kind, encoding = mimetypes.guess_type(found.name)
        plain = kind is None and encoding is None
        return NodeAnswer(200, _TEXT if plain else kind or "application/octet-stream", b"", found)
    except PermissionError:
        return NodeAnswer(403, _TEXT, b"403 Forbidden\n")
    except (OSError, ValueError, RuntimeError):
        return _missing()


def _missing() -> NodeAnswer:
    return NodeAnswer(404, _TEXT, b"404 page not found\n")


def _listing(folder: Path) -> bytes:
    with os.scandir(folder) as entries:
        names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in entries)
    lines = [f'<a href="{quote(name)}">{html.escape(name)}</a>' for name in names]
    return "\n".join(["<!doctype html>", '<meta name="viewport" content="width=device-width">', "<pre>",
                      *lines, "</pre>", ""]).encode("utf-8", "surrogateescape")  # fmt: skip
