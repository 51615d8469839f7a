"""Posting a review to a webhook, by ``clientConfig``: a URL, or a Service of the cluster.

After apiserver ``pkg/util/webhook/client.go`` and client-go's ``rest/request.go``, whose sentences for failures are
what users see behind "failed calling webhook".
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from posixpath import normpath
from typing import Any
from urllib.parse import quote, urlsplit

import orjson

from runtime.api.node import Nodes
from runtime.api.view import StoreView
from runtime.objects.depth import DEPTH_LIMIT, too_deep
from runtime.objects.errors import Obj, StatusError

from .routes import Endpoint, dial, resolve
from .wire import BadAnswer, Response, exchange

CONTEXTS = 64
"""How many trusted bundles are kept ready."""
_PATH = "/%:@!$&'()*+,;=~"
"""What stands in a path as it is, beside letters and digits."""
_ANSWERS: Mapping[int, str] = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    406: "the server was unable to respond with a content type that the client supports",
    415: "the server was unable to respond with a content type that the client supports",
    422: "the server rejected our request due to an error in our request",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the request",
}


class CallFailed(Exception):
    """A webhook that gave no answer, or none that can be read."""


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a ``clientConfig`` points."""

    name: str
    """What the certificate has to name; of a URL also what is dialed."""
    port: int
    host: str
    """The Host header, as the URL has it."""
    path: str
    namespace: str | None = None
    """Of the Service, where it is one."""
    service: str = ""


def _target_of(config: Obj) -> _Target:
    """Where to post.

    Raises:
        CallFailed: there is neither a Service nor a URL.
        ValueError: the URL can't be read.
    """
    service: Obj | None = config.get("service")
    if service is not None:
        name, port = f"{service['name']}.{service['namespace']}.svc", service.get("port") or 443
        path = _path(service.get("path") or "")
        return _Target(name, port, f"{name}:{port}", path, service["namespace"], service["name"])
    parts = urlsplit(config.get("url") or "")
    if not parts.hostname:
        raise CallFailed("webhook configuration must have either service or URL")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    host = f"{host}:{parts.port}" if parts.port else host
    return _Target(parts.hostname, parts.port or 443, host, _path(parts.path))


def _path(given: str) -> str:
    """The path that is asked for: clean, as client-go joins it, whose servers know no other."""
    return quote(normpath("/" + given.lstrip("/")), safe=_PATH)


