"""A network's bridge that Netavark left behind.

Netavark takes a bridge away with the last container on it. When two teardowns meet, or Podman is killed in the middle
of one, the bridge stays for ever, with its addresses: the next cluster would find its range taken.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from pathlib import Path

# linux/sockios.h
_SIOCSIFFLAGS = 0x8914
_SIOCBRDELBR = 0x89A1

_IFREQ = "16sH22x"
"""``struct ifreq`` with flags; without any the interface is taken down."""


def remove_bridge(name: str) -> bool:
    """Remove a bridge of this machine that no interface is attached to; whether there was one to remove.

    Does nothing for who may not.
    """
    ports = Path("/sys/class/net", name, "brif")
    if os.geteuid() or not ports.is_dir() or any(ports.iterdir()):
        return False
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack(_IFREQ, name.encode(), 0))
        fcntl.ioctl(control, _SIOCBRDELBR, name.encode() + b"\0")
        return True
    return False
