"""Stopping a container: its signal, its grace period, SIGKILL.

Podman's own ``stop`` works on three containers per processor at a time (plus one) and keeps each of those places for
the whole of a grace period: sixty pods that take their thirty seconds would end one small group after the other, and
everything else would wait behind them. A signal is sent at once, however many containers there are, and the kernel
says when a process has ended.
"""

from __future__ import annotations

import asyncio
import contextlib

from . import spec, state
from .interface import NoSuchItem, RuntimeFailure, RuntimeUnavailable
from .listing import Listing
from .transport import Transport

_KILL_SECONDS = 60.0
"""How long the kernel may take to end a process that was killed."""


async def stop(transport: Transport, listing: Listing, container_id: str, grace: float) -> None:
    """Returns when the container has ended, or was not running. A second call may hurry the first.

    Raises:
        RuntimeFailure: it could not be stopped.
    """
    try:
        item = await transport.get(f"/containers/{container_id}/json")
        found = state.inspected_container(item)
        if found.state == "paused":  # somebody froze it; what can't run can't end
            await transport.post(f"/containers/{container_id}/unpause")
        elif found.state != "running":
            return
        # Whoever waits must do so before the end can come.
        ended = asyncio.ensure_future(listing.wait_ended(container_id))
        try:
            if grace > 0:
                wanted = str((item.get("Config") or {}).get("StopSignal") or "TERM")
                await _signal(transport, container_id, spec.signal_number(wanted))
                await asyncio.wait({ended}, timeout=grace)
            if not ended.done():
                await _signal(transport, container_id, 9)
                await asyncio.wait({ended}, timeout=_KILL_SECONDS)
            if not ended.done():
                raise RuntimeFailure(f"container {container_id} does not end, although it was killed")
            ended.result()
        finally:
            ended.cancel()
            await asyncio.gather(ended, return_exceptions=True)
    except NoSuchItem:
        return


async def _signal(transport: Transport, container_id: str, number: int) -> None:
    try:
        await transport.post(f"/containers/{container_id}/kill", params={"signal": number}, urgency=0)
    except (RuntimeUnavailable, NoSuchItem):
        raise
    except RuntimeFailure:  # 409 or, to Podman 4, 500: it has just ended by itself
        with contextlib.suppress(NoSuchItem):
            found = state.inspected_container(await transport.get(f"/containers/{container_id}/json"))
            if found.state == "running":
                raise
