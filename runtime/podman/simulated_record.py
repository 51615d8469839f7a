"""What a simulated runtime holds, in a file: the next process finds its containers as it would find real ones.

One line of JSON for each change, handed to the kernel as it is made: it outlives the process, ``kill -9`` included,
though not the machine, whose real containers would not outlive that either. The file is written anew, with one line
for each thing that is still there, at the start and when much of it is history.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

log = logging.getLogger(__name__)

Line = dict[str, Any]
_HISTORY = 20_000


@dataclass(slots=True)
class Held:
    """What was there at the end of a record: all that is known of each thing, by its id."""

    images: list[str] = field(default_factory=list)
    pods: dict[str, Line] = field(default_factory=dict)
    containers: dict[str, Line] = field(default_factory=dict)

    def apply(self, line: Line) -> None:
        """Take in one line: something new, what has changed about it, or that it is gone."""
        if "image" in line:
            self.images.append(line["image"])
        elif "gone" in line:
            for things in (self.pods, self.containers):
                things.pop(line["gone"], None)
        elif "container" in line:
            self.containers.setdefault(line["container"], {}).update(line)
        elif "pod" in line:
            self.pods.setdefault(line["pod"], {}).update(line)


class Record:
    """A file of lines, or nothing at all without a path: then everything is forgotten with the process."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._descriptor = -1
        self._lines = 0

    @property
    def kept(self) -> bool:
        """Whether there is a file."""
        return self._path is not None

    def read(self) -> Held:
        """What an earlier process held; a line that was torn or damaged is left out."""
        held = Held()
        if self._path is None or not self._path.exists():
            return held
        for text in self._path.read_bytes().splitlines():
            try:
                line = orjson.loads(text)
            except orjson.JSONDecodeError:
                continue
            if isinstance(line, dict):
                held.apply(line)
        return held

    def write(self, line: Line) -> None:
        """Add a line. A disk that is full costs the memory of it, not the simulation."""
        if self._descriptor >= 0:
            self._lines += 1
            try:
                os.write(self._descriptor, orjson.dumps(line, default=dict) + b"\n")
            except OSError as error:
                log.warning("%s: %s: simulated containers will not outlive this process", self._path, error)
                self.close()

    def is_long(self, things: int) -> bool:
        """Whether most of the file is history, when so many things are there."""
        return self._lines > _HISTORY + 4 * things

    def rewrite(self, lines: Iterable[Line]) -> None:
        """Replace the file by these lines and go on after them."""
        if self._path is None:
            return
        self.close()
        new = self._path.with_suffix(".new")
        try:
            new.write_bytes(b"".join(orjson.dumps(line, default=dict) + b"\n" for line in lines))
            new.replace(self._path)
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError as error:
            log.warning("%s: %s: simulated containers will not outlive this process", self._path, error)
        self._lines = 0

    def close(self) -> None:
        """Write no more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
