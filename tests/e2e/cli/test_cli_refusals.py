"""What the command line says when it can't be done: exit code, one line on stderr, nothing on stdout."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import PodmanStorage
from tests.support.serving import ROOT, Serving

ONE_LINE = re.compile(r"^kubetui: [^\n]+\n$")


def kubetui(
    *arguments: str, environment: dict[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with no terminal."""
    return subprocess.run(
        [sys.executable, "-m", "kubetui", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        check=False,
    )


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """It ended with 1 and one line that has these words."""
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    assert done.stdout == ""
    assert ONE_LINE.match(done.stderr), done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[Serving]:
    """A cluster that serves without Podman."""
    serving = Serving(tmp_path, options=["--runtime", "simulated"]).start()
    yield serving
    serving.stop()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve", "--nodes", "0"], "argument --nodes: '0' is not a number above 0"),
        (["serve", "--port", "99999"], "argument --port: '99999' is not a port (0 to 65535)"),
        (["serve", "--pod-subnet", "10.244.0.1/16"], "'10.244.0.1/16' is not a subnet such as 10.244.0.0/16"),
        (["serve", "--runtime", "docker"], "invalid choice: 'docker'"),
        (["serve", "--colour"], "unrecognized arguments: --colour"),
        (["backup"], "the following arguments are required: FILE"),
        (["--nodes"], "argument --nodes: expected one argument"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], words: str) -> None:
    done = kubetui(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    first, second, rest = done.stderr.split("\n")
    assert words in first and first.startswith("kubetui")
    assert second.startswith("Try 'kubetui") and second.endswith("--help'.")
    assert rest == ""


def test_help_and_version_are_no_failures() -> None:
    assert kubetui("--version").stdout.startswith("kubetui ")
    for command in ("serve", "doctor", "down", "backup", "restore", "kubeconfig"):
        done = kubetui(command, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert f"usage: kubetui {command}" in done.stdout


def test_the_terminal_needs_a_terminal(tmp_path: Path) -> None:
    refused(kubetui("--state-dir", str(tmp_path)), "`kubetui serve` runs the cluster without one")


def test_a_manifest_path_that_does_not_exist(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    done = kubetui("serve", "--state-dir", str(tmp_path / "state"), str(missing))
    refused(done, f"{missing}: no such file or folder")
    assert not (tmp_path / "state").exists(), "nothing was begun"


def test_no_kubeconfig_before_the_first_start(tmp_path: Path) -> None:
    refused(kubetui("kubeconfig", "--state-dir", str(tmp_path)), f"{tmp_path}/kubeconfig does not exist yet")


def test_no_podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Podman is looked for in the system's folders too: hide it from the program itself.
    (tmp_path / "sitecustomize.py").write_text(
        "import shutil\nfound = shutil.which\n"
        "shutil.which = lambda name, *a, **k: None if name == 'podman' else found(name, *a, **k)\n"
    )
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "CONTAINER_HOST": "", "XDG_RUNTIME_DIR": str(tmp_path)}
    monkeypatch.delenv("KUBETUI_PODMAN_ROOT", raising=False)
    state = ("--state-dir", str(tmp_path / "state"))
    done = kubetui(
        "serve", *state, "--port", "0", environment={**environment, "KUBETUI_PODMAN_ROOT": str(tmp_path)}
    )
    refused(done, "Podman is not installed", "mended by", "`kubetui doctor` says what to do")
    seen = kubetui("doctor", *state, environment=environment)
    assert seen.returncode == 1
    assert "✗ Podman is not installed\n    " in seen.stdout
    refused(
        kubetui("down", *state, environment={**environment, "KUBETUI_PODMAN_ROOT": str(tmp_path)}),
        "not installed",
    )


def test_a_podman_that_is_too_old(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    podman = tmp_path / "bin" / "podman"
    podman.write_text("#!/bin/sh\necho podman version 3.4.4\n")
    podman.chmod(podman.stat().st_mode | stat.S_IXUSR)
    environment = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "KUBETUI_PODMAN_ROOT": str(tmp_path / "podman"),
    }
    done = kubetui("serve", "--state-dir", str(tmp_path / "state"), "--port", "0", environment=environment)
    refused(done, "Podman 3.4.4 is too old: kubetui needs Podman 4.3 or newer")
    seen = kubetui("doctor", "--state-dir", str(tmp_path / "state"), environment=environment)
    assert seen.returncode == 1
    assert "✗ Podman 3.4.4 is too old" in seen.stdout and "install Podman 4.3 or newer" in seen.stdout


def test_no_service_at_the_url(tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/nobody.sock"
    state = ("--state-dir", str(tmp_path / "state"))
    refused(
        kubetui("serve", *state, "--port", "0", "--podman-url", url), f"no Podman service answers at {url}"
    )
    seen = kubetui("doctor", *state, "--podman-url", url)
    assert seen.returncode == 1 and f"✗ no Podman service answers at {url}" in seen.stdout
    refused(kubetui("serve", *state, "--port", "0", "--podman-url", "ssh://host/x"), "unix:// or tcp:// only")


@pytest.mark.parametrize("command", ["serve", "down", "backup", "restore"])
def test_a_file_in_the_state_folders_way(tmp_path: Path, command: str) -> None:
    (tmp_path / "state").write_text("mine")
    backup = tmp_path / "b"
    backup.write_text("{}")
    extra = {"serve": ["--port", "0"], "backup": [str(backup)], "restore": [str(backup)], "down": []}[command]
    done = kubetui(command, "--state-dir", str(tmp_path / "state"), *extra)
    if command == "down":
        assert done.returncode == 0 and "nothing to remove" in done.stdout
    else:
        refused(done)
    assert (tmp_path / "state").read_text() == "mine"
    assert backup.read_text() == "{}"


def test_the_doctor_names_a_file_in_the_way(tmp_path: Path, podman_storage: PodmanStorage) -> None:
    (tmp_path / "state").write_text("mine")
    seen = kubetui("doctor", "--state-dir", str(tmp_path / "state"))
    assert seen.returncode == 1
    assert f"✗ {tmp_path}/state is in the way: it is no folder\n    kubetui --state-dir DIR" in seen.stdout


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A folder for a small tmpfs; unmounted at the end."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    yield folder
    if os.path.ismount(folder):
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_state_folder_that_is_read_only(mounted: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", mounted], check=True)
    refused(
        kubetui("serve", "--state-dir", str(mounted / "state"), "--runtime", "simulated", "--port", "0"),
        f"can't use the state folder {mounted}/state: Read-only file system",
    )
    seen = kubetui("doctor", "--state-dir", str(mounted / "state"))
    assert seen.returncode == 1 and f"✗ {mounted} is on a read-only file system" in seen.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_state_folder_that_is_full(mounted: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mounted], check=True)
    (mounted / "filler").write_bytes(b"\0" * (60 << 10))
    done = kubetui("serve", "--state-dir", str(mounted / "state"), "--runtime", "simulated", "--port", "0")
    refused(done, "No space left on device")
    seen = kubetui("doctor", "--state-dir", str(mounted / "state"))
    assert seen.returncode == 1 and "✗ Only 0 MiB are free" in seen.stdout


def test_a_state_folder_in_use(simulated: Serving) -> None:
    assert simulated.process is not None
    pid = f"{simulated.process.pid}"
    second = simulated.run("serve", "--runtime", "simulated", "--port", "0")
    refused(
        second, str(simulated.state), pid, "stop that one first, or choose another folder with --state-dir"
    )
    refused(simulated.run("down"), pid, "stop it first")
    backup = simulated.folder / "b"
    assert simulated.run("backup", str(backup)).returncode == 0
    refused(simulated.run("restore", str(backup)), pid)


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        done = kubetui(
            *("serve", "--runtime", "simulated", "--state-dir", str(tmp_path / "state"), "--port", str(port))
        )
    refused(done, f"port {port} on 127.0.0.1 is already in use", "--port")


def test_a_state_that_is_damaged_or_foreign(tmp_path: Path, simulated: Serving) -> None:
    assert simulated.stop() == 0
    snapshot = simulated.state / "cluster.json"
    good = snapshot.read_bytes()
    for bad in (good[: len(good) // 2], b"not ours", b'{"_default": {"1": {"a": 1}}}'):
        snapshot.write_bytes(bad)
        done = simulated.run("serve", "--runtime", "simulated", "--port", "0")
        refused(done, "cluster.json")
        assert snapshot.read_bytes() == bad, "what is damaged is never emptied"
        seen = simulated.run("doctor")
        assert seen.returncode == 1 and "kubetui restore FILE" in seen.stdout
    snapshot.write_bytes(good)


def test_a_backup_that_is_damaged_or_foreign_changes_nothing(simulated: Serving) -> None:
    backup = simulated.folder / "backup.json"
    assert simulated.run("backup", str(backup)).returncode == 0
    assert simulated.stop() == 0
    before = {path.name: path.read_bytes() for path in simulated.state.iterdir() if path.is_file()}
    good = backup.read_bytes()
    damaged = simulated.folder / "damaged"
    for bad in (
        good[:-40],
        good.replace(b"kube-system", b"kube-sixtem", 1),
        b"",
        b"[1]",
        b'{"_default": {}}',
    ):
        damaged.write_bytes(bad)
        refused(simulated.run("restore", str(damaged)), str(damaged))
    refused(simulated.run("restore", str(simulated.folder / "nowhere")), "No such file or directory")
    refused(
        simulated.run("backup", str(simulated.folder / "no" / "folder" / "b")), "No such file or directory"
    )
    refused(
        kubetui("backup", "--state-dir", str(simulated.folder / "none"), str(damaged)), "holds no cluster"
    )
    after = {path.name: path.read_bytes() for path in simulated.state.iterdir() if path.is_file()}
    assert {name: data for name, data in after.items() if name != "lock"} == {
        name: data for name, data in before.items() if name != "lock"
    }
