"""From a pod's specification to what Podman's REST API is sent: pure functions, no Podman in sight.

The fields are libpod's ``PodSpecGenerator`` and ``SpecGenerator`` (podman ``pkg/specgen``), restricted to what
4.3 understands. What must be known after a restart of this program stands in labels, so that one listing tells
everything without inspecting anything.
"""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Mapping
from typing import Any

from .interface import ContainerSpec, Limits, Mount, RuntimeFailure, SandboxSpec
from .pause import PAUSE_COMMAND

CLUSTER = "io.kubetui.cluster"
POD_UID = "io.kubetui.pod.uid"
POD_NAMESPACE = "io.kubetui.pod.namespace"
POD_NAME = "io.kubetui.pod.name"
POD_NODE = "io.kubetui.pod.node"
POD_IP = "io.kubetui.pod.ip"
POD_SHARES = "io.kubetui.pod.shares"
CONTAINER_NAME = "io.kubetui.container.name"
CONTAINER_ATTEMPT = "io.kubetui.container.attempt"
CONTAINER_IMAGE = "io.kubetui.container.image"
CONTAINER_LOG = "io.kubetui.container.log"
CONTAINER_MEMORY = "io.kubetui.container.memory"
_OURS = frozenset(
    {CLUSTER, POD_UID, POD_NAMESPACE, POD_NAME, POD_NODE, POD_IP, POD_SHARES}
    | {CONTAINER_NAME, CONTAINER_ATTEMPT, CONTAINER_IMAGE, CONTAINER_LOG, CONTAINER_MEMORY}
)

LOG_SIZE = 50 << 20
"""Bytes after which conmon starts the log anew: a chatty container must not fill the disk."""

_MIN_SHARES = 2
_PERIOD = 100_000
_PROPAGATION = {"": "rprivate", "None": "rprivate", "HostToContainer": "rslave", "Bidirectional": "rshared"}


def network_name(cluster_id: str) -> str:
    """The cluster's own network."""
    return f"kubetui-{cluster_id}"


def bridge_name(cluster_id: str) -> str:
    """The network's bridge on this machine: short enough for Linux, unlike any other cluster's."""
    return "kt" + hashlib.sha256(cluster_id.encode()).hexdigest()[:10]


def pod_name(cluster_id: str, spec: SandboxSpec) -> str:
    """The pod's name in Podman: readable, and unique through the uid."""
    return f"{cluster_id}_{spec.namespace}_{spec.name}_{spec.uid}"


def network_body(cluster_id: str, subnet: str, gateway: str, lease: tuple[str, str]) -> dict[str, Any]:
    """The body of ``networks/create``. ``lease``: what Podman may hand out itself to containers of others."""
    return {
        "name": network_name(cluster_id),
        "driver": "bridge",
        "network_interface": bridge_name(cluster_id),
        "dns_enabled": False,
        "subnets": [
            {
                "subnet": subnet,
                "gateway": gateway,
                "lease_range": {"start_ip": lease[0], "end_ip": lease[1]},
            }
        ],
        "labels": {CLUSTER: cluster_id},
    }


def pod_labels(cluster_id: str, spec: SandboxSpec, address: str) -> dict[str, str]:
    """The pod's labels: those of who asks for it, then ours, which nobody else can set."""
    labels = {key: value for key, value in spec.labels.items() if key not in _OURS}
    shares = {
        "host-network": spec.host_network,
        "host-pid": spec.host_pid,
        "host-ipc": spec.host_ipc,
        "pid": spec.share_process_namespace,
    }
    labels |= {
        CLUSTER: cluster_id,
        POD_UID: spec.uid,
        POD_NAMESPACE: spec.namespace,
        POD_NAME: spec.name,
        POD_NODE: spec.node,
        POD_IP: address,
        POD_SHARES: ",".join(word for word, wanted in shares.items() if wanted),
    }
    return labels


