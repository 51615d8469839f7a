"""Probes: when they ask, what they count, what follows; and the wire formats they speak."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest
from node_rig import Rig, one_container

from runtime.kubelet.probes import grpc, http
from runtime.kubelet.probes.prober import Prober, Target, resolve_port
from runtime.objects.clock import SystemClock
from runtime.podman.interface import RuntimeFailure

ANNOTATION = "simulated.kubetui.io/"


async def container(node: Rig, name: str = "a") -> dict[str, Any]:
    found: dict[str, Any] = (await node.status(name))["containerStatuses"][0]
    return found


async def test_readiness_waits_for_the_probe_and_follows_it(node: Rig) -> None:
    probe = {
        "httpGet": {"path": "/", "port": 80},
        "periodSeconds": 5,
        "failureThreshold": 2,
        "initialDelaySeconds": 3,
    }
    await node.make(
        one_container(readinessProbe=probe, metadata={"annotations": {ANNOTATION + "ready-after": "7"}})
    )
    await node.phase("a", "Running")
    conditions = {entry["type"]: entry for entry in (await node.status("a"))["conditions"]}
    assert conditions["Ready"]["reason"] == "ContainersNotReady"
    assert conditions["Ready"]["message"] == "containers with unready status: [c]"
    await node.advance(4)  # 3 s: refused
    assert not (await container(node))["ready"]
    messages = [message for _, reason, message in await node.events("a") if reason == "Unhealthy"]
    ip = (await node.status("a"))["podIP"]
    assert messages == [
        f'Readiness probe failed: Get "http://{ip}:80/": dial tcp {ip}:80: connect: connection refused'
    ]
    await node.advance(5)  # 8 s: answers

    async def ready() -> bool:
        return bool((await container(node))["ready"])

    await node.until(ready)
    assert (await container(node))["restartCount"] == 0


async def test_liveness_failure_restarts_with_its_event(node: Rig) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 2, "failureThreshold": 3, "successThreshold": 1}
    await node.make(one_container(livenessProbe=probe))
    await node.phase("a", "Running")
    await node.advance(1)
    assert (await container(node))["restartCount"] == 0
    await node.advance(4)

    async def restarted() -> bool:
        status = await container(node)
        return status["restartCount"] == 1 and "running" in status["state"]

    await node.until(restarted)
    events = await node.events("a")
    assert ("Normal", "Killing", "Container c failed liveness probe, will be restarted") in events
    assert any(
        reason == "Unhealthy" and text.startswith("Liveness probe failed:") for _, reason, text in events
    )


async def test_liveness_grace_overrides_the_pods(node: Rig) -> None:
    probe = {
        "exec": {"command": ["false"]},
        "periodSeconds": 1,
        "failureThreshold": 1,
        "terminationGracePeriodSeconds": 4,
    }
    stubborn = {"annotations": {ANNOTATION + "ignore-term": "true"}}
    await node.make(
        one_container(livenessProbe=probe, metadata=stubborn, spec={"terminationGracePeriodSeconds": 600})
    )
    await node.phase("a", "Running")
    await node.advance(8)

    async def restarted() -> bool:
        return int((await container(node))["restartCount"]) >= 1

    await node.until(restarted)


async def test_startup_holds_the_others_back(node: Rig) -> None:
    http_probe = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 3}
    await node.make(
        one_container(
            startupProbe={**http_probe, "failureThreshold": 5},
            livenessProbe={**http_probe, "failureThreshold": 1},
            readinessProbe=http_probe,
            metadata={"annotations": {ANNOTATION + "ready-after": "8"}},
        )
    )
    await node.phase("a", "Running")
    await node.advance(7)
    status = await container(node)
    assert not status["started"] and not status["ready"] and status["restartCount"] == 0
    await node.advance(4)

    async def ready() -> bool:
        found = await container(node)
        return bool(found["started"] and found["ready"])

    await node.until(ready)
    assert (await container(node))["restartCount"] == 0


async def test_startup_failure_restarts(node: Rig) -> None:
    probe = {"tcpSocket": {"port": 80}, "periodSeconds": 1, "failureThreshold": 3}
    await node.make(
        one_container(startupProbe=probe, metadata={"annotations": {ANNOTATION + "closed": "true"}})
    )
    await node.phase("a", "Running")
    await node.advance(4)

    async def restarted() -> bool:
        return int((await container(node))["restartCount"]) == 1

    await node.until(restarted)
    events = await node.events("a")
    assert ("Normal", "Killing", "Container c failed startup probe, will be restarted") in events


@pytest.mark.parametrize(
    ("port", "expected"),
    [(80, 80), ("web", 8080), ("81", 81), ("nope", "port nope not found"), (0, "invalid port number: 0")],
)
def test_ports(port: Any, expected: Any) -> None:
    spec = {"name": "c", "ports": [{"name": "web", "containerPort": 8080}]}
    if isinstance(expected, int):
        assert resolve_port(port, spec) == expected
    else:
        with pytest.raises(ValueError, match=expected):
            resolve_port(port, spec)


def test_request_headers() -> None:
    request = http.request_bytes(
        "/a b?q=1", "10.0.0.1", 80, [{"name": "Host", "value": "x.y"}, {"name": "Accept", "value": ""}]
    )
    assert request == (
        b"GET /a%20b?q=1 HTTP/1.1\r\nHost: x.y\r\nUser-Agent: kube-probe/1.36\r\nConnection: close\r\n\r\n"
    )


class Loopback:
    """A runtime that can only connect, to this machine."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def connect(self, sandbox_id: str, port: int, timeout: float = 5.0, *, host: str = "") -> Any:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            raise RuntimeFailure(f"dial tcp {host}:{port}: connect: connection refused") from None
        from runtime.kubelet.probes.transport import _Direct

        return _Direct(reader, writer)


