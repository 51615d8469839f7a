"""Programs out of Debian's packages, without installing anything and without root.

Packages are fetched with ``apt-get download``, with package lists of our own where the machine has none, and unpacked
with ``dpkg -x`` into a cache folder.
"""

from __future__ import annotations

import hashlib
import os
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


def unpack(packages: Sequence[str]) -> Path:
    """A folder with the packages' files, fetched once and unpacked once."""
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise CannotBuild("these images are made from Debian packages, and there is no apt-get here")
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    archives = [_download(package, folder) for package in packages]
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


def program_files(tree: Path, program: str) -> dict[str, bytes]:
    """A program and the shared libraries it needs, by their paths in the image, from an unpacked tree."""
    files = {program: (tree / program).read_bytes()}
    loaders = [path for path in (*tree.glob("lib64/ld-linux*"), *tree.glob("lib/ld-linux*")) if path.exists()]
    if not loaders:
        return files
    folders = sorted({str(path.parent) for path in tree.glob("**/*.so.*") if path.is_file()})
    listing = subprocess.run(
        [str(loaders[0]), "--list", "--library-path", ":".join(folders), str(tree / program)],
        capture_output=True,
        check=True,
    ).stdout.decode()
    for line in listing.splitlines():
        name, arrow, rest = line.strip().partition(" => ")
        source = Path(rest.split(" (")[0]) if arrow else None
        if source is None or not source.exists():
            continue
        target = name.lstrip("/") if name.startswith("/") else f"usr/lib/{name}"
        files[target] = source.read_bytes()
    return files
