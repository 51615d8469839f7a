"""Calling something a moment later, for certain.

Textual's timers leave out what they are late for, and a timer of a few milliseconds counts as late when the machine
was busy just as it began: it never fires. Here the event loop keeps the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from textual.message_pump import MessagePump


def soon(pump: MessagePump, seconds: float, callback: Callable[[], Any]) -> asyncio.TimerHandle:
    """Call back among the pump's messages after that time."""
    return asyncio.get_running_loop().call_later(seconds, pump.call_later, callback)
