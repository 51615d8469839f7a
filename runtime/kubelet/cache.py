"""What the container runtime is doing, kept current for all kubelets of this machine.

The part of upstream's PLEG: one list of everything now and then, hints from the event stream in between, and what
the pod workers know because they just did it. It is shared, so that ten nodes on one runtime cost one relist, not
ten. A pod whose record may be behind is *stale*; its worker reads it fresh before it decides anything.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import replace
from typing import Protocol

from runtime.objects.clock import Clock
from runtime.podman.interface import (
    ContainerRuntime,
    RuntimeEvent,
    RuntimeFailure,
    RuntimeUnavailable,
    Sandbox,
)

log = logging.getLogger(__name__)

RELIST_PERIOD = 15.0
RELIST_PERIOD_BROKEN = 1.0
RELIST_LIMIT = 20.0
"""A runtime that does not answer within this many seconds is down, even if something holds its socket open."""
RUNTIME_DOWN = "container runtime is down"

_OWN_DOING = frozenset(
    {
        "create", "init", "start", "started", "attach", "exec", "exec_create", "exec_start", "exec_died", "mount",
        "unmount", "cleanup", "rename", "update", "sync", "prune", "checkpoint", "restore", "health_status",
    }
)  # fmt: skip
"""Actions after which a container that is known to run still runs."""


class Listener(Protocol):
    """A kubelet, as the cache sees it."""

    def runtime_changed(self, uid: str) -> None:
        """Something happened to this pod's sandbox or containers."""
        ...

    def runtime_listed(self) -> None:
        """Everything was listed: the moment to look for orphans."""
        ...

    def runtime_health(self, healthy: bool) -> None:
        """The runtime went away or came back."""
        ...


def _differs(old: Sandbox | None, new: Sandbox) -> bool:
    if old is None or old.id != new.id or old.state != new.state or (new.ip and old.ip != new.ip):
        return True
    if len(old.containers) != len(new.containers):
        return True
    known = {container.id: container.state for container in old.containers}
    return any(known.get(container.id) != container.state for container in new.containers)


