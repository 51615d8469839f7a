"""Pods on Podman: a Deployment of 32, and a killed container, against bare requests and `podman kube play`.

All sides use one private storage, the same image, one network and the same small sandbox image, in turns.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import yaml

from manifests.images import build, local_podman
from manifests.images.recipes import busybox
from runtime.podman import spec
from runtime.podman.interface import ContainerSpec, SandboxSpec
from runtime.podman.pause import PAUSE_COMMAND, PAUSE_IMAGE
from runtime.podman.runtime import PodmanRuntime
from tests.e2e.conftest import PodmanStorage

from .live import DEPLOYMENTS, PODS, Live, Obj, live, roll_out
from .rows import Row
from .start_rows import compiled

REPLICAS = 32
PARALLEL = 4
ROUNDS = 3
KILLED = 9
IMAGE = "docker.io/library/busybox:1.36"
COMMAND = ["/bin/sleep", "100000"]
AFTER_DEATH = "after a death Podman's own clean-up process competes for the processor and for Podman's locks"
SLEEPER: Obj = {"name": "c", "image": IMAGE, "command": COMMAND, "imagePullPolicy": "IfNotPresent"}


@contextlib.contextmanager
def podman_environment(folder: Path) -> Iterator[dict[str, str] | None]:
    """What a server needs to use a private Podman storage, and a free ``subnet``; None where there is no Podman."""
    with private_podman() as storage:
        yield (
            None
            if storage is None
            else {
                "KUBETUI_PODMAN_ROOT": storage.environment["KUBETUI_PODMAN_ROOT"],
                "subnet": storage.free_subnet(),
            }
        )


@contextlib.contextmanager
def private_podman() -> Iterator[PodmanStorage | None]:
    """A storage with the image in it, removed afterwards."""
    if not shutil.which("podman"):
        print("Podman is not installed: its rows are left out", file=sys.stderr)
        yield None
        return
    storage = PodmanStorage(Path(tempfile.mkdtemp(prefix="ktb-")))
    try:
        build([busybox()], local_podman(storage.service.command(), storage.environment))
        yield storage
    finally:
        storage.destroy()


class Bare(http.client.HTTPConnection):
    """One kept connection to Podman's socket, and no more than what HTTP needs."""

    def __init__(self, path: str, version: str) -> None:
        super().__init__("podman")
        self._path = path
        self._prefix = f"/v{version}/libpod"

    def connect(self) -> None:
        """Open it."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)

    def post(self, path: str, body: Any = None) -> Any:
        """POST and the JSON answer."""
        self.request("POST", self._prefix + path, orjson.dumps(body) if body is not None else None)
        answer = self.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{path}: {text!r}")
        return orjson.loads(text) if text.strip() else None


class Floor:
    """The same pods by hand: create the pod, create the container, start it."""

    def __init__(self, runtime: PodmanRuntime, folder: Path) -> None:
        self._runtime = runtime
        self._folder = folder
        self._image = ""

    def connection(self) -> Bare:
        """A new connection."""
        return Bare(self._runtime.service.url.removeprefix("unix://"), self._runtime.service.version)

    async def prepare(self) -> None:
        """Learn the image's id, which the requests name."""
        image = await self._runtime.image(IMAGE)
        assert image is not None
        self._image = image.id

    def sandbox(self, api: Bare, number: int) -> tuple[str, dict[str, Any]]:
        """One pod without containers: its id and what was sent."""
        uid = f"{number:08d}-0000-0000-0000-{time.monotonic_ns() % 10**12:012d}"
        pod = SandboxSpec(uid, "default", f"floor-{number}", "floor", labels={"app": "floor"})
        address = self._runtime._pool.allocate()
        body = spec.pod_body(self._runtime.cluster_id, pod, address, self._runtime._infra_image)
        return api.post("/pods/create", body)["Id"], body

    def container(self, api: Bare, sandbox: str, body: dict[str, Any], attempt: int = 0) -> str:
        """One container in it, running; its id."""
        log = self._folder / f"{body['name']}.{attempt}.log"
        one = ContainerSpec("c", attempt, IMAGE, command=tuple(COMMAND), log_path=str(log))
        floor = self._runtime.service.machine.oom_score_adj
        made = api.post(
            "/containers/create", spec.container_body(sandbox, body["labels"], one, self._image, floor)
        )
        api.post(f"/containers/{made['Id']}/start")
        return str(made["Id"])

    def pods(self, count: int) -> float:
        """Seconds for so many pods, four at a time."""

        def one(number: int) -> None:
            api = self.connection()
            with contextlib.closing(api):
                sandbox, body = self.sandbox(api, number)
                self.container(api, sandbox, body)

        start = time.perf_counter()
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(one, range(count)))
        return time.perf_counter() - start

    def restarts(self, count: int, storage: PodmanStorage, *, kill: bool = False) -> float:
        """The median time to create and start one more container in a running pod.

        ``kill``: from the death of the first one, when Podman starts a process of its own to clean up after it.
        """
        taken = []
        api = self.connection()
        with contextlib.closing(api):
            for number in range(count):
                sandbox, body = self.sandbox(api, number)
                first = self.container(api, sandbox, body)
                pid = int(storage.run("inspect", "--format", "{{.State.Pid}}", first))
                start = time.perf_counter()
                if kill:
                    os.kill(pid, signal.SIGKILL)
                self.container(api, sandbox, body, 1)
                taken.append(time.perf_counter() - start)
        return statistics.median(taken)


