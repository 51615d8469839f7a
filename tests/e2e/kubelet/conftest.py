"""A node of the real control plane on real Podman."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from real_node import Rig, rig

from runtime.kubelet.volumes import memory
from runtime.objects.clock import SystemClock
from runtime.podman.runtime import PodmanRuntime

if TYPE_CHECKING:
    from tests.e2e.conftest import PodmanStorage


@pytest.fixture
async def node(podman_storage: PodmanStorage, tmp_path: Path) -> AsyncIterator[Rig]:
    clock = SystemClock()
    runtime = PodmanRuntime(f"t{uuid.uuid4().hex[:8]}", tmp_path, subnet=podman_storage.free_subnet())
    await runtime.start()
    async with rig(tmp_path, clock, runtime) as found:
        await found.start()
        try:
            yield found
        finally:
            await found.stop()
            await runtime.remove_everything()
            memory.remove_all(tmp_path / "pods")