class RuntimeCache:
    """Sandboxes by pod uid. Reading is free; :meth:`refresh` asks the runtime about one pod."""

    def __init__(
        self, runtime: ContainerRuntime, clock: Clock, *, relist_period: float = RELIST_PERIOD
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._relist_period = relist_period
        self._sandboxes: dict[str, Sandbox] = {}
        self._touched: dict[str, int] = {}
        self._turn = 0
        self._stale: set[str] = set()
        self._asking: Counter[str] = Counter()
        self._busy: set[str] = set()
        self._listeners: list[Listener] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._events_broken = False
        self.companion: object | None = None
        """What the kubelets of this runtime share beside this cache; theirs to set."""
        self.healthy = True
        """Whether the runtime answered last time."""
        self.message = ""
        """Why it did not, when it did not."""
        self.listed = False
        """Whether everything was listed once: before that, a pod that is not known here may still run."""

    # -- life

    async def start(self) -> None:
        """List once and begin to follow."""
        await self.relist()
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._relisting(), name="kubelet-relist"),
            loop.create_task(self._following(), name="kubelet-runtime-events"),
        ]

    async def stop(self) -> None:
        """Stop following."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def subscribe(self, listener: Listener) -> None:
        """Tell this kubelet of changes from now on."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Listener) -> None:
        """Tell it no more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    # -- reading and writing

    def get(self, uid: str) -> Sandbox | None:
        """The pod's sandbox and containers as last known."""
        return self._sandboxes.get(uid)

    def all(self) -> list[Sandbox]:
        """Every sandbox known."""
        return list(self._sandboxes.values())

    def is_stale(self, uid: str) -> bool:
        """Whether something happened to the pod since its record was read."""
        return uid in self._stale

    def mark_stale(self, uid: str) -> None:
        """Make the next worker read the pod fresh."""
        self._stale.add(uid)

    def set_busy(self, uid: str, busy: bool) -> None:
        """While a worker is making or starting something, hints of just that are its own echo."""
        if busy:
            self._busy.add(uid)
        else:
            self._busy.discard(uid)

    def put(self, uid: str, sandbox: Sandbox | None) -> None:
        """What a worker knows because it did it; a relist that began before does not undo it."""
        self._touched[uid] = self._turn
        if sandbox is None:
            self._sandboxes.pop(uid, None)
            self._stale.discard(uid)
        else:
            self._sandboxes[uid] = sandbox

    async def refresh(self, uid: str) -> Sandbox | None:
        """Ask the runtime about one pod now.

        Raises:
            RuntimeUnavailable: nobody answers; the record stays stale.
        """
        self._stale.discard(uid)
        self._asking[uid] += 1
        try:
            sandbox = await self._runtime.sandbox(uid)
        except RuntimeUnavailable as failure:
            self._stale.add(uid)
            self.report_down(failure)
            raise
        except RuntimeFailure:
            self._stale.add(uid)
            raise
        finally:
            self._asking[uid] -= 1
            if not self._asking[uid]:
                del self._asking[uid]
        self.put(uid, sandbox)
        return sandbox

    def report_down(self, failure: RuntimeUnavailable) -> None:
        """A call failed because nobody answers: look every second until somebody does."""
        self._set_health(False, failure.message)
        self._wake.set()

    # -- following

    async def relist(self) -> None:
        """List everything and tell the listeners what is different."""
        self._turn += 1
        turn = self._turn
        try:
            listing = await self._list()
        except RuntimeUnavailable as failure:
            self._set_health(False, failure.message)
            return
        except RuntimeFailure as failure:
            log.warning("listing the runtime's pods: %s", failure.message)
            return
        best, doubles = _without_doubles(listing)
        for double in doubles:
            log.warning(
                "pod %s/%s has a second sandbox %s: removing it", double.namespace, double.name, double.id
            )
            try:
                await self._runtime.remove_sandbox(double.id)
            except RuntimeFailure as failure:
                log.warning("removing sandbox %s: %s", double.id, failure.message)
        changed = [
            uid
            for uid, sandbox in best.items()
            if self._touched.get(uid, 0) < turn and _differs(self._sandboxes.get(uid), sandbox)
        ]
        for uid in changed:
            self._sandboxes[uid] = best[uid]
            # A list may say less of an ended container than a look at it does.
            if any(container.state != "running" for container in best[uid].containers):
                self._stale.add(uid)
        gone = [uid for uid in self._sandboxes if uid not in best and self._touched.get(uid, 0) < turn]
        for uid in gone:
            del self._sandboxes[uid]
        self._touched.clear()
        self.listed = True
        self._set_health(True, "")
        for listener in list(self._listeners):
            for uid in (*changed, *gone):
                listener.runtime_changed(uid)
            listener.runtime_listed()

    async def _list(self) -> list[Sandbox]:
        asked = asyncio.ensure_future(self._runtime.sandboxes())
        alarm = asyncio.ensure_future(self._clock.sleep(RELIST_LIMIT))
        try:
            await asyncio.wait({asked, alarm}, return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                raise RuntimeUnavailable(f"no answer within {RELIST_LIMIT:g} s")
            return asked.result()
        finally:
            alarm.cancel()
            asked.cancel()

    async def _relisting(self) -> None:
        while True:
            period = self._relist_period if self.healthy and not self._events_broken else RELIST_PERIOD_BROKEN
            self._wake.clear()
            sleep = asyncio.ensure_future(self._clock.sleep(period))
            wake = asyncio.ensure_future(self._wake.wait())
            try:
                await asyncio.wait({sleep, wake}, return_when=asyncio.FIRST_COMPLETED)
                if wake.done() and not self.healthy:
                    await self._clock.sleep(RELIST_PERIOD_BROKEN)
            finally:
                sleep.cancel()
                wake.cancel()
            try:
                await self.relist()
            except Exception:
                log.exception("relist failed")

    async def _following(self) -> None:
        while True:
            try:
                async for event in self._runtime.events():
                    self._events_broken = False
                    if event.type == "lost":
                        self._wake.set()
                    else:
                        self._hint(event)
            except RuntimeFailure as failure:
                log.info("the runtime's events: %s", failure.message)
            except Exception:
                log.exception("the runtime's events")
            self._events_broken = True
            self._wake.set()
            await self._clock.sleep(RELIST_PERIOD_BROKEN)

    def _hint(self, event: RuntimeEvent) -> None:
        uid, container_id, action = event.sandbox_uid, event.container_id, event.action
        if not uid:
            uid = next(
                (
                    sandbox.uid
                    for sandbox in self._sandboxes.values()
                    if sandbox.id == container_id
                    or any(entry.id == container_id for entry in sandbox.containers)
                ),
                "",
            )
            if not uid:
                return
        if action in _OWN_DOING:
            if uid in self._busy:
                return
            sandbox = self._sandboxes.get(uid)
            if sandbox is not None and (
                not container_id
                or any(entry.id == container_id and entry.state == "running" for entry in sandbox.containers)
                or action not in ("start", "started")
            ):
                return
        if action != "died":
            self._stale.add(uid)
        elif self._is_told(uid, container_id):
            return
        elif not self._learn_end(uid, event):
            self._stale.add(uid)
        for listener in self._listeners:
            listener.runtime_changed(uid)

    def _is_told(self, uid: str, container_id: str) -> bool:
        """Whether a container's end is known: the kernel told it, and the event log says it again a while later."""
        sandbox = self._sandboxes.get(uid)
        if sandbox is None or uid in self._stale:
            return False
        return any(entry.id == container_id and entry.state == "exited" for entry in sandbox.containers)

    def _learn_end(self, uid: str, event: RuntimeEvent) -> bool:
        """Take a container's end from the event itself, where that tells everything; whether it did."""
        sandbox = self._sandboxes.get(uid)
        if sandbox is None or uid in self._stale or event.exit_code is None or event.finished_at is None:
            return False
        if uid in self._asking:
            return False  # the answer may be from before, and will replace the record
        code = event.exit_code
        entries = list(sandbox.containers)
        for place, entry in enumerate(entries):
            if entry.id == event.container_id and entry.state == "running":
                entries[place] = replace(
                    entry,
                    state="exited",
                    exit_code=code,
                    signal=code - 128 if 128 < code < 193 else 0,
                    finished_at=event.finished_at,
                    oom_killed=event.oom_killed,
                    pid=0,
                )
                self.put(uid, replace(sandbox, containers=tuple(entries)))
                return True
        return False

    def _set_health(self, healthy: bool, message: str) -> None:
        self.message = message
        if healthy == self.healthy:
            return
        self.healthy = healthy
        if healthy:
            log.info("the container runtime answers again")
        else:
            log.warning("%s: %s", RUNTIME_DOWN, message)
        for listener in list(self._listeners):
            listener.runtime_health(healthy)


def _without_doubles(listing: list[Sandbox]) -> tuple[dict[str, Sandbox], list[Sandbox]]:
    """One sandbox for each pod (the one with more running containers, then the older) and the ones too many."""

    def rank(sandbox: Sandbox) -> tuple[int, int, float]:
        running = sum(container.state == "running" for container in sandbox.containers)
        created = sandbox.created_at.timestamp() if sandbox.created_at else 0.0
        return (running, len(sandbox.containers), -created)

    best: dict[str, Sandbox] = {}
    doubles: list[Sandbox] = []
    for sandbox in listing:
        other = best.get(sandbox.uid)
        if other is None:
            best[sandbox.uid] = sandbox
        elif rank(sandbox) > rank(other):
            doubles.append(other)
            best[sandbox.uid] = sandbox
        else:
            doubles.append(sandbox)
    return best, doubles