def pod_body(cluster_id: str, spec: SandboxSpec, address: str, infra_image: str) -> dict[str, Any]:
    """The body of ``pods/create``. ``address`` is empty with the host's network."""
    body: dict[str, Any] = {
        "name": pod_name(cluster_id, spec),
        "labels": pod_labels(cluster_id, spec, address),
        "exit_policy": "continue",
        "shared_namespaces": ["net", "uts"] if spec.host_ipc else ["net", "ipc", "uts"],
    }
    if infra_image:
        body["infra_image"] = infra_image
        body["infra_command"] = [PAUSE_COMMAND]
    # Podman's default is its own name for the pod, which may be longer than Linux takes.
    body["hostname"] = (spec.hostname or (os.uname().nodename if spec.host_network else spec.name))[
        :63
    ].rstrip("-.")
    if spec.host_network:
        body["netns"] = {"nsmode": "host"}
    else:
        body["netns"] = {"nsmode": "bridge"}
        body["Networks"] = {network_name(cluster_id): {"static_ips": [address]}}
        if spec.ports:
            body["portmappings"] = [
                {
                    "container_port": port.container_port,
                    "host_port": port.host_port,
                    "host_ip": port.host_ip,
                    "protocol": port.protocol.lower(),
                }
                for port in spec.ports
            ]
    if spec.share_process_namespace and not spec.host_pid:
        body["shared_namespaces"].append("pid")
    if spec.dns_servers:
        body["dns_server"] = list(spec.dns_servers)
    if spec.dns_searches:
        body["dns_search"] = list(spec.dns_searches)
    if spec.dns_options:
        body["dns_option"] = list(spec.dns_options)
    if spec.host_aliases:
        body["hostadd"] = [f"{name}:{ip}" for ip, hosts in spec.host_aliases for name in hosts]
    if spec.sysctls:
        body["sysctl"] = dict(spec.sysctls)
    return body


def container_labels(pod: Mapping[str, str], spec: ContainerSpec) -> dict[str, str]:
    """A container's labels: who it belongs to and everything about it that a listing does not tell."""
    labels = {key: value for key, value in spec.labels.items() if key not in _OURS}
    for key in (CLUSTER, POD_UID, POD_NAMESPACE, POD_NAME, POD_NODE):
        labels[key] = pod.get(key, "")
    labels[CONTAINER_NAME] = spec.name
    labels[CONTAINER_ATTEMPT] = str(spec.attempt)
    labels[CONTAINER_IMAGE] = spec.image
    if spec.log_path:
        labels[CONTAINER_LOG] = spec.log_path
    if spec.memory_limit:
        labels[CONTAINER_MEMORY] = str(spec.memory_limit)
    return labels


def container_body(
    sandbox_id: str, pod: Mapping[str, str], spec: ContainerSpec, image: str, oom_floor: int | None = None
) -> dict[str, Any]:
    """The body of ``containers/create``.

    ``pod``: the sandbox's labels. ``image``: the local name or id that ``spec.image`` stands for. ``oom_floor``:
    the lowest ``oom_score_adj`` that may be set here; None where any may be.
    """
    body: dict[str, Any] = {
        "name": f"{pod.get(CLUSTER, '')}_{spec.name}_{pod.get(POD_NAME, '')}_{pod.get(POD_UID, '')}_{spec.attempt}",
        "pod": sandbox_id,
        "image": image,
        "labels": container_labels(pod, spec),
        "restart_policy": "no",
        "env": dict(spec.env),
        "httpproxy": False,
        "sdnotifyMode": "ignore",
        "healthconfig": {"Test": ["NONE"]},  # the image's own check: Kubernetes does not know it
        "resource_limits": resources(spec),
    }
    if spec.unset_env:
        body["unsetenv"] = list(spec.unset_env)
    if spec.command is not None:
        body["entrypoint"] = list(spec.command)
    if spec.args is not None:
        body["command"] = list(spec.args)
    if spec.working_dir:
        body["work_dir"] = spec.working_dir
        body["create_working_dir"] = True
    if spec.tty:
        body["terminal"] = True
    if spec.stdin:
        body["stdin"] = True
    log: dict[str, Any] = {"driver": "k8s-file", "size": LOG_SIZE}
    if spec.log_path:
        log["path"] = spec.log_path
    body["log_configuration"] = log
    if spec.annotations:
        body["annotations"] = dict(spec.annotations)
    if spec.oom_score_adj is not None:
        body["oom_score_adj"] = (
            spec.oom_score_adj if oom_floor is None else max(spec.oom_score_adj, oom_floor)
        )
    if spec.stop_signal:
        body["stop_signal"] = signal_number(spec.stop_signal)
    shares = pod.get(POD_SHARES, "").split(",")
    if "host-ipc" in shares:  # a pod's own setting says nothing to Podman 4
        body["ipcns"] = {"nsmode": "host"}
    if "host-pid" in shares:
        body["pidns"] = {"nsmode": "host"}
    elif spec.process_target:
        body["pidns"] = {"nsmode": "container", "value": spec.process_target}
    _mounts(body, spec.mounts)
    _security(body, spec)
    return body


