"""Who writes the next batch: the event loop itself, or the writer thread beside it.

Handing a batch to a thread and being told of its end costs two switches, which take as long as a quick disk takes to
write. While one writer waits for each write before it sends the next, nothing is gained by them, so such batches are
written where they are, as long as the disk is quick. A slow answer sends the batches after it to the thread, until
the disk has proved itself there; one that kept the loop from its other work for long makes that proof longer.
"""

from __future__ import annotations

QUICK_SECONDS = 0.002
"""How long a write may take to count as quick."""
STALL_SECONDS = 0.01
"""From here on the loop's other work has suffered."""
SMALL_BYTES = 64 * 1024
"""The size up to which a batch is written by the loop."""
PROBE_EVERY = 32
"""Every so many batches one goes to the thread all the same, to see who else writes meanwhile."""
LEAST_PROOF = 8
MOST_PROOF = 4096
"""Quick batches in a row, with nobody waiting, before the loop writes (again)."""
FORGIVEN_AFTER = 1024
"""Batches after which a proof that stalls have made longer is halved."""


class Pace:
    """Keeps count of what writes cost and whether they come one by one."""

    def __init__(self) -> None:
        self._proof = LEAST_PROOF
        self._proved = 0
        self._batches = 0

    def here(self, transactions: int, size: int) -> bool:
        """Whether the loop should write a batch of so many transactions and bytes itself."""
        return (
            transactions == 1
            and self._proved >= self._proof
            and size <= SMALL_BYTES
            and self._batches % PROBE_EVERY != 0
        )

    def wrote_here(self, seconds: float) -> None:
        """The loop wrote a batch."""
        self._count()
        if seconds > QUICK_SECONDS:
            self._proved = 0
            if seconds > STALL_SECONDS:
                self._proof = min(self._proof * 2, MOST_PROOF)

    def wrote_beside(self, seconds: float, *, waiting: bool) -> None:
        """The thread wrote a batch; ``waiting``: others came while it did."""
        self._count()
        self._proved = 0 if waiting or seconds > QUICK_SECONDS else min(self._proved + 1, MOST_PROOF)

    def _count(self) -> None:
        self._batches += 1
        if self._batches % FORGIVEN_AFTER == 0:
            self._proof = max(self._proof // 2, LEAST_PROOF)
