"""Starting a container whose pod's infra container starts with it, when Podman fails in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runtime.podman.interface import RuntimeFailure
from runtime.podman.runtime import PodmanRuntime

HIDDEN = RuntimeFailure("starting some containers: internal libpod error", code=500)


class Service:
    """Answers requests with what it was told, and notes them; in place of the transport and of the listing."""

    def __init__(self, *answers: RuntimeFailure | None) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def post(self, path: str, **_: Any) -> None:
        self.asked.append(path)
        answer = self.answers.pop(0)
        if answer is not None:
            raise answer

    async def get(self, path: str) -> dict[str, str]:
        return {"InfraContainerID": "infra"}

    def sandbox_of(self, container_id: str) -> str:
        return "pod"

    def uid_of(self, sandbox_id: str) -> str:
        return "uid"

    def started(self, container_id: str) -> None:
        self.asked.append("started")


def runtime_of(service: Service, folder: Path) -> PodmanRuntime:
    runtime = PodmanRuntime("t", folder)
    runtime._transport = service  # type: ignore[assignment]
    runtime._listing = service  # type: ignore[assignment]
    return runtime


async def test_what_hindered_the_infra_container_has_passed(tmp_path: Path) -> None:
    service = Service(HIDDEN, None, None)
    await runtime_of(service, tmp_path).start_container("c")
    assert service.asked == [
        "/containers/c/start",
        "/containers/infra/start",
        "/containers/c/start",
        "started",
    ]


async def test_the_infra_container_says_what_hinders_it(tmp_path: Path) -> None:
    service = Service(HIDDEN, RuntimeFailure("netavark: no such interface", code=500))
    with pytest.raises(RuntimeFailure, match="no such interface") as raised:
        await runtime_of(service, tmp_path).start_container("c")
    assert raised.value.reason == "FailedCreatePodSandBox"


async def test_a_container_that_fails_beside_a_running_infra_container(tmp_path: Path) -> None:
    service = Service(HIDDEN, None, HIDDEN)
    with pytest.raises(RuntimeFailure, match="internal libpod error") as raised:
        await runtime_of(service, tmp_path).start_container("c")
    assert (raised.value.reason, raised.value.code) == ("RunContainerError", 128)
    assert len(service.asked) == 3
