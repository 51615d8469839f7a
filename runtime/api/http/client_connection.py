"""One client's connection: aiohttp's protocol object, with what Kubernetes needs to know of a connection.

Whose certificate was shown is read once, a stream is cancelled when its client goes, what is not HTTP is answered as
``v1.Status``, and a connection can be handed to a protocol that aiohttp does not know.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from runtime.api.context import User
from runtime.objects.errors import StatusError, bad_request, internal

from .authentication import certificate_user
from .responses import base_headers, status_response

logger = logging.getLogger(__name__)


class ClientConnection(RequestHandler):
    """One client's connection, with what is known of it once: whose certificate it showed."""

    __slots__ = ("_accepting", "_detached_task", "_held", "_stream_task", "peer_user")

    def __init__(self, *args: Any, accepting: Callable[[], bool] = lambda: True, **options: Any) -> None:
        """``accepting`` says, when the handshake is done, whether the server still takes connections."""
        super().__init__(*args, **options)
        self._accepting = accepting
        self._held = False
        self.peer_user: User | None = None
        self._stream_task: asyncio.Task[Any] | None = None
        self._detached_task: asyncio.Task[Any] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read the client's certificate, which TLS has verified."""
        if not self._accepting():
            cast(asyncio.Transport, transport).abort()
            return
        self.peer_user = certificate_user(transport.get_extra_info("peercert"))
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """A stream ends with its connection; anything shorter is carried through."""
        task, self._stream_task = self._stream_task, None
        super().connection_lost(exc)
        if task is not None:
            task.cancel()

    def pause_reading(self) -> None:
        """Take no more from the client until what came is read."""
        self._held = True
        super().pause_reading()

    def resume_reading(self, *args: Any, **options: Any) -> None:
        """Go on, where that was held up: aiohttp asks for it with each body, and then looks at everything again."""
        if self._held:
            self._held = False
            super().resume_reading(*args, **options)

    def detach(self) -> None:
        """Give the transport up to another protocol: to aiohttp it looks lost, but it stays open."""
        self._detached_task, self._stream_task = self._stream_task, None
        self.transport = None
        self.connection_lost(None)

    def end_stream(self) -> asyncio.Task[Any] | None:
        """End the stream that is being served, if there is one; its task, which has a few last things to do."""
        task = self._stream_task or self._detached_task
        if task is not None:
            task.cancel()
        return task

    @contextlib.contextmanager
    def streaming(self) -> Iterator[None]:
        """While inside, the current task is cancelled when the connection is lost."""
        self._stream_task = asyncio.current_task()
        try:
            yield
        finally:
            self._stream_task = self._detached_task = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what never reached the handler (no HTTP, too long a line) as ``v1.Status`` and close."""
        error: StatusError
        if status == 400:
            error = bad_request(message or "the request can't be read")
        else:
            if not isinstance(exc, ConnectionError):  # a client that left in the middle is nothing to tell of
                logger.error("a request failed before it was handled", exc_info=exc)
            error = internal("unexpected failure; the server's log has the details")
        response = status_response(base_headers(""), error)
        response.force_close()
        return response


def connection_of(request: web.BaseRequest) -> ClientConnection:
    """The connection a request came over."""
    return cast(ClientConnection, request.protocol)
