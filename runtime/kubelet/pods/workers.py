"""The pod workers of one kubelet: serial for each pod, parallel over pods.

``sync`` is level-triggered: it looks at the pod in the API and at the runtime, takes the steps that are due, and
reports the status last. A pod that is as it should be costs nothing: there is a task only while there is work.
Follows ``pkg/kubelet/{kubelet,pod_workers}.go`` (SyncPod, SyncTerminatingPod, SyncTerminatedPod).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from runtime.kubelet.pods.actions import Verdicts, compute_actions, sandbox_changed
from runtime.kubelet.pods.context import PodContext
from runtime.kubelet.pods.messages import termination_message
from runtime.kubelet.pods.policy import attempts_of, is_running, is_terminal, specs_of
from runtime.kubelet.pods.reporter import StatusReporter
from runtime.kubelet.pods.spec import definition_changed
from runtime.kubelet.pods.starter import NotYet, Starter
from runtime.kubelet.pods.state import PodState, version_of
from runtime.kubelet.pods.stopper import MINIMUM_GRACE, Stopper
from runtime.kubelet.status import StatusInput, ended, make_status
from runtime.kubelet.volumes.content import VolumeFailure
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
        self._reporter = StatusReporter(context.client, self._clock, self.wake)
        self._verdicts = Verdicts(
            context.probes.liveness_failed,
            context.probes.startup_failed,
            context.probes.started,
            definition_changed,
        )
        self._stopped = False
        self._background: set[asyncio.Task[None]] = set()
        self._waiting: set[PodState] = set()
        self._users: dict[tuple[str, str, str], set[PodState]] = {}
        self.states: dict[str, PodState] = {}

    # -- dispatch

    def update(self, pod: Obj) -> None:
        """A pod of this node is new or has changed."""
        uid = pod["metadata"]["uid"]
        state = self.states.get(uid)
        if state is None:
            state = self.states[uid] = PodState(uid, pod)
            self.wake(state)
            return
        if version_of(pod) <= version_of(state.pod):
            return  # our own write, come back
        before, state.pod = state.pod, pod
        if state.terminating:
            self._shorten(state, before["metadata"].get("deletionGracePeriodSeconds"))
        if _concerns_us(state, before["metadata"], pod):
            self.wake(state)

    def remove(self, uid: str) -> None:
        """The pod is no longer in the API (or no longer on this node)."""
        state = self.states.get(uid)
        if state is not None:
            state.gone = True
            self.wake(state)

    def wake_uid(self, uid: str) -> None:
        """Look at this pod again."""
        state = self.states.get(uid)
        if state is not None:
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
                    self._report(state)
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
            await self._purge(state)
        elif state.pod["metadata"].get("deletionTimestamp"):
            await self._terminate(state)
        elif state.done:
            return
        elif is_terminal(state.pod):
            await self._finish(state)
        else:
            await self._keep_running(state)

    async def _keep_running(self, state: PodState) -> None:
        self._check_deadline(state)
        for _ in range(_ROUNDS):
            sandbox = self._cache.get(state.uid)
            attempts = attempts_of(await self._containers(state, sandbox))
            state.note_attempts(attempts)
            if state.failed is not None:
                await self._end(state)
                return
            if sandbox is not None:
                self._watch(state, sandbox)
            actions = compute_actions(state.pod, sandbox, attempts, self._verdicts)
            if actions.nothing:
                break
            if actions.kill_pod and not actions.create_sandbox:
                await self._end(state)
                return
            if actions.kill_pod and sandbox is not None:
                self._context.say(
                    state,
                    "Normal",
                    "SandboxChanged",
                    "Pod sandbox changed, it will be killed and re-created.",
                )
                state.status = self._status(state)  # how everything ended, before it is removed
                await self._stopper.stop_all(state, sandbox.containers)
                await self._remove_sandbox(state, sandbox)
                continue
            for kill in actions.kill:
                await self._stopper.kill(state, kill)
            if actions.kill:
                await self._cache.refresh(state.uid)
                await self._containers(state, self._cache.get(state.uid))
            if not await self._start(
                state, actions.create_sandbox, actions.ephemeral, actions.inits, actions.containers
            ):
                break
            if not state.pod["spec"].get("initContainers"):
                break
        await self._prune(state)
        self._report(state)

    async def _start(
        self,
        state: PodState,
        create_sandbox: bool,
        ephemeral: Sequence[int],
        inits: Sequence[int],
        containers: Sequence[int],
    ) -> bool:
        """Start what is due; says whether it makes sense to look again at once."""
        spec = state.pod["spec"]
        slow = self._services.timers.call_later(
            self._context.options.creating_delay, lambda: self._report(state)
        )
        self._cache.set_busy(state.uid, True)
        state.waits_for_objects = False
        try:
            if state.volumes is None:
                await self._starter.set_up_volumes(state)
                self._use_objects(state)
                self._plan_renewal(state)
            if create_sandbox:
                if state.before and state.status is None:
                    state.status = self._status(state)  # what ran before is lost: say so
                await self._starter.make_sandbox(state)
            attempts = attempts_of(self._view(state, self._cache.get(state.uid)))
            for index in ephemeral:
                await self._starter.start(
                    state, "ephemeralContainers", spec["ephemeralContainers"][index], attempts
                )
            for index in inits:
                entry = spec["initContainers"][index]
                if not await self._starter.start(state, "initContainers", entry, attempts):
                    return False
            started = True
            for index in containers:
                entry = spec["containers"][index]
                started = await self._starter.start(state, "containers", entry, attempts) and started
            return started and bool(inits)
        finally:
            self._cache.set_busy(state.uid, False)
            slow.cancel()
            if state.waits_for_objects:
                self._waiting.add(state)
            else:
                self._waiting.discard(state)

    # -- what there is

    def _view(self, state: PodState, sandbox: Sandbox | None) -> list[Container]:
        """The runtime's containers as the planner sees them."""
        if sandbox is None:
            return []
        result: list[Container] = []
        for container in sandbox.containers:
            if container.state == "created":
                broken = state.broken.get(container.id)
                if broken is None:
                    continue
                when, message = broken
                container = replace(container, state="exited", exit_code=128, finished_at=when, error=message)
            result.append(container)
        return result

    async def _containers(self, state: PodState, sandbox: Sandbox | None) -> list[Container]:
        """The same, after removing what an earlier process made and did not live to start."""
        if sandbox is None:
            return []
        stray = [
            container
            for container in sandbox.containers
            if container.state == "created" and container.id not in state.broken
        ]
        for container in stray:
            await self._runtime.remove_container(container.id)
        if stray:
            gone = {container.id for container in stray}
            kept = tuple(entry for entry in sandbox.containers if entry.id not in gone)
            self._cache.put(state.uid, replace(sandbox, containers=kept))
        view = self._view(state, self._cache.get(state.uid))
        for container in view:
            if container.state == "exited" and container.id not in state.messages:
                self._context.probes.forget(container.id)
                state.messages[container.id] = termination_message(
                    state.pod, container, self._services.volumes
                )
        return view

    def _watch(self, state: PodState, sandbox: Sandbox) -> None:
        """Probe what runs: also what an earlier kubelet started."""
        running = {entry.name: entry for entry in sandbox.containers if is_running(entry)}
        if running:
            for field, spec in specs_of(state.pod):
                container = running.get(spec["name"])
                if container is not None and field != "ephemeralContainers":
                    self._starter.watch(state, field, spec, container)

    async def _prune(self, state: PodState) -> None:
        """Keep one ended attempt of each container beside the current one."""
        sandbox = self._cache.get(state.uid)
        if sandbox is None or len(sandbox.containers) < 3:
            return
        old = [
            container
            for entries in attempts_of(sandbox.containers).values()
            for container in entries[2:]
            if not is_running(container)
        ]
        for container in old:
            await self._runtime.remove_container(container.id)
            state.forget_container(container)
            self._services.volumes.remove_attempt(state.uid, container.name, container.attempt)
        if old:
            gone = {container.id for container in old}
            current = self._cache.get(state.uid)
            if current is not None:
                kept = tuple(entry for entry in current.containers if entry.id not in gone)
                self._cache.put(state.uid, replace(current, containers=kept))

    # -- status

    def _status(self, state: PodState, *, terminal: bool = False) -> Obj:
        sandbox = self._cache.get(state.uid)
        ips: Sequence[str] = ()
        if sandbox is not None:
            ips = sandbox.ips or ((sandbox.ip,) if sandbox.ip else ())
        return make_status(
            StatusInput(
                pod=state.pod,
                attempts=attempts_of(self._view(state, sandbox)),
                old=state.status or state.pod.get("status") or {},
                now=self._clock.now(),
                sandbox_ready=not sandbox_changed(state.pod, sandbox),
                pod_ips=ips,
                host_ips=self._context.host_ips,
                waiting=state.waiting,
                messages=state.messages,
                image_refs=self._services.images.refs,
                probes=self._context.probes,
                terminal=terminal,
                failed=state.failed,
            )
        )

    def _report(self, state: PodState, *, terminal: bool = False) -> None:
        if not state.gone:
            self._reporter.report(state, self._status(state, terminal=terminal))

    # -- deadlines and renewals

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
        elif state.deadline is None:
            state.deadline = self._services.timers.call_later(left, lambda: self._deadline_came(state))

    def _deadline_came(self, state: PodState) -> None:
        state.deadline = None
        self.wake(state)

    def _plan_renewal(self, state: PodState) -> None:
        if state.renewal is not None:
            state.renewal.cancel()
            state.renewal = None
        if state.volumes is not None and state.volumes.renew_at is not None:
            delay = (state.volumes.renew_at - self._clock.now()).total_seconds()
            state.renewal = self._services.timers.call_later(
                max(1.0, delay), lambda: self._spawn(self._refresh_files(state))
            )

    def object_changed(self, resource: str, namespace: str, name: str) -> None:
        """A ConfigMap, Secret or claim changed: bring files up to date, try again what waited for it."""
        for state in list(self._waiting):
            if not namespace or state.namespace == namespace:
                self.wake(state)
        for state in self._users.get((resource, namespace, name), ()):
            self._spawn(self._refresh_files(state))

    def _use_objects(self, state: PodState) -> None:
        """Note which objects the pod's files follow; none when it has no volumes any more."""
        for reference in state.references:
            users = self._users.get(reference)
            if users is not None:
                users.discard(state)
                if not users:
                    del self._users[reference]
        state.references = (
            {(resource, state.namespace, name) for resource, name in state.volumes.references}
            if state.volumes is not None
            else set()
        )
        for reference in state.references:
            self._users.setdefault(reference, set()).add(state)

    def labels_changed(self, pod: Obj) -> None:
        """Labels or annotations changed: downward API files follow."""
        state = self.states.get(pod["metadata"]["uid"])
        if state is not None and state.volumes is not None and state.volumes.downward:
            self._spawn(self._refresh_files(state))

    async def _refresh_files(self, state: PodState) -> None:
        if state.volumes is None or state.gone or state.done:
            return
        try:
            await self._services.volumes.refresh(
                state.pod, state.volumes, self._starter.content_context(state)
            )
        except VolumeFailure as failure:
            log.info("pod %s: %s", state.full_name, failure)
        except (StatusError, OSError) as error:
            log.warning("pod %s: files: %s", state.full_name, error)
        self._plan_renewal(state)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # -- the end

    def _shorten(self, state: PodState, before: int | None) -> None:
        after = state.pod["metadata"].get("deletionGracePeriodSeconds")
        if before is not None and after is not None and after < before:
            self._services.timers.call_later(
                max(MINIMUM_GRACE, float(after)), lambda: self._spawn(self._stopper.hurry(state))
            )

    async def _end(self, state: PodState) -> None:
        """The pod has had its run: stop what is left of it, then report and finish."""
        sandbox = self._cache.get(state.uid)
        if sandbox is not None:
            running = [entry for entry in sandbox.containers if is_running(entry)]
            if running:
                await self._stopper.stop_all(state, running)
                await self._cache.refresh(state.uid)
                await self._containers(state, self._cache.get(state.uid))
        await self._finish(state)

    async def _finish(self, state: PodState) -> None:
        """Report the end durably, then give back what the sandbox holds. Logs stay until the pod is deleted."""
        self._report(state, terminal=True)
        await self._reporter.flush(state)
        if state.gone:
            return
        sandbox = self._cache.get(state.uid)
        if sandbox is not None:
            if any(is_running(entry) for entry in sandbox.containers):
                await self._stopper.stop_all(state, sandbox.containers)
            await self._remove_sandbox(state, sandbox)
        self._forget_timers(state)
        state.done = True

    async def _terminate(self, state: PodState) -> None:
        """The pod is being deleted: stop it with its grace period, report, clean up, and let the API forget it."""
        state.terminating = True
        sandbox = self._cache.get(state.uid)
        if sandbox is not None and any(is_running(entry) for entry in sandbox.containers):
            await self._stopper.stop_all(state, sandbox.containers)
            if state.gone:
                state.dirty = True
                return
            await self._cache.refresh(state.uid)
        sandbox = self._cache.get(state.uid)
        if sandbox is not None:
            await self._containers(state, sandbox)
        status = self._status(state, terminal=True)
        self._reporter.report(state, ended(status))
        await self._reporter.flush(state)
        if sandbox is not None:
            await self._remove_sandbox(state, sandbox)
        await self._clean_up(state)
        if state.gone:
            state.dirty = True
            return
        try:
            await self._context.client.delete(
                "pods", state.name, state.namespace, uid=state.uid, grace_period_seconds=0
            )
        except StatusError as error:
            if error.code not in (404, 409):
                raise

    async def _purge(self, state: PodState) -> None:
        """The API no longer has the pod: whatever is left of it goes."""
        sandbox = self._cache.get(state.uid)
        if sandbox is not None:
            await self._stopper.stop_all(state, sandbox.containers, MINIMUM_GRACE)
            await self._remove_sandbox(state, sandbox)
        await self._clean_up(state)
        self._context.crashes.forget(state.uid)
        self._services.images.forget_pod(state.uid)
        self._services.objects.forget_pod(state.uid)
        self._context.probes.forget_pod(state.uid)
        self.states.pop(state.uid, None)

    async def remove_orphan(self, sandbox: Sandbox, grace: float) -> None:
        """Stop and remove a sandbox whose pod nobody knows any more."""
        log.info("pod %s/%s is gone: removing its sandbox", sandbox.namespace, sandbox.name)
        running = [entry for entry in sandbox.containers if is_running(entry)]
        await asyncio.gather(
            *(self._runtime.stop_container(entry.id, min(grace, _ORPHAN_GRACE)) for entry in running),
            return_exceptions=True,
        )
        await self._runtime.remove_sandbox(sandbox.id)
        self._cache.put(sandbox.uid, None)
        await self._services.volumes.clean_up(sandbox.uid)

    async def _remove_sandbox(self, state: PodState, sandbox: Sandbox) -> None:
        await self._runtime.remove_sandbox(sandbox.id)
        self._cache.put(state.uid, None)
        for container in sandbox.containers:
            self._context.probes.forget(container.id)
            state.forget_container(container)

    async def _clean_up(self, state: PodState) -> None:
        self._forget_timers(state)
        state.volumes = None
        self._use_objects(state)
        self._waiting.discard(state)
        await self._services.volumes.clean_up(state.uid)

    def _forget_timers(self, state: PodState) -> None:
        for timer in (state.retry, state.deadline, state.renewal):
            if timer is not None:
                timer.cancel()
        state.retry = state.deadline = state.renewal = None


def _concerns_us(state: PodState, before: Obj, pod: Obj) -> bool:
    """Whether a newer object is more than our own status, come back before the write was answered."""
    after = pod["metadata"]
    if before.get("generation") != after.get("generation") or "deletionTimestamp" in after:
        return True
    return state.status is None or _gist(pod.get("status") or {}) != _gist(state.status)


def _gist(status: Obj) -> tuple[Any, set[tuple[str, str]]]:
    return status.get("phase"), {(entry["type"], entry["status"]) for entry in status.get("conditions") or ()}
