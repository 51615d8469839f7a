"""What a simulated container does, as data: like kwok's stages, one per container.

A container runs for ever unless something says otherwise; in rising order of precedence:

* the image: ``sim/exit:CODE`` ends at once, ``sim/run:SECONDS`` ends with 0 after that time, ``sim/fail:any`` can't
  be started; an image whose name has a part ``missing``, ``absent``, ``nonexistent``, ``does-not-exist``,
  ``no-such-…`` or ``invalid`` (and ``nginx:1.161``, the slip in Kubernetes' own tutorial) can't be pulled;
* the command, where it is simple enough to be understood (see ``scripts``): ``sh -c "sleep 5; exit 3"``;
* annotations of the pod (or container), each with an optional ``.CONTAINER`` after the word:
  ``simulated.kubetui.io/run-seconds``, ``exit-code``, ``start-delay`` (seconds that starting takes),
  ``start-error`` (a message), ``ready-after`` (seconds until ports answer), ``http-status``, ``closed`` (no port
  answers), ``ignore-term`` (only SIGKILL ends it), ``cpu`` (cores used), ``memory`` (bytes used), ``written`` (bytes
  in its root file system),
  ``log-lines-per-second``, ``output`` (a line printed at the start).
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass

from . import scripts
from .interface import ContainerSpec, SandboxSpec

ANNOTATION = "simulated.kubetui.io/"
MISSING_IMAGE = re.compile(
    r"(?:^|[/:._-])(?:missing|absent|nonexist(?:ent|ing)|does-?not-?exist|no-?such[\w.-]*|invalid)(?:$|[/:._-])"
    r"|(?:^|/)nginx:1\.161$"
)


@dataclass(slots=True)
class Life:
    """One container's life, from its start."""

    run_seconds: float = scripts.FOREVER
    exit_code: int = 0
    start_delay: float = 0.0
    start_error: str = ""
    ready_after: float = 0.0
    http_status: int = 200
    closed: bool = False
    ignore_term: bool = False
    cpu: float = 0.001
    memory: int = 8 << 20
    log_rate: float = 0.0
    written: int = 0
    output: str = ""
    script: bool = False
    chatty: bool = False
    """The script prints more later on."""


def life_of(image: str, spec: ContainerSpec, pod: SandboxSpec) -> Life:
    """Read a container's life from its image, command and annotations."""
    life = Life()
    if "sim/" in image:
        kind, _, value = image.rpartition("sim/")[2].partition(":")
        if kind == "exit":
            life.run_seconds, life.exit_code = 0.0, int(value or 0)
        elif kind == "run":
            life.run_seconds = float(value or 0)
        elif kind == "fail":
            life.start_error = f'exec: "{value}": executable file not found in $PATH'
    command = (*(spec.command or ()), *(spec.args or ()))
    if command:
        outcome = scripts.play(command, env=spec.env, hostname=pod.hostname or pod.name, service=True)
        life.run_seconds, life.exit_code = outcome.ends, outcome.exit_code
        life.script = True
        life.chatty = scripts.may_print(command)
    for source in (pod.annotations, spec.annotations):
        for key, value in source.items():
            if key.startswith(ANNOTATION):
                _annotate(life, key.removeprefix(ANNOTATION), value, spec.name)
    return life


def _annotate(life: Life, key: str, value: str, container: str) -> None:
    word, dot, only = key.partition(".")
    if dot and only != container:
        return
    with contextlib.suppress(ValueError):
        match word:
            case "run-seconds":
                life.run_seconds = float(value)
            case "exit-code":
                life.exit_code = int(value)
            case "start-delay":
                life.start_delay = float(value)
            case "start-error":
                life.start_error = value
            case "ready-after":
                life.ready_after = float(value)
            case "http-status":
                life.http_status = int(value)
            case "closed":
                life.closed = value == "true"
            case "ignore-term":
                life.ignore_term = value == "true"
            case "cpu":
                life.cpu = float(value)
            case "memory":
                life.memory = int(value)
            case "written":
                life.written = int(value)
            case "log-lines-per-second":
                life.log_rate = float(value)
            case "output":
                life.output = value
