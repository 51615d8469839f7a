"""Test images under the names that manifests use: busybox, nginx in several versions, http-go, the demo's.

The nginx images hold Debian's nginx with the version in its binary rewritten to the tag's (both are six letters
long), so that a rollout can be told apart by the ``Server`` header as with the real ones. Debian's busybox crashes in
``wget -T``; ``timeout 3 wget`` works.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from manifests.images import (
    ACCOUNTS,
    Podman,
    Recipe,
    build,
    busybox_files,
    demo_recipes,
    program_files,
    unpack,
)

NGINX_PACKAGES = ("nginx", "nginx-common", "libc6", "libcrypt1", "libpcre2-8-0", "libssl3", "zlib1g")
NGINX_TAGS = ("1.14.2", "1.16.1", "1.17.1", "1.18.0", "1.20.2")

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


def busybox() -> Recipe:
    """``busybox``, under every tag that manifests are likely to name."""
    files, links = busybox_files()
    tags = ("latest", "1.28", "1.35", "1.36", "stable", "glibc")
    return Recipe(
        names=tuple(f"docker.io/library/busybox:{tag}" for tag in tags),
        files=files,
        links=links,
        changes=('CMD ["sh"]',),
    )


def nginx() -> list[Recipe]:
    """``nginx:latest`` (the distribution's own version) and those of :data:`NGINX_TAGS`."""
    tree = unpack(NGINX_PACKAGES)
    files, links = busybox_files()
    files |= program_files(tree, "usr/sbin/nginx")
    files |= {
        **ACCOUNTS,
        "etc/nginx/nginx.conf": _NGINX_CONF,
        "usr/share/nginx/html/index.html": (tree / "usr/share/nginx/html/index.html").read_bytes(),
    }
    own = _own_version(tree)
    found = []
    for tag in ("latest", *NGINX_TAGS):
        version = own if tag == "latest" else tag
        program = files["usr/sbin/nginx"].replace(f"nginx/{own}".encode(), f"nginx/{version}".encode())
        page = files["usr/share/nginx/html/index.html"]
        names = [f"docker.io/library/nginx:{tag}"]
        if tag == "latest":
            names += ["docker.io/library/nginx:alpine", "docker.io/library/nginx:stable"]
        found.append(
            Recipe(
                names=tuple(names),
                files={**files, "usr/sbin/nginx": program, "usr/share/nginx/html/index.html": page},
                links={**links, "bin/nginx": "/usr/sbin/nginx"},
                folders=("tmp", "run", "root", "etc", "var/lib/nginx", "var/log/nginx", "var/lock"),
                changes=(
                    f"ENV NGINX_VERSION={version}",
                    "EXPOSE 80",
                    "STOPSIGNAL SIGQUIT",
                    'CMD ["nginx", "-g", "daemon off;"]',
                ),
            )
        )
    return found


def _own_version(tree: Path) -> str:
    program = (tree / "usr/sbin/nginx").read_bytes()
    start = program.index(b"nginx version: nginx/") + len(b"nginx version: nginx/")
    return program[start : program.index(b"\0", start)].decode().split()[0]


def with_short_names() -> list[Recipe]:
    """The demo's images; ``http-go`` under Docker's name too, as manifests of all sorts ask for it."""
    return [
        replace(recipe, names=(*recipe.names, recipe.names[0].replace("localhost/", "docker.io/library/")))
        for recipe in demo_recipes()
    ]


def build_all(podman: Podman) -> list[str]:
    """Everything; what is there already is left alone. Returns the names made."""
    return build([busybox(), *nginx(), *with_short_names()], podman)
