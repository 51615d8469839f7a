"""Image names as Kubernetes users write them, and what Podman may call the same image locally.

Kubernetes' runtimes take ``nginx`` for ``docker.io/library/nginx:latest``. Podman asks its configuration which
registries to search, and prefers ``localhost/``. What users meant is the former; what they built on this machine
is the latter; both are looked for, in that order of Podman's.
"""

from __future__ import annotations

import re

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?))*"
_REFERENCE = re.compile(
    rf"^(?P<name>(?:(?:{_DOMAIN}|\[[a-fA-F0-9:]+\])(?::[0-9]+)?/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?$"
)
_ID = re.compile(r"^(?:sha256:)?[0-9a-f]{64}$")


def is_valid(name: str) -> bool:
    """Whether the text is an image reference (distribution's reference grammar) or an image id."""
    return bool(_ID.match(name)) or (len(name) <= 255 + 128 + 80 and _REFERENCE.match(name) is not None)


def is_id(name: str) -> bool:
    """Whether the text is an image's full id, with or without ``sha256:``."""
    return _ID.match(name) is not None


def _has_domain(name: str) -> bool:
    first, slash, _ = name.partition("/")
    return bool(slash) and ("." in first or ":" in first or first == "localhost" or first.lower() != first)


def canonical(name: str) -> str:
    """The full name that Docker and containerd give to what was written: registry, path, tag or digest.

    Raises:
        ValueError: the text is no image reference.
    """
    if is_id(name):
        return name
    match = _REFERENCE.match(name)
    if match is None:
        raise ValueError("invalid reference format")
    path, tag, digest = match["name"], match["tag"], match["digest"]
    if not _has_domain(path):
        path = f"docker.io/{path}" if "/" in path else f"docker.io/library/{path}"
    elif path.startswith("index.docker.io/"):
        path = "docker.io/" + path.removeprefix("index.docker.io/")
    if path.startswith("docker.io/") and path.count("/") == 1:
        path = "docker.io/library/" + path.removeprefix("docker.io/")
    if digest:
        return f"{path}@{digest}"  # a digest says more than a tag, and Podman takes only one of them
    return f"{path}:{tag or 'latest'}"


def candidates(name: str) -> list[str]:
    """The full names under which a local image may answer to ``name``, the best first.

    Raises:
        ValueError: the text is no image reference.
    """
    full = canonical(name)
    if is_id(name) or _has_domain(name):
        return [full]
    short = full.removeprefix("docker.io/").removeprefix("library/")
    return [f"localhost/{short}", full]
