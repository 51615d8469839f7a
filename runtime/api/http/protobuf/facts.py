"""The numbers, names and types of every message's fields (see :mod:`.distill`), read when first asked for."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

import orjson

MAGIC = b"k8s\x00"
"""What every body starts with."""
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."


@cache
def _messages() -> dict[str, dict[str, list[str]]]:
    content: dict[str, dict[str, list[str]]] = orjson.loads(
        gzip.decompress((Path(__file__).parent / "messages.json.gz").read_bytes())
    )
    return content


@cache
def fields_of(definition: str) -> dict[int, tuple[str, str]]:
    """Field number → name and type of a message; empty for one that is not known."""
    return {int(number): (name, kind) for number, (name, kind) in _messages().get(definition, {}).items()}