def new_limits(limits: Limits) -> dict[str, Any]:
    """The body of ``containers/ID/update``: everything is said, what is not limited too."""
    shares = max(_MIN_SHARES, min(262_144, int((limits.cpu_request or limits.cpu_limit) * 1024)))
    quota = max(1000, int(limits.cpu_limit * _PERIOD)) if limits.cpu_limit else -1
    memory = limits.memory_limit or -1
    return {
        "cpu": {"shares": shares, "period": _PERIOD, "quota": quota},
        "memory": {"limit": memory, "swap": memory},
        "no_healthcheck": True,  # Podman 5.4 reads back the one that we turn off, and finds fault with it
    }


def resources(spec: ContainerSpec) -> dict[str, Any]:
    """OCI limits as the kubelet computes them (``pkg/kubelet/cm/helpers_linux.go``); cgroup v2 is runc's business.

    A memory request sets nothing, as in Kubernetes without MemoryQoS; swap is not given on top of a memory limit.
    """
    request = spec.cpu_request or spec.cpu_limit
    cpu: dict[str, Any] = {"shares": max(_MIN_SHARES, min(262_144, int(request * 1024)))}
    if spec.cpu_limit:
        cpu |= {"period": _PERIOD, "quota": max(1000, int(spec.cpu_limit * _PERIOD))}
    # Podman allows 2048 processes unless it is told otherwise; a kubelet without podPidsLimit any number.
    found: dict[str, Any] = {"cpu": cpu, "pids": {"limit": -1}}
    if spec.memory_limit:
        found["memory"] = {"limit": spec.memory_limit, "swap": spec.memory_limit}
    return found


def _mounts(body: dict[str, Any], mounts: tuple[Mount, ...]) -> None:
    for mount in mounts:
        access = ["ro"] if mount.read_only else ["rw"]
        if mount.type == "volume":
            volume = {"Name": mount.source, "Dest": mount.destination, "Options": [*access, *mount.options]}
            body.setdefault("volumes", []).append(volume)
            continue
        if mount.type == "image":
            shown = {"Source": mount.source, "Destination": mount.destination, "ReadWrite": False}
            body.setdefault("image_volumes", []).append(
                {**shown, "subPath": mount.sub_path} if mount.sub_path else shown
            )
            continue
        if mount.type == "tmpfs":
            source, options = "tmpfs", [*access, *mount.options]
        else:
            propagation = _PROPAGATION.get(mount.propagation, mount.propagation)
            source, options = mount.source, ["rbind", *access, propagation, *mount.options]
        body.setdefault("mounts", []).append(
            {"type": mount.type, "source": source, "destination": mount.destination, "options": options}
        )


def _security(body: dict[str, Any], spec: ContainerSpec) -> None:
    if spec.user:
        body["user"] = spec.user
    if spec.groups:
        body["groups"] = [str(group) for group in spec.groups]
    if spec.privileged:
        body["privileged"] = True
    if spec.read_only_root:
        body["read_only_filesystem"] = True
    if not spec.allow_privilege_escalation and not spec.privileged:
        body["no_new_privileges"] = True
    if spec.cap_add:
        body["cap_add"] = [capability(name) for name in spec.cap_add]
    if spec.cap_drop:
        body["cap_drop"] = [capability(name) for name in spec.cap_drop]
    if spec.selinux:
        body["selinux_opts"] = [f"{key}:{value}" for key, value in spec.selinux.items() if value]
    if spec.seccomp_profile:
        body["seccomp_profile_path"] = spec.seccomp_profile
    if spec.unmask_proc:
        body["unmask"] = ["ALL"]
    if spec.devices:
        body["devices"] = [{"path": device} for device in spec.devices]


def capability(name: str) -> str:
    """``NET_ADMIN`` as Linux writes it: ``CAP_NET_ADMIN``; ``ALL`` stays."""
    upper = name.upper()
    return upper if upper == "ALL" or upper.startswith("CAP_") else f"CAP_{upper}"


def signal_number(name: str) -> int:
    """The number of ``SIGTERM``, ``term``, ``15`` or ``SIGRTMIN+3``. RuntimeFailure for what is no signal."""
    text = name.strip().upper().removeprefix("SIG")
    if text.isdigit() and 0 < int(text) < signal.NSIG:
        return int(text)
    base, plus, offset = text.partition("+")
    if plus and offset.isdigit() and base == "RTMIN":
        return 34 + int(offset)
    base, minus, offset = text.partition("-")
    if minus and offset.isdigit() and base == "RTMAX":
        return 64 - int(offset)
    if text in ("RTMIN", "RTMAX"):
        return 34 if text == "RTMIN" else 64
    try:
        return int(signal.Signals[f"SIG{text}"])
    except KeyError:
        raise RuntimeFailure(f"no such signal: {name}") from None
