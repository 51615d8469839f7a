"""The pod workers of one kubelet: serial for each pod, parallel over pods.

``sync`` is level-triggered: it looks at the pod in the API and at the runtime, takes the steps that are due, and
reports the status last. A pod that is as it should be costs nothing: there is a task only while there is work.
Follows ``pkg/kubelet/{kubelet,pod_workers}.go`` (SyncPod, SyncTerminatingPod, SyncTerminatedPod).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Mapping, Set
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from runtime.kubelet.pods.actions import PodActions, Verdicts, compute_actions
from runtime.kubelet.pods.admission import Commitments, NodeRoom, needs_admission, refusal
from runtime.kubelet.pods.context import PodContext
from runtime.kubelet.pods.ending import Ender
from runtime.kubelet.pods.eviction import REASON as EVICTED
from runtime.kubelet.pods.eviction import exceeded, storage_limits
from runtime.kubelet.pods.files import FileKeeper
from runtime.kubelet.pods.observer import Observer
from runtime.kubelet.pods.policy import attempts_of, exit_restarts, is_running, is_terminal, specs_of
from runtime.kubelet.pods.reporter import StatusReporter
from runtime.kubelet.pods.resizing import Resizer
from runtime.kubelet.pods.restarting import Restarter
from runtime.kubelet.pods.spec import definition_changed
from runtime.kubelet.pods.starter import NotYet, Starter
from runtime.kubelet.pods.state import PodState, version_of
from runtime.kubelet.pods.stopper import MINIMUM_GRACE, Stopper
from runtime.objects.clock import parse_time
from runtime.objects.errors import Obj, StatusError
from runtime.podman.interface import Container, RuntimeFailure, RuntimeUnavailable, Sandbox

log = logging.getLogger(__name__)

_DEADLINE = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
_ORPHAN_GRACE = 30.0
_ROUNDS = 8


class PodWorkers:
    """Every pod of one node."""

    def __init__(self, context: PodContext) -> None:
        self._context = context
        self._services = context.services
        self._runtime = context.services.runtime
        self._cache = context.services.cache
        self._clock = context.services.clock
        self._stopper = Stopper(context)
        self._starter = Starter(context, self._stopper)
        self._starter.wake = self.wake  # type: ignore[method-assign]
        self._observer = Observer(context, StatusReporter(context.client, self._clock, self.wake))
        self.files = FileKeeper(context, self._starter.content_context, self.wake, self._spawn)
        self._taken = Commitments()
        self._ender = Ender(context, self._stopper, self._observer, self.files, self._taken)
        self._verdicts = Verdicts(
            context.probes.liveness_failed,
            context.probes.startup_failed,
            context.probes.started,
            partial(_changed, frozenset()),
        )
        self._restarter = Restarter(context, self._stopper, self._observer)
        self._resizer = Resizer(context, self._taken)
        self._stopped = False
        self._background: set[asyncio.Task[None]] = set()
        self.states: dict[str, PodState] = {}

    # -- dispatch

    def update(self, pod: Obj) -> None:
        """A pod of this node is new or has changed."""
        uid = pod["metadata"]["uid"]
        state = self.states.get(uid)
        if state is None:
            state = self.states[uid] = PodState(uid, pod)
            if not needs_admission(pod) and not is_terminal(pod):
                self._taken.take(uid, pod["spec"])
            self.wake(state)
            return
        if version_of(pod) <= version_of(state.pod):
            return  # our own write, come back
        before, state.pod = state.pod, pod
        if state.interruptible is not None and "deletionTimestamp" in pod["metadata"]:
            state.interruptible.cancel()
        if state.terminating:
            self._shorten(state, before["metadata"].get("deletionGracePeriodSeconds"))
        if _concerns_us(state, before["metadata"], pod):
            if state.written is not None and _gist(pod.get("status") or {}) != _gist(state.written):
                state.written = None  # somebody else wrote it, and what we know must be said again
            self.wake(state)

    def remove(self, uid: str) -> None:
        """The pod is no longer in the API (or no longer on this node)."""
        self._taken.release(uid)
        state = self.states.get(uid)
        if state is not None:
            state.gone = True
            if state.interruptible is not None:
                state.interruptible.cancel()
            self.wake(state)

    def wake_uid(self, uid: str) -> None:
        """Look at this pod again."""
        state = self.states.get(uid)
        if state is not None:
            self.wake(state)

    def verdict_changed(self, uid: str) -> None:
        """A probe has another answer than before."""
        state = self.states.get(uid)
        if state is None:
            return
        if state.stopping and state.terminating:
            self._observer.report(state)  # its worker waits for the end; who routes traffic must not
        else:
            self.wake(state)

    def wake_all(self) -> None:
        """Look at every pod again."""
        for state in list(self.states.values()):
            self.wake(state)

    def wake(self, state: PodState) -> None:
        """Look at this pod again."""
        state.dirty = True
        if state.task is None and not self._stopped:
            state.task = asyncio.get_running_loop().create_task(self._run(state), name="kubelet-pod")

    async def evict_what_is_too_large(self) -> None:
        """End the pods that hold more than their volumes may."""
        for state in list(self.states.values()):
            limits = storage_limits(state.pod)
            if limits is None or state.failed or state.done or state.volumes is None or state.terminating:
                continue
            logs = self._services.volumes.pod_dir(state.uid) / "logs"
            layers = await self._written(state) if limits.total else {}
            words = await asyncio.to_thread(exceeded, state.pod, limits, state.volumes.paths, logs, layers)
            if words and not state.failed:
                state.failed = (EVICTED, words)
                self._context.say(state, "Warning", EVICTED, words)
                self.wake(state)

    async def _written(self, state: PodState) -> dict[str, int]:
        """Container name → bytes in the root file systems of its attempts; empty when nobody answers."""
        sandbox = self._cache.get(state.uid)
        names = {one.id: one.name for one in sandbox.containers} if sandbox else {}
        found: dict[str, int] = {}
        with contextlib.suppress(RuntimeFailure):
            for container_id, size in (await self._runtime.written(list(names))).items():
                found[names[container_id]] = found.get(names[container_id], 0) + size
        return found

    def learn(self, allocatable: Mapping[str, float], memory: int, rootless: bool) -> None:
        """What machine this is became known late."""
        context = self._context
        context.allocatable, context.memory_capacity, context.rootless = allocatable, memory, rootless

    def labels_changed(self, pod: Obj) -> None:
        """Labels or annotations changed: downward API files follow."""
        state = self.states.get(pod["metadata"]["uid"])
        if state is not None:
            self.files.labels_changed(state)

    async def remove_orphan(self, sandbox: Sandbox, grace: float) -> None:
        """Stop and remove a sandbox whose pod nobody knows any more."""
        await self._ender.remove_orphan(sandbox, grace)

    async def stop(self) -> None:
        """Let go of every pod; containers go on running."""
        self._stopped = True
        tasks = [task for state in self.states.values() for task in (state.task, state.writer) if task]
        tasks.extend(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, state: PodState) -> None:
        try:
            while state.dirty and not self._stopped:
                state.dirty = False
                try:
                    await self._sync(state)
                except RuntimeUnavailable as failure:
                    self._cache.report_down(failure)
                    return  # woken when it answers again
                except NotYet as later:
                    self._observer.report(state)
                    self._retry(state, later.retry)
                except RuntimeFailure as failure:
                    log.warning("pod %s: %s", state.full_name, failure.message)
                    self._cache.mark_stale(state.uid)
                    self._retry(state, None)
                except StatusError as error:
                    log.warning("pod %s: %s", state.full_name, error.message)
                    self._retry(state, None)
                except Exception:
                    log.exception("pod %s", state.full_name)
                    self._retry(state, None)
        finally:
            state.task = None

    def _retry(self, state: PodState, seconds: float | None) -> None:
        self._starter.retry(state, self._context.options.retry_period if seconds is None else seconds)

    # -- one look at one pod

    async def _sync(self, state: PodState) -> None:
        uid = state.uid
        if not self._cache.healthy:
            return
        if self._cache.is_stale(uid):
            await self._cache.refresh(uid)
        if state.gone:
            await self._ender.purge(state)
            self.states.pop(uid, None)
        elif state.pod["metadata"].get("deletionTimestamp"):
            await self._ender.terminate(state)
        elif state.done:
            return
        elif is_terminal(state.pod):
            await self._ender.finish(state)
        elif self._taken.holds(uid) or not needs_admission(state.pod) or await self._admit(state):
            await self._keep_running(state)

    async def _admit(self, state: PodState) -> bool:
        """Take the pod or refuse it; what it needs of the node is its own from then on."""
        context, pod = self._context, state.pod
        labels: Mapping[str, str] = {}
        if pod["spec"].get("nodeSelector") or pod["spec"].get("affinity"):
            node = await context.client.get("nodes", context.node_name)
            labels = node["metadata"].get("labels") or {}
        room = NodeRoom(context.node_name, labels, context.allocatable, context.options.max_pods)
        refused = refusal(pod, self._taken, room)
        if refused is None:
            self._taken.take(state.uid, pod["spec"])
            return True
        await self._ender.refuse(state, refused)
        return False

    async def _keep_running(self, state: PodState) -> None:
        self._check_deadline(state)
        for _ in range(_ROUNDS):
            sandbox = self._cache.get(state.uid)
            attempts = attempts_of(await self._observer.containers(state, sandbox))
            state.note_attempts(attempts)
            if state.failed is not None:
                await self._ender.end(state)
                return
            if sandbox is not None:
                self._watch(state, sandbox)
            if await self._resizer.sync(state, attempts):
                self._starter.retry_soon(state)
            verdicts = self._verdicts
            if state.resize_restarts:
                verdicts = replace(verdicts, changed=partial(_changed, state.resize_restarts))
            actions = compute_actions(state.pod, sandbox, attempts, verdicts)
            if actions.nothing:
                break
            if actions.restart_all and sandbox is not None:
                if not self._starter.may_restart_all(state, actions.restart_all, attempts):
                    break
                await self._restarter.restart_all(state, sandbox, actions.restart_all)
                continue
            if actions.kill_pod and not actions.create_sandbox:
                await self._ender.end(state)
                return
            if actions.kill_pod and sandbox is not None:
                self._context.say(
                    state,
                    "Normal",
                    "SandboxChanged",
                    "Pod sandbox changed, it will be killed and re-created.",
                )
                state.status = self._observer.status(state)  # how everything ended, before it is removed
                await self._stopper.stop_all(state, sandbox.containers)
                await self._ender.remove_sandbox_of(state, sandbox)
                continue
            for kill in actions.kill:
                await self._stopper.kill(state, kill)
            if actions.kill:
                await self._cache.refresh(state.uid)
                await self._observer.containers(state, self._cache.get(state.uid))
            if not await self._start(state, actions):
                break
            if not state.pod["spec"].get("initContainers"):
                break
        await self._observer.prune(state)
        self._observer.report(state)

    async def _start(self, state: PodState, actions: PodActions) -> bool:
        """Start what is due; says whether it makes sense to look again at once."""
        spec = state.pod["spec"]
        slow = None
        if not _replaces_for_good(state.pod, actions):
            slow = self._services.timers.call_later(
                self._context.options.creating_delay, lambda: self._observer.report(state)
            )
        self._cache.set_busy(state.uid, True)
        state.waits_for_objects = False
        try:
            if state.volumes is None:
                await self._starter.set_up_volumes(state)
                self.files.follow(state)
            if actions.create_sandbox:
                if state.before and state.status is None:
                    state.status = self._observer.status(state)  # what ran before is lost: say so
                await self._starter.make_sandbox(state)
            attempts = attempts_of(self._observer.view(state, self._cache.get(state.uid)))
            for index in actions.ephemeral:
                await self._starter.start(
                    state, "ephemeralContainers", spec["ephemeralContainers"][index], attempts
                )
            for index in actions.inits:
                entry = spec["initContainers"][index]
                if not await self._starter.start(state, "initContainers", entry, attempts):
                    return False
            started = True
            for index in actions.containers:
                entry = spec["containers"][index]
                started = await self._starter.start(state, "containers", entry, attempts) and started
            return started and bool(actions.inits)
        finally:
            self._cache.set_busy(state.uid, False)
            if slow is not None:
                slow.cancel()
            self.files.note_waiting(state)

    def _watch(self, state: PodState, sandbox: Sandbox) -> None:
        """Probe what runs: also what an earlier kubelet started."""
        running = {entry.name: entry for entry in sandbox.containers if is_running(entry)}
        if running:
            for field, spec in specs_of(state.pod):
                container = running.get(spec["name"])
                if container is not None and field != "ephemeralContainers":
                    self._starter.watch(state, field, spec, container)

    # -- deadlines

    def _check_deadline(self, state: PodState) -> None:
        seconds = state.pod["spec"].get("activeDeadlineSeconds")
        if seconds is None or state.failed is not None:
            return
        status = state.status or state.pod.get("status") or {}
        started = parse_time(status["startTime"]) if status.get("startTime") else self._clock.now()
        left = (started + timedelta(seconds=seconds) - self._clock.now()).total_seconds()
        if left <= 0:
            state.failed = _DEADLINE
            self._context.say(state, "Normal", *_DEADLINE)
            return
        if state.deadline is not None:
            if abs(state.deadline.when - self._clock.monotonic() - left) < 1.0:
                return
            state.deadline.cancel()  # it was brought forward
        state.deadline = self._services.timers.call_later(left, lambda: self._deadline_came(state))

    def _deadline_came(self, state: PodState) -> None:
        state.deadline = None
        self.wake(state)

    def _shorten(self, state: PodState, before: int | None) -> None:
        after = state.pod["metadata"].get("deletionGracePeriodSeconds")
        if before is not None and after is not None and after < before:
            self._services.timers.call_later(
                max(MINIMUM_GRACE, float(after)), lambda: self._spawn(self._stopper.hurry(state))
            )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _replaces_for_good(pod: Obj, actions: PodActions) -> bool:
    """Whether a container was killed that gets a successor although its end alone would not have brought it one.

    What ended for good by its policy may not run again in the pod's status, so nothing is said between the two.
    """
    killed = {kill.container.name for kill in actions.kill}
    replaced = [
        entry for index in actions.containers if (entry := pod["spec"]["containers"][index])["name"] in killed
    ]
    return not all(exit_restarts(entry, pod["spec"], code) for entry in replaced for code in (0, 137))


def _changed(resize_restarts: Set[str], spec: Obj, container: Container) -> str:
    """What about a running container makes it necessary to replace it; empty when nothing does."""
    if definition_changed(spec, container):
        return "definition changed"
    return "resize requires restart" if container.id in resize_restarts else ""


def _concerns_us(state: PodState, before: Obj, pod: Obj) -> bool:
    """Whether a newer object is more than our own status, come back before the write was answered."""
    after = pod["metadata"]
    if before.get("generation") != after.get("generation") or "deletionTimestamp" in after:
        return True
    return state.status is None or _gist(pod.get("status") or {}) != _gist(state.status)


def _gist(status: Obj) -> tuple[Any, set[tuple[str, str]]]:
    return status.get("phase"), {(entry["type"], entry["status"]) for entry in status.get("conditions") or ()}
