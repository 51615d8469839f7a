"""``python -m manifests.images PATH…``: have the images that these manifests name, before the terminal opens.

Our own are made. The others are pulled, each once and without long waits; where no registry gives them, stand-ins are
made from Debian's packages, and said to be such. Quick when everything is there: then one listing is all it takes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from runtime.podman import names
from runtime.podman.interface import RuntimeFailure
from runtime.podman.service import PodmanService

from . import STAND_IN_LABEL, CannotBuild, Podman, build, local_podman, present
from .recipes import own_recipes, stand_ins

FIRST_SIGN_SECONDS = 10.0
"""How long a registry may take until it has found the image."""
PULL_SECONDS = 180.0
"""How long it may take to send it."""
_FOUND = ("Getting image source signatures", "Copying ")
_UNREACHABLE = ("dial tcp", "i/o timeout", "no such host", "TLS handshake", "no answer")


def images_of(paths: Sequence[Path]) -> list[str]:
    """The images that manifests name and that may be pulled, in their order, each once.

    Files that can't be read are passed over: the terminal shows what is wrong with them.
    """
    found: dict[str, None] = {}
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.suffix not in (".yaml", ".yml", ".json"):
                continue
            with contextlib.suppress(OSError, ValueError, yaml.YAMLError, RecursionError):
                for document in yaml.safe_load_all(file.read_text("utf-8")):
                    found.update(dict.fromkeys(_images(document)))
    return list(found)


def _images(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _images(item)
    elif isinstance(node, dict):
        image = node.get("image")
        if isinstance(image, str) and "name" in node and node.get("imagePullPolicy") != "Never":
            yield image
        for value in node.values():
            yield from _images(value)


def pull(command: Sequence[str], environment: dict[str, str], image: str) -> str:
    """``podman pull``, ended when no registry answers in time; why it failed, empty when it did not."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [*command, "pull", image],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.2)
                said = os.pread(output.fileno(), 1 << 16, 0).decode("utf-8", "replace").strip().splitlines()
                if process.returncode == 0:
                    return ""
                if process.returncode is not None:
                    return said[-1] if said else f"podman pull ended with {process.returncode}"
                limit = PULL_SECONDS if any(line.startswith(_FOUND) for line in said) else FIRST_SIGN_SECONDS
                if time.monotonic() - began > limit:
                    return f"no answer within {limit:.0f} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def provide(
    paths: Sequence[Path], podman: Podman, command: Sequence[str], environment: dict[str, str]
) -> bool:
    """Make, pull, or stand in for what the manifests name; whether everything is there then."""
    if made := build(own_recipes(), podman):
        _say(f"made {_listed(made)}")
    there = present(podman)
    silent: set[str] = set()
    needed: list[str] = []
    for image in images_of(paths):
        try:
            wanted = names.candidates(image)
        except ValueError:
            continue
        if any(name in there for name in wanted):
            continue
        full = wanted[-1]
        registry = full.partition("/")[0]
        if registry not in silent:
            print(f"pulling {full} … ", end="", flush=True)
            failure = pull(command, environment, full)
            if not failure:
                _say("done")
                continue
            if any(word in failure for word in _UNREACHABLE):
                silent.add(registry)
                failure = f"no registry within reach ({failure.rpartition('dial tcp: ')[2]})"
            _say(failure.removeprefix("Error: "))
        needed.append(full)
    missing = set(needed)
    for family in stand_ins():
        if missing.isdisjoint(name for recipe in family for name in recipe.names):
            continue
        made = build(family, podman)
        missing.difference_update(made)
        _say(f"made stand-ins from Debian's packages ({STAND_IN_LABEL}=true): {_listed(made)}")
    for name in sorted(missing):
        _say(f"{name} is not here, and no registry gave it: its pods will wait for it")
    return not missing


def _listed(images: Sequence[str]) -> str:
    """``a:1, 2`` for a:1 and a:2."""
    tags: dict[str, list[str]] = {}
    for image in images:
        name, _, tag = image.rpartition(":")
        tags.setdefault(name, []).append(tag)
    return "; ".join(f"{name}:{', '.join(found)}" for name, found in tags.items())


def _say(line: str) -> None:
    print(line, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Have the images of these files and folders; returns 1 when some are missing."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            service = PodmanService(Path(folder))
            service.prepare()  # the settings that this machine needs
            command, environment = service.command(), service.environment
            paths = [Path(argument) for argument in arguments]
            return 0 if provide(paths, local_podman(command, environment), command, environment) else 1
    except (CannotBuild, RuntimeFailure) as error:
        print(f"images were not made: {error}", file=sys.stderr)
    except subprocess.CalledProcessError as error:
        print(f"images were not made: {error.stderr.decode(errors='replace').strip()}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
