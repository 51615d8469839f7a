"""Stopping a container that is about to end by itself."""

from __future__ import annotations

from typing import Any, cast

import pytest

from runtime.podman.interface import RuntimeFailure
from runtime.podman.listing import Listing
from runtime.podman.stopping import stop
from runtime.podman.transport import Transport


class Refusing:
    """A container that is shown as running, refuses its signal, and is shown as ``after`` from then on."""

    def __init__(self, code: int, after: str) -> None:
        self.code, self.after = code, after
        self.shown = "running"

    async def get(self, path: str) -> dict[str, Any]:
        return {"Id": "c", "State": {"Status": self.shown, "Running": self.shown == "running"}}

    async def post(self, path: str, **_: Any) -> None:
        self.shown = self.after
        raise RuntimeFailure("can only kill running containers. c is in state stopped", code=self.code)

    async def wait_ended(self, container_id: str) -> None:
        return None


@pytest.mark.parametrize("code", [409, 500])
async def test_a_container_that_ends_before_its_signal_is_stopped(code: int) -> None:
    there = Refusing(code, "stopped")
    await stop(cast("Transport", there), cast("Listing", there), "c", 30.0)
    assert there.shown == "stopped"


@pytest.mark.parametrize("code", [409, 500])
async def test_a_refusal_of_a_container_that_runs_on_is_told(code: int) -> None:
    there = Refusing(code, "running")
    with pytest.raises(RuntimeFailure, match="can only kill running"):
        await stop(cast("Transport", there), cast("Listing", there), "c", 30.0)
