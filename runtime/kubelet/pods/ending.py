"""The end of a pod: stopping it, reporting it, giving back what it held.

Follows SyncTerminatingPod and SyncTerminatedPod in ``pkg/kubelet/kubelet.go``: the last status is durable before
anything that could tell it is removed, and the API forgets the pod last.
"""

from __future__ import annotations

import asyncio
import logging

from runtime.kubelet.pods.admission import Commitments, Refusal
from runtime.kubelet.pods.context import PodContext
from runtime.kubelet.pods.eviction import GRACE as EVICTION_GRACE
from runtime.kubelet.pods.eviction import REASON as EVICTED
from runtime.kubelet.pods.files import FileKeeper
from runtime.kubelet.pods.observer import Observer
from runtime.kubelet.pods.policy import is_running, is_terminal
from runtime.kubelet.pods.state import PodState
from runtime.kubelet.pods.stopper import MINIMUM_GRACE, Stopper
from runtime.kubelet.resources import qos_class
from runtime.kubelet.status import ended
from runtime.objects.clock import format_time
from runtime.objects.errors import StatusError
from runtime.podman.interface import Sandbox

log = logging.getLogger(__name__)

_ORPHAN_GRACE = 30.0


def _was_refused(state: PodState) -> bool:
    """Whether the pod failed before anything of it was made: there is nothing to add to its status."""
    return is_terminal(state.pod) and not state.pod["status"].get("containerStatuses")


class Ender:
    """Ends pods of one kubelet."""

    def __init__(
        self,
        context: PodContext,
        stopper: Stopper,
        observer: Observer,
        files: FileKeeper,
        taken: Commitments,
    ) -> None:
        self._context = context
        self._taken = taken
        self._services = context.services
        self._runtime = context.services.runtime
        self._cache = context.services.cache
        self._stopper = stopper
        self._observer = observer
        self._files = files

    async def end(self, state: PodState) -> None:
        """The pod has had its run: stop what is left of it, then report and finish."""
        sandbox = self._cache.get(state.uid)
        if sandbox is not None:
            running = [entry for entry in sandbox.containers if is_running(entry)]
            if running:
                evicted = state.failed is not None and state.failed[0] == EVICTED
                await self._stopper.stop_all(state, running, EVICTION_GRACE if evicted else None)
                await self._cache.refresh(state.uid)
                await self._observer.containers(state, self._cache.get(state.uid))
        await self.finish(state)

    async def refuse(self, state: PodState, refused: Refusal) -> None:
        """This node does not take the pod: it has failed, and nothing of it was ever made."""
        state.failed = refused.reason, refused.message
        self._context.say(state, "Warning", refused.reason, refused.message)
        status = state.pod.get("status") or {}
        self._observer.reporter.report(
            state,
            {
                **status,
                "observedGeneration": state.pod["metadata"].get("generation", 1),
                "phase": "Failed",
                "reason": refused.reason,
                "message": f"Pod was rejected: {refused.message}",
                "qosClass": status.get("qosClass") or qos_class(state.pod),
                "startTime": format_time(self._services.clock.now()),
            },
        )
        await self._observer.reporter.flush(state)
        state.done = True

    async def finish(self, state: PodState) -> None:
        """Report the end durably, then give back what the sandbox holds. Logs stay until the pod is deleted."""
        # Once the end is told, the scheduler may send somebody else to the place.
        self._taken.release(state.uid)
        if not _was_refused(state):
            await self._tell_end(state)
        if state.gone:
            return
        sandbox = self._cache.get(state.uid)
        if sandbox is not None:
            if any(is_running(entry) for entry in sandbox.containers):
                await self._stopper.stop_all(state, sandbox.containers)
            await self.remove_sandbox_of(state, sandbox)
        self._forget_timers(state)
        state.done = True

    async def terminate(self, state: PodState) -> None:
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
            await self._observer.containers(state, sandbox)
        self._taken.release(state.uid)
        if not _was_refused(state):
            await self._tell_end(state)
        if sandbox is not None:
            await self.remove_sandbox_of(state, sandbox)
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

    async def purge(self, state: PodState) -> None:
        """The API no longer has the pod: whatever is left of it goes."""
        sandbox = self._cache.get(state.uid)
        if sandbox is not None:
            await self._stopper.stop_all(state, sandbox.containers, MINIMUM_GRACE)
            await self.remove_sandbox_of(state, sandbox)
        await self._clean_up(state)
        self._context.crashes.forget(state.uid)
        self._services.images.forget_pod(state.uid)
        self._services.objects.forget_pod(state.uid)
        self._context.probes.forget_pod(state.uid)

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

    async def remove_sandbox_of(self, state: PodState, sandbox: Sandbox) -> None:
        """Remove a pod's sandbox and what was known of its containers."""
        await self._runtime.remove_sandbox(sandbox.id)
        self._cache.put(state.uid, None)
        for container in sandbox.containers:
            self._context.probes.forget(container.id)
            state.forget_container(container)

    async def _tell_end(self, state: PodState) -> None:
        """Have the pod's last status written."""
        if not state.gone:
            status = self._observer.status(state, terminal=True)
            self._observer.reporter.report(state, ended(state.pod, status))
        await self._observer.reporter.flush(state)

    async def _clean_up(self, state: PodState) -> None:
        self._forget_timers(state)
        self._files.forget(state)
        await self._services.volumes.clean_up(state.uid)

    def _forget_timers(self, state: PodState) -> None:
        for timer in (state.retry, state.deadline, state.renewal):
            if timer is not None:
                timer.cancel()
        state.retry = state.deadline = state.renewal = None
