"""Keeps pods' files up to date: ConfigMaps, Secrets, labels and tokens, as they change.

An index from objects to the pods that use them, so that a change costs nothing to those it does not concern.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from runtime.kubelet.pods.context import PodContext
from runtime.kubelet.pods.state import PodState
from runtime.kubelet.volumes.content import ContentContext, VolumeFailure
from runtime.objects.errors import StatusError

log = logging.getLogger(__name__)


class FileKeeper:
    """Files of one kubelet's pods.

    Args:
        context: the kubelet's.
        content: what volume contents may refer to.
        wake: look at a pod again.
        spawn: run something beside the pod's worker.
    """

    def __init__(
        self,
        context: PodContext,
        content: Callable[[PodState], ContentContext],
        wake: Callable[[PodState], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._services = context.services
        self._clock = context.services.clock
        self._content = content
        self._wake = wake
        self._spawn = spawn
        self._waiting: set[PodState] = set()
        self._users: dict[tuple[str, str, str], set[PodState]] = {}

    def follow(self, state: PodState) -> None:
        """The pod's volumes were just set up."""
        self._use_objects(state)
        self._plan_renewal(state)

    def note_waiting(self, state: PodState) -> None:
        """Remember whether the pod waits for an object to appear."""
        if state.waits_for_objects:
            self._waiting.add(state)
        else:
            self._waiting.discard(state)

    def forget(self, state: PodState) -> None:
        """The pod's volumes are gone."""
        state.volumes = None
        self._use_objects(state)
        self._waiting.discard(state)

    def _plan_renewal(self, state: PodState) -> None:
        if state.renewal is not None:
            state.renewal.cancel()
            state.renewal = None
        if state.volumes is not None and state.volumes.renew_at is not None:
            delay = (state.volumes.renew_at - self._clock.now()).total_seconds()
            state.renewal = self._services.timers.call_later(
                max(1.0, delay), lambda: self._spawn(self.refresh(state))
            )

    def object_changed(self, resource: str, namespace: str, name: str) -> None:
        """A ConfigMap, Secret or claim changed: bring files up to date, try again what waited for it."""
        for state in list(self._waiting):
            if not namespace or state.namespace == namespace:
                self._wake(state)
        for state in self._users.get((resource, namespace, name), ()):
            self._spawn(self.refresh(state))

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

    def labels_changed(self, state: PodState) -> None:
        """Labels or annotations changed: downward API files follow."""
        if state.volumes is not None and state.volumes.downward:
            self._spawn(self.refresh(state))

    async def refresh(self, state: PodState) -> None:
        """Bring the pod's files up to date; a failure is logged, the files stay as they are."""
        if state.volumes is None or state.gone or state.done:
            return
        try:
            await self._services.volumes.refresh(state.pod, state.volumes, self._content(state))
        except VolumeFailure as failure:
            log.info("pod %s: %s", state.full_name, failure)
        except (StatusError, OSError) as error:
            log.warning("pod %s: files: %s", state.full_name, error)
        self._plan_renewal(state)
