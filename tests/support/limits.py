"""Whether this machine's containers have limits."""

from __future__ import annotations

from runtime.podman.interface import ContainerRuntime


async def limits_hold(runtime: ContainerRuntime) -> bool:
    """Rootless Podman on cgroup v1 neither limits nor counts: what is used is summed up by processes there."""
    info = await runtime.info()
    return not (info.rootless and info.cgroup_version == "v1")
