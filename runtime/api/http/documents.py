"""Everything below ``/`` that is no resource: versions, health, metrics, discovery, OpenAPI, token keys."""

from __future__ import annotations

import hashlib
import platform
from datetime import datetime

import orjson
from aiohttp import web

from runtime.api.api import API
from runtime.api.rules import Request as Attributes
from runtime.objects.clock import format_time
from runtime.objects.errors import Obj, method_not_allowed, not_acceptable, path_not_found
from runtime.objects.registry import Registry

from .authentication import is_public
from .discovery import Discovery
from .health import Health
from .metrics import Metrics
from .negotiation import JSON, Accepted, negotiate, parse_accept, wants_pretty
from .negotiation import PROTOBUF as KUBERNETES_PROTOBUF
from .openapi import OpenAPI
from .protobuf import encode_body
from .resources import Exchange
from .responses import respond, text_response
from .tokens import ServiceAccountTokens

VERSION = "v1.36.2"
"""The Kubernetes version whose behaviour is served."""
PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_PROTOBUF_NAMES = (PROTOBUF, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
"""What clients ask for; the second is no proper media type, so it is never answered with."""

ALWAYS_JSON = Accepted()


def version_info(version: str, built: datetime) -> Obj:
    """version.Info: what ``/version`` answers."""
    major, minor, _ = version.removeprefix("v").split(".", 2)
    # No commit of upstream's is served here; clients want hexadecimal digits all the same, as many as a commit has.
    commit = hashlib.sha1(version.encode(), usedforsecurity=False).hexdigest()
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": version,
        "gitCommit": commit,
        "gitTreeState": "clean",
        "buildDate": format_time(built),
        "goVersion": f"python{platform.python_version()}",
        "compiler": platform.python_implementation().lower(),
        "platform": f"{platform.system().lower()}/{_machine()}",
    }


def _machine() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


