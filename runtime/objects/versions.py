"""Kubernetes' order of API versions: GA before beta before alpha, newer before older, anything else after, by name.

After apimachinery ``pkg/version/helpers.go`` (``CompareKubeAwareVersionStrings``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_VERSION = re.compile(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?")
_STAGES = {"": 0, "beta": 1, "alpha": 2}

Rank = tuple[int, int, int, int, str]


def rank(version: str) -> Rank:
    """What versions are sorted by, the preferred one first."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return (1, 0, 0, 0, version)
    return (0, _STAGES[found[2] or ""], -int(found[1]), -int(found[3] or 0), "")


def kind_aware(versions: Iterable[str]) -> list[str]:
    """Versions, preferred first."""
    return sorted(versions, key=rank)