async def serve(answer: bytes, context: ssl.SSLContext | None = None) -> asyncio.Server:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(answer)
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.close()

    return await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)


async def ask(server: asyncio.Server, probe: dict[str, Any]) -> tuple[str, str]:
    port = server.sockets[0].getsockname()[1]
    prober = Prober(Loopback(port), SystemClock())  # type: ignore[arg-type]
    try:
        return await prober.probe(
            {"timeoutSeconds": 1, **probe}, Target("id", "sb", "10.9.8.7", {"name": "c"})
        )
    finally:
        server.close()


@pytest.mark.parametrize(
    ("answer", "outcome", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "success", "ok"),
        (b"HTTP/1.0 302 Found\r\nLocation: /x\r\n\r\n", "failure", "stopped after 10 redirects"),
        (
            b"HTTP/1.0 302 Found\r\nLocation: http://elsewhere/\r\n\r\nThere.",
            "warning",
            "Probe terminated redirects, Response body: There.",
        ),
        (b"HTTP/1.0 304 Not Modified\r\n\r\n", "warning", "Probe terminated redirects"),
        (b"HTTP/1.1 500 No\r\n\r\nbad", "failure", "HTTP probe failed with statuscode: 500"),
        (b"SSH-2.0-hello\r\n", "failure", "malformed HTTP response"),
        (b"", "failure", "EOF"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000, "success", "xxx"),
    ],
)
async def test_http_answers(answer: bytes, outcome: str, words: str) -> None:
    found = await ask(await serve(answer), {"httpGet": {"path": "/", "port": 80}})
    assert found[0] == outcome and words in found[1] and len(found[1]) <= http.MAX_BODY


@pytest.mark.parametrize(
    "location", ["/healthz?x=1", "http://10.9.8.7:80/healthz?x=1", "//10.9.8.7/healthz?x=1"]
)
async def test_a_redirect_to_the_same_host_is_followed_to_its_verdict(location: str) -> None:
    asked: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n")).rstrip())
        if len(asked) == 1:
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: " + location.encode() + b"\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    found = await ask(server, {"httpGet": {"path": "/redirect", "port": 80}})
    assert found == ("failure", "HTTP probe failed with statuscode: 500")
    assert asked == [b"GET /redirect HTTP/1.1", b"GET /healthz?x=1 HTTP/1.1"]


