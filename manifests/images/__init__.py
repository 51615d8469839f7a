"""Images made on the spot from the distribution's packages, for machines that reach no registry.

Packages are fetched with ``apt-get download`` and unpacked with ``dpkg -x`` into a folder: nothing is installed, and
an ordinary user may do it. An image is one layer, imported into whatever Podman storage the caller names. The demo's
images are here; the tests add more (``tests.images``).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Podman = Callable[[Sequence[str], bytes | None], str]
"""Runs ``podman ARGUMENTS`` with this standard input; returns its standard output, raises CalledProcessError."""


class CannotBuild(Exception):
    """What is missing, in a sentence."""


@dataclass(frozen=True)
class Recipe:
    """One image: files by path, and its configuration in Dockerfile instructions."""

    names: tuple[str, ...]
    files: Mapping[str, bytes]
    changes: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ("tmp", "run", "var/run", "root", "etc")

    @property
    def digest(self) -> str:
        """Changes when the image would."""
        found = hashlib.sha256(json.dumps([self.changes, sorted(self.links.items()), self.folders]).encode())
        for path in sorted(self.files):
            found.update(path.encode() + b"\0" + hashlib.sha256(self.files[path]).digest())
        return found.hexdigest()[:32]


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


# -- packages ---------------------------------------------------------------------------------------------------


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


# -- images -----------------------------------------------------------------------------------------------------


def layer(recipe: Recipe) -> bytes:
    """The image's only layer, the same bytes for the same recipe."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folders = {*recipe.folders}
        for path in (*recipe.files, *recipe.links):
            folders.update(str(parent) for parent in Path(path).parents if str(parent) != ".")
        for folder in sorted(folders):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        for path, data in sorted(recipe.files.items()):
            entry = tarfile.TarInfo(path)
            program = data.startswith((b"\x7fELF", b"#!"))
            entry.size, entry.mode = len(data), 0o755 if program else 0o644
            archive.addfile(entry, io.BytesIO(data))
        for path, target in sorted(recipe.links.items()):
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
            archive.addfile(entry)
    return buffer.getvalue()


_LABEL = "io.kubetui.recipe"


def build(recipes: Sequence[Recipe], podman: Podman) -> list[str]:
    """Import what is not there yet under its recipe's digest; returns the names of the images made."""
    listed = json.loads(podman(["images", "--format", "json"], None) or "[]")
    present = {
        name: str((image.get("Labels") or {}).get(_LABEL))
        for image in listed
        for name in image.get("Names") or ()
    }
    made = []
    for recipe in recipes:
        if all(present.get(name) == recipe.digest for name in recipe.names):
            continue
        changes = [*recipe.changes, f"LABEL {_LABEL}={recipe.digest}"]
        options = [part for change in changes for part in ("--change", change)]
        podman(["import", "--quiet", *options, "-", recipe.names[0]], layer(recipe))
        if len(recipe.names) > 1:
            podman(["tag", *recipe.names], None)
        made += recipe.names
    return made


ACCOUNTS = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": b"root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": b"hosts: files dns\n",
}


def busybox_files() -> tuple[dict[str, bytes], dict[str, str]]:
    """Busybox with its libraries (name look-ups need them), and a link for each of its commands."""
    tree = unpack(["busybox", "libc6"])
    files = program_files(tree, "bin/busybox")
    loader = next(path for path in files if "ld-linux" in path)
    libraries = str(next(tree.glob("**/libc.so.6")).parent)
    listing = subprocess.run(
        [str(tree / loader), "--library-path", libraries, str(tree / "bin/busybox"), "--list"],
        capture_output=True,
        check=True,
    ).stdout.decode()
    links = {f"bin/{name}": "busybox" for name in listing.split() if name != "busybox"}
    return {**files, **ACCOUNTS}, links


_SERVE = b"""#!/bin/sh
# Process 1 gets no signal that it does not ask for.
trap 'kill "$server" 2>/dev/null; exit 0' TERM INT
echo "version $VERSION listens on port ${PORT:-8080}"
httpd -f -p "${PORT:-8080}" -h /www &
server=$!
wait "$server"
"""

_DEMO_PAGE = b"""#!/bin/sh
pod="${POD_NAME:-$(hostname)}"
echo "$(date -u +%H:%M:%S) GET ${REQUEST_URI:-/} answered by $pod" >/proc/1/fd/1
printf 'Content-Type: text/html\\r\\n\\r\\n'
cat <<PAGE
<!doctype html>
<meta charset="utf-8">
<title>kubetui demo $VERSION</title>
<style>
  body { background: $COLOUR; color: #fff; display: grid; font: 24px system-ui; height: 90vh; place-content: center }
  b { font-size: 72px }
</style>
<p>${GREETING:-Hello from Kubernetes on Podman}<br><b>$VERSION</b><br>served by $pod</p>
PAGE
"""

_HTTP_GO = b"""#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
echo "Welcome! $VERSION $(hostname)"
"""

_COLOURS = {"v1": "#326ce5", "v2": "#2e7d32", "v4": "#ad1457"}


def web_server(names: tuple[str, ...], page: bytes, environment: Mapping[str, str]) -> Recipe:
    """Busybox' web server on port 8080, with a page that a script writes anew for each request."""
    files, links = busybox_files()
    return Recipe(
        names=names,
        files={**files, "serve": _SERVE, "www/cgi-bin/index.cgi": page},
        links=links,
        changes=(
            *(f"ENV {key}={value}" for key, value in environment.items()),
            "EXPOSE 8080",
            'ENTRYPOINT ["/serve"]',
        ),
    )


def demo_recipes() -> list[Recipe]:
    """The images that ``manifests/`` can't get from any registry."""
    recipes = [
        web_server((f"localhost/kubetui-demo:{version}",), _DEMO_PAGE, {"VERSION": version, "COLOUR": colour})
        for version, colour in _COLOURS.items()
    ]
    recipes += [
        web_server((f"localhost/http-go:{version}",), _HTTP_GO, {"VERSION": version})
        for version in ("v1", "v2")
    ]
    return recipes
