"""Writes pods' status to the API: the newest one, once, without holding up the pod's worker.

Upstream's status manager. A status that was overtaken while the last was on its way to the disk is never written, so
a pod that starts at once costs one write. A conflict means that somebody else changed the pod: it is read again and
the status made anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from runtime.kubelet.pods.state import PodState, version_of
from runtime.kubelet.ports import APIClient
from runtime.kubelet.status import OWN_CONDITIONS
from runtime.objects.clock import Clock
from runtime.objects.errors import Obj, StatusError

log = logging.getLogger(__name__)

_RETRY = 1.0
_RETRY_MAX = 30.0


def without_nulls(value: Any) -> Any:
    """The same JSON without null members: what a server may have left out of what it was sent."""
    if isinstance(value, dict):
        return {key: without_nulls(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, list):
        return [without_nulls(entry) for entry in value]
    return value


class StatusReporter:
    """Status writes of one kubelet.

    Args:
        client: as the node.
        clock: for waits between retries.
        wake: called when a pod must be looked at again because its object had changed.
    """

    def __init__(self, client: APIClient, clock: Clock, wake: Callable[[PodState], None]) -> None:
        self._client = client
        self._clock = clock
        self._wake = wake

    def report(self, state: PodState, status: Obj) -> None:
        """Make ``status`` the pod's, soon."""
        state.status = status
        found_running = state.written is None and bool(state.before)
        if found_running and without_nulls(state.pod.get("status")) == without_nulls(status):
            state.written = status  # an earlier kubelet wrote just this
        if state.writer is None and status != state.written and not state.gone:
            state.writer = asyncio.get_running_loop().create_task(self._write(state), name="kubelet-status")

    async def flush(self, state: PodState) -> None:
        """Wait until the API has the newest status (or the pod is gone)."""
        while state.writer is not None:
            await asyncio.shield(state.writer)

    async def _write(self, state: PodState) -> None:
        delay = _RETRY
        try:
            while not state.gone and state.status is not None and state.status != state.written:
                want = state.status
                try:
                    stored = await self._client.update_status({**state.pod, "status": want})
                except StatusError as error:
                    if error.code == 404:
                        return
                    if error.code == 409:
                        if not await self._read_again(state):
                            return
                        continue
                    log.warning("status of pod %s: %s", state.full_name, error.message)
                    await self._clock.sleep(delay)
                    delay = min(delay * 2, _RETRY_MAX)
                    continue
                state.written = want
                if version_of(stored) > version_of(state.pod):
                    state.pod = stored
        finally:
            state.writer = None

    async def _read_again(self, state: PodState) -> bool:
        """Fetch the pod after a conflict; False when there is nothing left to report on."""
        try:
            fresh = await self._client.get("pods", state.name, state.namespace)
        except StatusError as error:
            if error.code != 404:
                log.warning("pod %s: %s", state.full_name, error.message)
                await self._clock.sleep(_RETRY)
                return True
            return False
        if fresh["metadata"]["uid"] != state.uid:
            return False
        state.pod = fresh
        assert state.status is not None
        # Conditions of others (readiness gates) may be new; ours stay until the worker has looked again.
        state.status = _with_foreign_conditions(state.status, fresh)
        self._wake(state)
        return True


def _with_foreign_conditions(status: Obj, pod: Obj) -> Obj:
    own = {entry["type"] for entry in status.get("conditions") or ()}
    current = (pod.get("status") or {}).get("conditions") or ()
    foreign = {entry["type"]: entry for entry in current if entry["type"] not in own}
    merged = [
        next((now for now in current if now["type"] == entry["type"]), entry)
        if entry["type"] not in OWN_CONDITIONS
        else entry
        for entry in status.get("conditions") or ()
    ]
    return {**status, "conditions": [*foreign.values(), *merged]}