class Documents:
    """Answers requests for plain paths."""

    def __init__(
        self,
        api: API,
        registry: Registry,
        health: Health,
        metrics: Metrics,
        tokens: ServiceAccountTokens,
        version: str,
        started: datetime,
    ) -> None:
        self._api = api
        self._registry = registry
        self._health = health
        self._metrics = metrics
        self._tokens = tokens
        self._version = orjson.dumps(version_info(version, started))
        self._openapi = OpenAPI(registry, version)
        self._server = ""
        self._discovery: Discovery | None = None

    def serve_at(self, url: str) -> None:
        """Tell where the server can be reached, for the documents that say so."""
        self._server = url
        self._discovery = Discovery(self._registry, url.removeprefix("https://"))

    async def handle(self, exchange: Exchange) -> web.StreamResponse:
        """Answer a request for a plain path.

        Raises:
            StatusError: 403, 404, 405 or 406.
        """
        request, path = exchange.request, exchange.info.path
        exchange.verb = exchange.info.verb
        if not is_public(path):
            self._api.authorizer.require(exchange.user, Attributes(exchange.info.verb, path=path))
        answer = await self._find(exchange, path.rstrip("/") or "/")
        if answer is None:
            raise path_not_found()
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed("", exchange.info.verb)
        return answer

    async def _find(self, exchange: Exchange, path: str) -> web.StreamResponse | None:
        head = path.split("/", 2)[1]
        match head:
            case "version" if path == "/version":
                return await self._json(exchange, self._version)
            case "healthz" | "livez" | "readyz":
                query = exchange.request.query
                health = self._health.answer(path, query.getall("exclude", []), "verbose" in query)
                return None if health is None else text_response(exchange.headers, health[1], code=health[0])
            case "api" | "apis":
                return await self._discover(exchange, path)
            case "openapi":
                return await self._describe(exchange, path)
            case "openid" if path == "/openid/v1/jwks":
                exchange.headers["Cache-Control"] = "public, max-age=3600"
                return await self._json(exchange, orjson.dumps(self._tokens.keys()))
            case "metrics" if path == "/metrics":
                exchange.headers["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8"
                return web.Response(body=self._metrics.render().encode(), headers=exchange.headers)
            case ".well-known" if path == "/.well-known/openid-configuration":
                exchange.headers["Cache-Control"] = "public, max-age=3600"
                return await self._json(exchange, orjson.dumps(self._tokens.configuration(self._server)))
            case "":
                return await self._json(exchange, orjson.dumps({"paths": self._paths()}))
        return None

    def _paths(self) -> list[str]:
        found = [
            "/.well-known/openid-configuration",
            "/api",
            "/apis",
            "/metrics",
            "/openapi/v2",
            "/openapi/v3",
        ]
        found += ["/openid/v1/jwks", "/version", *self._health.paths()]
        for group, versions in self._registry.groups().items():
            if group:
                found.append(f"/apis/{group}")
            found += [f"/apis/{group}/{version}" if group else f"/api/{version}" for version in versions]
        return sorted(found)

    async def _json(
        self, exchange: Exchange, body: bytes, accepted: Accepted = ALWAYS_JSON
    ) -> web.StreamResponse:
        """A document that is JSON whatever was asked for, unless ``accepted`` says what it is."""
        headers = exchange.request.headers
        return await respond(
            exchange.headers,
            body,
            media=accepted.media,
            pretty=accepted.pretty or wants_pretty(exchange.request.query, exchange.context.user_agent),
            accept_encoding=headers.get("Accept-Encoding", ""),
        )

    async def _discover(self, exchange: Exchange, path: str) -> web.StreamResponse | None:
        headers = exchange.request.headers
        assert self._discovery is not None
        document = self._discovery.get(path, headers.get("Accept", ""))
        if document is None:
            return None
        if not document.etag:
            accepted = negotiate(headers.get("Accept", ""), protobuf=True)
            body = document.body
            if accepted.media == KUBERNETES_PROTOBUF:
                body = encode_body(orjson.loads(body))
            return await self._json(exchange, body, accepted)
        exchange.headers["ETag"] = document.etag
        exchange.headers["Vary"] = "Accept"
        exchange.headers["Cache-Control"] = "public"
        if headers.get("If-None-Match") == document.etag:
            return web.Response(status=304, headers=exchange.headers)
        return await respond(
            exchange.headers,
            document.body,
            media=document.content_type,
            accept_encoding=headers.get("Accept-Encoding", ""),
        )

    async def _describe(self, exchange: Exchange, path: str) -> web.StreamResponse | None:
        request = exchange.request
        body: bytes | None
        media = JSON
        if path == "/openapi/v3":
            return await self._json(exchange, orjson.dumps(self._openapi.index()))
        if path == "/openapi/v2":
            media = _openapi_v2_media(request.headers.get("Accept", ""))
            body = await (self._openapi.v2_protobuf() if media == PROTOBUF else self._openapi.v2_json())
        elif path.startswith("/openapi/v3/"):
            body = await self._openapi.v3(path.removeprefix("/openapi/v3/"))
            if "hash" in request.query:  # the address changes with the document
                exchange.headers["Cache-Control"] = "public, immutable"
        else:
            body = None
        if body is None:
            return None
        etag = f'"{hashlib.sha256(body).hexdigest().upper()}"'
        exchange.headers["ETag"] = etag
        exchange.headers["Vary"] = "Accept"
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers=exchange.headers)
        encoding = request.headers.get("Accept-Encoding", "")
        return await respond(exchange.headers, body, media=media, accept_encoding=encoding)


def _openapi_v2_media(accept: str) -> str:
    """JSON or protobuf, as the Accept header prefers.

    Raises:
        StatusError: 406.
    """
    if not accept:
        return JSON
    for clause in parse_accept(accept):
        if f"{clause.type}/{clause.subtype}" in _PROTOBUF_NAMES:
            return PROTOBUF
        if clause.matches(JSON):
            return JSON
    raise not_acceptable(f"only the following media types are accepted: {JSON}, {PROTOBUF}")
