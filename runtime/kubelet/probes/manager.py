"""When to probe, and what the answers add up to.

Follows ``pkg/kubelet/prober/{worker,prober_manager}.go``: thresholds count consecutive answers, other probes wait
for the startup probe, an error is no answer, and after a liveness or startup failure nobody asks again until the
container has a new id. Alarms come from the node's one heap; there is no task per probe, only one per question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from runtime.kubelet.container_status import SCHEME
from runtime.kubelet.ports import Recorder
from runtime.kubelet.probes.prober import Outcome, Prober, Target
from runtime.kubelet.status import ProbeResults
from runtime.kubelet.timers import Timer, Timers
from runtime.objects.clock import Clock
from runtime.objects.errors import Obj
from runtime.podman.interface import Container

Kind = Literal["startup", "liveness", "readiness"]
_FIELDS: tuple[tuple[Kind, str], ...] = (
    ("startup", "startupProbe"),
    ("liveness", "livenessProbe"),
    ("readiness", "readinessProbe"),
)
_TITLE = {"startup": "Startup", "liveness": "Liveness", "readiness": "Readiness"}


class _Probe:
    """One probe of one running container."""

    __slots__ = ("asking", "held", "kind", "last", "passed", "run", "spec", "timer")

    def __init__(self, kind: Kind, spec: Obj, passed: bool | None) -> None:
        self.kind = kind
        self.spec = spec
        self.passed = passed
        self.last: Outcome | None = None
        self.run = 0
        self.held = False
        self.asking = False
        self.timer: Timer | None = None


class _Watched:
    """One running container with its probes."""

    __slots__ = ("field_path", "pod", "probes", "started_at", "target", "uid")

    def __init__(self, uid: str, pod: Obj, target: Target, field_path: str, started_at: float) -> None:
        self.uid = uid
        self.pod = pod
        self.target = target
        self.field_path = field_path
        self.started_at = started_at
        self.probes: dict[Kind, _Probe] = {}


class ProbeManager(ProbeResults):
    """All probes of one kubelet.

    Args:
        prober: asks.
        timers: the node's alarms.
        clock: the node's clock.
        recorder: where Unhealthy events go.
        changed: called with a pod's uid when a verdict changed.
    """

    def __init__(
        self,
        prober: Prober,
        timers: Timers,
        clock: Clock,
        recorder: Recorder,
        changed: Callable[[str], None],
    ) -> None:
        self._prober = prober
        self._timers = timers
        self._clock = clock
        self._recorder = recorder
        self._changed = changed
        self._watched: dict[str, _Watched] = {}
        self._by_pod: dict[str, set[str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # -- verdicts

    def started(self, spec: Obj, container_id: str) -> bool:
        """Whether the startup probe has passed."""
        return self._passed(spec, container_id, "startup", "startupProbe")

    def ready(self, spec: Obj, container_id: str) -> bool:
        """Whether the readiness probe passes."""
        return self._passed(spec, container_id, "readiness", "readinessProbe")

    def liveness_failed(self, container_id: str) -> bool:
        """Whether the container is to be restarted for its liveness probe."""
        return self._failed(container_id, "liveness")

    def startup_failed(self, container_id: str) -> bool:
        """Whether the container is to be restarted for its startup probe."""
        return self._failed(container_id, "startup")

    def _passed(self, spec: Obj, container_id: str, kind: Kind, field: str) -> bool:
        if not spec.get(field):
            return True
        watched = self._watched.get(container_id.removeprefix(SCHEME))
        probe = watched.probes.get(kind) if watched else None
        return bool(probe and probe.passed)

    def _failed(self, container_id: str, kind: Kind) -> bool:
        watched = self._watched.get(container_id.removeprefix(SCHEME))
        probe = watched.probes.get(kind) if watched else None
        return probe is not None and probe.passed is False

    # -- what is watched

    def watch(
        self,
        pod: Obj,
        spec: Obj,
        container: Container,
        *,
        field: str,
        pod_ip: str,
        sandbox_id: str,
        before: Obj | None = None,
    ) -> None:
        """Begin to probe a container that runs; a second call only updates the pod.

        Args:
            pod: its pod.
            spec: its entry in the spec.
            container: the running container.
            field: ``containers`` or ``initContainers``.
            pod_ip: where to ask.
            sandbox_id: how to get there.
            before: its status as the API had it, when the kubelet found it running: then its verdicts go on.
        """
        known = self._watched.get(container.id)
        if known is not None:
            known.pod = pod
            return
        if not any(spec.get(name) for _, name in _FIELDS):
            return
        uid = pod["metadata"]["uid"]
        now = self._clock.monotonic()
        age = (self._clock.now() - container.started_at).total_seconds() if container.started_at else 0.0
        target = Target(
            container.id, sandbox_id, pod_ip, spec, host_network=bool(pod["spec"].get("hostNetwork"))
        )
        watched = _Watched(uid, pod, target, f"spec.{field}{{{spec['name']}}}", now - max(0.0, age))
        adopted = before is not None and before.get("containerID") == SCHEME + container.id
        for kind, name in _FIELDS:
            if not spec.get(name):
                continue
            passed: bool | None = {"startup": None, "liveness": True, "readiness": False}[kind]
            if adopted and before is not None:
                if kind == "startup" and before.get("started"):
                    passed = True
                elif kind == "readiness":
                    passed = bool(before.get("ready"))
            watched.probes[kind] = _Probe(kind, spec[name], passed)
        self._watched[container.id] = watched
        self._by_pod.setdefault(uid, set()).add(container.id)
        startup = watched.probes.get("startup")
        for probe in watched.probes.values():
            if probe.kind == "startup":
                if not probe.passed:
                    self._first(watched, probe)
            elif startup is None or startup.passed:
                self._first(watched, probe)

    def forget(self, container_id: str) -> None:
        """The container has ended."""
        watched = self._watched.pop(container_id, None)
        if watched is not None:
            self._by_pod.get(watched.uid, set()).discard(container_id)
            for probe in watched.probes.values():
                if probe.timer is not None:
                    probe.timer.cancel()

    def forget_pod(self, uid: str) -> None:
        """The pod has ended."""
        for container_id in list(self._by_pod.pop(uid, ())):
            self.forget(container_id)

    def stop_liveness(self, container_id: str) -> None:
        """The pod is being deleted: only readiness still matters."""
        watched = self._watched.get(container_id)
        if watched is None:
            return
        for kind in ("liveness", "startup"):
            probe = watched.probes.get(kind)
            if probe is not None:
                probe.held, probe.passed = True, True
                if probe.timer is not None:
                    probe.timer.cancel()

    async def stop(self) -> None:
        """Ask nobody any more."""
        for container_id in list(self._watched):
            self.forget(container_id)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- asking

    def _first(self, watched: _Watched, probe: _Probe) -> None:
        delay = float(probe.spec.get("initialDelaySeconds") or 0)
        self._later(watched, probe, watched.started_at + delay - self._clock.monotonic())

    def _later(self, watched: _Watched, probe: _Probe, delay: float) -> None:
        probe.timer = self._timers.call_later(delay, lambda: self._ask(watched, probe))

    def _ask(self, watched: _Watched, probe: _Probe) -> None:
        if self._watched.get(watched.target.container_id) is not watched or probe.held:
            return
        if probe.kind == "startup" and probe.passed:
            return
        self._later(watched, probe, float(probe.spec.get("periodSeconds") or 10))
        if probe.asking:
            return
        probe.asking = True
        task = asyncio.get_running_loop().create_task(self._answer(watched, probe))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, watched: _Watched, probe: _Probe) -> None:
        try:
            outcome, output = await self._prober.probe(probe.spec, watched.target)
        finally:
            probe.asking = False
        if self._watched.get(watched.target.container_id) is not watched or probe.held:
            return
        self._count(watched, probe, outcome, output)

    def _count(self, watched: _Watched, probe: _Probe, outcome: Outcome, output: str) -> None:
        title = _TITLE[probe.kind]
        if outcome == "unknown":
            self._say(watched, f"{title} probe errored and resulted in unknown state: {output}")
            return
        if outcome == "failure":
            self._say(watched, f"{title} probe failed: {output}")
        elif outcome == "warning":
            self._say(watched, f"{title} probe warning: {output}", "ProbeWarning")
            outcome = "success"
        if probe.last == outcome:
            probe.run += 1
        else:
            probe.last, probe.run = outcome, 1
        field, default = ("failureThreshold", 3) if outcome == "failure" else ("successThreshold", 1)
        if probe.run < int(probe.spec.get(field) or default):
            return
        passed = outcome == "success"
        before, probe.passed = probe.passed, passed
        if not passed and probe.kind != "readiness":
            probe.held, probe.run = True, 0
            if probe.timer is not None:
                probe.timer.cancel()
        if passed and probe.kind == "startup" and before is not True:
            for other in watched.probes.values():
                if other.kind != "startup":
                    self._first(watched, other)
        if before is not passed:
            self._changed(watched.uid)

    def _say(self, watched: _Watched, message: str, reason: str = "Unhealthy") -> None:
        self._recorder.event(watched.pod, "Warning", reason, message, field_path=watched.field_path)
