"""What holds for all tests: no example fails for being slow; what is put into the temporary folder goes with them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

if "CI" not in os.environ:  # hypothesis has a profile of its own there, with the same two settings
    settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("busy")


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
