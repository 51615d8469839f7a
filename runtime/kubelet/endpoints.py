"""What a kubelet's own HTTP server answers, reached through ``nodes/NAME/proxy``: health, pods, statistics, metrics.

Follows ``pkg/kubelet/server/server.go`` and its ``stats`` and ``metrics/collectors``: Prometheus scrapes these, and
tools read ``stats/summary``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from runtime.api.node import NodeAnswer
from runtime.kubelet import systemlogs
from runtime.kubelet.pods.context import PodContext
from runtime.kubelet.pods.policy import is_running, is_terminal
from runtime.kubelet.pods.workers import PodWorkers
from runtime.kubelet.summary import node_summary, total
from runtime.objects.errors import Obj
from runtime.podman.interface import Container, ContainerStats, RuntimeFailure, Sandbox

_TEXT = "text/plain; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_Sample = tuple[Mapping[str, str], float]


class NodeEndpoints:
    """The read-only pages of one kubelet."""

    def __init__(self, context: PodContext, workers: PodWorkers) -> None:
        self._context = context
        self._services = context.services
        self._workers = workers

    async def answer(self, path: str) -> NodeAnswer:
        """The page at a path without its leading slash."""
        if path.partition("/")[0] == "logs":
            return await asyncio.to_thread(systemlogs.answer, path.removeprefix("logs"))
        match path.strip("/"):
            case "healthz" | "healthz/ping" | "healthz/log" | "healthz/syncloop":
                return NodeAnswer(200, _TEXT, b"ok")
            case "pods":
                return _json(_pod_list([state.pod for state in self._workers.states.values()]))
            case "runningpods":
                return _json(_pod_list([_running_pod(sandbox) for sandbox in self._sandboxes()]))
            case "configz":
                return _json({"kubeletconfig": self._configuration()})
            case "stats/summary":
                return _json(await self._summary())
            case "metrics":
                return _text(self._own_metrics())
            case "metrics/resource":
                return _text(await self._resource_metrics())
            case "metrics/cadvisor":
                return _text(await self._container_metrics())
            case "metrics/probes":
                return _text("")
        return NodeAnswer(404, _TEXT, b"404 page not found\n")

    # -- what is looked at

    def _sandboxes(self) -> list[Sandbox]:
        return [
            sandbox
            for sandbox in self._services.cache.all()
            if sandbox.node == self._context.node_name and any(map(is_running, sandbox.containers))
        ]

    async def _samples(self) -> tuple[dict[str, ContainerStats], bool]:
        """By container id, and whether they could be had."""
        try:
            return {sample.container_id: sample for sample in await self._services.runtime.stats()}, True
        except RuntimeFailure:
            return {}, False

    def _configuration(self) -> Obj:
        options = self._context.options
        return {
            "kind": "KubeletConfiguration",
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "clusterDomain": options.cluster_domain,
            "clusterDNS": list(options.cluster_dns),
            "maxPods": options.max_pods,
            "podCIDR": options.pod_cidr,
            "nodeLeaseDurationSeconds": options.lease_seconds,
            "nodeStatusReportFrequency": f"{options.status_report_period:g}s",
            "containerLogMaxSize": str(options.log_keep_bytes),
        }

    # -- statistics

    async def _summary(self) -> Obj:
        samples, _ = await self._samples()
        return node_summary(
            self._context.node_name,
            self._sandboxes(),
            samples,
            self._services.stats,
            self._services.clock.now(),
            self._context.memory_capacity,
            self._services.state_dir,
        )

    # -- metrics

    def _own_metrics(self) -> str:
        states = self._workers.states.values()
        counts: dict[str, int] = {}
        for sandbox in self._services.cache.all():
            if sandbox.node == self._context.node_name:
                for one in sandbox.containers:
                    counts[one.state] = counts.get(one.state, 0) + 1
        active = sum(not is_terminal(state.pod) for state in states)
        return _family(
            "kubelet_node_name", "gauge", "The node's name.", [({"node": self._context.node_name}, 1)]
        ) + (
            _family(
                "kubelet_running_pods",
                "gauge",
                "Pods with a running sandbox.",
                [({}, len(self._sandboxes()))],
            )
            + _family(
                "kubelet_running_containers",
                "gauge",
                "Containers by state.",
                [({"container_state": state}, count) for state, count in sorted(counts.items())],
            )
            + _family("kubelet_active_pods", "gauge", "Pods that have not ended.", [({"static": ""}, active)])
        )

    async def _resource_metrics(self) -> str:
        samples, had = await self._samples()
        cpu: list[_Sample] = []
        memory: list[_Sample] = []
        started: list[_Sample] = []
        pod_cpu: list[_Sample] = []
        pod_memory: list[_Sample] = []
        for sandbox in self._sandboxes():
            pod = {"namespace": sandbox.namespace, "pod": sandbox.name}
            for one, sample in _measured(sandbox, samples):
                labels = {"container": one.name, **pod}
                cpu.append((labels, sample.cpu_nanoseconds / 1e9))
                memory.append((labels, sample.memory))
                if one.started_at is not None:
                    started.append((labels, one.started_at.timestamp()))
            whole = total((samples.get(one.id) for one in sandbox.containers), self._services.clock.now())
            pod_cpu.append((pod, whole.cpu_nanoseconds / 1e9))
            pod_memory.append((pod, whole.memory))
        node_cpu, node_memory = sum(value for _, value in pod_cpu), sum(value for _, value in pod_memory)
        seconds, amount = "Cumulative cpu time in core-seconds.", "Current working set in bytes."
        return "".join(
            (
                _family("container_cpu_usage_seconds_total", "counter", seconds, cpu),
                _family("container_memory_working_set_bytes", "gauge", amount, memory),
                _family("container_start_time_seconds", "gauge", "Start time since unix epoch.", started),
                _family("node_cpu_usage_seconds_total", "counter", seconds, [({}, node_cpu)]),
                _family("node_memory_working_set_bytes", "gauge", amount, [({}, node_memory)]),
                _family("pod_cpu_usage_seconds_total", "counter", seconds, pod_cpu),
                _family("pod_memory_working_set_bytes", "gauge", amount, pod_memory),
                _family(
                    "resource_scrape_error", "gauge", "1 if there was an error.", [({}, 0 if had else 1)]
                ),
            )
        )

    async def _container_metrics(self) -> str:
        samples, _ = await self._samples()
        cpu: list[_Sample] = []
        memory: list[_Sample] = []
        limits: list[_Sample] = []
        received: list[_Sample] = []
        sent: list[_Sample] = []
        for sandbox in self._sandboxes():
            pod = {"namespace": sandbox.namespace, "pod": sandbox.name}
            for index, (one, sample) in enumerate(_measured(sandbox, samples)):
                labels = {"container": one.name, "id": one.id, "image": one.image, "name": one.id, **pod}
                cpu.append(({**labels, "cpu": "total"}, sample.cpu_nanoseconds / 1e9))
                memory.append((labels, sample.memory))
                limits.append((labels, sample.memory_limit))
                if index == 0:
                    interface = {"interface": "eth0", **pod}
                    received.append((interface, sample.network_in))
                    sent.append((interface, sample.network_out))
        return "".join(
            (
                _family(
                    "container_cpu_usage_seconds_total", "counter", "Cumulative cpu time in seconds.", cpu
                ),
                _family(
                    "container_memory_working_set_bytes", "gauge", "Current working set in bytes.", memory
                ),
                _family("container_spec_memory_limit_bytes", "gauge", "Memory limit, 0 for none.", limits),
                _family("container_network_receive_bytes_total", "counter", "Bytes received.", received),
                _family("container_network_transmit_bytes_total", "counter", "Bytes sent.", sent),
            )
        )


def _measured(
    sandbox: Sandbox, samples: Mapping[str, ContainerStats]
) -> Iterable[tuple[Container, ContainerStats]]:
    for one in sandbox.containers:
        sample = samples.get(one.id)
        if sample is not None:
            yield one, sample


def _running_pod(sandbox: Sandbox) -> Obj:
    return {
        "metadata": {"name": sandbox.name, "namespace": sandbox.namespace, "uid": sandbox.uid},
        "spec": {
            "containers": [
                {"name": one.name, "image": one.image, "resources": {}}
                for one in sandbox.containers
                if is_running(one)
            ]
        },
        "status": {},
    }


def _pod_list(pods: list[Obj]) -> Obj:
    return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods}


def _json(value: Any) -> NodeAnswer:
    return NodeAnswer(200, "application/json", orjson.dumps(value))


def _text(text: str) -> NodeAnswer:
    return NodeAnswer(200, _METRICS, text.encode())


def _family(name: str, kind: str, words: str, samples: Iterable[_Sample]) -> str:
    """One metric in Prometheus' text format."""
    lines = [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        inside = ",".join(f'{key}="{_escape(labels[key])}"' for key in sorted(labels))
        lines.append(f"{name}{{{inside}}} {value:.10g}" if inside else f"{name} {value:.10g}")
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
