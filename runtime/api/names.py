"""Names the server makes up: generateName's suffixes and uids.

apiserver ``pkg/storage/names/generate.go``: no vowels and no digits that look like letters, so that no suffix
spells a word.
"""

from __future__ import annotations

import os
import random

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5
MAX_GENERATED_BASE = 63 - SUFFIX_LENGTH
MAX_ATTEMPTS = 8
"""How often a create with generateName draws a new name before it gives up (store.go)."""

_random = random.Random(os.urandom(16))


def random_suffix(length: int = SUFFIX_LENGTH) -> str:
    """Letters and digits as Kubernetes' ``utilrand.String`` draws them."""
    return "".join(_random.choices(SUFFIX_ALPHABET, k=length))


def generate_name(base: str) -> str:
    """``base`` (cut to 58 bytes) and five random characters."""
    return base[:MAX_GENERATED_BASE] + random_suffix()


_POOL = 4096
_pool: list[str] = []


def new_uid() -> str:
    """A random (version 4) UUID.

    The kernel is asked for many at a time: each call into it costs more than all the rest of this.
    """
    try:
        digits = _pool.pop()
    except IndexError:
        drawn = os.urandom(_POOL).hex()
        _pool.extend(drawn[start : start + 32] for start in range(32, len(drawn), 32))
        digits = drawn[:32]
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
