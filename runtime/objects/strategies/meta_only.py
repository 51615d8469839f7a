"""The strategy of kinds that have no rules of their own beyond their metadata."""

from __future__ import annotations

from .base import KindStrategy

STORED_ONLY = KindStrategy()
