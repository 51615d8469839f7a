"""A container runtime that runs nothing: the control plane at full size and speed, without containers.

Same interface as Podman's, kept in memory, driven by the injected clock and cheap enough for thousands of pods:
no task and no timer per container, one heap for all that is due. What a container does is data (see
``simulated_life``). The log is written in the CRI format to the container's ``log_path``, only when there is a
line to write. Ports answer: HTTP requests with the pod's name, everything else with its echo. Containers outlive the
program as real ones do: their lives follow from what is written down of them (see ``simulated_record``).
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from runtime.objects.clock import Clock, SystemClock

from . import scripts
from .addresses import AddressPool
from .interface import (
    Container,
    ContainerSpec,
    ContainerStats,
    ExecResult,
    Image,
    Limits,
    NoSuchItem,
    RuntimeEvent,
    RuntimeFailure,
    RuntimeInfo,
    Sandbox,
    SandboxSpec,
)
from .simulated_containers import Due, SimulatedContainer, SimulatedPod
from .simulated_images import SimulatedImages
from .simulated_record import Line, Record
from .simulated_streams import Printed, SimulatedConnection, SimulatedExec
from .subscribers import Subscribers


class SimulatedRuntime:
    """The simulated twin of ``PodmanRuntime``; all its methods run on one event loop."""

    def __init__(
        self,
        cluster_id: str = "simulated",
        clock: Clock | None = None,
        *,
        subnet: str = "10.244.0.0/16",
        cpus: int = 8,
        memory: int = 32 << 30,
        pull_seconds: float = 0.0,
        record: Path | None = None,
    ) -> None:
        """``record``: the file that lets another process go on with these containers; None forgets them."""
        self.cluster_id = cluster_id
        self._clock: Clock = clock or SystemClock()
        self._addresses = AddressPool(subnet)
        self._cpus = cpus
        self._memory = memory
        self._pull_seconds = pull_seconds
        self._pods: dict[str, SimulatedPod] = {}
        self._by_uid: dict[str, SimulatedPod] = {}
        self._containers: dict[str, SimulatedContainer] = {}
        self._images = SimulatedImages()
        self._record = Record(record)
        self._ids = itertools.count(1)
        self._due: list[Due] = []
        self._order = itertools.count()
        self._timer: asyncio.Task[None] | None = None
        self._timer_due = 0.0
        self._subscribers = Subscribers()

    async def start(self) -> None:
        """Go on with what an earlier process left."""
        if not self._record.kept or self._pods:
            return
        held = self._record.read()
        for name in held.images:
            self._images.pull(name)
        for line in held.pods.values():
            with contextlib.suppress(KeyError, TypeError, ValueError):
                pod = SimulatedPod.from_line(line)
                self._pods[pod.id] = self._by_uid[pod.spec.uid] = pod
                self._addresses.reserve(pod.ip)
        for line in held.containers.values():
            with contextlib.suppress(KeyError, TypeError, ValueError):
                one = SimulatedContainer.from_line(line, self._pods[line["pod"]])
                self._containers[one.id] = one.pod.containers[one.id] = one
        now, monotonic = self._clock.now(), self._clock.monotonic()
        for one in self._containers.values():
            one.resume(now, monotonic)
            if one.view.state == "running":
                self._follow(one)
        last = max((int(key, 16) for key in (*self._pods, *self._containers)), default=0)
        self._ids = itertools.count(last + 1)
        self._record.rewrite(self._lines())

    def _lines(self) -> Iterator[Line]:
        """Everything that is here, for the record."""
        yield from ({"image": name} for name in self._images.pulled())
        yield from (pod.line() for pod in self._pods.values())
        yield from (one.line() for one in self._containers.values())

    def _note(self, line: Line) -> None:
        """Write down what has just changed."""
        if not self._record.kept:
            return
        self._record.write(line)
        things = len(self._pods) + len(self._containers)
        if self._record.is_long(things):
            self._record.rewrite(self._lines())

    async def close(self) -> None:
        """Stop the timer; containers go on in the record, where there is one."""
        if self._timer is not None:
            self._timer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._timer
            self._timer = None
        self._record.close()

    async def info(self) -> RuntimeInfo:
        """A machine as large as the constructor said."""
        return RuntimeInfo(
            name="simulated",
            version="1.0.0",
            operating_system="linux",
            os_image="Simulated machine",
            kernel_version="6.0.0-simulated",
            architecture="amd64",
            cpus=self._cpus,
            memory=self._memory,
            cgroup_version="v2",
        )

    async def sandboxes(self) -> list[Sandbox]:
        """Every pod, as it is now."""
        return [pod.show() for pod in self._pods.values()]

    async def sandbox(self, uid: str) -> Sandbox | None:
        """One pod by its Kubernetes uid."""
        return None if (pod := self._by_uid.get(uid)) is None else pod.show()

    async def create_sandbox(self, spec: SandboxSpec) -> Sandbox:
        """Make a pod; one of the same uid is replaced."""
        if (old := self._by_uid.get(spec.uid)) is not None:
            await self.remove_sandbox(old.id)
        address = "" if spec.host_network else self._addresses.allocate()
        pod = SimulatedPod(f"{next(self._ids):064x}", spec, address, self._clock.now())
        self._pods[pod.id] = pod
        self._by_uid[spec.uid] = pod
        self._note(pod.line())
        return pod.show()

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """Remove a pod and what is in it; no error when it is gone."""
        pod = self._pods.get(sandbox_id)
        if pod is None:
            return
        self._forget(pod)
        self._note({"gone": sandbox_id})
        self._subscribers.publish(RuntimeEvent("sandbox", "remove", sandbox_uid=pod.spec.uid))

    def _forget(self, thing: SimulatedPod | SimulatedContainer | None) -> None:
        """Drop a container, or a pod with all that is in it."""
        if isinstance(thing, SimulatedContainer):
            thing.attempt_of_run += 1
            self._containers.pop(thing.id, None)
            thing.pod.containers.pop(thing.id, None)
            thing.pod.view = None
        elif thing is not None:
            self._pods.pop(thing.id, None)
            if self._by_uid.get(thing.spec.uid) is thing:
                del self._by_uid[thing.spec.uid]
            for one in list(thing.containers.values()):
                self._forget(one)
            if thing.ip:
                self._addresses.release(thing.ip)

    def break_sandbox(self, uid: str) -> None:
        """As if the pod's infra process had been killed: everything in it dies, and it is no longer ready."""
        pod = self._by_uid[uid]
        pod.alive = False
        self._note(pod.line())
        for one in pod.containers.values():
            self._end(one, 137, signal=9)
        pod.view = None
        self._subscribers.publish(RuntimeEvent("sandbox", "died", sandbox_uid=uid))

    async def create_container(self, sandbox_id: str, spec: ContainerSpec) -> str:
        """Make a container. NoSuchItem when the sandbox, or the image, is not there."""
        pod = self._pods.get(sandbox_id)
        if pod is None:
            raise NoSuchItem(f"no pod with id {sandbox_id} found: no such pod")
        image = self._images.local(spec.image)
        if image is None:
            raise NoSuchItem(f"{spec.image}: image not known", "ErrImageNeverPull")
        for other in pod.containers.values():
            if other.spec.name == spec.name and other.spec.attempt == spec.attempt:
                raise RuntimeFailure(
                    f"the container name {spec.name}.{spec.attempt} is already in use", code=409
                )
        container_id = f"{next(self._ids):064x}"
        one = SimulatedContainer.make(container_id, spec, pod, image.id, self._clock.now())
        self._containers[container_id] = one
        pod.containers[container_id] = one
        pod.view = None
        self._note(one.line())
        return container_id

    async def start_container(self, container_id: str) -> None:
        """Start it; RuntimeFailure when its life says that it can't be."""
        one = self._get(container_id)
        if one.view.state == "running":
            return
        if one.life.start_delay:
            await self._clock.sleep(one.life.start_delay)
        if one.life.start_error:
            message = (
                f"failed to create shim task: OCI runtime create failed: {one.life.start_error}: unknown"
            )
            raise RuntimeFailure(message, "RunContainerError", 128)
        one.started = self._clock.monotonic()
        one.attempt_of_run += 1
        one.printed = one.counted = 0
        if not one.pod.alive:
            one.pod.alive = True
            self._note(one.pod.line())
        self._show(
            one,
            replace(one.view, state="running", started_at=self._clock.now(), finished_at=None, exit_code=0),
        )
        self._subscribers.publish(RuntimeEvent("container", "start", one.id, one.pod.spec.uid))
        if one.life.run_seconds <= 0:
            self._print(one)
            self._end(one, one.life.exit_code)
        else:
            self._follow(one)

    def _follow(self, one: SimulatedContainer) -> None:
        """Have a running container print and end when it is due."""
        life = one.life
        if life.output or life.chatty or life.log_rate:
            self._print(one)
        if life.run_seconds != scripts.FOREVER:
            self._at(one.started + life.run_seconds, one, "end")

    async def stop_container(self, container_id: str, grace_seconds: float) -> None:
        """SIGTERM ends it at once, unless its life says that it ignores the signal."""
        one = self._containers.get(container_id)
        if one is None or one.view.state != "running":
            return
        run = one.attempt_of_run
        if one.life.ignore_term and grace_seconds > 0:
            await self._clock.sleep(grace_seconds)
            if one.attempt_of_run == run:
                self._end(one, 137, signal=9)
            return
        code, signal = (137, 9) if grace_seconds <= 0 else (143, 15)
        if one.spec.command is None and one.spec.args is None and signal == 15:
            code, signal = 0, 0  # a well-behaved server
        self._end(one, code, signal=signal)

    async def kill_container(self, container_id: str, signal: str) -> None:
        """SIGKILL and SIGTERM end it; other signals do nothing."""
        one = self._get(container_id)
        if one.view.state != "running":
            raise RuntimeFailure(
                f"can only kill running containers. {container_id} is in state {one.view.state}"
            )
        word = signal.upper().removeprefix("SIG")
        if word in ("KILL", "9"):
            self._end(one, 137, signal=9)
        elif word in ("TERM", "15") and not one.life.ignore_term:
            self._end(one, 143, signal=15)

    async def update_container(self, container_id: str, limits: Limits) -> None:
        """Its limits are a matter of words."""
        self._get(container_id)

    async def remove_container(self, container_id: str) -> None:
        """Remove it; no error when it is gone."""
        if (one := self._containers.get(container_id)) is not None:
            self._forget(one)
            self._note({"gone": container_id})

    def crash(self, container_id: str, exit_code: int = 1, *, oom_killed: bool = False) -> None:
        """As if the container's process had ended by itself, or by the kernel for want of memory."""
        one = self._get(container_id)
        one.view = replace(one.view, oom_killed=oom_killed)
        self._end(one, 137 if oom_killed else exit_code, signal=9 if oom_killed else 0)

    def _get(self, container_id: str) -> SimulatedContainer:
        if (one := self._containers.get(container_id)) is None:
            raise NoSuchItem(f"no container with ID {container_id} found: no such container")
        return one

    def _show(self, one: SimulatedContainer, view: Container) -> None:
        one.view = view
        one.pod.view = None
        self._note(one.changed())

    def _end(self, one: SimulatedContainer, code: int, *, signal: int = 0) -> None:
        if one.view.state != "running":
            return
        if one.life.chatty:
            self._print(one)
        one.attempt_of_run += 1
        self._show(
            one,
            replace(
                one.view, state="exited", finished_at=self._clock.now(), exit_code=code, signal=signal, pid=0
            ),
        )
        view = one.view
        ended = RuntimeEvent("container", "died", one.id, one.pod.spec.uid, code)
        if one.pod.alive:
            ended = replace(ended, finished_at=view.finished_at, oom_killed=view.oom_killed)
        self._subscribers.publish(ended)

    def _at(self, when: float, one: SimulatedContainer, what: Literal["end", "print"]) -> None:
        heapq.heappush(self._due, (when, next(self._order), one, one.attempt_of_run, what))
        if self._timer is None or self._timer.done() or when < self._timer_due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_due = when
            self._timer = asyncio.get_running_loop().create_task(self._run_due(), name="simulated containers")

    async def _run_due(self) -> None:
        while self._due:
            when = self._timer_due = self._due[0][0]
            await self._clock.sleep(when - self._clock.monotonic())
            now = self._clock.monotonic()
            while self._due and self._due[0][0] <= now + 1e-9:
                _, _, one, run, what = heapq.heappop(self._due)
                if one.attempt_of_run != run:
                    continue
                if what == "end":
                    self._end(one, one.life.exit_code)
                else:
                    self._print(one)

    def _print(self, one: SimulatedContainer) -> None:
        """Write the lines that are due to the log, and come back when more may be."""
        now = self._clock.monotonic()
        if one.print_due(now - one.started):
            self._at(now + 1.0, one, "print")

    async def image(self, name: str) -> Image | None:
        """An image that was pulled before (an invalid name is simply not there)."""
        return self._images.local(name)

    async def pull_image(self, name: str, credentials: Sequence[Mapping[str, Any]] = ()) -> Image:
        """Succeeds for every name but those that say that they are missing."""
        if self._pull_seconds:
            await self._clock.sleep(self._pull_seconds)
        image, new = self._images.pull(name)
        if new:
            self._note({"image": image.names[0]})
        return image

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Starts and ends, as they happen."""
        return self._subscribers.events()

    def _run(self, one: SimulatedContainer, command: Sequence[str]) -> tuple[Printed, int, float]:
        """Run a command inside: (what it prints where, exit code, seconds that it takes)."""
        files = one.current_files(self._clock.monotonic() - one.started)
        before = dict(files)
        pod = one.pod.spec
        result = scripts.play(
            command,
            env=one.spec.env,
            files=files,
            hostname=pod.hostname or pod.name,
            start=self._clock.now(),
        )
        for path in before.keys() | result.files.keys():
            if before.get(path) != result.files.get(path):
                one.files[path] = result.files.get(path)
        if result.files != before:
            self._note({"container": one.id, "files": one.files})
        printed = [
            (2 if index in result.errors else 1, f"{text}\n".encode())
            for index, (_, text) in enumerate(result.lines)
        ]
        return printed, result.exit_code, result.ends

    def _running(self, container_id: str) -> SimulatedContainer:
        one = self._get(container_id)
        if one.view.state != "running":
            raise RuntimeFailure(
                "can only create exec sessions on running containers: container state improper"
            )
        return one

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout: float) -> ExecResult:
        """Run a command of the small shell to its end."""
        printed, code, seconds = self._run(self._running(container_id), command)
        if seconds > timeout:
            await self._clock.sleep(timeout)
            raise TimeoutError(f"command {' '.join(command)!r} timed out after {timeout:g} s")
        if seconds:
            await self._clock.sleep(seconds)
        return ExecResult(code, b"".join(text for _, text in printed))

    async def exec(
        self, container_id: str, command: Sequence[str], *, tty: bool, stdin: bool, stdout: bool, stderr: bool
    ) -> SimulatedExec:
        """Run a command with its streams; ``sh`` without a script reads its lines from standard input."""
        one = self._running(container_id)

        return SimulatedExec(partial(self._run, one), tuple(command), self._clock, tty=tty, stdin=stdin)

    async def attach(
        self,
        container_id: str,
        *,
        tty: bool,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        keep_stdin: bool = False,
    ) -> SimulatedExec:
        """Join a container: what is typed comes back. Its own input is never ended by a client's."""
        one = self._running(container_id)

        return SimulatedExec(
            partial(self._run, one), ("sh",) if stdin and tty else ("cat",), self._clock, tty=tty, stdin=stdin
        )

    async def connect(
        self, sandbox_id: str, port: int, timeout: float = 5.0, *, host: str = ""
    ) -> SimulatedConnection:
        """A connection to the pod's little server. RuntimeFailure while nothing listens."""
        pod = self._pods.get(sandbox_id)
        if pod is None:
            raise NoSuchItem(f"no pod with id {sandbox_id} found: no such pod")
        now = self._clock.monotonic()
        for one in pod.containers.values():
            life = one.life
            if one.view.state == "running" and not life.closed and now - one.started >= life.ready_after:
                return SimulatedConnection(pod.spec.name, one.spec.image, life.http_status)
        raise RuntimeFailure(f"dial tcp {host or pod.ip or '127.0.0.1'}:{port}: connect: connection refused")

    async def stats(self) -> list[ContainerStats]:
        """Every running container uses what its annotations say."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        return [
            ContainerStats(
                container_id=one.id,
                time=now,
                cpu_nanoseconds=int((monotonic - one.started) * one.life.cpu * 1e9),
                memory=one.life.memory,
                memory_usage=one.life.memory,
                memory_rss=one.life.memory,
                memory_limit=one.spec.memory_limit,
                pids=1,
            )
            for one in self._containers.values()
            if one.view.state == "running"
        ]

    async def written(self, container_ids: Sequence[str]) -> dict[str, int]:
        """What their annotations say they wrote."""
        found = (self._containers.get(container_id) for container_id in container_ids)
        return {one.id: one.life.written for one in found if one is not None}

    async def remove_everything(self, volumes: bool = False) -> list[str]:
        """Forget every pod."""
        removed = [f"pod {pod.spec.namespace}/{pod.spec.name}" for pod in self._pods.values()]
        for sandbox_id in list(self._pods):
            await self.remove_sandbox(sandbox_id)
        return removed
