"""What holds for all tests: properties are tried on the same examples in every run, and none fails for being slow;
what is put into the temporary folder goes with them. `make fuzz` tries new examples until one fails.

Nothing of the user's environment matters either: neither colours, editor, proxies nor a kubeconfig. And a run that is
ended by SIGTERM cleans up as one that is interrupted does.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from unittest import TestCase

import pytest
from hypothesis import HealthCheck, settings

_LOOKS = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLORTERM", "COLUMNS", "LINES")
_TOOLS = ("KUBECONFIG", "KUBE_EDITOR", "EDITOR", "VISUAL", "PAGER")
for _name in list(os.environ):
    if _name in (*_LOOKS, *_TOOLS) or _name.lower().endswith("_proxy") or _name.startswith("TEXTUAL"):
        del os.environ[_name]
os.environ["TERM"] = "xterm-256color"

FUZZ = bool(os.environ.get("KUBETUI_FUZZ"))
settings.register_profile(
    "kubetui", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=not FUZZ
)
settings.load_profile("kubetui")


def pytest_configure() -> None:
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("stopped by SIGTERM", returncode=3))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave nothing to be finalised while Hypothesis has a state machine's source parsed.

    A finaliser that fails has its traceback formatted, which parses too; Python 3.11 takes that for a fault of the
    first parser ("AST constructor recursion depth mismatch").
    """
    if isinstance(item, pytest.Function) and item.cls is not None and issubclass(item.cls, TestCase):
        gc.collect()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """The same before plugins' modules are imported at the very end: pytest parses them itself."""
    gc.collect()


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
