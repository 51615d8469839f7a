"""The process that keeps a pod's namespaces alive, made here because nothing else can be relied on.

Podman builds its infra image from ``catatonit``, which distributions only recommend, and building it costs the
first pod a second. A pause process does next to nothing (ignore children so that orphans are reaped, wait for
SIGTERM or SIGINT, exit), so it is 128 bytes of machine code per architecture, written into a minimal ELF file and
imported as an image. The source, for x86-64 (arm64 is the same calls)::

    rt_sigaction(SIGCHLD, {SIG_IGN}, NULL, 8)            # orphans that come to process 1 are reaped
    rt_sigprocmask(SIG_BLOCK, {SIGTERM, SIGINT}, NULL, 8)  # blocked, hence kept even for process 1
    while rt_sigtimedwait({SIGTERM, SIGINT}, NULL, NULL, 8) < 0: pass
    exit(0)
"""

from __future__ import annotations

import io
import struct
import tarfile

PAUSE_IMAGE = "localhost/kubetui-pause:1"
"""What the image is called locally; never pulled."""

PAUSE_COMMAND = "/pause"

_X86_64 = bytes.fromhex(
    "b80d000000" "bf11000000" "488d3547000000" "31d2" "41ba08000000" "0f05"
    "b80e000000" "31ff" "488d354f000000" "31d2" "41ba08000000" "0f05"
    "b880000000" "488d3d39000000" "31f6" "31d2" "41ba08000000" "0f05"
    "85c0" "78e4"
    "b83c000000" "31ff" "0f05"
)  # fmt: skip
_ARM64 = bytes.fromhex(
    "c81080d2" "200280d2" "81020010" "020080d2" "030180d2" "010000d4"
    "e81080d2" "000080d2" "c1020010" "020080d2" "030180d2" "010000d4"
    "281180d2" "20020010" "010080d2" "020080d2" "030180d2" "010000d4" "40ffff37"
    "a80b80d2" "000080d2" "010000d4"
)  # fmt: skip

_MACHINES = {
    "amd64": (62, _X86_64),
    "x86_64": (62, _X86_64),
    "arm64": (183, _ARM64),
    "aarch64": (183, _ARM64),
}
_BASE = 0x400000
_HEADER = 64 + 56


def pause_program(architecture: str) -> bytes | None:
    """A static ELF executable that waits to be told to end; None for an architecture not covered here."""
    known = _MACHINES.get(architecture)
    if known is None:
        return None
    machine, code = known
    code += b"\0" * (-len(code) % 8)
    data = struct.pack("<4Q", 1, 0, 0, 0) + struct.pack("<Q", 1 << 14 | 1 << 1)
    size = _HEADER + len(code) + len(data)
    ident = b"\x7fELF" + bytes([2, 1, 1]) + b"\0" * 9
    header = ident + struct.pack(
        "<HHIQQQIHHHHHH", 2, machine, 1, _BASE + _HEADER, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x10000)
    return header + segment + code + data


def pause_archive(architecture: str) -> bytes | None:
    """The image's only layer: a tar with the program at ``/pause``; None where there is no program."""
    program = pause_program(architecture)
    if program is None:
        return None
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(PAUSE_COMMAND.lstrip("/"))
        entry.size = len(program)
        entry.mode = 0o755
        archive.addfile(entry, io.BytesIO(program))
    return buffer.getvalue()
