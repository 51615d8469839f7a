"""Where warnings go while the screen is taken: into a file beside the cluster's state, never across the panes."""

from __future__ import annotations

import logging
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

NAME = "kubetui.log"
MAX_BYTES = 1 << 20


class LogFile(RotatingFileHandler):
    """A log of at most two files of 1 MiB, readable by its owner alone; opened when there is something to say.

    A folder that does not exist, or a full disk, costs the line and nothing else: there is no place left to complain.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / NAME, maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8", delay=True)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).touch(0o600)
        return super()._open()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Say nothing."""


def log_to(folder: Path) -> None:
    """Send this process' warnings to the folder's log instead of stderr."""
    logging.getLogger().addHandler(LogFile(folder))
