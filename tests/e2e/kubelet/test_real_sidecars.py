"""Containers that belong together, as real processes: the order of their ends, and beginning anew together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from real_node import Rig, eventually, has_gone, running

from runtime.objects.errors import Obj

pytestmark = pytest.mark.podman

TRACE: Obj = {"name": "trace", "mountPath": "/trace"}


def part(name: str, script: str, **more: Any) -> Obj:
    return {
        "name": name,
        "image": "busybox:1.36",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
        "volumeMounts": [TRACE],
        **more,
    }


def pod(folder: Path, **spec: Any) -> Obj:
    volumes = [{"name": "trace", "hostPath": {"path": str(folder)}}]
    return {
        "metadata": {"name": "a"},
        "spec": {"volumes": volumes, "automountServiceAccountToken": False, **spec},
    }


async def test_sidecars_hooks_run_with_the_apps_and_their_signals_come_last(
    node: Rig, tmp_path: Path
) -> None:
    folder = tmp_path / "trace"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)

    def waits(name: str, **more: Any) -> Obj:
        script = f"trap 'echo {name} ends >>/trace/log; exit 0' TERM; while true; do sleep 0.1; done"
        hook = {"exec": {"command": ["sh", "-c", f"echo {name} hook >>/trace/log"]}}
        return part(name, script, lifecycle={"preStop": hook}, **more)

    slow = waits("app")
    # The app's hook ends only when the sidecars' have been run.
    slow["lifecycle"]["preStop"]["exec"]["command"][2] = (
        "while [ $(grep -c hook /trace/log) -lt 2 ]; do sleep 0.1; done; echo app hook >>/trace/log"
    )
    sidecars = [waits(name, restartPolicy="Always") for name in ("first", "second")]
    (folder / "log").touch()
    (folder / "log").chmod(0o666)
    await node.make(pod(folder, initContainers=sidecars, containers=[slow], terminationGracePeriodSeconds=60))
    await running(node, "a")
    await node.client.delete("pods", "a", "default")
    await has_gone(node, "a")
    lines = (folder / "log").read_text().splitlines()
    assert sorted(lines[:2]) == ["first hook", "second hook"]
    assert lines[2:] == ["app hook", "app ends", "second ends", "first ends"]


async def test_all_containers_begin_anew_where_a_rule_says_so(node: Rig, tmp_path: Path) -> None:
    folder = tmp_path / "trace"
    folder.mkdir()
    folder.chmod(0o777)
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}
    source = "[ -f /trace/again ] && exec sleep 3600; until [ -f /trace/go ]; do sleep 0.1; done; "
    source += "touch /trace/again; exit 42"
    await node.make(
        pod(
            folder,
            restartPolicy="Never",
            terminationGracePeriodSeconds=1,
            initContainers=[part("init", "echo init >>/trace/log")],
            containers=[
                part("source", source, restartPolicy="Never", restartPolicyRules=[rule]),
                part("other", "echo other >>/trace/log; exec sleep 3600"),
            ],
        )
    )
    before = await running(node, "a")
    (folder / "go").touch()

    async def again() -> Any:
        status = (await node.pod("a"))["status"]
        entries = [*status["containerStatuses"], *status["initContainerStatuses"]]
        return status if status["phase"] == "Running" and all(e["restartCount"] for e in entries) else None

    status = await eventually(again)
    assert status["podIP"] == before["status"]["podIP"]
    ends = {e["name"]: e["lastState"]["terminated"]["exitCode"] for e in status["containerStatuses"]}
    assert ends["source"] == 42 and ends["other"] in (137, 143)
    assert sorted((folder / "log").read_text().split()) == ["init", "init", "other", "other"]
