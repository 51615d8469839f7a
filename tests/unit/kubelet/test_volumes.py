"""Volumes as files: contents, modes, atomic replacement, places, and what is refused."""

from __future__ import annotations

import base64
import os
import socket
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runtime.kubelet.volumes import atomic, memory, places
from runtime.kubelet.volumes.atomic import FileContent
from runtime.kubelet.volumes.content import ContentContext, VolumeFailure
from runtime.kubelet.volumes.manager import PodVolumes, VolumeManager
from runtime.objects.clock import ManualClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONTEXT = ContentContext("n1", ("192.0.2.1",), ("10.0.0.1",), {"cpu": 4.0})


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Source:
    """Objects by name; tests change them."""

    def __init__(self) -> None:
        self.maps: dict[str, Any] = {"cm": {"data": {"a": "1", "b": "2"}, "binaryData": {"raw": b64("\x00")}}}
        self.secrets: dict[str, Any] = {"se": {"data": {"pw": b64("s3")}}}
        self.claims: dict[str, Any] = {}
        self.volumes: dict[str, Any] = {}

    async def config_map(self, namespace: str, name: str) -> Any:
        return self.maps.get(name)

    async def secret(self, namespace: str, name: str) -> Any:
        return self.secrets.get(name)

    async def claim(self, namespace: str, name: str) -> Any:
        return self.claims.get(name)

    async def volume(self, name: str) -> Any:
        return self.volumes.get(name)

    async def service_account_token(self, pod: Any, audience: str, seconds: int) -> tuple[str, datetime]:
        return f"token for {audience}", NOW + timedelta(seconds=seconds * 0.8)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def manager(tmp_path: Path, source: Source) -> Iterator[VolumeManager]:
    yield VolumeManager(tmp_path / "pods", source, ManualClock(NOW))
    memory.remove_all(tmp_path / "pods")


def pod_with(volume: dict[str, Any], *mounts: dict[str, Any], **spec: Any) -> dict[str, Any]:
    container = {
        "name": "c",
        "volumeMounts": [{"name": "v", "mountPath": "/v", **mount} for mount in mounts or ({},)],
    }
    return {
        "metadata": {"uid": "u1", "name": "p", "namespace": "ns", "labels": {"app": "x"}},
        "spec": {"containers": [container], "volumes": [{"name": "v", **volume}], **spec},
    }


async def files(manager: VolumeManager, pod: dict[str, Any]) -> tuple[PodVolumes, dict[str, str]]:
    volumes = await manager.set_up(pod, CONTEXT)
    root = volumes.paths["v"]
    current = (root / "..data").resolve()
    names = [entry.relative_to(current).as_posix() for entry in current.rglob("*") if entry.is_file()]
    found = {name: (root / name).read_text() for name in names}
    return volumes, found


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ({"configMap": {"name": "cm"}}, {"a": "1", "b": "2", "raw": "\x00"}),
        ({"configMap": {"name": "cm", "items": [{"key": "a", "path": "deep/er"}]}}, {"deep/er": "1"}),
        ({"configMap": {"name": "none", "optional": True}}, {}),
        ({"secret": {"secretName": "se"}}, {"pw": "s3"}),
        (
            {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"labels": 'app="x"'},
        ),
        (
            {
                "projected": {
                    "sources": [
                        {"configMap": {"name": "cm", "items": [{"key": "a", "path": "a"}]}},
                        {"secret": {"name": "se"}},
                        {
                            "serviceAccountToken": {
                                "path": "token",
                                "audience": "me",
                                "expirationSeconds": 600,
                            }
                        },
                        {
                            "downwardAPI": {
                                "items": [{"path": "ns", "fieldRef": {"fieldPath": "metadata.namespace"}}]
                            }
                        },
                    ]
                }
            },
            {"a": "1", "pw": "s3", "token": "token for me", "ns": "ns"},
        ),
    ],
)
async def test_contents(manager: VolumeManager, volume: dict[str, Any], expected: dict[str, str]) -> None:
    pod = pod_with(volume)
    found = (await files(manager, pod))[1] if expected else {}
    if not expected:
        await manager.set_up(pod, CONTEXT)
    assert found == expected


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        (
            {"configMap": {"name": "cm", "items": [{"key": "x", "path": "x"}]}},
            "configmap references non-existent config key: x",
        ),
        (
            {"secret": {"secretName": "se", "items": [{"key": "x", "path": "x"}]}},
            "references non-existent secret key: x",
        ),
        ({"configMap": {"name": "cm", "items": [{"key": "a", "path": "../x"}]}}, "invalid path"),
        ({"nfs": {"server": "s", "path": "/"}}, "volume type nfs is not supported on this node"),
        ({"csi": {"driver": "d"}}, "volume type csi is not supported on this node"),
        ({"hostPath": {"path": "/no/such/place", "type": "Directory"}}, "is not a directory"),
        ({"persistentVolumeClaim": {"claimName": "pvc"}}, 'persistentvolumeclaims "pvc" not found'),
    ],
)
async def test_failures_name_volume_and_reason(
    manager: VolumeManager, volume: dict[str, Any], message: str
) -> None:
    with pytest.raises(VolumeFailure) as failure:
        await manager.set_up(pod_with(volume), CONTEXT)
    assert str(failure.value).startswith('MountVolume.SetUp failed for volume "v" : ')
    assert message in str(failure.value)


