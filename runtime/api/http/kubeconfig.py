"""Writing the kubeconfig that lets any Kubernetes client in.

The file carries the authority and the administrator's certificate inside itself, so that it can be copied
anywhere; it replaces an older one in one step and only its owner can read it.
"""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from .pki import PKI, write_private

CONTEXT = "kubetui"
"""The name of the context, the cluster and the user in the file."""


def server_url(host: str, port: int) -> str:
    """``https://HOST:PORT``, with an IPv6 address in brackets."""
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def write_kubeconfig(path: Path, pki: PKI, *, host: str = "127.0.0.1", port: int = 6443) -> str:
    """Write a kubeconfig for the administrator and return the server's URL in it.

    Raises:
        OSError: the file can't be written, or the certificates can't be read.
    """
    url = server_url(host, port)

    def embedded(source: Path) -> str:
        return base64.b64encode(source.read_bytes()).decode("ascii")

    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": CONTEXT,
                "cluster": {
                    "server": url,
                    "certificate-authority-data": embedded(pki.ca_certificate),
                    "disable-compression": True,  # over loopback, packing costs more than sending
                },
            }
        ],
        "users": [
            {
                "name": CONTEXT,
                "user": {
                    "client-certificate-data": embedded(pki.admin_certificate),
                    "client-key-data": embedded(pki.admin_key),
                },
            }
        ],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
        "current-context": CONTEXT,
        "preferences": {},
    }
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(path, yaml.safe_dump(config, sort_keys=False).encode())
    return url
