"""Keeping the garbage collector out of the way of the screen.

A cluster of some thousand pods is a million small dicts that never form cycles; a full collection walks all of them
and would stop the screen for half a second. So the collector only looks at what is young, what survives is moved out
of its sight (``gc.freeze``), and everything is looked at again when nobody has touched a key for a while.
"""

from __future__ import annotations

import gc
import time

YOUNG = 20_000
FREEZE_SECONDS = 5.0
IDLE_SECONDS = 120.0
FULL_SECONDS = 900.0


class Housekeeper:
    """Called once a second by the app."""

    def __init__(self) -> None:
        gc.set_threshold(YOUNG, 50, 1_000_000)
        now = time.monotonic()
        self._frozen_at = self._full_at = self.touched_at = now

    def touched(self) -> None:
        """A key was pressed."""
        self.touched_at = time.monotonic()

    def tick(self) -> None:
        """Freeze what has survived; a full look only when the user is away."""
        now = time.monotonic()
        if now - self.touched_at > IDLE_SECONDS and now - self._full_at > FULL_SECONDS:
            self._full_at = now
            gc.unfreeze()
            gc.collect()
            gc.freeze()
        elif now - self._frozen_at > FREEZE_SECONDS:
            self._frozen_at = now
            gc.collect(0)
            gc.freeze()