async def test_an_update_is_seen_at_once_and_whole(manager: VolumeManager, source: Source) -> None:
    pod = pod_with({"configMap": {"name": "cm", "defaultMode": 0o640}})
    volumes, _ = await files(manager, pod)
    root = volumes.paths["v"]
    assert (root / "a").resolve().stat().st_mode & 0o777 == 0o640
    generation = (root / "..data").readlink()
    await manager.refresh(pod, volumes, CONTEXT)
    assert (root / "..data").readlink() == generation, "the same content is not written again"
    source.maps["cm"] = {"data": {"b": "3", "c": "4"}}
    await manager.refresh(pod, volumes, CONTEXT)
    assert {entry.name: entry.read_text() for entry in root.iterdir() if not entry.name.startswith("..")} == {
        "b": "3",
        "c": "4",
    }
    assert len([entry for entry in root.iterdir() if entry.name.startswith("..2")]) == 1
    source.maps.clear()
    with pytest.raises(VolumeFailure):
        await manager.refresh(pod, volumes, CONTEXT)
    assert (root / "b").read_text() == "3", "what was there stays"


def test_a_write_that_dies_half_way_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "v"
    atomic.write(target, {"a": FileContent(b"1", 0o644)}, NOW)

    def die(path: Path) -> None:
        if path.name == "b":
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        atomic.write(target, {"a": FileContent(b"2", 0o644), "b": FileContent(b"2", 0o644)}, NOW, die)
    assert (target / "a").read_text() == "1" and not (target / "b").exists()


@pytest.mark.parametrize("name", ["/abs", "../up", "a/../../b", "..data", "..x/y", ""])
def test_paths_stay_inside(tmp_path: Path, name: str) -> None:
    with pytest.raises(atomic.BadPath):
        atomic.write(tmp_path / "v", {name: FileContent(b"", 0o644)}, NOW)


async def test_empty_dirs_are_for_everybody_and_shared(manager: VolumeManager) -> None:
    volumes, _ = await files(manager, pod_with({"emptyDir": {}}))
    assert volumes.paths["v"].stat().st_mode & 0o777 == 0o777
    memory, _ = await files(manager, pod_with({"emptyDir": {"medium": "Memory"}}))
    if os.access("/dev/shm", os.W_OK):
        assert memory.paths["v"].is_relative_to("/dev/shm")
    assert stat.S_IMODE(memory.paths["v"].stat().st_mode) == 0o1777, "as any tmpfs"
    places.make_sub_path(memory.paths["v"], memory.paths["v"] / "a" / "b")
    for folder in ("a", "a/b"):
        assert stat.S_IMODE((memory.paths["v"] / folder).stat().st_mode) == 0o1777
    await manager.clean_up("u1")
    assert not memory.paths["v"].exists() and not manager.pod_dir("u1").exists()


