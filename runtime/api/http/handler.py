"""One request from its head to the end of its answer: who, may it be served now, what it asks, how it ended.

The order is apiserver's (``server/config.go``, DefaultBuildHandlerChain): limits, authentication, impersonation,
then the request itself, which is authorized where it is carried out. Whatever goes wrong is answered as
``v1.Status``; what nobody expected is logged with its traceback here, and the client is told no more than that.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from time import perf_counter

from aiohttp import web
from multidict import CIMultiDict

from runtime.api.context import User
from runtime.api.names import new_uid
from runtime.objects.clock import Clock
from runtime.objects.errors import StatusError, internal, too_many_requests, unauthorized

from .audit import AuditLog, Entry
from .authentication import ANONYMOUS, Authenticator, Authorizer, impersonate, is_public
from .client_connection import connection_of
from .connections import CONNECT, Connections
from .deadline import Deadlines, deadline
from .documents import Documents
from .metrics import Metrics
from .proxy import Proxy
from .request import RequestInfo, flag, parse_path
from .resources import Exchange, Resources
from .responses import base_headers, status_response

logger = logging.getLogger(__name__)

MAX_READ = 400
MAX_MUTATING = 200
"""Requests answered at once, streams not counted (upstream's ``--max-requests-inflight`` and its like)."""
REQUEST_SECONDS = 60.0
"""How long a request that is no stream may take at most (``--request-timeout``)."""


@dataclass(slots=True)
class Ending:
    """What is left to note when a request has been answered."""

    exchange: Exchange | None = None
    user: User = ANONYMOUS
    impersonated: User | None = None
    code: int = 500


class Handler:
    """Answers all requests of a server."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        authorizer: Authorizer,
        resources: Resources,
        connections: Connections,
        proxy: Proxy,
        documents: Documents,
        metrics: Metrics,
        clock: Clock,
        audit: AuditLog | None,
    ) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._resources = resources
        self._connections = connections
        self._proxy = proxy
        self._documents = documents
        self._metrics = metrics
        self._clock = clock
        self._audit = audit
        self._deadlines = Deadlines(REQUEST_SECONDS)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        started = perf_counter()
        received = self._clock.now() if self._audit is not None else None
        info = parse_path(request.method, request.rel_url.raw_path)
        audit_id = request.headers.get("Audit-Id", "")[:64] or new_uid()
        headers = base_headers(audit_id)
        streaming = _is_streaming(info, request)
        ending = Ending()
        try:
            response = await self._limited(request, info, headers, streaming, ending)
            ending.code = response.status
        except StatusError as refusal:
            ending.code = refusal.code
            response = self._failure(request, headers, refusal, ending)
        except (asyncio.CancelledError, ConnectionError):
            ending.code = 499  # the client is gone; nobody reads an answer
            raise
        except Exception:
            logger.exception("%s %s failed", request.method, info.path)
            response = self._failure(
                request, headers, internal("unexpected failure; the server's log has the details"), ending
            )
        finally:
            self._note(request, info, ending, perf_counter() - started, streaming)
            if self._audit is not None and received is not None:
                self._audit.write(
                    Entry(
                        audit_id=audit_id,
                        uri=request.rel_url.raw_path_qs,
                        verb=_verb(info, ending),
                        info=info,
                        user=ending.user,
                        impersonated=ending.impersonated,
                        source=request.remote or "",
                        user_agent=request.headers.get("User-Agent", ""),
                        code=ending.code,
                        received=received,
                        finished=self._clock.now(),
                        annotations=ending.exchange.context.annotations if ending.exchange else {},
                    )
                )
        return response

    def _failure(
        self, request: web.BaseRequest, headers: CIMultiDict[str], error: StatusError, ending: Ending
    ) -> web.StreamResponse:
        exchange = ending.exchange
        if exchange is not None:
            if exchange.response is not None and exchange.response.prepared:
                # The answer has begun: all that can still be told is that it did not end well.
                if request.transport is not None:
                    request.transport.abort()
                return exchange.response
            for value in exchange.warnings():
                headers.add("Warning", value)
        return status_response(headers, error, request.headers.get("Accept", ""))

    async def _limited(
        self,
        request: web.BaseRequest,
        info: RequestInfo,
        headers: CIMultiDict[str],
        streaming: bool,
        ending: Ending,
    ) -> web.StreamResponse:
        metrics = self._metrics
        if streaming:
            metrics.long_running += 1
            try:
                with connection_of(request).streaming():
                    return await self._answer(request, info, headers, ending)
            finally:
                metrics.long_running -= 1
        kind = "readOnly" if request.method in ("GET", "HEAD") else "mutating"
        if metrics.in_flight[kind] >= (MAX_READ if kind == "readOnly" else MAX_MUTATING):
            raise too_many_requests("Too many requests, please try again later.", 1)
        metrics.in_flight[kind] += 1
        try:
            seconds = deadline(request.query, REQUEST_SECONDS)
            if seconds < REQUEST_SECONDS:
                async with asyncio.timeout(seconds):
                    return await self._answer(request, info, headers, ending)
            with self._deadlines.within():
                return await self._answer(request, info, headers, ending)
        except TimeoutError:
            raise StatusError(
                504,
                "Timeout",
                "Timeout: request did not complete within the allotted timeout",
                {"retryAfterSeconds": 1},
            ) from None
        finally:
            metrics.in_flight[kind] -= 1

    async def _answer(
        self, request: web.BaseRequest, info: RequestInfo, headers: CIMultiDict[str], ending: Ending
    ) -> web.StreamResponse:
        user = self._authenticator.authenticate(connection_of(request).peer_user, request.headers)
        if user is None:
            if not is_public(info.path):
                raise unauthorized()
            user = ANONYMOUS
        ending.user = user
        acting = impersonate(user, request.headers, self._authorizer)
        if acting is not user:
            ending.impersonated = acting
        exchange = ending.exchange = Exchange(request, info, acting, headers)
        if not info.is_resource:
            return await self._documents.handle(exchange)
        resource, sub = self._resources.find(info)
        exchange.resource = resource
        if resource.deprecated:
            exchange.context.warn(resource.deprecated)
        if sub is not None and sub.name in CONNECT:
            if sub.name == "proxy":
                return await self._proxy.handle(exchange, resource, sub)
            return await self._connections.handle(exchange, resource, sub)
        return await self._resources.handle(exchange, resource, sub)

    def _note(
        self, request: web.BaseRequest, info: RequestInfo, ending: Ending, seconds: float, streaming: bool
    ) -> None:
        exchange = ending.exchange
        resource = exchange.resource if exchange is not None else None
        if resource is None:
            labels = (request.method if request.method in _METHODS else "OTHER", "", "", "", "")
        else:
            sub = info.subresource if resource.subresource(info.subresource) else ""
            labels = (_verb(info, ending).upper(), resource.group, resource.version, resource.plural, sub)
        self._metrics.observe(labels, ending.code, seconds, latency=not streaming)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


def _verb(info: RequestInfo, ending: Ending) -> str:
    return (ending.exchange.verb if ending.exchange is not None else "") or info.verb


def _is_streaming(info: RequestInfo, request: web.BaseRequest) -> bool:
    """Whether a request may go on without end: it does not count among those in flight, and has no time limit."""
    if not info.is_resource:
        return False
    if info.subresource in CONNECT:
        return True
    return info.watch or (info.verb == "get" and not info.name and flag(request.query, "watch"))
