"""The verbs of resources over HTTP: bodies in, objects, lists, tables and watches out.

A thin shell around :class:`runtime.api.api.API`: everything that decides anything happens there, so that a
client over TLS and a controller in this process get the same answers.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from runtime.api.api import API
from runtime.api.context import Answer, RequestContext, User
from runtime.api.listing import check_not_ahead
from runtime.api.repeated import Repeated
from runtime.objects.clock import Clock
from runtime.objects.errors import (
    StatusError,
    bad_request,
    method_not_allowed,
    path_not_found,
    too_large,
)
from runtime.objects.jsonerrors import go_json_error, summary
from runtime.objects.registry import Registry, Resource, Subresource

from . import tables
from .body import BODY_LIMIT, duplicate_fields, is_json, parse, parse_json, read_object, written_alike
from .metrics import Metrics
from .negotiation import (
    PARTIAL,
    PARTIAL_LIST,
    PATCH_TYPES,
    PROTOBUF,
    TABLE,
    Accepted,
    body_format,
    concerns_protobuf,
    negotiate,
    patch_type,
    wants_pretty,
)
from .representations import answer_body, error_event, event_render, has_protobuf, list_body, stream_type
from .request import (
    RequestInfo,
    WriteOptions,
    delete_options,
    flag,
    list_options,
    watch_options,
    write_options,
)
from .responses import respond, warning_headers
from .streams.channels import is_websocket
from .streams.messages import message_socket, watch_protocol
from .watches import Stream, default_timeout, pump, pump_socket

LARGE_YAML = 64 * 1024
"""Bytes of YAML above which a body is read on another thread: its parser takes microseconds a value."""
SINGLE = frozenset({TABLE, PARTIAL})
LIST = frozenset({TABLE, PARTIAL_LIST})
NONE: frozenset[str] = frozenset()
_CUSTOM_PATCHES = {media: kind for media, kind in PATCH_TYPES.items() if kind != "strategic"}


@dataclass(slots=True)
class Exchange:
    """One request on its way: who, what, and the headers of the answer."""

    request: web.BaseRequest
    info: RequestInfo
    user: User
    headers: CIMultiDict[str]
    verb: str = ""
    """The request's verb as RBAC and metrics name it, once it is known."""
    resource: Resource | None = None
    response: web.StreamResponse | None = None
    """The answer, once its head may have been sent: after that a failure can't be told any more."""
    context: RequestContext = field(init=False)

    def __post_init__(self) -> None:
        agent = self.request.headers.get("User-Agent", "")
        self.context = RequestContext(self.user, user_agent=agent, owns_body=True)

    def warnings(self) -> list[str]:
        """The values of the answer's Warning headers."""
        return warning_headers(self.context.warnings)


async def read_body(request: web.BaseRequest) -> bytes:
    """The request's body.

    Raises:
        StatusError: 413.
    """
    if (request.content_length or 0) > BODY_LIMIT:
        raise too_large(BODY_LIMIT)
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    content = request.content
    if content.is_eof() and content.exception() is None:
        # All of it came with the head, as nearly always.
        body = content.read_nowait()
        if len(body) > BODY_LIMIT:
            raise too_large(BODY_LIMIT)
        return body
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise too_large(BODY_LIMIT) from error
    except web.RequestPayloadError as error:
        raise bad_request(f"unable to read the request's body: {error}") from error