async def test_a_redirect_elsewhere_passes_and_is_said(node: Rig) -> None:
    probe = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}
    status = {ANNOTATION + "http-status": "302"}
    await node.make(one_container(livenessProbe=probe, metadata={"annotations": status}))
    await node.phase("a", "Running")
    await node.advance(5)
    warnings = [text for _, reason, text in await node.events("a") if reason == "ProbeWarning"]
    assert warnings and warnings[0].startswith("Liveness probe warning: Probe terminated redirects")
    assert (await container(node))["restartCount"] == 0


async def test_readiness_is_told_while_the_pod_ends(node: Rig) -> None:
    """Whoever routes traffic must not send it to a pod that says no, even if it takes its time to end."""
    probe = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1, "failureThreshold": 1}
    await node.make(
        one_container(
            readinessProbe=probe,
            metadata={"annotations": {ANNOTATION + "ignore-term": "true"}},
            spec={"terminationGracePeriodSeconds": 60},
        )
    )
    await node.phase("a", "Running")
    await node.advance(2)

    async def ready() -> bool:
        return bool((await container(node))["ready"])

    await node.until(ready)
    await node.client.delete("pods", "a", "default")
    await node.quiet()
    for life in node.runtime._containers.values():
        life.life.closed = True
    await node.advance(3)

    async def unready() -> bool:
        found = await node.pod("a")
        return (
            "deletionTimestamp" in found["metadata"] and not found["status"]["containerStatuses"][0]["ready"]
        )

    await node.until(unready)


async def test_a_silent_server_times_out() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    prober = Prober(Loopback(port), SystemClock())  # type: ignore[arg-type]
    probe = {"timeoutSeconds": 0.05, "httpGet": {"path": "/", "port": 80}}
    outcome, words = await prober.probe(probe, Target("id", "sb", "10.9.8.7", {"name": "c"}))
    server.close()
    assert outcome == "failure"
    assert (
        words
        == 'Get "http://10.9.8.7:80/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
    )


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


@pytest.mark.parametrize(
    ("message", "outcome", "words"),
    [
        (b"\x08\x01", "success", "SERVING"),
        (b"\x08\x02", "failure", 'service unhealthy (responded with "NOT_SERVING")'),
        (b"", "failure", "UNKNOWN"),
    ],
)
async def test_grpc_answers(message: bytes, outcome: str, words: str) -> None:
    body = b"\x00" + len(message).to_bytes(4, "big") + message
    answer = frame(4, 0, 0, b"") + frame(1, 4, 1, b"\x88") + frame(0, 0, 1, body) + frame(1, 5, 1, b"\x88")
    found = await ask(await serve(answer), {"grpc": {"port": 80}})
    assert found[0] == outcome and words in found[1]


async def test_grpc_without_a_health_service() -> None:
    answer = frame(4, 0, 0, b"") + frame(1, 5, 1, b"\x88")
    found = await ask(await serve(answer), {"grpc": {"port": 80, "service": "x"}})
    assert found[0] == "failure" and "does not implement the grpc health protocol" in found[1]
    assert b"/grpc.health.v1.Health/Check" in grpc.request("x", "h")


async def test_https_is_not_verified(tmp_path: Any) -> None:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now - timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "pair.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server = await serve(b"HTTP/1.1 204 No Content\r\n\r\n", context)
    assert (await ask(server, {"httpGet": {"path": "/", "port": 80, "scheme": "HTTPS"}}))[0] == "success"
    plain = await serve(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    found = await ask(plain, {"httpGet": {"path": "/", "port": 80, "scheme": "HTTPS"}})
    assert found[0] == "failure" and "tls:" in found[1]


async def test_a_hook_says_that_it_is_one() -> None:
    asked: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    prober = Prober(Loopback(server.sockets[0].getsockname()[1]), SystemClock())  # type: ignore[arg-type]
    hook = {"httpGet": {"path": "/pre", "port": 80}}
    await prober.run_hook(hook, Target("id", "sb", "10.9.8.7", {"name": "c"}), 5)
    server.close()
    assert b"User-Agent: kube-lifecycle/1.36\r\n" in asked[0]
