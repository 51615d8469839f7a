"""What Podman holds for one cluster: listings, what was learnt between them, and the ends of containers.

A listing tells almost everything; the rest (the exact instant, the kernel's reason) is looked up once for each end
of a container and kept. The kernel says when a process ends; Podman knows it a few milliseconds later, when conmon
has written the exit file, so an end is announced only then. Where that file is within reach, its few bytes say all
that an inspection would, and whoever starts a successor waits for no answer of Podman's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from . import exits, spec, state
from .interface import (
    Container,
    NoSuchItem,
    RuntimeEvent,
    RuntimeFailure,
    RuntimeUnavailable,
    Sandbox,
    SandboxSpec,
)
from .subscribers import Subscribers
from .transport import Transport

_SETTLE_SECONDS = 5.0
_EXIT_FILE_SECONDS = 0.5
_LOOK_SECONDS = 5.0
_POLL_SECONDS = 0.25
_KILLED = 137
"""The exit code of a container whose process got SIGKILL: from somebody, or from the kernel for want of memory."""


class Listing:
    """The pods of one cluster as Podman knows them."""

    def __init__(
        self, transport: Transport, cluster_id: str, pid_folder: Path | None, subscribers: Subscribers
    ) -> None:
        self._transport = transport
        self._cluster_id = cluster_id
        self._pid_folder = pid_folder
        self._subscribers = subscribers
        self._watcher = exits.ExitWatcher(self._process_ended)
        self._labels: dict[str, Mapping[str, str]] = {}
        """Sandbox id → its labels."""
        self._infra: dict[str, tuple[str, int]] = {}
        """Sandbox id → its infra container's id and pid."""
        self._owners: dict[str, str] = {}
        """Container id (infra ones too) → sandbox id."""
        self._ended: dict[str, Container] = {}
        """Containers as they ended, in full."""
        self._traces: dict[str, exits.Traces] = {}
        """Container id → where word of its end is left."""
        self._ends: dict[str, exits.End] = {}
        """Container id → what was found there."""
        self._settling: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        """Container id → who waits for its end."""
        self._made_since: set[str] = set()
        """Sandboxes made while a listing was on its way."""

    async def close(self) -> None:
        """Stop watching."""
        self._watcher.close()
        for task in list(self._settling.values()):
            task.cancel()
        await asyncio.gather(*self._settling.values(), return_exceptions=True)

    # -- what this program did itself --

    def made(
        self, sandbox_id: str, address: str, labels: Mapping[str, str], made: SandboxSpec, now: datetime
    ) -> Sandbox:
        """A pod was just made: known without asking."""
        self._labels[sandbox_id] = labels
        self._made_since.add(sandbox_id)
        return Sandbox(
            id=sandbox_id,
            uid=made.uid,
            namespace=made.namespace,
            name=made.name,
            node=made.node,
            state="ready",
            ip=address,
            ips=(address,) if address else (),
            created_at=now,
            labels=labels,
        )

    def belongs(self, container_id: str, sandbox_id: str) -> None:
        """A container was just made."""
        self._owners[container_id] = sandbox_id

    def started(self, container_id: str) -> None:
        """A container was just started: watch its process, whose number conmon wrote down."""
        self._ended.pop(container_id, None)
        self._ends.pop(container_id, None)
        self._watcher.forget(container_id)
        if self._pid_folder is None:
            return
        if not self._watch(container_id, self._pid(container_id)):
            self._process_ended(container_id)  # it may have ended already

    def sandbox_started(self, uid: str, infra_id: str) -> None:
        """Podman started a pod's infra container, with the first other one: watch that too."""
        sandbox_id = next((key for key in self._labels if self.uid_of(key) == uid), "")
        pid = self._pid(infra_id)
        if sandbox_id and pid and self._infra.get(sandbox_id, ("", 0))[1] != pid:
            self._owners[infra_id] = sandbox_id
            self._infra[sandbox_id] = (infra_id, pid)
            self._watch(infra_id, pid)

    def _pid(self, container_id: str) -> int:
        if self._pid_folder is None:
            return 0
        return exits.read_pid(self._pid_folder / container_id / "userdata" / "pidfile")

    def _watch(self, container_id: str, pid: int) -> bool:
        """Have the kernel say when it ends, and know where to read how."""
        if self._watcher.watching(container_id):
            return True
        if self._pid_folder is not None:
            traces = exits.traces_of(self._pid_folder, container_id)
            if traces is not None:
                self._traces[container_id] = traces
        return self._watcher.watch(container_id, pid)

    def removed(self, sandbox_id: str) -> str:
        """A pod was just removed: forget it; returns its address."""
        labels = self._labels.pop(sandbox_id, {})
        self._infra.pop(sandbox_id, None)
        self._made_since.discard(sandbox_id)
        for container_id in self._members(sandbox_id):
            self.forget(container_id)
        exits.sweep_control_groups(sandbox_id)
        return labels.get(spec.POD_IP, "")

    def forget(self, container_id: str) -> None:
        """A container was just removed."""
        self._tell(container_id)
        self._watcher.forget(container_id)
        for known in (self._owners, self._ended, self._ends, self._traces):
            known.pop(container_id, None)

    # -- questions without a call --

    def uid_of(self, sandbox_id: str) -> str:
        """The Kubernetes uid of a sandbox, empty when it is not known."""
        return self._labels.get(sandbox_id, {}).get(spec.POD_UID, "")

    def sandbox_of(self, container_id: str) -> str:
        """The sandbox of a container, empty when it is not known."""
        return self._owners.get(container_id, "")

    def prepare_removal(self, sandbox_id: str) -> None:
        """A pod is about to be removed: clear out of the way what would hold that up."""
        infra_id, pid = self._infra.get(sandbox_id, ("", 0))
        if not pid and self._pid_folder is not None:
            pid = next((pid for key in self._members(sandbox_id) if (pid := self._pid(key))), 0)
            infra_id = ""
        if pid and (not infra_id or exits.belongs_to(pid, infra_id)):
            exits.kill_exec_monitors(pid)

    def _members(self, sandbox_id: str) -> list[str]:
        return [container_id for container_id, owner in self._owners.items() if owner == sandbox_id]

    # -- questions to Podman --

    async def labels_of(self, sandbox_id: str) -> Mapping[str, str]:
        """A sandbox's labels. NoSuchItem when there is no such pod."""
        labels = self._labels.get(sandbox_id)
        if labels is None:
            found = await self._transport.get(f"/pods/{sandbox_id}/json")
            labels = self._labels[sandbox_id] = found.get("Labels") or {}
        return labels

    async def infra_pid(self, sandbox_id: str) -> int:
        """The process that holds the pod's network, 0 when none runs."""
        infra_id, pid = self._infra.get(sandbox_id, ("", 0))
        if pid and exits.belongs_to(pid, infra_id):
            return pid
        if not infra_id:
            pod = await self._transport.get(f"/pods/{sandbox_id}/json")
            infra_id = str(pod.get("InfraContainerID") or "")
        found = state.inspected_container(await self._transport.get(f"/containers/{infra_id}/json"))
        self._infra[sandbox_id] = (infra_id, found.pid)
        return found.pid

    async def all(self) -> tuple[list[Sandbox], list[str]]:
        """Every pod of the cluster, and the addresses of those that vanished behind our back."""
        before = set(self._labels)
        self._made_since.clear()
        await self._settled(None)
        label = {"label": [f"{spec.CLUSTER}={self._cluster_id}"]}
        containers, pods = await asyncio.gather(
            self._transport.get("/containers/json", {"all": True, "filters": label}),
            self._transport.get("/pods/json", {"filters": label}),
        )
        found = await self._put_together(containers or [], pods or [])
        present = {one.id for one in found}
        vanished = [self.removed(gone) for gone in before - present - self._made_since]
        return found, [address for address in vanished if address]

    async def one(self, uid: str) -> Sandbox | None:
        """One pod by its Kubernetes uid; of several (a half-removed one) the one that is ready, or the newest."""
        await self._settled(uid)
        labels = [f"{spec.CLUSTER}={self._cluster_id}", f"{spec.POD_UID}={uid}"]
        containers = await self._transport.get(
            "/containers/json", {"all": True, "filters": {"label": labels}}
        )
        found = await self._put_together(containers or [], [])
        found.sort(
            key=lambda one: (one.state == "ready", one.created_at.timestamp() if one.created_at else 0.0)
        )
        return found[-1] if found else None

    async def _put_together(
        self, containers: list[dict[str, Any]], pods: list[dict[str, Any]]
    ) -> list[Sandbox]:
        unknown = []
        late: dict[str, Container] = {}
        for item in containers:
            container_id, sandbox_id = str(item["Id"]), str(item.get("Pod") or "")
            self._owners[container_id] = sandbox_id
            one = state.listed_container(item)
            end = self._ends.get(container_id)
            if one.state == "running" and end is not None and not exits.belongs_to(one.pid, container_id):
                # Podman 5 learns of an end from its own clean-up process, which may take its time.
                late[container_id] = state.as_ended_late(one, end)
            elif one.state == "running":
                self._ended.pop(container_id, None)
                self._ends.pop(container_id, None)
                self._watch(container_id, one.pid)
            elif one.state == "exited" and not item.get("IsInfra"):
                known = self._ended.get(container_id)
                if known is None or not state.same_run(one, known):
                    read = self._ends.get(container_id)
                    known = None if read is None else state.as_it_ended(one, read)
                    if known is not None and state.same_run(one, known):
                        self._ended[container_id] = known
                    else:
                        unknown.append(container_id)
        if unknown:
            await asyncio.gather(*(self._inspect(container_id) for container_id in unknown))
        found, infra = state.sandboxes(containers, pods, self._ended, late)
        for one_sandbox in found:
            self._labels[one_sandbox.id] = one_sandbox.labels
        self._infra.update(infra)
        return found

    async def _inspect(self, container_id: str) -> Container | None:
        """Look at one container; one that has ended is remembered, with the kernel's word on memory."""
        try:
            found = state.inspected_container(await self._transport.get(f"/containers/{container_id}/json"))
        except NoSuchItem:
            return None
        if found.state == "exited":
            if found.exit_code == _KILLED and not found.oom_killed:
                loop = asyncio.get_running_loop()
                if await loop.run_in_executor(None, exits.kernel_says_out_of_memory, container_id):
                    found = state.as_out_of_memory(found)
            self._ended[container_id] = found
        return found

    # -- ends --

    async def wait_ended(self, container_id: str) -> None:
        """Return when Podman knows that the container has ended, or knows it no more."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(container_id, set()).add(future)
        try:
            while True:
                watched = self._watcher.watching(container_id) or container_id in self._settling
                # Even who is told looks now and then: what is told may be lost with the service.
                await asyncio.wait({future}, timeout=_LOOK_SECONDS if watched else _POLL_SECONDS)
                if future.done():
                    return
                found = await self._inspect(container_id)
                if found is None or found.state not in ("running", "paused"):
                    return
        finally:
            waiting = self._waiting.get(container_id, set())
            waiting.discard(future)
            if not waiting:
                self._waiting.pop(container_id, None)

    def _tell(self, container_id: str) -> None:
        for future in self._waiting.get(container_id, ()):
            if not future.done():
                future.set_result(None)

    def _process_ended(self, container_id: str) -> None:
        if container_id not in self._settling and container_id in self._owners:
            task = asyncio.get_running_loop().create_task(self._settle(container_id))
            self._settling[container_id] = task

    async def _settle(self, container_id: str) -> None:
        """Wait until Podman has noticed the end too, or will when it is asked, then tell."""
        try:
            end = await self._read_end(container_id)
            if end is None:
                await self._ask_about_end(container_id)
                return
            if container_id in self._owners:
                self._ends[container_id] = end
            self._tell(container_id)
            self._publish_end(container_id, end.exit_code, end)
        finally:
            self._settling.pop(container_id, None)

    async def _read_end(self, container_id: str) -> exits.End | None:
        """What the monitor writes of the end; None when that is out of reach or does not come."""
        traces = self._traces.get(container_id)
        if traces is None or self._watcher.watching(container_id):
            return None
        loop = asyncio.get_running_loop()
        deadline, delay = loop.time() + _EXIT_FILE_SECONDS, 0.001
        while (end := traces.end()) is None:
            if loop.time() > deadline or container_id not in self._owners:
                return None  # it was removed meanwhile, and the file with it
            await asyncio.sleep(delay)
            delay = min(delay * 1.5, 0.05)
        if end.exit_code != _KILLED:
            return end
        killed = traces.out_of_memory()
        if killed is None:
            killed = await loop.run_in_executor(None, exits.kernel_says_out_of_memory, container_id)
        return exits.End(end.exit_code, end.finished_at, killed)

    async def _ask_about_end(self, container_id: str) -> None:
        loop = asyncio.get_running_loop()
        deadline, delay = loop.time() + _SETTLE_SECONDS, 0.01
        found: Container | None = None
        while loop.time() < deadline:
            try:
                found = await self._inspect(container_id)
            except RuntimeUnavailable:
                return
            except RuntimeFailure:
                found = None
            if found is None or found.state != "running":
                break
            if self._watch(container_id, found.pid):
                return  # it runs after all
            await asyncio.sleep(delay)
            delay = min(delay * 1.5, 0.1)
        if found is None or found.state != "running":
            self._tell(container_id)
        self._publish_end(
            container_id, found.exit_code if found is not None and found.state == "exited" else None
        )

    def _publish_end(self, container_id: str, code: int | None, end: exits.End | None = None) -> None:
        sandbox_id = self._owners.get(container_id, "")
        infra_id = self._infra.get(sandbox_id, ("",))[0]
        # Without its infra container a pod is no more what it was: whoever hears of this must look at all of it.
        whole = end is not None and infra_id != container_id and self._watcher.watching(infra_id)
        self._subscribers.publish(
            RuntimeEvent(
                "sandbox" if infra_id == container_id else "container",
                "died",
                container_id,
                self.uid_of(sandbox_id),
                code,
                end.finished_at if end is not None and whole else None,
                end is not None and end.oom_killed,
            )
        )

    async def _settled(self, uid: str | None) -> None:
        """Wait for ends that are being looked at, so that no listing shows a dead container as running."""
        waiting = [
            task
            for container_id, task in self._settling.items()
            if uid is None or self.uid_of(self._owners.get(container_id, "")) == uid
        ]
        if waiting:
            await asyncio.wait(waiting, timeout=_SETTLE_SECONDS)