async def test_host_paths(manager: VolumeManager, tmp_path: Path) -> None:
    made = tmp_path / "host" / "dir"
    volumes, _ = await files(
        manager, pod_with({"hostPath": {"path": str(made), "type": "DirectoryOrCreate"}})
    )
    assert made.is_dir() and volumes.paths["v"] == made
    file = tmp_path / "host" / "file"
    await manager.set_up(pod_with({"hostPath": {"path": str(file), "type": "FileOrCreate"}}), CONTEXT)
    assert file.is_file()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        await manager.set_up(pod_with({"hostPath": {"path": str(tmp_path / "s"), "type": "Socket"}}), CONTEXT)
    with pytest.raises(VolumeFailure, match="is not a socket file"):
        await manager.set_up(pod_with({"hostPath": {"path": str(file), "type": "Socket"}}), CONTEXT)


async def test_claims(manager: VolumeManager, source: Source, tmp_path: Path) -> None:
    pod = pod_with({"persistentVolumeClaim": {"claimName": "pvc"}})
    source.claims["pvc"] = {"spec": {"volumeName": "pv"}, "status": {"phase": "Pending"}}
    with pytest.raises(VolumeFailure, match="PVC is not bound"):
        await manager.set_up(pod, CONTEXT)
    source.claims["pvc"]["status"]["phase"] = "Bound"
    source.volumes["pv"] = {"spec": {"accessModes": ["ReadOnlyMany"], "local": {"path": str(tmp_path)}}}
    volumes = await manager.set_up(pod, CONTEXT)
    mount = manager.mounts(pod, pod["spec"]["containers"][0], volumes, {})[0]
    assert (mount.source, mount.read_only) == (str(tmp_path), True)
    source.volumes["pv"] = {"spec": {"nfs": {"server": "x"}}}
    with pytest.raises(VolumeFailure, match="nfs is not supported"):
        await manager.set_up(pod, CONTEXT)


async def test_mounts(manager: VolumeManager) -> None:
    pod = pod_with(
        {"emptyDir": {}},
        {"mountPath": "rel"},
        {"mountPath": "/sub", "subPath": "x/y"},
        {"mountPath": "/expr", "subPathExpr": "$(NAME)/z", "readOnly": True},
        {"mountPath": "/prop", "mountPropagation": "HostToContainer"},
    )
    volumes, _ = await files(manager, pod)
    root = volumes.paths["v"]
    mounts = manager.mounts(pod, pod["spec"]["containers"][0], volumes, {"NAME": "n"})
    assert [(mount.destination, mount.source) for mount in mounts] == [
        ("/rel", str(root)),
        ("/sub", str(root / "x" / "y")),
        ("/expr", str(root / "n" / "z")),
        ("/prop", str(root)),
    ]
    assert mounts[2].read_only and mounts[3].propagation == "rslave" and (root / "x" / "y").is_dir()


async def test_sub_paths_cannot_escape(manager: VolumeManager, tmp_path: Path) -> None:
    pod = pod_with({"emptyDir": {}}, {"subPath": "link/x"})
    volumes, _ = await files(manager, pod)
    (volumes.paths["v"] / "link").symlink_to(tmp_path)
    with pytest.raises(VolumeFailure, match="leads out of its volume"):
        manager.mounts(pod, pod["spec"]["containers"][0], volumes, {})
    for mount, words in (
        ({"subPathExpr": "$(UNKNOWN)/$(EMPTY)/$$(NOT)"}, "missing value for EMPTY, UNKNOWN"),
        (
            {"readOnly": True, "recursiveReadOnly": "Enabled"},
            'volume "v" requested recursive read-only mode, but it is not supported by the runtime',
        ),
        ({"subPathExpr": "$(UP)"}, "unable to provision SubPath `..`: must not contain '..'"),
        ({"subPathExpr": "$(ROOT)"}, "error SubPath `/tmp` must not be an absolute path"),
    ):
        pod = pod_with({"emptyDir": {}}, mount)
        with pytest.raises(VolumeFailure) as failure:
            manager.mounts(
                pod, pod["spec"]["containers"][0], volumes, {"EMPTY": "", "UP": "..", "ROOT": "/tmp"}
            )
        assert str(failure.value) == words


