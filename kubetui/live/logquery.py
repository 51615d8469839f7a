"""Searching and filtering a log spool without ever stopping the screen: work in small steps, keep what was found."""

from __future__ import annotations

import time
from array import array

from kubetui.live.logspool import LogSpool, compile_bytes


class LogQuery:
    """One expression over one spool; grows as the spool does. ``inverse`` keeps the lines that do not match."""

    def __init__(self, spool: LogSpool, text: str, *, inverse: bool = False) -> None:
        self.spool = spool
        self.text = text
        self.inverse = inverse
        self.pattern = compile_bytes(text)
        self.scanned = 0
        self._found = array("I")
        self._ordered: array[int] = self._found
        self._ordered_key = (-1, -1)

    def step(self, budget: float = 0.008) -> bool:
        """Search for up to ``budget`` seconds; return whether something is left to do."""
        deadline = time.perf_counter() + budget
        size = len(self.spool)
        for reached, found in self.spool.search(self.pattern, self.scanned, size):
            if self.inverse:
                hits = set(found)
                found = [n for n in range(self.scanned, reached) if n not in hits]
            self._found.extend(found)
            self.scanned = reached
            if time.perf_counter() >= deadline:
                break
        return self.scanned < len(self.spool)

    def __len__(self) -> int:
        return len(self._found)

    def numbers(self) -> array[int]:
        """The lines found so far, in order of time."""
        key = (len(self._found), self.spool.version)
        if key != self._ordered_key:
            if self.spool.version == 0:
                self._ordered = self._found
            else:
                self._ordered = array("I", sorted(self._found, key=self.spool.time_of))
            self._ordered_key = key
        return self._ordered

    def neighbour(self, number: int, *, forward: bool, itself: bool = False) -> int | None:
        """The next (or previous) found line after line ``number`` in order of time; None at the end.

        With ``itself`` it may be that line.
        """
        numbers = self.numbers()
        if not numbers:
            return None
        time_of = self.spool.time_of
        here = (time_of(number), number) if number >= 0 else (float("-inf"), -1)
        low, high = 0, len(numbers)
        while low < high:
            middle = (low + high) // 2
            candidate = (time_of(numbers[middle]), numbers[middle])
            if candidate < here or (forward != itself and candidate == here):
                low = middle + 1
            else:
                high = middle
        index = low if forward else low - 1
        return numbers[index] if 0 <= index < len(numbers) else None
