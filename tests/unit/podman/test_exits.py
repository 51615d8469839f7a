import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runtime.podman import exits

ID = "c" * 64


@pytest.fixture
def monitor(tmp_path):
    """A process with conmon's command line; its files are where that says."""
    code = "import sys; print(flush=True); sys.stdin.read()"
    bundle, exit_folder = tmp_path / "bundle", tmp_path / "exits"
    command = ["-c", ID, "-b", str(bundle), "--exit-dir", str(exit_folder), "--full-attach"]
    command += [
        "--exit-command",
        "podman",
        "--exit-command-arg",
        "--exit-dir",
        "--exit-command-arg",
        "/other",
    ]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", code, *command], **pipes)
    process.stdout.readline()  # from now on its command line is its own
    for folder in (bundle, exit_folder, tmp_path / "pids" / ID / "userdata"):
        folder.mkdir(parents=True)
    for name in ("conmon.pid", "pidfile"):
        (tmp_path / "pids" / ID / "userdata" / name).write_text(str(process.pid))
    yield tmp_path
    process.communicate(b"")


def test_the_monitor_says_where_word_of_the_end_is_left(monitor):
    traces = exits.traces_of(monitor / "pids", ID)
    assert traces is not None
    assert traces.exit_file == monitor / "exits" / ID
    assert traces.memory_files == (monitor / "bundle" / "oom",)
    assert traces.memory_group is None, "the group of this test is nobody's container"
    assert traces.end() is None
    before = datetime.now(UTC).timestamp()
    traces.exit_file.write_text("137")
    end = traces.end()
    assert end is not None and end.exit_code == 137
    assert abs(end.finished_at.timestamp() - before) < 3600
    assert traces.out_of_memory() is None
    traces.memory_files[0].touch()
    assert traces.out_of_memory() is True


@pytest.mark.parametrize("text", ["", "x", "12 "])
def test_an_exit_file_that_is_not_written_yet_is_none(monitor, text):
    traces = exits.traces_of(monitor / "pids", ID)
    assert traces is not None
    traces.exit_file.write_text(text)
    end = traces.end()
    assert (end and end.exit_code) == (12 if text.strip().isdigit() else None)


def test_another_process_of_that_number_is_no_monitor(monitor):
    other = "d" * 64
    (monitor / "pids" / ID).rename(monitor / "pids" / other)
    assert exits.traces_of(monitor / "pids", other) is None
    assert exits.traces_of(monitor / "nothing", ID) is None


@pytest.mark.parametrize(
    ("file", "text", "killed"),
    [
        ("memory.events", "low 0\noom 3\noom_kill 2\n", 2),
        ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", 1),
        ("memory.oom_control", "oom_kill_disable 0\n", None),
        ("memory.max", "max", None),
    ],
)
def test_a_control_group_counts_what_the_kernel_killed(tmp_path: Path, file, text, killed):
    (tmp_path / file).write_text(text)
    assert exits.killed_in(tmp_path) == killed
