"""The design's laws on who may import whom, checked against the code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_import_contracts_are_kept() -> None:
    found = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "0 broken" in found.stdout


def test_the_terminal_can_be_imported_without_the_cluster() -> None:
    """``--context`` must not pay for, or depend on, a control plane."""
    code = (
        "import sys, kubetui.cli\n"
        "loaded = [m for m in sys.modules if m.startswith('runtime.') or m in ('podman', 'tinydb', 'kr8s')]\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_no_cancellation_is_lost() -> None:
    """Before Python 3.12 ``asyncio.wait_for`` drops a cancellation that comes together with the awaited result: the
    task lives on, and who waits for its end hangs. ``asyncio.timeout`` has no such gap."""
    users = [
        str(path.relative_to(ROOT))
        for room in ("kubetui", "runtime")
        for path in (ROOT / room).rglob("*.py")
        if "wait_for(" in path.read_text("utf-8")
    ]
    assert users == []
