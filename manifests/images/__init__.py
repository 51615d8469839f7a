"""Images made on the spot, for machines that reach no registry.

An image is one layer, imported into whatever Podman storage the caller names, without a container ever being run.
Where its files come from is the recipe's business (``recipes``): Debian's packages, usually (``packages``).
``python -m manifests.images`` makes what ``manifests/`` needs; the tests make more of the same (``tests.images``).
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Podman = Callable[[Sequence[str], bytes | None], str]
"""Runs ``podman ARGUMENTS`` with this standard input; returns its standard output, raises CalledProcessError."""

RECIPE_LABEL = "io.kubetui.recipe"
STAND_IN_LABEL = "io.kubetui.stand-in"


class CannotBuild(Exception):
    """What is missing, in a sentence."""


@dataclass(frozen=True, slots=True)
class Content:
    """What lies in an image, by path without the leading slash."""

    files: Mapping[str, bytes]
    links: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image: what it is called, what it is made of, and its configuration in Dockerfile instructions."""

    names: tuple[str, ...]
    base: Callable[[], Content]
    """The programs under it; looked for only when the image has to be made."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """What is laid over the programs."""
    changes: tuple[str, ...] = ()
    stand_in: bool = False
    """Whether a registry has the real image of this name."""
    substitute: str = ""
    """An image from a registry that can take the place of the base where there are no Debian packages."""

    @property
    def digest(self) -> str:
        """Changes when the recipe does, whatever version of the packages is at hand."""
        found = hashlib.sha256(json.dumps([self.names[0], self.changes]).encode())
        for path, data in sorted(self.files.items()):
            found.update(path.encode() + b"\0" + hashlib.sha256(data).digest())
        return found.hexdigest()[:32]

    @property
    def instructions(self) -> list[str]:
        """All its configuration, our labels included."""
        labels = [f"LABEL {RECIPE_LABEL}={self.digest}"]
        if self.stand_in:
            labels.append(f"LABEL {STAND_IN_LABEL}=true")
        return [*self.changes, *labels]


def local_podman(
    command: Sequence[str] = ("podman",), environment: Mapping[str, str] | None = None
) -> Podman:
    """The Podman that this command line reaches."""

    def run(arguments: Sequence[str], data: bytes | None) -> str:
        result = subprocess.run(
            [*command, *arguments], input=data or b"", capture_output=True, check=True, env=environment
        )
        return result.stdout.decode()

    return run


def layer(content: Content) -> bytes:
    """The image's only layer, the same bytes for the same content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folders = {"tmp", "run", "var/run", "root", "etc", *content.folders}
        for path in (*content.files, *content.links, *folders):
            folders = folders | {str(parent) for parent in Path(path).parents if str(parent) != "."}
        for folder in sorted(folders):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        for path, data in sorted(content.files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), _mode(data)
            archive.addfile(entry, io.BytesIO(data))
        for path, target in sorted(content.links.items()):
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
            archive.addfile(entry)
    return buffer.getvalue()


def _mode(data: bytes) -> int:
    return 0o755 if data.startswith((b"\x7fELF", b"#!")) else 0o644


def present(podman: Podman) -> dict[str, str]:
    """The full names of the images that are there, each with its recipe's digest or an empty text."""
    return {
        name: str((image.get("Labels") or {}).get(RECIPE_LABEL) or "")
        for image in json.loads(podman(["images", "--format", "json"], None) or "[]")
        for name in image.get("Names") or ()
    }


def build(recipes: Sequence[Recipe], podman: Podman) -> list[str]:
    """Make what is not there yet under its recipe's digest; returns the names of the images made.

    A stand-in never takes the name of an image that came from elsewhere.

    Raises:
        CannotBuild: neither the packages nor a substitute are within reach.
        CalledProcessError: Podman refused.
    """
    there = present(podman)
    made: list[str] = []
    for recipe in recipes:
        names = [name for name in recipe.names if not (recipe.stand_in and there.get(name) == "")]
        if all(there.get(name) == recipe.digest for name in names):
            continue
        try:
            content = recipe.base()
        except CannotBuild as error:
            if not recipe.substitute:
                raise
            try:
                _build_on(recipe, names[0], podman)
            except subprocess.CalledProcessError:
                raise CannotBuild(f"{error}; nor is there any {recipe.substitute}") from error
        else:
            options = [part for change in recipe.instructions for part in ("--change", change)]
            whole = Content({**content.files, **recipe.files}, content.links, content.folders)
            podman(["import", "--quiet", *options, "-", names[0]], layer(whole))
        if len(names) > 1:
            podman(["tag", *names], None)
        made += names
    return made


def _build_on(recipe: Recipe, name: str, podman: Podman) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for path, data in recipe.files.items():
            file = Path(folder) / "files" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            file.chmod(_mode(data))
        lines = [f"FROM {recipe.substitute}", "COPY files/ /", *recipe.instructions]
        (Path(folder) / "Containerfile").write_text("\n".join(lines) + "\n", "utf-8")
        podman(["build", "--quiet", "--tag", name, folder], None)
