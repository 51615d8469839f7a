"""Which kubectls this machine has, and one of them working in a namespace of its own.

A bare machine has one kubectl; some have several side by side (``kubectl.1.28`` … next to the one on the path),
and ``KUBETUI_KUBECTLS`` names further ones, separated by colons. Every version is worth a run: they speak different
dialects of discovery, patching, streams and watches to the server.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.serving import Kubectl


@functools.cache
def minor_version(binary: str) -> int:
    """The minor version of a kubectl binary, or 0 for what doesn't run."""
    try:
        done = subprocess.run(
            [binary, "version", "--client", "-o", "json"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return int(re.sub(r"\D", "", json.loads(done.stdout)["clientVersion"]["minor"]))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return 0


@functools.cache
def kubectls() -> dict[str, str]:
    """Every kubectl found, one a version: ``{"1.32": path}``, oldest first."""
    found: list[str] = [path for path in os.environ.get("KUBETUI_KUBECTLS", "").split(":") if path]
    main = shutil.which("kubectl")
    if main:
        found.append(main)
        folder = Path(main).resolve().parent
        found += sorted(str(path) for path in folder.glob("kubectl.1.*") if os.access(path, os.X_OK))
    versions: dict[int, str] = {}
    for path in found:
        minor = minor_version(path)
        if minor:
            versions.setdefault(minor, path)
    return {f"1.{minor}": versions[minor] for minor in sorted(versions)}


def each_kubectl() -> list[object]:
    """pytest parameters: the path of every kubectl, or the bare name, which fails, where there is none."""
    return [pytest.param(path, id=version) for version, path in kubectls().items()] or ["kubectl"]


def speaks_spdy(binary: str) -> bool:
    """Whether this kubectl streams over SPDY: exec takes WebSockets first since 1.30, port-forward since 1.31."""
    return minor_version(binary) < 30


def one_kubectl_a_protocol() -> list[object]:
    """pytest parameters: the newest kubectl that streams over SPDY and the newest one, as far as they are here."""
    newest: dict[bool, object] = {}
    for version, path in kubectls().items():
        newest[speaks_spdy(path)] = pytest.param(path, id=version)
    return list(newest.values()) or ["kubectl"]


class InNamespace(Kubectl):
    """A kubectl that works in one namespace."""

    def __init__(self, like: Kubectl, namespace: str) -> None:
        super().__init__(like.kubeconfig, like._cache, like.binary)
        self.namespace = namespace

    def command(self, *arguments: str) -> list[str]:
        """The whole command line; a ``--namespace`` of its own wins."""
        return [*super().command(), f"--namespace={self.namespace}", *arguments]

    @property
    def minor(self) -> int:
        """The client's minor version."""
        return minor_version(self.binary)

    def fails(self, *arguments: str, stdin: str | bytes | None = None, code: int = 1) -> str:
        """What it prints on stderr when it fails, as it must."""
        done = self.run(*arguments, stdin=stdin, check=False)
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stderr

    def needs(self, minor: int, what: str) -> None:
        """Skip the rest of the test where this kubectl is older than what it is about."""
        if self.minor < minor:
            pytest.skip(f"kubectl 1.{self.minor} has no {what}")

    def rows(self, *arguments: str) -> dict[str, dict[str, str]]:
        """A printed table as one dictionary a row, by its NAME."""
        return {row["NAME"]: row for row in self.table(*arguments)}
