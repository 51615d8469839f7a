"""The terminal's log file: nothing reaches the screen, whatever happens to the file."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from kubetui.logfile import MAX_BYTES, NAME, LogFile


@pytest.fixture
def logger(request: pytest.FixtureRequest) -> logging.Logger:
    found = logging.getLogger(request.node.name)
    found.propagate = False
    return found


def test_warnings_are_kept_for_their_owner_alone(tmp_path: Path, logger: logging.Logger) -> None:
    handler = LogFile(tmp_path)
    logger.addHandler(handler)
    assert not (tmp_path / NAME).exists()  # nothing to say, no file
    logger.warning("the node %s is gone", "node-1")
    handler.close()
    assert (tmp_path / NAME).read_text().endswith(f"WARNING {logger.name}: the node node-1 is gone\n")
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_it_stays_small(tmp_path: Path, logger: logging.Logger) -> None:
    handler = LogFile(tmp_path)
    logger.addHandler(handler)
    for _ in range(40):
        logger.warning("x" * (MAX_BYTES // 10))
    handler.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME, f"{NAME}.1"]
    assert all(path.stat().st_size <= MAX_BYTES for path in tmp_path.iterdir())


def test_without_a_folder_it_is_silent(
    tmp_path: Path, logger: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    handler = LogFile(tmp_path / "absent")
    logger.addHandler(handler)
    logger.warning("nobody hears this")
    handler.close()
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