async def test_a_new_sub_path_is_for_whom_the_volume_is_for(manager: VolumeManager, tmp_path: Path) -> None:
    place = tmp_path / "shared"
    place.mkdir()
    place.chmod(0o2770)
    (tmp_path / "link").symlink_to(place)
    pod = pod_with({"hostPath": {"path": str(tmp_path / "link")}}, {"subPath": "x/y"})
    volumes, _ = await files(manager, pod)
    (mount,) = manager.mounts(pod, pod["spec"]["containers"][0], volumes, {})
    assert Path(mount.source) == place / "x" / "y"
    assert [oct(path.stat().st_mode & 0o7777) for path in (place / "x", place / "x" / "y")] == ["0o2770"] * 2


async def test_tokens_say_when_to_renew(manager: VolumeManager) -> None:
    projected = {
        "projected": {"sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 1000}}]}
    }
    volumes, _ = await files(manager, pod_with(projected))
    assert volumes.renew_at == NOW + timedelta(seconds=800)


async def token_file(manager: VolumeManager, **spec: Any) -> os.stat_result:
    projected = {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    volumes, _ = await files(manager, pod_with(projected, **spec))
    return (volumes.paths["v"] / "token").stat()


async def test_a_token_is_for_the_pods_one_user_and_its_group(tmp_path: Path, source: Source) -> None:
    expected: list[tuple[dict[str, Any], int, int, int]] = [
        ({}, 0o644, 0, 0),
        ({"runAsUser": 54321}, 0o600, 54321, 0),
        ({"fsGroup": 10000}, 0o640, 0, 10000),
        ({"runAsUser": 54321, "fsGroup": 10000}, 0o640, 54321, 10000),
    ]
    for number, (context, mode, user, group) in enumerate(expected):
        manager = VolumeManager(tmp_path / str(number), source, ManualClock(NOW))
        found = await token_file(manager, securityContext=context)
        if os.geteuid() == 0:
            assert (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (mode, user, group), context
        else:  # only root gives files away; then everybody who can see the file may read it
            assert found.st_mode & 0o044 == 0o044, context


async def test_files_with_a_group_are_not_written_again_for_it(manager: VolumeManager) -> None:
    pod = pod_with(
        {"configMap": {"name": "cm", "defaultMode": 0o400}}, securityContext={"fsGroup": os.getgid()}
    )
    volumes, _ = await files(manager, pod)
    root = volumes.paths["v"]
    first = (root / "..data").readlink()
    assert oct((root / "a").stat().st_mode & 0o777) == "0o440"
    assert oct(root.stat().st_mode & 0o7777) == "0o2777"
    await manager.refresh(pod, volumes, CONTEXT)
    assert (root / "..data").readlink() == first


async def test_fs_group(manager: VolumeManager) -> None:
    pod = pod_with({"emptyDir": {}}, securityContext={"fsGroup": 12345})
    volumes, _ = await files(manager, pod)
    found = volumes.paths["v"].stat()
    if os.geteuid() == 0:
        assert found.st_gid == 12345 and found.st_mode & 0o2070 == 0o2070
    else:
        assert found.st_mode & 0o007 == 0o007


async def test_memory_volumes_have_their_size_and_leave_nothing_behind(
    manager: VolumeManager, tmp_path: Path
) -> None:
    manager.root.mkdir()
    place = memory.memory_root(manager.root)
    if place is None:
        pytest.skip("there is no shared memory here")
    pod = pod_with({"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}})
    path = (await manager.set_up(pod, CONTEXT)).paths["v"]
    assert path.is_relative_to(place) and stat.S_IMODE(path.stat().st_mode) == 0o1777
    if path.is_mount():  # where we may mount
        size = os.statvfs(path)
        assert size.f_blocks * size.f_frsize == 1 << 20
    (path / "kept").write_text("x")
    assert (await manager.set_up(pod, CONTEXT)).paths["v"] == path and (path / "kept").exists()
    await manager.clean_up("u1")
    assert not place.exists() and str(place) not in Path("/proc/self/mounts").read_text()

    await manager.set_up(pod, CONTEXT)
    memory.remove_all(manager.root)
    assert not place.exists() and str(place) not in Path("/proc/self/mounts").read_text()
