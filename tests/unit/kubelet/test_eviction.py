"""Pods that hold more than they may: what counts, and how they end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from node_rig import Rig, one_container

from runtime.kubelet.pods.eviction import StorageLimits, exceeded, storage_limits, used


def pod(*limits: str, **volumes: dict[str, Any]) -> dict[str, Any]:
    return {
        "spec": {
            "containers": [
                {"name": str(index), "resources": {"limits": {"ephemeral-storage": limit}} if limit else {}}
                for index, limit in enumerate(limits)
            ],
            "volumes": [{"name": name, **source} for name, source in volumes.items()],
        }
    }


@pytest.mark.parametrize(
    ("wanted", "limits"),
    [
        (pod("", a={"emptyDir": {}}, b={"configMap": {"name": "x"}}), None),
        (pod("", a={"emptyDir": {"sizeLimit": "0"}}), None),
        (pod("", a={"emptyDir": {"sizeLimit": "1Mi"}}), StorageLimits({"a": (1 << 20, "1Mi")}, {}, 0)),
        (pod("1Mi", "2Mi"), StorageLimits({}, {"0": (1 << 20, "1Mi"), "1": (2 << 20, "2Mi")}, 3 << 20)),
        (pod("1Mi", ""), StorageLimits({}, {"0": (1 << 20, "1Mi")}, 1 << 20)),
    ],
)
def test_which_pods_are_looked_at(wanted: dict[str, Any], limits: StorageLimits | None) -> None:
    assert storage_limits(wanted) == limits


def test_what_counts(tmp_path: Path) -> None:
    paths = {name: tmp_path / name for name in ("disk", "memory", "map")}
    logs = tmp_path / "logs"
    for folder in (*paths.values(), logs):
        folder.mkdir()
    empty = used(paths["disk"])
    (paths["disk"] / "deep" / "er").mkdir(parents=True)
    (paths["disk"] / "deep" / "er" / "file").write_bytes(b"x" * 100_000)
    (paths["disk"] / "link").symlink_to("/usr")
    assert 100_000 <= used(paths["disk"]) - empty < 200_000
    (paths["memory"] / "file").write_bytes(b"x" * 500_000)
    (paths["map"] / "file").write_bytes(b"x" * 500_000)
    wanted = pod(
        "300Ki",
        disk={"emptyDir": {"sizeLimit": "400Ki"}},
        memory={"emptyDir": {"medium": "Memory"}},
        map={"configMap": {"name": "m"}},
    )
    limits = storage_limits(wanted)
    assert limits is not None and exceeded(wanted, limits, paths, logs, {"0": 50_000}) == ""
    words = "Pod ephemeral local storage usage exceeds the total limit of containers 300Ki. "
    assert exceeded(wanted, limits, paths, logs, {"0": 300_000}) == words
    (logs / "0").mkdir()
    (logs / "0" / "0.log").write_bytes(b"x" * 250_000)
    assert exceeded(wanted, limits, paths, logs, {}) == words
    (paths["disk"] / "more").write_bytes(b"x" * 400_000)
    words = 'Usage of EmptyDir volume "disk" exceeds the limit "400Ki". '
    assert exceeded(wanted, limits, paths, logs, {}) == words


def test_each_container_has_a_limit_of_its_own(tmp_path: Path) -> None:
    wanted = pod("300Ki", "1Mi")
    limits = storage_limits(wanted)
    assert limits is not None and exceeded(wanted, limits, {}, tmp_path, {"0": 200_000, "1": 900_000}) == ""
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "0.log").write_bytes(b"x" * 150_000)
    words = 'Container 0 exceeded its local ephemeral storage limit "300Ki". '
    assert exceeded(wanted, limits, {}, tmp_path, {"0": 200_000}) == words


async def test_what_a_container_writes_into_its_root_file_system_counts(node: Rig) -> None:
    await node.make(
        one_container(
            metadata={"annotations": {"simulated.kubetui.io/written": "6000000"}},
            resources={"limits": {"ephemeral-storage": "5Mi"}},
        )
    )
    await node.phase("a", "Running")
    await node.kubelets[0].workers.evict_what_is_too_large()
    await node.advance(3)
    status = (await node.phase("a", "Failed"))["status"]
    words = "Pod ephemeral local storage usage exceeds the total limit of containers 5Mi. "
    assert (status["reason"], status["message"]) == ("Evicted", words)


async def test_a_pod_that_holds_too_much_is_ended_and_says_so(node: Rig, tmp_path: Path) -> None:
    await node.make(
        one_container(
            metadata={"annotations": {"simulated.kubetui.io/ignore-term": "true"}},
            spec={
                "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "100Ki"}}],
                "terminationGracePeriodSeconds": 600,
            },
        )
    )
    await node.phase("a", "Running")
    workers = node.kubelets[0].workers
    await workers.evict_what_is_too_large()
    assert (await node.status("a"))["phase"] == "Running"
    (state,) = workers.states.values()
    assert state.volumes is not None
    state.volumes.paths["v"] = tmp_path / "held"
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "file").write_bytes(b"x" * 200_000)
    await workers.evict_what_is_too_large()
    await node.advance(3)
    status = (await node.phase("a", "Failed"))["status"]
    words = 'Usage of EmptyDir volume "v" exceeds the limit "100Ki". '
    assert (status["reason"], status["message"]) == ("Evicted", words)
    conditions = {entry["type"]: entry for entry in status["conditions"]}
    assert conditions["DisruptionTarget"]["reason"] == "TerminationByKubelet"
    assert conditions["Ready"]["status"] == "False"
    assert ("Warning", "Evicted", words) in await node.events("a")
