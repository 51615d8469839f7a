"""What kubectl does inside containers, with real ones: exec, attach, cp, port-forward, run, debug, logs.

With three versions of kubectl where the machine has them: the oldest, the last that speaks SPDY by default, and the
newest, which speaks WebSocket.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import pty
import re
import select
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import PodmanStorage
from tests.support.kubectls import InNamespace, kubectls
from tests.support.serving import Serving, eventually

pytestmark = [pytest.mark.podman, pytest.mark.kubectl]

_NUMBERS = itertools.count(1)

PODS = """
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "trap exit TERM; while true; do sleep 1; done"]
  - {name: web, image: "nginx:1.14.2", imagePullPolicy: IfNotPresent, ports: [{containerPort: 80}]}
"""


def some_kubectls() -> list[object]:
    found = kubectls()
    spdy = [version for version in found if int(version.partition(".")[2]) < 30]
    chosen = dict.fromkeys([*list(found)[:1], *spdy[-1:], *list(found)[-1:]])
    return [pytest.param(found[version], id=version) for version in chosen] or ["kubectl"]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, podman_storage: PodmanStorage) -> Iterator[Serving]:
    server = Serving(
        tmp_path_factory.mktemp("containers"),
        environment=podman_storage.environment,
        options=["--pod-subnet", podman_storage.free_subnet()],
    )
    try:
        server.start()
        server.kubectl()("apply", "-f", "-", stdin=PODS)
        yield server
    finally:
        server.stop()
        server.run("down")


@pytest.fixture(params=some_kubectls())
def k(serving: Serving, request: pytest.FixtureRequest) -> InNamespace:
    found = InNamespace(serving.kubectl(request.param), "default")
    found._cache = serving.folder / f"cache-{found.minor}"
    found("wait", "pod/p", "--for=condition=Ready", "--timeout=60s")
    return found


def test_exec(k: InNamespace) -> None:
    done = k.run("exec", "p", "-c", "c", "--", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert done.stderr.startswith("err\n") and "command terminated with exit code 7" in done.stderr
    assert k("exec", "-i", "p", "-c", "c", "--", "cat", stdin="typed\n" * 1000) == "typed\n" * 1000
    data = os.urandom(3_000_000)
    digest = k("exec", "-i", "p", "-c", "c", "--", "sha256sum", stdin=data).split()[0]
    assert digest == hashlib.sha256(data).hexdigest(), "half-closed: it sees the end of its input"
    done = k.run("exec", "p", "-c", "c", "--", "no-such-program", check=False)
    assert done.returncode != 0 and "no-such-program" in done.stderr
    for _ in range(5):
        assert k("exec", "p", "-c", "c", "--", "echo", "again") == "again\n"


def test_a_terminal(k: InNamespace) -> None:
    leader, follower = pty.openpty()
    subprocess.run(["stty", "rows", "31", "cols", "97"], stdin=follower, check=True)
    process = subprocess.Popen(
        k.command("exec", "-it", "p", "-c", "c", "--", "sh"),
        stdin=follower, stdout=follower, stderr=follower, env=k.environment(), start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    seen = b""

    def until(words: bytes) -> bytes:
        nonlocal seen
        deadline = time.monotonic() + 20
        while words not in seen:
            assert select.select([leader], [], [], max(0, deadline - time.monotonic()))[0], seen
            seen += os.read(leader, 4096)
        found, seen = seen, b""
        return found

    try:
        until(b"# ")
        os.write(leader, b"echo mar''ker; tty\n")
        assert b"marker" in until(b"/dev/pts/")
        # the size follows the start, as it does with a kubelet
        os.write(leader, b"until stty size | grep '31 97'; do sleep 0.05; done; echo siz''ed\n")
        until(b"sized")
        os.write(leader, b"exit 5\n")
        assert process.wait(20) == 5
    finally:
        process.kill()
        process.wait()
        os.close(leader)


def test_copy(k: InNamespace, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    data = os.urandom(5_000_000)
    (source / "inner" / "data").write_bytes(data)
    (source / "empty").write_bytes(b"")
    there, back = f"/tmp/{k.minor}", tmp_path / "back"
    k("cp", str(source), f"p:{there}", "-c", "c")
    assert k("exec", "p", "-c", "c", "--", "sha256sum", f"{there}/inner/data").split()[0] == (
        hashlib.sha256(data).hexdigest()
    )
    k("cp", f"p:{there}", str(back), "-c", "c")
    assert (back / "inner" / "data").read_bytes() == data and (back / "empty").read_bytes() == b""


def test_port_forward(k: InNamespace) -> None:
    process = subprocess.Popen(
        k.command("port-forward", "pod/p", ":80"), stdout=subprocess.PIPE, text=True, env=k.environment()
    )
    try:
        assert process.stdout is not None
        found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> 80", process.stdout.readline())
        assert found
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/", timeout=10) as answer:
                assert answer.status == 200 and b"nginx" in answer.read()
    finally:
        process.kill()
        process.communicate()


def test_run_attach_and_logs(k: InNamespace) -> None:
    name = f"once-{k.minor}-{next(_NUMBERS)}"
    image = ("--image=busybox", "--image-pull-policy=IfNotPresent", "--restart=Never")
    text = k("run", name, "--rm", "-i", "--quiet", *image, "--", "cat", stdin="through\n")
    assert text.startswith("through\n")
    assert "not found" in k.fails("get", "pod", name)
    k("run", name, "--stdin", "--attach=false", *image, "--", "sh", "-c", "echo begun; cat; echo done")
    k("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")
    assert "typed\n" in k("attach", "-i", name, stdin="typed\n")
    eventually("its end", lambda: k("get", "pod", name, "-o", "jsonpath={.status.phase}") == "Succeeded")
    assert k("logs", name) == "begun\ntyped\ndone\n"
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z begun\n", k("logs", name, "--timestamps"))
    k("delete", "pod", name, "--grace-period=1")


def test_debug(k: InNamespace) -> None:
    k.needs(23, "debug with ephemeral containers")
    name = f"dbg-{k.minor}"
    k("debug", "p", "--image=busybox", "--image-pull-policy=IfNotPresent", "-c", name, "--target=web", "--",
      "sh", "-c", "ps; sleep 1")  # fmt: skip
    seen = eventually("the debugger has looked", lambda: k.run("logs", "p", "-c", name, check=False).stdout)
    assert "nginx" in seen, "it shares the target's processes"
