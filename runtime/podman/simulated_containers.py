"""One simulated pod, one simulated container: what they are made of, what they print, and how they are written down.

Everything that happens in a container's life follows from its spec and the instant of its start, so little has to be
written down: what it is, when it started, how it ended, and the files that exec'd commands changed.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from . import scripts
from .interface import Container, ContainerSpec, Sandbox, SandboxSpec
from .simulated_life import Life, life_of
from .simulated_record import Line

_POD = ("uid", "namespace", "name", "node", "hostname", "labels", "annotations", "host_network")
_CONTAINER = (
    "name", "attempt", "image", "command", "args", "env", "memory_limit", "log_path", "labels", "annotations"
)  # fmt: skip
"""What of a spec the simulation ever looks at."""
_VIEW = ("state", "started_at", "finished_at", "exit_code", "signal", "oom_killed")
_LAST_LINE = 65_536
LogLine = tuple[float, str, str]
"""(seconds since the start, stdout or stderr, text)."""


@dataclass(slots=True)
class SimulatedPod:
    """A pod and its containers, by id."""

    id: str
    spec: SandboxSpec
    ip: str
    created_at: datetime
    containers: dict[str, SimulatedContainer] = field(default_factory=dict)
    view: Sandbox | None = None
    alive: bool = True

    def show(self) -> Sandbox:
        """As the interface wants it."""
        if self.view is None:
            spec = self.spec
            self.view = Sandbox(
                id=self.id,
                uid=spec.uid,
                namespace=spec.namespace,
                name=spec.name,
                node=spec.node,
                state="ready" if self.alive else "notready",
                ip=self.ip,
                ips=(self.ip,) if self.ip else (),
                created_at=self.created_at,
                containers=tuple(one.view for one in self.containers.values()),
                labels=spec.labels,
            )
        return self.view

    def line(self) -> Line:
        """All of it but the containers."""
        made = {"ip": self.ip, "created_at": self.created_at, "alive": self.alive}
        return {"pod": self.id, "spec": _dump(self.spec, _POD), **made}

    @classmethod
    def from_line(cls, line: Line) -> SimulatedPod:
        """The pod of :meth:`line`. KeyError, TypeError or ValueError when it is none."""
        made = datetime.fromisoformat(line["created_at"])
        return cls(line["pod"], SandboxSpec(**line["spec"]), line["ip"], made, alive=line["alive"])


@dataclass(slots=True)
class SimulatedContainer:
    """One container."""

    id: str
    spec: ContainerSpec
    pod: SimulatedPod
    life: Life
    view: Container
    started: float = 0.0
    attempt_of_run: int = 0
    """Rises with each start and end, so that what is due for an earlier run is recognised."""
    printed: int = 0
    """Lines of its script, and of its output, that are in the log."""
    counted: int = 0
    """Lines that it prints again and again, likewise."""
    files: dict[str, str | None] = field(default_factory=dict)
    """What exec'd commands changed: text, or None for a file removed."""

    @classmethod
    def make(
        cls, container_id: str, spec: ContainerSpec, pod: SimulatedPod, image_id: str, now: datetime
    ) -> SimulatedContainer:
        """A container that was not started yet."""
        view = Container(
            id=container_id,
            name=spec.name,
            attempt=spec.attempt,
            state="created",
            image=spec.image,
            image_id=image_id,
            sandbox_id=pod.id,
            created_at=now,
            log_path=spec.log_path,
            labels=spec.labels,
        )
        return cls(container_id, spec, pod, life_of(spec.image, spec, pod.spec), view)

    # -- what is written down

    def line(self) -> Line:
        """All of it."""
        made = {"image_id": self.view.image_id, "created_at": self.view.created_at}
        files = {"files": self.files} if self.files else {}
        line = {"container": self.id, "pod": self.pod.id, "spec": _dump(self.spec, _CONTAINER), **made}
        return {**line, **self.changed(), **files}

    def changed(self) -> Line:
        """What changes in its life."""
        return {"container": self.id, **{name: getattr(self.view, name) for name in _VIEW}}

    @classmethod
    def from_line(cls, line: Line, pod: SimulatedPod) -> SimulatedContainer:
        """The container of :meth:`line`. KeyError, TypeError or ValueError when it is none."""
        spec = line["spec"]
        for name in ("command", "args"):
            if spec.get(name) is not None:
                spec[name] = tuple(spec[name])
        one = cls.make(
            line["container"],
            ContainerSpec(**spec),
            pod,
            line["image_id"],
            datetime.fromisoformat(line["created_at"]),
        )
        seen = {name: line[name] for name in _VIEW}
        for name in ("started_at", "finished_at"):
            seen[name] = seen[name] and datetime.fromisoformat(seen[name])
        one.view = replace(one.view, **seen)
        one.files = line.get("files") or {}
        return one

    def resume(self, now: datetime, monotonic: float) -> None:
        """Go on with a life that nobody has simulated since a while: it went on, and may have ended."""
        view, life = self.view, self.life
        if view.state != "running" or view.started_at is None:
            return
        elapsed = max(0.0, (now - view.started_at).total_seconds())
        self.started = monotonic - elapsed
        self._find_printed()
        if life.run_seconds <= elapsed:
            end = view.started_at + timedelta(seconds=life.run_seconds)
            self.print_due(life.run_seconds)
            self.view = replace(view, state="exited", finished_at=end, exit_code=life.exit_code)

    # -- what it does

    def outcome(self, elapsed: float) -> scripts.Outcome:
        """What its script has done so many seconds after the start."""
        command = (*(self.spec.command or ()), *(self.spec.args or ()))
        pod = self.pod.spec
        return scripts.play(
            command,
            until=elapsed + 1e-9,
            env=self.spec.env,
            hostname=pod.hostname or pod.name,
            start=self.view.started_at or scripts.UNKNOWN_START,
            service=True,
        )

    def current_files(self, elapsed: float) -> dict[str, str]:
        """Its files: what the script made of them, and exec'd commands since."""
        files: dict[str, str] = {}
        if self.life.script:
            files.update(self.outcome(elapsed).files)
        for path, text in self.files.items():
            if text is None:
                files.pop(path, None)
            else:
                files[path] = text
        return files

    def print_due(self, elapsed: float) -> bool:
        """Write the lines that are due to the log; whether more may be later on."""
        life = self.life
        once = self._once(elapsed)
        lines, self.printed = once[self.printed :], max(self.printed, len(once))
        more = bool(life.script and life.chatty and life.run_seconds > elapsed)
        if life.log_rate:
            count = int(elapsed * life.log_rate + 1e-9)
            lines += [
                ((number + 1) / life.log_rate, "stdout", f"line {number + 1}")
                for number in range(self.counted, count)
            ]
            self.counted = max(self.counted, count)
            more = True
        if lines:
            self._write_log(lines)
        return more

    def _once(self, elapsed: float) -> list[LogLine]:
        lines: list[LogLine] = [(0.0, "stdout", self.life.output)] if self.life.output else []
        if self.life.script and self.life.chatty:
            outcome = self.outcome(elapsed)
            lines += [
                (seconds, "stderr" if index in outcome.errors else "stdout", text)
                for index, (seconds, text) in enumerate(outcome.lines)
            ]
        return lines

    def _write_log(self, lines: list[LogLine]) -> None:
        if not self.spec.log_path or self.view.started_at is None:
            return
        path = Path(self.spec.log_path)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as log:
                for seconds, stream, text in lines:
                    moment = self.view.started_at + timedelta(seconds=seconds)
                    log.write(f"{moment:%Y-%m-%dT%H:%M:%S.%f}000+00:00 {stream} F {text}\n")

    def _find_printed(self) -> None:
        """How much of what it prints is in the log: its last line carries the instant that it was due."""
        try:
            with Path(self.spec.log_path).open("rb") as log:
                log.seek(max(0, log.seek(0, 2) - _LAST_LINE))
                last = log.read().rstrip(b"\n").rpartition(b"\n")[2].decode("utf-8", "replace")
            moment = datetime.fromisoformat(last.partition("000+00:00 ")[0] + "+00:00")
        except (OSError, ValueError):
            return
        if self.view.started_at is None or moment < self.view.started_at:
            return
        elapsed = (moment - self.view.started_at).total_seconds()
        self.printed = len(self._once(elapsed + 1e-5))
        self.counted = int((elapsed + 1e-5) * self.life.log_rate)


Due = tuple[float, int, SimulatedContainer, int, Literal["end", "print"]]
"""When, in which order, whose, of which run, what."""


def _dump(spec: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The members that say something."""
    found = {name: getattr(spec, name) for name in names}
    return {
        name: value
        for name, value in found.items()
        if value is not None and value is not False and value not in ("", {})
    }