class Resources:
    """Answers requests for resources."""

    def __init__(self, api: API, registry: Registry, clock: Clock, metrics: Metrics) -> None:
        self._api = api
        self._registry = registry
        self._clock = clock
        self._metrics = metrics
        self._open: set[Stream] = set()
        self._ended = asyncio.Event()

    def find(self, info: RequestInfo) -> tuple[Resource, Subresource | None]:
        """The kind, and the subresource if the path names one.

        Raises:
            StatusError: 404.
        """
        resource = self._registry.by_path(info.group, info.version, info.resource)
        if resource is None:
            raise path_not_found()
        if info.namespace and not resource.namespaced and info.resource != "namespaces":
            raise path_not_found()
        if not info.subresource:
            return resource, None
        sub = resource.subresource(info.subresource)
        if sub is None:
            raise path_not_found()
        return resource, sub

    async def handle(
        self, exchange: Exchange, resource: Resource, sub: Subresource | None
    ) -> web.StreamResponse:
        """Answer a request for a resource or a subresource that is an object.

        Raises:
            StatusError: any failure.
        """
        info, method = exchange.info, exchange.request.method
        if sub is not None or info.name:
            offered = sub.verbs if sub is not None else resource.verbs
            if not info.watch:
                return await self._item(exchange, resource, sub, method, offered)
        if method in ("GET", "HEAD"):
            if info.watch or flag(exchange.request.query, "watch"):
                self._require(exchange, resource, "watch")
                return await self._watch(exchange, resource)
            self._require(exchange, resource, "list")
            return await self._list(exchange, resource)
        if resource.namespaced and not info.namespace:
            raise method_not_allowed(resource.plural, exchange.info.verb or method.lower(), resource.group)
        if method == "POST":
            self._require(exchange, resource, "create")
            return await self._create(exchange, resource, None)
        if method == "DELETE":
            self._require(exchange, resource, "deletecollection")
            return await self._delete_collection(exchange, resource)
        raise method_not_allowed(resource.plural, info.verb or method.lower(), resource.group)

    def _require(self, exchange: Exchange, resource: Resource, verb: str) -> None:
        exchange.verb = verb
        if verb not in resource.verbs:
            raise method_not_allowed(resource.plural, verb, resource.group)

    async def _item(
        self,
        exchange: Exchange,
        resource: Resource,
        sub: Subresource | None,
        method: str,
        offered: tuple[str, ...],
    ) -> web.StreamResponse:
        verb = exchange.info.verb
        if verb not in offered or (verb == "create" and sub is None):
            raise method_not_allowed(resource.plural, verb or method.lower(), resource.group)
        exchange.verb = verb
        match verb:
            case "get":
                return await self._get(exchange, resource, sub)
            case "create":
                return await self._create(exchange, resource, sub)
            case "update":
                return await self._update(exchange, resource, sub)
            case "patch":
                return await self._patch(exchange, resource, sub)
        return await self._delete(exchange, resource)

    # -- reading -------------------------------------------------------------------------------------------

    def _accept(
        self, exchange: Exchange, resource: Resource, transforms: frozenset[str], *, stream: bool = False
    ) -> Accepted:
        header = exchange.request.headers.get("Accept", "")
        protobuf = concerns_protobuf(header) and has_protobuf(resource)
        return negotiate(header, transforms, stream=stream, protobuf=protobuf)

    def _include(self, exchange: Exchange, accepted: Accepted) -> str:
        if accepted.transform != TABLE:
            return ""
        return tables.check_include(exchange.request.query.get("includeObject", ""))

    def _transforms(
        self, resource: Resource, sub: Subresource | None, offered: frozenset[str]
    ) -> frozenset[str]:
        if not resource.stored or (sub is not None and sub.kind not in (resource.kind, "Scale")):
            return NONE
        return offered

    async def _get(
        self, exchange: Exchange, resource: Resource, sub: Subresource | None
    ) -> web.StreamResponse:
        accepted = self._accept(exchange, resource, self._transforms(resource, sub, SINGLE))
        info = exchange.info
        answer = await self._api.get(
            exchange.context,
            resource,
            self._namespace(exchange, resource),
            info.name,
            subresource=info.subresource,
        )
        check_not_ahead(exchange.request.query.get("resourceVersion", ""), self._api.store.revision)
        return await self._answer(exchange, resource, answer, accepted)

    async def _list(self, exchange: Exchange, resource: Resource) -> web.StreamResponse:
        accepted = self._accept(exchange, resource, self._transforms(resource, None, LIST))
        request = exchange.request
        include = self._include(exchange, accepted)
        result = await self._api.list(
            exchange.context, resource, self._namespace(exchange, resource), list_options(request.query)
        )
        meta: dict[str, Any] = {"resourceVersion": str(result.version)}
        if result.continue_:
            meta["continue"] = result.continue_
        if result.remaining is not None:
            meta["remainingItemCount"] = result.remaining
        body = await list_body(resource, result.records, meta, accepted, self._clock.now(), include)
        return await self._respond(exchange, body, 200, accepted)

    async def _watch(self, exchange: Exchange, resource: Resource) -> web.StreamResponse:
        accepted = self._accept(exchange, resource, self._transforms(resource, None, SINGLE), stream=True)
        request = exchange.request
        include = self._include(exchange, accepted)
        options = watch_options(request.query, exchange.info.name)
        if not options.timeout_seconds:
            options = replace(options, timeout_seconds=default_timeout())
        stream = self._api.watch(exchange.context, resource, self._namespace(exchange, resource), options)
        self._open.add(stream)
        try:
            if is_websocket(request):
                return await self._watch_socket(exchange, resource, accepted, stream, include)
            return await self._watch_chunks(exchange, resource, accepted, stream, include)
        finally:
            stream.close()
            self._open.discard(stream)
            self._ended.set()

    async def _watch_chunks(
        self, exchange: Exchange, resource: Resource, accepted: Accepted, stream: Stream, include: str
    ) -> web.StreamResponse:
        exchange.headers["Content-Type"] = stream_type(accepted)
        self._warn(exchange)
        response = web.StreamResponse(headers=exchange.headers)
        response.enable_chunked_encoding()
        exchange.response = response
        await response.prepare(exchange.request)
        render = event_render(resource, accepted, self._clock.now, include)
        failed = error_event(accepted)
        if not await pump(exchange.request, response, stream, render, self._count, failed):
            self._metrics.cut_off += 1
        return response

    async def _watch_socket(
        self, exchange: Exchange, resource: Resource, accepted: Accepted, stream: Stream, include: str
    ) -> web.StreamResponse:
        request = exchange.request
        render = event_render(resource, accepted, self._clock.now, include)
        protocol = watch_protocol(request)
        async with message_socket(request, protocol, exchange.headers, stream.close) as socket:
            exchange.response = socket.response
            framed = accepted.media == PROTOBUF
            failed = error_event(accepted)
            if not await pump_socket(socket, stream, render, self._count, failed, framed=framed):
                self._metrics.cut_off += 1
        return socket.response

    async def close(self, seconds: float) -> None:
        """End all watches; their clients see a finished answer, if they read it within ``seconds``."""
        for stream in list(self._open):
            stream.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._open:
                    self._ended.clear()
                    await self._ended.wait()

    def _count(self, events: int) -> None:
        self._metrics.watch_events += events

    # -- writing -------------------------------------------------------------------------------------------

    def _namespace(self, exchange: Exchange, resource: Resource) -> str:
        return exchange.info.namespace if resource.namespaced else ""

    def _options(self, exchange: Exchange, options: WriteOptions) -> None:
        context = exchange.context
        context.dry_run = options.dry_run
        context.field_manager = options.field_manager
        context.field_validation = options.field_validation

    async def _object(self, exchange: Exchange, resource: Resource) -> Any:
        body = await read_body(exchange.request)
        format_ = body_format(exchange.request.headers.get("Content-Type", ""))
        exchange.context.body_size = len(body)
        try:
            return await self._parse(exchange, body, format_)
        except StatusError as error:
            sub = resource.subresource(exchange.info.subresource)
            kind = sub.kind if sub is not None else resource.kind
            raise bad_request(
                f"the object provided is unrecognized (must be of type {kind}): {error.message} ({summary(body)})"
            ) from error

    async def _parse(self, exchange: Exchange, body: bytes, format_: str) -> Any:
        """The object in a body; what stands twice in it is left to who reads its fields."""
        context = exchange.context
        if format_ == "yaml" and len(body) > LARGE_YAML:
            obj, context.repeated = await asyncio.to_thread(
                read_object, body, format_, context.field_validation
            )
        else:
            obj, context.repeated = read_object(body, format_, context.field_validation)
        return obj

    async def _create(
        self, exchange: Exchange, resource: Resource, sub: Subresource | None
    ) -> web.StreamResponse:
        accepted = self._accept(exchange, resource, self._transforms(resource, sub, SINGLE))
        self._options(exchange, write_options(exchange.request.query, "CreateOptions"))
        obj = await self._object(exchange, resource)
        info = exchange.info
        answer = await self._api.create(
            exchange.context,
            resource,
            self._namespace(exchange, resource),
            obj,
            subresource=info.subresource,
            name=info.name,
        )
        return await self._answer(exchange, resource, answer, accepted)

    async def _update(
        self, exchange: Exchange, resource: Resource, sub: Subresource | None
    ) -> web.StreamResponse:
        accepted = self._accept(exchange, resource, self._transforms(resource, sub, SINGLE))
        self._options(exchange, write_options(exchange.request.query, "UpdateOptions"))
        obj = await self._object(exchange, resource)
        info = exchange.info
        answer = await self._api.update(
            exchange.context,
            resource,
            self._namespace(exchange, resource),
            info.name,
            obj,
            subresource=info.subresource,
        )
        return await self._answer(exchange, resource, answer, accepted)

    async def _patch(
        self, exchange: Exchange, resource: Resource, sub: Subresource | None
    ) -> web.StreamResponse:
        accepted = self._accept(exchange, resource, self._transforms(resource, sub, SINGLE))
        request, info, context = exchange.request, exchange.info, exchange.context
        kind = patch_type(request.headers.get("Content-Type", ""))
        options = write_options(request.query, "PatchOptions", kind)
        self._options(exchange, options)
        raw = await read_body(request)
        context.body_size = len(raw)
        body: Any
        if kind == "apply":
            body = await self._parse(exchange, raw, "json" if is_json(raw) else "yaml")
            if context.repeated and options.field_validation == "Strict":
                raise bad_request(f"error strict decoding YAML: {context.repeated.errors(resource, ())}")
        else:
            try:
                body = parse_json(raw)
            except StatusError as error:
                why = go_json_error(raw) or error.message
                prefix = "" if kind == "strategic" else "error decoding patch: "
                raise bad_request(prefix + why) from error
            if options.field_validation != "Ignore" and not written_alike(raw, body):
                prefix = "json patch " if kind == "json" else ""
                context.repeated = replace(duplicate_fields(raw, prefix), places=(), alphabetic=True)
            else:
                context.repeated = Repeated(alphabetic=True)
        answer = await self._api.patch(
            exchange.context,
            resource,
            self._namespace(exchange, resource),
            info.name,
            body,
            kind,
            subresource=info.subresource,
            force=options.force,
        )
        return await self._answer(exchange, resource, answer, accepted)

    async def _delete_body(self, exchange: Exchange) -> dict[str, Any]:
        request = exchange.request
        raw = await read_body(request) if request.can_read_body else b""
        body: Any = None
        if raw:
            body = parse(raw, body_format(request.headers.get("Content-Type", "")))
            if not isinstance(body, dict):
                raise bad_request("the body of a delete must be a DeleteOptions object")
        options = delete_options(request.query, body)
        exchange.context.dry_run = bool(options.get("dryRun"))
        return options

    async def _delete(self, exchange: Exchange, resource: Resource) -> web.StreamResponse:
        accepted = self._accept(exchange, resource, self._transforms(resource, None, SINGLE))
        options = await self._delete_body(exchange)
        answer = await self._api.delete(
            exchange.context, resource, self._namespace(exchange, resource), exchange.info.name, options
        )
        return await self._answer(exchange, resource, answer, accepted)

    async def _delete_collection(self, exchange: Exchange, resource: Resource) -> web.StreamResponse:
        accepted = self._accept(exchange, resource, NONE)
        options = await self._delete_body(exchange)
        answer = await self._api.delete_collection(
            exchange.context,
            resource,
            self._namespace(exchange, resource),
            list_options(exchange.request.query),
            options,
        )
        return await self._answer(exchange, resource, answer, accepted)

    # -- answering -----------------------------------------------------------------------------------------

    async def _answer(
        self, exchange: Exchange, resource: Resource, answer: Answer, accepted: Accepted
    ) -> web.StreamResponse:
        include = self._include(exchange, accepted)
        body = answer_body(resource, answer, accepted, self._clock.now, include)
        return await self._respond(exchange, body, answer.code, accepted)

    async def _respond(
        self, exchange: Exchange, body: bytes | list[bytes], code: int, accepted: Accepted
    ) -> web.StreamResponse:
        self._warn(exchange)
        headers = exchange.request.headers
        pretty = accepted.pretty or wants_pretty(exchange.request.query, exchange.context.user_agent)
        return await respond(
            exchange.headers,
            body,
            code=code,
            media=accepted.media,
            pretty=pretty,
            accept_encoding=headers.get("Accept-Encoding", ""),
        )

    def _warn(self, exchange: Exchange) -> None:
        if exchange.context.warnings:
            for value in exchange.warnings():
                exchange.headers.add("Warning", value)
