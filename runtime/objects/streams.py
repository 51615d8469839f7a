"""Byte streams from a container's process to a client: who offers one, and who carries it, agree here."""

from __future__ import annotations

from typing import Protocol


class StreamSession(Protocol):
    """A running exec or attach."""

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece: (1 stdout or 2 stderr, bytes); None when the output has ended."""
        ...

    async def write(self, data: bytes) -> None:
        """Send to standard input; waits while the other side is full."""
        ...

    async def close_stdin(self) -> None:
        """End of standard input; output goes on."""
        ...

    async def resize(self, width: int, height: int) -> None:
        """Tell the terminal its size in cells."""
        ...

    async def wait(self) -> int:
        """The exit code, once it ended (attach: 0 when detached)."""
        ...

    async def close(self) -> None:
        """Let go of it; an exec'd process is not killed by this."""
        ...


class Connection(Protocol):
    """A byte stream into a pod."""

    async def read(self) -> bytes:
        """The next piece, or b"" at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send; waits while the other side is full."""
        ...

    async def close_write(self) -> None:
        """Half-close."""
        ...

    async def close(self) -> None:
        """Close both ways."""
        ...
