from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from runtime.podman.interface import ContainerSpec, SandboxSpec
from runtime.podman.runtime import PodmanRuntime
from tests.support.limits import limits_hold


class Cluster:
    """A runtime with the two lines that every test needs."""

    def __init__(self, runtime: PodmanRuntime, folder: Path, run: Callable[..., str]) -> None:
        self.runtime = runtime
        self.folder = folder
        self.run = run

    def spec(self, uid: str = "u1", **more) -> SandboxSpec:
        return SandboxSpec(uid=uid, namespace="default", name=f"pod-{uid}", node="node-1", **more)

    async def pod(self, uid: str = "u1", **more):
        return await self.runtime.create_sandbox(self.spec(uid, **more))

    async def launch(
        self, sandbox, *script: str, name: str = "c", attempt: int = 0, image: str = "busybox", **more
    ) -> str:
        more.setdefault("log_path", str(self.folder / "logs" / sandbox.uid / f"{name}.{attempt}.log"))
        if script:
            more["command"] = ("/bin/sh", "-c", "; ".join(script))
        container = await self.runtime.create_container(
            sandbox.id, ContainerSpec(name=name, attempt=attempt, image=image, **more)
        )
        await self.runtime.start_container(container)
        return container

    async def limits_hold(self) -> bool:
        """Whether containers here have limits."""
        return await limits_hold(self.runtime)

    async def state(self, uid: str = "u1", name: str = "c"):
        sandbox = await self.runtime.sandbox(uid)
        return next(one for one in sandbox.containers if one.name == name)


@pytest.fixture
async def cluster(podman_storage, tmp_path) -> AsyncIterator[Cluster]:
    runtime = PodmanRuntime(
        f"t{uuid.uuid4().hex[:8]}", tmp_path / "state", subnet=podman_storage.free_subnet()
    )
    await runtime.start()
    try:
        yield Cluster(runtime, tmp_path, podman_storage.run)
    finally:
        try:
            await runtime.service.ready()
            await runtime.remove_everything(volumes=True)
        finally:
            await runtime.close()
