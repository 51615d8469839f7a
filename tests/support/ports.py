"""Ports of this machine for clients that want to be given one."""

from __future__ import annotations

import random
import socket


def quiet_port() -> int:
    """A free port below those that the kernel gives to connections, which would take one that nobody holds yet."""
    for _ in range(100):
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")