def kube_play(storage: PodmanStorage, network: str, count: int) -> float:
    """Seconds of ``podman kube play`` for so many pods."""
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"play-{number}", "labels": {"app": "play"}},
            "spec": {"containers": [SLEEPER], "terminationGracePeriodSeconds": 0},
        }
        for number in range(count)
    ]
    # Podman's own sandbox image needs catatonit, which not every machine has; all sides use the same one.
    settings = Path(storage.environment["CONTAINERS_CONF"])
    sandbox = settings.with_name("play.conf")
    engine = f'[engine]\ninfra_image = "{PAUSE_IMAGE}"\ninfra_command = "{PAUSE_COMMAND}"'
    sandbox.write_text(settings.read_text().replace("[engine]", engine, 1))
    start = time.perf_counter()
    done = subprocess.run(
        storage.service.command("kube", "play", "--network", network, "-"),
        input=yaml.safe_dump_all(pods).encode(),
        env={**storage.environment, "CONTAINERS_CONF": str(sandbox)},
        check=False,
        capture_output=True,
    )
    if done.returncode:
        raise RuntimeError(f"podman kube play: {done.stderr.decode()}")
    return time.perf_counter() - start


async def successor(server: Live, storage: PodmanStorage, pod: Obj) -> float:
    """Seconds from the death of a pod's container to its successor running, by the pod's status."""
    name, version = pod["metadata"]["name"], pod["metadata"]["resourceVersion"]
    container = pod["status"]["containerStatuses"][0]["containerID"].partition("://")[2]
    pid = int(storage.run("inspect", "--format", "{{.State.Pid}}", container))
    began = 0.0

    def again(_: str, found: Obj) -> bool:
        status = found["status"]["containerStatuses"][0]
        return bool(status["restartCount"] == 1 and "running" in status["state"])

    path = f"{PODS}?watch=1&resourceVersion={version}&fieldSelector=metadata.name%3D{name}"
    async with contextlib.AsyncExitStack() as stack:
        answer = await stack.enter_async_context(server.session.get(path))
        assert answer.status == 200
        began = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        async for line in answer.content:
            if again("", orjson.loads(line)["object"]):
                return time.perf_counter() - began
    raise RuntimeError("the watch ended")


async def measure() -> list[Row]:
    with private_podman() as storage:
        if storage is None:
            return []
        with tempfile.TemporaryDirectory(prefix="kubetui-bench-", dir=".") as name:
            return await compare(storage, Path(name).absolute())


async def compare(storage: PodmanStorage, folder: Path) -> list[Row]:
    ours, bare, played, killed = [], [], [], []
    restart = after_death = 0.0
    os.environ["KUBETUI_PODMAN_ROOT"] = storage.environment["KUBETUI_PODMAN_ROOT"]
    runtime = PodmanRuntime("floor", storage.folder / "state", subnet=storage.free_subnet())
    await runtime.start()
    floor = Floor(runtime, folder)
    await floor.prepare()
    environment = {**compiled(folder), "KUBETUI_PODMAN_ROOT": os.environ["KUBETUI_PODMAN_ROOT"]}
    network = spec.network_name(runtime.cluster_id)
    try:
        kube_play(storage, network, 1)
        remove_pods(storage)
        async with live(
            folder / "serve", "--pod-subnet", storage.free_subnet(), environment=environment
        ) as server:
            await roll_out(server, "warm", 4, SLEEPER)
            await server.ask("DELETE", f"{DEPLOYMENTS}/warm")
            await server.until_none(PODS)
            for number in range(ROUNDS):
                bare.append(floor.pods(REPLICAS))
                remove_pods(storage)
                ours.append(await roll_out(server, f"web-{number}", REPLICAS, SLEEPER))
                if number == 0:
                    pods = (await server.ask("GET", PODS))["items"]
                    killed = [await successor(server, storage, pod) for pod in pods[:KILLED]]
                    # By hand beside the same pods: Podman's own costs grow with what it holds.
                    restart = floor.restarts(KILLED, storage)
                    remove_pods(storage)
                    after_death = floor.restarts(KILLED, storage, kill=True)
                    remove_pods(storage)
                await server.ask("DELETE", f"{DEPLOYMENTS}/web-{number}")
                await server.until_none(PODS)
                if number:  # the slowest side by far, and the steadiest
                    played.append(kube_play(storage, network, REPLICAS))
                    remove_pods(storage)
    finally:
        await runtime.close()
        del os.environ["KUBETUI_PODMAN_ROOT"]
    ready, by_hand, by_play = (statistics.median(times) for times in (ours, bare, played))
    again = statistics.median(killed)
    what = f"{REPLICAS} replicas applied → all Running and Ready"
    return [
        Row(what, ready, f"bare requests, {PARALLEL} in parallel", by_hand, "s", 1.25, note=spread(ours)),
        Row("… the same", ready, "podman kube play", by_play, "s", 0.65),
        Row("A killed container → its successor running", again, "bare create + start", restart, "s", 1.5),
        Row("… the same", again, "bare kill + create + start", after_death, "s", 1.5, note=AFTER_DEATH),
    ]


def spread(times: Sequence[float]) -> str:
    """All times, because the machine's noise shows in them."""
    return "rounds of " + ", ".join(f"{taken:.2f}" for taken in times) + " s"


def remove_pods(storage: PodmanStorage) -> None:
    """Everything that is not the server's."""
    for label in ("app=floor", "app=play"):
        found = storage.run("pod", "ls", "--quiet", "--no-trunc", "--filter", f"label={label}").split()
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(partial(storage.run, "pod", "rm", "--force", "--time", "0"), found))
