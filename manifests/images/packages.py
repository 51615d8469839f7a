"""Programs out of Debian's packages, without installing anything and without root.

Packages are fetched with ``apt-get download``, with package lists of our own where the machine has none, and unpacked
with ``dpkg -x`` into a cache folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from . import CannotBuild


def cache_folder() -> Path:
    """Where fetched packages are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "kubetui" / "packages"


def _apt(arguments: Sequence[str], folder: Path, options: Sequence[str] = ()) -> bool:
    command = ["apt-get", "-qq", *options, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def _download(package: str, folder: Path) -> Path:
    found = sorted(folder.glob(f"{package}_*.deb"))
    if found:
        return found[-1]
    if not _apt(["download", package], folder):
        # No package lists, or old ones: fetch our own, which needs no root.
        lists = folder / "apt"
        for part in ("lists/partial", "cache/archives/partial"):
            (lists / part).mkdir(parents=True, exist_ok=True)
        options = ["-o", f"Dir::State::lists={lists / 'lists'}", "-o", f"Dir::Cache={lists / 'cache'}"]
        _apt(["update"], folder, options)
        _apt(["download", package], folder, options)
    found = sorted(folder.glob(f"{package}_*.deb"))
    if not found:
        raise CannotBuild(f"apt-get download {package} failed: is a Debian mirror within reach?")
    return found[-1]


def _libraries(archive: Path) -> list[str]:
    """The packages of shared libraries that a package depends on; their names differ from release to release."""
    told = subprocess.run(
        ["dpkg-deb", "--field", str(archive), "Depends", "Pre-Depends"], check=True, capture_output=True
    ).stdout.decode()
    names = re.findall(r"(?:^|[,:])\s*([a-z0-9][a-z0-9+.-]+)", told, re.MULTILINE)
    return [name for name in names if name.startswith(("lib", "zlib"))]


def unpack(packages: Sequence[str]) -> Path:
    """A folder with the packages' files and the libraries they need, fetched once and unpacked once."""
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise CannotBuild("these images are made from Debian packages, and there is no apt-get here")
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    archives: list[Path] = []
    names = list(packages)
    for package in names:
        archives.append(_download(package, folder))
        names += [name for name in _libraries(archives[-1]) if name not in names]
    key = hashlib.sha256("\n".join(archive.name for archive in archives).encode()).hexdigest()[:16]
    tree = folder / f"tree-{key}"
    if not tree.is_dir():
        fresh = folder / f"tree-{key}.{os.getpid()}"
        for archive in archives:
            subprocess.run(["dpkg", "-x", str(archive), str(fresh)], check=True, capture_output=True)
        try:
            fresh.rename(tree)
        except OSError:  # another process was quicker
            shutil.rmtree(fresh, ignore_errors=True)
    return tree


def find_file(tree: Path, path: str) -> Path:
    """A file of an unpacked tree; newer releases have below ``usr`` what was in ``bin`` and ``lib``."""
    found = next((one for one in (tree / path, tree / "usr" / path) if one.exists()), None)
    if found is None:
        raise CannotBuild(f"Debian's package has no {path}")
    return found


def loader(tree: Path) -> list[str]:
    """The command that runs a program of an unpacked tree with the libraries there; empty where it needs none."""
    found = (
        one for part in ("lib64", "lib", "usr/lib64", "usr/lib") for one in tree.glob(f"{part}/ld-linux*")
    )
    first = next((str(one) for one in found if one.exists()), None)
    folders = sorted({str(path.parent) for path in tree.glob("**/*.so.*") if path.is_file()})
    return [first, "--library-path", ":".join(folders)] if first else []


def program_files(tree: Path, program: str) -> dict[str, bytes]:
    """A program and the shared libraries it needs, by their paths in the image, from an unpacked tree."""
    path, command = find_file(tree, program), loader(tree)
    files = {program: path.read_bytes()}
    if not command:
        return files
    listing = subprocess.run([*command, "--list", str(path)], capture_output=True, check=True).stdout.decode()
    for line in listing.splitlines():
        name, arrow, rest = line.strip().partition(" => ")
        source = Path(rest.split(" (")[0]) if arrow else None
        if source is None or not source.exists():
            continue
        target = name.lstrip("/") if name.startswith("/") else f"usr/lib/{name}"
        files[target] = source.read_bytes()
    return files