class WebhookClient:
    """Calls webhooks.

    Args:
        view: where Services and their endpoints are found.
        nodes: through which pods are reached.
    """

    def __init__(self, view: StoreView, nodes: Nodes) -> None:
        self._view = view
        self._nodes = nodes
        self._contexts: dict[str, ssl.SSLContext] = {}

    async def post(self, config: Obj, review: Obj, seconds: float) -> Obj:
        """The object that a webhook answers a review with.

        Args:
            config: a webhook's ``clientConfig``.
            review: the AdmissionReview or ConversionReview.
            seconds: how long it may take in all.

        Raises:
            CallFailed: it gave none.
        """
        try:
            target = _target_of(config)
        except ValueError as error:
            raise CallFailed(f"Unparsable URL: {error}") from error
        query = f"?timeout={max(1, round(seconds))}s"
        url = f"https://{target.host}{target.path}{query}"
        body = orjson.dumps(review)
        head = (
            f"POST {target.path}{query} HTTP/1.1\r\nHost: {target.host}\r\nUser-Agent: kube-apiserver-admission\r\n"
            f"Content-Type: application/json\r\nAccept: application/json, */*\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        try:
            async with asyncio.timeout(seconds):
                response = await self._exchange(target, config.get("caBundle") or "", head.encode() + body)
        except TimeoutError:
            raise CallFailed(f'Post "{url}": context deadline exceeded') from None
        except StatusError as error:
            raise CallFailed(f'Post "{url}": {error.message}') from error
        except (OSError, BadAnswer, ValueError) as error:
            raise CallFailed(f'Post "{url}": {_why(error, target.host)}') from error
        return _read(response)

    async def _exchange(self, target: _Target, bundle: str, request: bytes) -> Response:
        context = await self._context(bundle)
        if target.namespace is None:
            endpoint = Endpoint(target.name, target.port)
        else:
            endpoint = resolve(self._view, target.namespace, target.service, str(target.port))
        sock, carrier = await dial(self._nodes, endpoint)
        try:
            return await exchange(sock, context, target.name, request)
        finally:
            if carrier is not None:
                carrier.cancel()
                await asyncio.gather(carrier, return_exceptions=True)

    async def _context(self, bundle: str) -> ssl.SSLContext:
        """What a bundle of certificates (base64 of PEM) trusts; without one, what this machine trusts."""
        known = self._contexts.get(bundle)
        if known is None:
            known = await asyncio.to_thread(_make_context, bundle)
            if len(self._contexts) >= CONTEXTS:
                self._contexts.clear()
            self._contexts[bundle] = known
        return known


def _make_context(bundle: str) -> ssl.SSLContext:
    text = ""
    if bundle:
        try:
            text = base64.b64decode(bundle, validate=True).decode()
        except (binascii.Error, ValueError):
            raise BadAnswer("unable to load root certificates: unable to parse bytes as PEM block") from None
    if not text.strip():
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        raise BadAnswer("unable to load root certificates: unable to parse bytes as PEM block") from None
    # As Go verifies: a certificate in the bundle is trusted as it is, whoever signed it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    return context


def _why(error: OSError | BadAnswer | ValueError, host: str) -> str:
    """A failed connection in the words that Go has for it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        told = {
            10: "certificate has expired or is not yet valid",
            18: "certificate signed by unknown authority",
            19: "certificate signed by unknown authority",
            20: "certificate signed by unknown authority",
            21: "certificate signed by unknown authority",
        }.get(error.verify_code, error.verify_message)
        if error.verify_code in (62, 64):
            told = f"certificate is not valid for {host.rpartition(':')[0] or host}"
        return f"tls: failed to verify certificate: x509: {told}"
    if isinstance(error, ssl.SSLError):
        if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"):
            return "http: server gave HTTP response to HTTPS client"
        return f"remote error: tls: {error.reason or error}"
    if isinstance(error, socket.gaierror):
        return f"dial tcp: lookup {host.rpartition(':')[0] or host}: no such host"
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {host}: connect: connection refused"
    if isinstance(error, ConnectionError):
        return "EOF"
    return str(error.strerror if isinstance(error, OSError) and error.strerror else error)


def _read(response: Response) -> Obj:
    try:
        found: Any = orjson.loads(response.body)
    except orjson.JSONDecodeError as error:
        found = None
        problem = str(error)
    if not 200 <= response.status <= 206:
        if isinstance(found, dict) and found.get("kind") == "Status" and found.get("status") != "Success":
            raise CallFailed(str(found.get("message") or f"the server answered {response.status}"))
        raise CallFailed(_refusal(response))
    if found is None:
        raise CallFailed(f"couldn't get version/kind; json parse error: {problem}")
    if too_deep(found):
        raise CallFailed(f"the answer is nested deeper than {DEPTH_LIMIT} levels")
    if not isinstance(found, dict):
        raise CallFailed("couldn't get version/kind; json parse error: the answer is not an object")
    if found.get("kind") == "Status" and found.get("status") == "Failure":
        raise CallFailed(str(found.get("message") or ""))
    return found


def _refusal(response: Response) -> str:
    text = response.body[:2048].decode(errors="replace").strip() if _is_text(response) else "unknown"
    if response.status == 403:
        return text or "the server refused the request"
    told = _ANSWERS.get(response.status)
    if told is not None:
        return told
    if response.status >= 500:
        shown = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'an error on the server ("{shown}") has prevented the request from succeeding'
    return f"the server responded with the status code {response.status} but did not return more information"


def _is_text(response: Response) -> bool:
    kind = response.headers.get("content-type", "")
    return kind.startswith("text/") and response.body.isascii()
