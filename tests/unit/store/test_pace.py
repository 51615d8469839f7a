"""Where batches are written, decided from how long they took and who waited."""

from __future__ import annotations

from runtime.store.pace import (
    FORGIVEN_AFTER,
    LEAST_PROOF,
    PROBE_EVERY,
    QUICK_SECONDS,
    SMALL_BYTES,
    STALL_SECONDS,
    Pace,
)

QUICK, SLOW, STALLED = QUICK_SECONDS / 2, QUICK_SECONDS * 2, STALL_SECONDS * 2


def run(pace: Pace, batches: int, seconds: float = QUICK, *, waiting: bool = False) -> int:
    """So many batches, wherever the pace wants them; how many the loop wrote."""
    here = 0
    for _ in range(batches):
        if pace.here(1, 100):
            here += 1
            pace.wrote_here(seconds)
        else:
            pace.wrote_beside(seconds, waiting=waiting)
    return here


def until_here(pace: Pace) -> int:
    """How many quick batches the thread writes before the loop does."""
    beside = 0
    while not pace.here(1, 100):
        pace.wrote_beside(QUICK, waiting=False)
        beside += 1
    return beside


def test_a_quick_disk_and_one_writer_need_no_thread_but_to_look() -> None:
    pace = Pace()
    assert not pace.here(1, 100), "nothing is known of the disk yet"
    run(pace, LEAST_PROOF)
    assert run(pace, 10 * PROBE_EVERY) == 10 * PROBE_EVERY - 10


def test_what_gains_from_the_thread_goes_there() -> None:
    pace = Pace()
    until_here(pace)
    assert not pace.here(2, 100)
    assert not pace.here(1, SMALL_BYTES + 1)
    pace.wrote_beside(QUICK, waiting=True)
    assert until_here(pace) >= LEAST_PROOF
    assert run(Pace(), 1000, waiting=True) == 0


def test_a_slow_disk_is_left_to_the_thread() -> None:
    assert run(Pace(), 1000, SLOW) == 0
    pace = Pace()
    until_here(pace)
    pace.wrote_here(SLOW)
    assert until_here(pace) >= LEAST_PROOF


def test_each_stall_makes_the_proof_longer_and_time_makes_it_shorter() -> None:
    pace = Pace()
    proofs = []
    for _ in range(4):
        proofs.append(until_here(pace))
        pace.wrote_here(STALLED)
    assert proofs == sorted(proofs)
    assert proofs[-1] >= 8 * LEAST_PROOF
    run(pace, 8 * FORGIVEN_AFTER)
    pace.wrote_here(SLOW)
    assert until_here(pace) < 2 * LEAST_PROOF
