"""Whether a pod's hostPorts are free, asked before it is made.

Rootless Podman finds out only when the pod's network stands, and then leaves it standing: its next attempt meets the
address of the first one, and nobody is told about the port. As root it asks first, as this does.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable

from .interface import PortMapping, RuntimeFailure

_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def check_host_ports(ports: Iterable[PortMapping]) -> None:
    """Bind each of them for a moment.

    Raises:
        RuntimeFailure: one is taken, or can't be had by this user; in Podman's words.
    """
    for port in ports:
        kind = _KINDS.get(port.protocol.lower())
        if kind is None or not port.host_port:
            continue
        family = socket.AF_INET6 if ":" in port.host_ip else socket.AF_INET
        with socket.socket(family, kind) as probe:
            if kind == socket.SOCK_STREAM:  # what a closed connection still holds is no obstacle
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((port.host_ip, port.host_port))
            except OSError as error:
                raise RuntimeFailure(_sentence(port, error), "FailedCreatePodSandBox") from error


def _sentence(port: PortMapping, error: OSError) -> str:
    name = port.protocol.lower()
    address = f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip
    why = os.strerror(error.errno or errno.EIO).lower()
    told = f"cannot listen on the {name.upper()} port: listen {name} {address}:{port.host_port}: bind: {why}"
    if error.errno == errno.EACCES:
        told += (
            "; an ordinary user gets ports from net.ipv4.ip_unprivileged_port_start on "
            f"(sysctl net.ipv4.ip_unprivileged_port_start={port.host_port} lowers it)"
        )
    return told
