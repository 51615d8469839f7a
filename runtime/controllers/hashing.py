"""The hash that names a pod template: ``pod-template-hash`` and ``controller-revision-hash``.

Upstream hashes a Go dump of the template, which nothing but Go can reproduce. Here the hash is FNV-32a of the
template's canonical JSON, written in the same alphabet, so that names look and behave the same.
"""

from __future__ import annotations

import orjson

from runtime.objects.errors import Obj

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels and no digits that look like them: apimachinery's ``rand.SafeEncodeString``."""


def fnv32a(data: bytes) -> int:
    """The 32 bit FNV-1a hash."""
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def safe_encode(text: str) -> str:
    """Every character's code as one letter of :data:`ALPHABET`."""
    return "".join(ALPHABET[code % len(ALPHABET)] for code in text.encode())


def object_hash(obj: Obj, collision_count: int | None = None) -> str:
    """A short name for ``obj``; another one for every ``collision_count`` (``controller.ComputeHash``)."""
    data = orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)
    if collision_count is not None:
        data += (collision_count & 0xFFFFFFFF).to_bytes(8, "little")
    return safe_encode(str(fnv32a(data)))
