import asyncio
import time
from pathlib import Path

import pytest

from runtime.objects.clock import ManualClock
from runtime.podman.interface import (
    ContainerRuntime,
    ContainerSpec,
    ImageFailure,
    NoSuchItem,
    RuntimeFailure,
    SandboxSpec,
)
from runtime.podman.simulated import SimulatedRuntime


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def runtime(clock):
    runtime: ContainerRuntime = SimulatedRuntime(clock=clock)
    await runtime.start()
    yield runtime
    await runtime.close()


def pod(uid="u1", **more):
    return SandboxSpec(uid=uid, namespace="default", name=f"pod-{uid}", **more)


async def launch(runtime, spec=None, **more):
    more.setdefault("image", "nginx")
    await runtime.pull_image(more["image"])
    sandbox = await runtime.create_sandbox(spec or pod())
    container = await runtime.create_container(sandbox.id, ContainerSpec(name="c", attempt=0, **more))
    await runtime.start_container(container)
    return sandbox.id, container


async def state(runtime, uid="u1"):
    return (await runtime.sandbox(uid)).containers[0]


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_container_without_a_life_runs_for_ever_and_has_an_address(runtime, clock):
    await launch(runtime)
    await clock.advance(100_000)
    sandbox = await runtime.sandbox("u1")
    assert sandbox.state == "ready"
    assert sandbox.ip == "10.244.0.2"
    assert sandbox.containers[0].state == "running"


@pytest.mark.parametrize(
    ("image", "seconds", "code"), [("sim/exit:0", 0, 0), ("sim/exit:3", 0, 3), ("sim/run:5", 5, 0)]
)
async def test_the_image_can_say_how_a_container_ends(runtime, clock, image, seconds, code):
    await launch(runtime, image=image)
    if seconds:
        await settle()
        await clock.advance(seconds - 0.5)
        assert (await state(runtime)).state == "running"
        await clock.advance(0.5)
    ended = await state(runtime)
    assert (ended.state, ended.exit_code) == ("exited", code)
    assert (ended.finished_at - ended.started_at).total_seconds() == seconds


async def test_a_shell_command_is_played_second_by_second(runtime, clock):
    script = "touch /tmp/healthy; sleep 30; rm -f /tmp/healthy; sleep 600"
    _, container = await launch(runtime, command=("/bin/sh", "-c", script))
    await settle()
    assert (await runtime.exec_sync(container, ["cat", "/tmp/healthy"], 1)).exit_code == 0
    await clock.advance(31)
    failed = await runtime.exec_sync(container, ["cat", "/tmp/healthy"], 1)
    assert failed.exit_code == 1
    assert b"No such file" in failed.output
    await clock.advance(600)
    assert (await state(runtime)).exit_code == 0
    assert (await state(runtime)).state == "exited"


async def test_annotations_of_one_container_leave_the_others_alone(runtime, clock):
    spec = pod(
        annotations={
            "simulated.kubetui.io/run-seconds.c": "2",
            "simulated.kubetui.io/exit-code.c": "7",
            "simulated.kubetui.io/run-seconds.other": "1",
        }
    )
    await launch(runtime, spec)
    await settle()
    await clock.advance(1.5)
    assert (await state(runtime)).state == "running"
    await clock.advance(0.5)
    assert (await state(runtime)).exit_code == 7


async def test_logs_are_written_in_the_cri_format(runtime, clock, tmp_path: Path):
    log = tmp_path / "deep" / "0.log"
    script = "echo one; sleep 3; echo two >&2; exit 1"
    await launch(runtime, command=("sh", "-c", script), log_path=str(log))
    await settle()
    assert log.read_text().splitlines() == ["2026-01-01T00:00:00.000000000+00:00 stdout F one"]
    await clock.advance(3)
    lines = log.read_text().splitlines()
    assert lines[1:] == ["2026-01-01T00:00:03.000000000+00:00 stderr F two"]
    assert (await state(runtime)).exit_code == 1


async def test_events_tell_of_starts_and_ends(runtime, clock):
    events = runtime.events()
    waiting = asyncio.ensure_future(anext(events))
    await settle()
    _, container = await launch(runtime, image="sim/exit:4")
    first, second = await waiting, await anext(events)
    assert (first.action, first.container_id, first.sandbox_uid) == ("start", container, "u1")
    assert (second.action, second.exit_code) == ("died", 4)


async def test_stopping_waits_for_the_grace_period_of_a_deaf_container(runtime, clock):
    _, container = await launch(runtime, pod(annotations={"simulated.kubetui.io/ignore-term": "true"}))
    stopping = asyncio.ensure_future(runtime.stop_container(container, 10))
    await settle()
    await clock.advance(9)
    assert not stopping.done()
    await clock.advance(1)
    await stopping
    assert (await state(runtime)).exit_code == 137


