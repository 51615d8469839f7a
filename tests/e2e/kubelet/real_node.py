"""What the tests of one node on real Podman have in common."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "kubelet"))

from node_rig import Rig, config_map, one_container, rig

from runtime.api.node import LogOptions
from runtime.objects.errors import Obj, StatusError

__all__ = [
    "Rig",
    "config_map",
    "ended",
    "eventually",
    "has_gone",
    "one_container",
    "rig",
    "running",
    "shell",
    "text_of",
]


def shell(name: str, script: str, **more: Any) -> Obj:
    spec = {"terminationGracePeriodSeconds": 1, **more.pop("spec", {})}
    return one_container(
        name,
        image="busybox:1.36",
        command=["sh", "-c", script],
        imagePullPolicy="IfNotPresent",
        spec=spec,
        **more,
    )


async def eventually(check: Any, seconds: float = 120.0) -> Any:
    end = time.monotonic() + seconds
    while True:
        try:
            found = await check()
        except StatusError as error:
            if error.code != 404:
                raise
            found = None
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError("never came true")
        await asyncio.sleep(0.05)


async def running(node: Rig, name: str) -> Obj:
    async def check() -> Any:
        pod = await node.pod(name)
        return pod if (pod.get("status") or {}).get("phase") == "Running" else None

    return await eventually(check)


async def ended(node: Rig, name: str) -> Obj:
    async def check() -> Any:
        pod = await node.pod(name)
        return pod if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed") else None

    return await eventually(check)


async def text_of(node: Rig, name: str, **options: Any) -> str:
    pod = await node.pod(name)
    return b"".join([part async for part in node.nodes["n1"].logs(pod, LogOptions(**options))]).decode()


async def has_gone(node: Rig, name: str) -> None:
    async def check() -> bool:
        try:
            await node.pod(name)
        except StatusError:
            return True
        return False

    await eventually(check)
