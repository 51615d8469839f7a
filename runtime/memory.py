"""Keeping the garbage collector from walking a cluster's objects over and over.

Five thousand pods are some million small dicts, held by the store, the informers and the watches' history, and
hardly any of them is ever part of a cycle: reference counts free them. By default Python looks at all of them again
each time their number has grown by a quarter, which stops everything for a third of a second and takes half of the
time that a large rollout needs. So only what is young is looked at, and everything once in a long while.

For a process that is nothing but a cluster; a terminal with a cluster inside has its own way (it knows when nobody
is typing).
"""

from __future__ import annotations

import gc

from runtime.objects.clock import Clock

YOUNG = 20_000
"""Containers made, less those freed, before the young ones are looked at."""
MIDDLE = 50
"""Such looks before the survivors of the last ones are looked at."""
NEVER = 1_000_000
FULL_SECONDS = 900.0
"""How often everything is looked at."""


def spare_the_old() -> None:
    """Let the collector look at young objects only. Call it before the cluster's objects are made."""
    gc.set_threshold(YOUNG, MIDDLE, NEVER)


async def collect_rarely(clock: Clock) -> None:
    """Look at everything once in a while, for ever: cycles that grew old are few, but a server runs for months."""
    while True:
        await clock.sleep(FULL_SECONDS)
        gc.collect()