async def test_pulls_fail_by_name(runtime):
    with pytest.raises(ImageFailure) as failure:
        await runtime.pull_image("nginx:no-such-tag")
    assert failure.value.reason == "ErrImagePull"
    with pytest.raises(ImageFailure) as failure:
        await runtime.pull_image("Bad Name::")
    assert failure.value.reason == "InvalidImageName"
    assert await runtime.image("nginx:1.25") is None
    image = await runtime.pull_image("nginx:1.25")
    assert await runtime.image("docker.io/library/nginx:1.25") == image


async def test_a_missing_image_and_a_failing_start_are_named(runtime):
    sandbox = await runtime.create_sandbox(pod())
    with pytest.raises(NoSuchItem, match="nginx"):
        await runtime.create_container(sandbox.id, ContainerSpec(name="c", attempt=0, image="nginx"))
    await runtime.pull_image("sim/fail:nope")
    container = await runtime.create_container(
        sandbox.id, ContainerSpec(name="c", attempt=0, image="sim/fail:nope")
    )
    with pytest.raises(RuntimeFailure, match="nope"):
        await runtime.start_container(container)


async def test_connections_answer_http_and_echo_and_refuse(runtime, clock):
    sandbox, _ = await launch(runtime, pod(annotations={"simulated.kubetui.io/ready-after": "5"}))
    with pytest.raises(RuntimeFailure, match="refused"):
        await runtime.connect(sandbox, 80)
    await clock.advance(5)
    http = await runtime.connect(sandbox, 80)
    await http.write(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = await http.read()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"pod-u1 nginx /x" in answer
    echo = await runtime.connect(sandbox, 7)
    await echo.write(b"\x00binary\xff")
    assert await echo.read() == b"\x00binary\xff"
    await echo.close_write()
    assert await echo.read() == b""


async def test_exec_sessions_have_input_output_and_exit_codes(runtime):
    _, container = await launch(runtime)
    flags = {"tty": False, "stdout": True, "stderr": True}
    session = await runtime.exec(container, ["sh", "-c", "echo hello; exit 3"], stdin=False, **flags)
    assert await session.read() == (1, b"hello\n")
    assert await session.read() is None
    assert await session.wait() == 3
    both = "echo out; echo more; echo err >&2; cat /none"
    session = await runtime.exec(container, ["sh", "-c", both], stdin=False, **flags)
    assert await session.read() == (1, b"out\nmore\n")
    assert await session.read() == (2, b"err\ncat: can't open '/none': No such file or directory\n")
    assert await session.wait() == 1
    shell = await runtime.exec(container, ["sh"], stdin=True, **flags)
    await shell.write(b"echo one\necho two >&2\nexit 4\n")
    assert [await shell.read(), await shell.read()] == [(1, b"one\n"), (2, b"two\n")]
    assert await shell.wait() == 4
    cat = await runtime.exec(container, ["cat"], stdin=True, **flags)
    await cat.write(b"abc")
    assert await cat.read() == (1, b"abc")
    await cat.close_stdin()
    assert await cat.read() is None
    assert await cat.wait() == 0


async def test_a_script_that_becomes_a_shell_is_one_with_a_terminal(runtime):
    _, container = await launch(runtime)
    script = "TERM=xterm; export TERM; exec $(command -v bash || command -v ash || echo sh)"
    flags = {"tty": True, "stdout": True, "stderr": False}
    shell = await runtime.exec(container, ["/bin/sh", "-c", script], stdin=True, **flags)
    await shell.write(b"ecx\x7fho hi\r")
    await shell.write(b"false\x03")
    await shell.write(b"\x04")
    seen = b""
    while (piece := await shell.read()) is not None:
        seen += piece[1]
    assert seen == b"/ # ecx\b \bho hi\r\nhi\r\n/ # false^C\r\n/ # "
    assert await shell.wait() == 0


async def test_restarting_starts_the_life_again(runtime, clock):
    _, container = await launch(runtime, image="sim/run:5")
    await settle()
    await clock.advance(5)
    await runtime.start_container(container)
    await settle()
    await clock.advance(4)
    assert (await state(runtime)).state == "running"
    await clock.advance(1)
    assert (await state(runtime)).state == "exited"


async def test_a_thousand_pods_cost_next_to_nothing(runtime):
    await runtime.pull_image("nginx")
    before = time.process_time()
    for number in range(1000):
        sandbox = await runtime.create_sandbox(pod(f"u{number}"))
        container = await runtime.create_container(
            sandbox.id, ContainerSpec(name="c", attempt=0, image="nginx")
        )
        await runtime.start_container(container)
        await runtime.sandbox(f"u{number}")
    assert time.process_time() - before < 0.3
    assert len({one.ip for one in await runtime.sandboxes()}) == 1000


# -- another process


@pytest.fixture
async def after_kill(clock, tmp_path):
    """A runtime with a record; called again, the one that another process would start after ``kill -9``."""
    made = []

    async def start():
        for before in made:
            await before.close()  # which writes nothing: what is on record is there all along
        runtime = SimulatedRuntime(clock=clock, record=tmp_path / "simulated.jsonl")
        await runtime.start()
        made.append(runtime)
        return runtime

    yield start
    for runtime in made:
        await runtime.close()


async def test_what_runs_is_found_as_it_was(after_kill, clock, tmp_path):
    first = await after_kill()
    log = tmp_path / "0.log"
    spec = pod(labels={"app": "x"}, annotations={"simulated.kubetui.io/cpu": "2"}, node="n1")
    sandbox, container = await launch(first, spec, env={"A": "1"}, log_path=str(log), memory_limit=64 << 20)
    await first.exec_sync(container, ["sh", "-c", "touch /tmp/healthy"], 5)
    await clock.advance(60)
    second = await after_kill()
    assert await second.sandboxes() == await first.sandboxes()
    assert await second.image("nginx") == await first.image("nginx")
    assert await second.stats() == await first.stats()
    assert (await second.exec_sync(container, ["cat", "/tmp/healthy"], 5)).exit_code == 0
    await second.stop_container(container, 5)
    assert (await state(second)).state == "exited"
    third = await after_kill()
    assert (await state(third)).exit_code == (await state(second)).exit_code == 0
    other = await third.create_sandbox(pod("u2"))
    assert other.ip != (await third.sandbox("u1")).ip
    assert other.id not in (sandbox, container)
    await third.remove_container(container)
    await third.remove_sandbox(sandbox)
    fourth = await after_kill()
    assert [one.uid for one in await fourth.sandboxes()] == ["u2"]


@pytest.mark.parametrize(("script", "code"), [("sleep 30; exit 0", 0), ("sleep 30; exit 3", 3)])
async def test_what_ends_while_nobody_looks_ends_when_it_would_have(after_kill, clock, script, code):
    first = await after_kill()
    await launch(first, command=("sh", "-c", script))
    started = (await state(first)).started_at
    await first.close()
    await clock.advance(100)
    found = await state(await after_kill())
    assert (found.state, found.exit_code) == ("exited", code)
    assert (found.finished_at - started).total_seconds() == 30


async def test_what_ends_later_ends_under_the_next_process(after_kill, clock):
    await launch(await after_kill(), command=("sh", "-c", "sleep 30; exit 4"))
    await clock.advance(10)
    second = await after_kill()
    await clock.advance(19)
    assert (await state(second)).state == "running"
    await clock.advance(2)
    assert (await state(second)).exit_code == 4


async def test_a_log_goes_on_without_gaps_or_repetitions(after_kill, clock, tmp_path):
    log, counted = tmp_path / "0.log", tmp_path / "1.log"
    first = await after_kill()
    script = "echo 1; sleep 5; echo 2; sleep 5; echo 3; sleep 5; echo 4; sleep 5"
    await launch(first, command=("sh", "-c", script), log_path=str(log))
    rate = {"simulated.kubetui.io/log-lines-per-second": "0.5"}
    await launch(first, pod("u2", annotations=rate), log_path=str(counted))
    for seconds in (6, 7, 30):
        await clock.advance(seconds)
        await settle()
        await after_kill()
    assert [line.split()[3] for line in log.read_text().splitlines()] == ["1", "2", "3", "4"]
    numbers = [line.split()[4] for line in counted.read_text().splitlines()]
    assert numbers == [str(number + 1) for number in range(len(numbers))]
    assert len(numbers) >= 21


async def test_a_damaged_record_costs_only_what_was_damaged(after_kill, tmp_path):
    await launch(await after_kill())
    path = tmp_path / "simulated.jsonl"
    with path.open("ab") as record:
        record.write(
            b'["odd"]\n{"container":"f","state":"running"}\n{"pod":"e"}\nnull\n\xff\n{"pod":"d","spec":{'
        )
    second = await after_kill()
    assert [one.uid for one in await second.sandboxes()] == ["u1"]
    assert (await state(second)).state == "running"


async def test_history_does_not_make_the_record_grow_for_ever(after_kill, monkeypatch, tmp_path):
    monkeypatch.setattr("runtime.podman.simulated_record._HISTORY", 50)
    runtime = await after_kill()
    for number in range(60):
        sandbox, _ = await launch(runtime, pod(f"u{number}"))
        await runtime.remove_sandbox(sandbox)
    await launch(runtime)
    assert len((tmp_path / "simulated.jsonl").read_text().splitlines()) < 100
    assert [one.uid for one in await (await after_kill()).sandboxes()] == ["u1"]
