"""The images that the examples and the tests name.

The demo's and http-go's exist nowhere else. Busybox and nginx stand in for a registry's where none is within reach:
Debian's programs under the registry's names. The nginx images hold Debian's nginx with the version in its binary
rewritten to the tag's (both are six letters long), so that a rollout can be told apart by the ``Server`` header as
with the real ones. Debian's busybox crashes in ``wget -T``; ``timeout 3 wget`` works.
"""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Mapping, Sequence

from . import Content, Recipe
from .packages import find_file, loader, program_files, unpack

NGINX_PACKAGES = ("nginx", "nginx-common")
NGINX_TAGS = ("1.14.2", "1.16.1", "1.17.1", "1.18.0", "1.20.2")
BUSYBOX_TAGS = ("latest", "1.28", "1.35", "1.36", "stable", "glibc")

ACCOUNTS = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": b"root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": b"hosts: files dns\n",
}

_NGINX_CONF = b"""user root;
worker_processes 1;
error_log stderr notice;
pid /run/nginx.pid;
events { worker_connections 256; }
http {
    types { text/html html; text/css css; }
    access_log /dev/stdout;
    server {
        listen 80;
        root /usr/share/nginx/html;
        index index.html;
    }
}
"""

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


@functools.cache
def busybox_content() -> Content:
    """Busybox with its libraries (name look-ups need them), and a link for each of its commands."""
    tree = unpack(["busybox"])
    files = program_files(tree, "bin/busybox")
    listing = subprocess.run(
        [*loader(tree), str(find_file(tree, "bin/busybox")), "--list"], capture_output=True, check=True
    ).stdout.decode()
    links = {f"bin/{name}": "busybox" for name in listing.split() if name != "busybox"}
    return Content({**files, **ACCOUNTS}, links)


def _nginx_content(version: str) -> Content:
    """Debian's nginx that calls itself this version; empty leaves it its own."""
    tree, shell = unpack(NGINX_PACKAGES), busybox_content()
    program = find_file(tree, "usr/sbin/nginx").read_bytes()
    start = program.index(b"nginx version: nginx/") + len(b"nginx version: nginx/")
    own = program[start : program.index(b"\0", start)].split()[0]
    if version:
        program = program.replace(b"nginx/" + own, b"nginx/" + version.encode())
    files = {
        **shell.files,
        **program_files(tree, "usr/sbin/nginx"),
        **ACCOUNTS,
        "usr/sbin/nginx": program,
        "etc/nginx/nginx.conf": _NGINX_CONF,
        "usr/share/nginx/html/index.html": (tree / "usr/share/nginx/html/index.html").read_bytes(),
    }
    links = {**shell.links, "bin/nginx": "/usr/sbin/nginx"}
    return Content(files, links, ("var/lib/nginx", "var/log/nginx", "var/lock"))


def _web_server(names: tuple[str, ...], page: bytes, environment: Mapping[str, str]) -> Recipe:
    """Busybox' web server on port 8080, with a page that a script writes anew for each request."""
    return Recipe(
        names,
        busybox_content,
        files={"serve": _SERVE, "www/cgi-bin/index.cgi": page},
        changes=(
            *(f'ENV {key}="{value}"' for key, value in environment.items()),
            "EXPOSE 8080",
            'ENTRYPOINT ["/serve"]',
        ),
        substitute="docker.io/library/busybox:latest",
    )


def own_recipes() -> list[Recipe]:
    """What ``manifests/`` names and no registry has: the demo's images, and http-go's."""
    recipes = [
        _web_server(
            (f"localhost/kubetui-demo:{version}",), _DEMO_PAGE, {"VERSION": version, "COLOUR": colour}
        )
        for version, colour in _COLOURS.items()
    ]
    recipes += [
        _web_server((f"localhost/http-go:{version}",), _HTTP_GO, {"VERSION": version})
        for version in ("v1", "v2")
    ]
    return recipes


def busybox() -> Recipe:
    """``busybox``, under every tag that manifests are likely to name."""
    names = tuple(f"docker.io/library/busybox:{tag}" for tag in BUSYBOX_TAGS)
    return Recipe(names, busybox_content, changes=('CMD ["sh"]',), stand_in=True)


def nginx() -> list[Recipe]:
    """``nginx:latest`` (the distribution's own version) and those of :data:`NGINX_TAGS`."""
    found = []
    for tag in ("latest", *NGINX_TAGS):
        version = "" if tag == "latest" else tag
        names = [f"docker.io/library/nginx:{tag}"]
        if not version:
            names += ["docker.io/library/nginx:alpine", "docker.io/library/nginx:stable"]
        changes = [
            *([f"ENV NGINX_VERSION={version}"] if version else []),
            "EXPOSE 80",
            "STOPSIGNAL SIGQUIT",
            'CMD ["nginx", "-g", "daemon off;"]',
        ]
        content = functools.partial(_nginx_content, version)
        found.append(Recipe(tuple(names), content, changes=tuple(changes), stand_in=True))
    return found


def stand_ins() -> list[Sequence[Recipe]]:
    """Families of images: who needs one of them is likely to want the others next, for a rollout."""
    return [[busybox()], nginx()]
