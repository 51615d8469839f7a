"""A webhook server on loopback, with a certificate of its own: whatever a test wants asked is answered there."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import json
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Review = dict[str, Any]
Answer = Callable[[Review], Any]
"""Makes the response (or a whole web.Response) from a review; may be a coroutine."""


def certificate(folder: Path, *names: str) -> tuple[Path, str]:
    """A self-signed certificate and key in one file, and the certificate in base64, as caBundle has it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "webhook")])
    now = datetime.now(UTC)
    others: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([*others, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "webhook.pem"
    path.write_bytes(private + pem)
    return path, base64.b64encode(pem).decode()


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    """A response that allows, with a JSON patch."""
    text = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": text}


class WebhookServer:
    """Answers AdmissionReviews and ConversionReviews by path; keeps what it was asked."""

    def __init__(self, folder: Path) -> None:
        self._pem, self.bundle = certificate(folder, "hooks.default.svc", "localhost")
        self.answers: dict[str, Answer] = {}
        self.asked: dict[str, list[Review]] = {}
        self.port = 0
        self._runner: web.ServerRunner | None = None

    async def start(self) -> WebhookServer:
        """Listen on a free port."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pem)
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        """Close every connection."""
        if self._runner is not None:
            await self._runner.cleanup()

    def on(self, path: str, answer: Answer | dict[str, Any] | None = None) -> dict[str, Any]:
        """Answer reviews at a path (allowing, unless told otherwise); gives the clientConfig that leads there."""
        made = answer if callable(answer) else lambda _: dict(answer or {"allowed": True})
        self.answers[path], self.asked[path] = made, []
        return {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": self.bundle}

    def requests(self, path: str) -> list[dict[str, Any]]:
        """The requests of the reviews that came to a path."""
        return [review["request"] for review in self.asked[path]]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path not in self.answers:
            return web.Response(status=404, text="404 page not found")
        review = json.loads(await request.read())
        self.asked[path].append(review)
        response = self.answers[path](review)
        if isinstance(response, Awaitable):
            response = await response
        if isinstance(response, web.StreamResponse):
            return response
        body = {
            "kind": review["kind"],
            "apiVersion": review["apiVersion"],
            "response": {"uid": review["request"]["uid"], **response},
        }
        return web.json_response(body)


async def never(_: Review) -> Any:
    """An answer that does not come."""
    await asyncio.Event().wait()


@contextlib.contextmanager
def webhooks_beside(folder: Path) -> Iterator[WebhookServer]:
    """A webhook server on a thread of its own, for tests that wait for other programs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = WebhookServer(folder)
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(60)
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()
