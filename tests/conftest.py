"""One folder for whatever tests and the programs they start put into the temporary folder; it goes with them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def temporary_folder() -> Iterator[str]:
    """The name is short: sockets are made below it, and a socket's path has 108 bytes."""
    folder = tempfile.mkdtemp(prefix="kt")
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    yield folder
    variable, tempfile.tempdir = before
    if variable is None:
        del os.environ["TMPDIR"]
    else:
        os.environ["TMPDIR"] = variable
    shutil.rmtree(folder, ignore_errors=True)
