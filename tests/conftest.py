"""What holds for all tests: properties are tried on the same examples in every run, and none fails for being slow;
what is put into the temporary folder goes with them. `make fuzz` tries new examples until one fails.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

FUZZ = bool(os.environ.get("KUBETUI_FUZZ"))
settings.register_profile(
    "kubetui", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=not FUZZ
)
settings.load_profile("kubetui")


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
