"""Exec, attach, port-forward, logs and proxy: over WebSockets by hand, over everything else with real kubectl."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
from pathlib import Path

import aiohttp
import pytest
from http_fakes import Cluster, client_tls

from runtime.api.http.streams import channels
from runtime.api.http.streams.spdy import REFUSED_STREAM, RST_STREAM
from tests.support.kubectls import one_kubectl_a_protocol, speaks_spdy
from tests.support.spdy_peer import Peer

KUBECTLS = one_kubectl_a_protocol()
EXEC = "/api/v1/namespaces/default/pods/p/exec"


async def kubectl(
    binary: str, cluster: Cluster, *args: str, stdin: bytes | None = None, timeout: float = 30
) -> tuple[int, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        binary,
        "--kubeconfig",
        str(cluster.kubeconfig),
        "--cache-dir",
        str(cluster.folder / "cache"),
        *args,
        stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(stdin), timeout)
    except TimeoutError:
        process.kill()
        raise
    return process.returncode or 0, out, err


@pytest.mark.kubectl
@pytest.mark.parametrize("binary", KUBECTLS)
class TestKubectl:
    async def test_output_exit_code_and_stderr(self, binary: str, cluster: Cluster) -> None:
        await cluster.run_pod()
        code, out, err = await kubectl(
            binary, cluster, "exec", "p", "--", "sh", "-c", "echo out; echo err >&2; exit 3"
        )
        assert (code, out) == (3, b"out\n")
        assert err.startswith(b"err\n") and b"exit code 3" in err

    async def test_half_closed_input(self, binary: str, cluster: Cluster) -> None:
        await cluster.run_pod()
        data = os.urandom(3_000_000)
        code, out, _ = await kubectl(
            binary, cluster, "exec", "-i", "p", "--", "sh", "-c", "sha256sum; echo end", stdin=data
        )
        assert code == 0
        assert out.decode().split() == [hashlib.sha256(data).hexdigest(), "-", "end"]

    async def test_binary_both_ways(self, binary: str, cluster: Cluster) -> None:
        await cluster.run_pod()
        data = os.urandom(5_000_000)
        code, out, _ = await kubectl(binary, cluster, "exec", "-i", "p", "--", "cat", stdin=data)
        assert code == 0 and out == data

    async def test_copy(self, binary: str, cluster: Cluster, tmp_path: Path) -> None:
        await cluster.run_pod()
        source, inside, back = tmp_path / "a", tmp_path / "b", tmp_path / "c"
        source.write_bytes(os.urandom(2_000_000))
        assert (await kubectl(binary, cluster, "cp", str(source), f"default/p:{inside}"))[0] == 0
        assert inside.read_bytes() == source.read_bytes()
        assert (await kubectl(binary, cluster, "cp", f"default/p:{inside}", str(back)))[0] == 0
        assert back.read_bytes() == source.read_bytes()

    async def test_a_failure_before_the_upgrade_is_told(self, binary: str, cluster: Cluster) -> None:
        await cluster.run_pod()
        code, _, err = await kubectl(binary, cluster, "exec", "p", "--", "refused")
        assert code == 1 and b'container not found ("c")' in err
        code, _, err = await kubectl(binary, cluster, "exec", "p", "-c", "no", "--", "true")
        assert code == 1 and b"container" in err

    async def test_attach(self, binary: str, cluster: Cluster) -> None:
        await cluster.run_pod()
        code, out, _ = await kubectl(binary, cluster, "attach", "-i", "p", stdin=b"hello\n")
        assert code == 0 and out == b"attached\nhello\n"

    async def test_logs(self, binary: str, cluster: Cluster) -> None:
        await cluster.run_pod()
        assert (await kubectl(binary, cluster, "logs", "p", "--tail=2"))[1] == b"line 3\nline 4\n"
        assert b"line 0" in (await kubectl(binary, cluster, "logs", "p"))[1]

    async def test_port_forward(self, binary: str, cluster: Cluster) -> None:
        await cluster.run_pod()

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            binary,
            "--kubeconfig",
            str(cluster.kubeconfig),
            "--cache-dir",
            str(cluster.folder / "cache"),
            "port-forward",
            "pod/p",
            f":{port}",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout
            line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
            local = int(line.split("127.0.0.1:")[1].split()[0])

            async def one(size: int) -> bool:
                reader, writer = await asyncio.open_connection("127.0.0.1", local)
                data = os.urandom(size)

                async def send() -> None:
                    writer.write(data)
                    await writer.drain()

                sending = asyncio.create_task(send())
                back = await asyncio.wait_for(reader.readexactly(size), 30)
                await sending
                writer.close()
                return back == data

            assert all(await asyncio.gather(*(one(size) for size in (1, 1000, 2_000_000, 3_000_000))))
        finally:
            process.terminate()
            await process.wait()
            server.close()


async def channel_exec(
    admin: aiohttp.ClientSession, protocol: str, query: str, sends: list[bytes | str]
) -> tuple[dict[int, bytes], int | None, str | None]:
    """Run an exec over a WebSocket and gather what comes on each channel."""
    found: dict[int, bytes] = {}
    async with admin.ws_connect(f"{EXEC}?{query}", protocols=(protocol,) if protocol else ()) as socket:
        for message in sends:
            if isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                await socket.send_str(message)
        async for message in socket:
            if message.type == aiohttp.WSMsgType.BINARY:
                found[message.data[0]] = found.get(message.data[0], b"") + message.data[1:]
            else:
                channel = int(message.data[0])
                found[channel] = found.get(channel, b"") + base64.b64decode(message.data[1:])
        return found, socket.close_code, socket.protocol


async def test_v5_reports_the_exit_code_and_closes_normally(
    cluster: Cluster, admin: aiohttp.ClientSession
) -> None:
    await cluster.run_pod()
    query = "command=sh&command=-c&command=cat;exit+7&stdin=1&stdout=1&stderr=1"
    found, code, protocol = await channel_exec(admin, "v5.channel.k8s.io", query, [b"\x00hi", b"\xff\x00"])
    assert found[1] == b"hi" and code == 1000 and protocol == "v5.channel.k8s.io"
    status = json.loads(found[3])
    assert status["reason"] == "NonZeroExitCode"
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]


async def test_v5_output_waits_for_a_client_that_reads(
    cluster: Cluster, admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Go's client discards what comes before it has opened its channels."""
    monkeypatch.setattr(channels, "PONG_SECONDS", 60.0)
    await cluster.run_pod()
    async with admin.ws_connect(
        f"{EXEC}?command=echo&command=x&stdout=1", protocols=("v5.channel.k8s.io",), autoping=False
    ) as socket:
        ping = await socket.receive()
        assert ping.type == aiohttp.WSMsgType.PING
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=0.2)


async def test_v5_output_comes_without_an_answer_to_pings(
    cluster: Cluster, admin: aiohttp.ClientSession
) -> None:
    await cluster.run_pod()
    async with admin.ws_connect(
        f"{EXEC}?command=echo&command=x&stdout=1", protocols=("v5.channel.k8s.io",), autoping=False
    ) as socket:
        messages = [message async for message in socket]
    assert messages[0].type == aiohttp.WSMsgType.PING
    assert b"".join(message.data[1:] for message in messages[1:] if message.data[0] == 1) == b"x\n"


async def test_many_empty_messages_and_pings_are_harmless(
    cluster: Cluster, admin: aiohttp.ClientSession
) -> None:
    await cluster.run_pod()
    async with admin.ws_connect(
        f"{EXEC}?command=cat&stdin=1&stdout=1", protocols=("v5.channel.k8s.io",), autoping=False
    ) as socket:
        for _ in range(3000):
            await socket.send_bytes(b"")
        await socket.ping(b"there?")
        await socket.send_bytes(b"\x00hi")
        await socket.send_bytes(b"\xff\x00")
        messages = [message async for message in socket]
    assert [m.data for m in messages if m.type == aiohttp.WSMsgType.PONG] == [b"there?"]
    output = [m.data for m in messages if m.type == aiohttp.WSMsgType.BINARY]
    assert b"".join(data[1:] for data in output if data[0] == 1) == b"hi"


async def test_v4_success_and_base64(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    await cluster.run_pod()
    query = "command=echo&command=x&stdout=1"
    found, _, _ = await channel_exec(admin, "v4.channel.k8s.io", query, [])
    assert found[1] == b"x\n" and json.loads(found[3])["status"] == "Success"
    found, _, protocol = await channel_exec(admin, "base64.channel.k8s.io", query, [])
    assert found[1] == b"x\n" and protocol == "base64.channel.k8s.io"


async def test_without_a_subprotocol_errors_are_plain_text(
    cluster: Cluster, admin: aiohttp.ClientSession
) -> None:
    await cluster.run_pod()
    found, _, protocol = await channel_exec(admin, "", "command=false&stdout=1", [])
    assert protocol is None and b"non-zero exit code" in found[3]


async def test_unknown_subprotocol_is_refused(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    await cluster.run_pod()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await admin.ws_connect(f"{EXEC}?command=true&stdout=1", protocols=("v9.example",))
    assert refused.value.status == 400


async def test_terminal_resize(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    await cluster.run_pod()
    query = "command=sh&command=-c&command=read+x;stty+size&stdin=1&stdout=1&tty=1"
    async with admin.ws_connect(f"{EXEC}?{query}", protocols=("v5.channel.k8s.io",)) as socket:
        await socket.send_bytes(b'\x04{"Width":120,"Height":40}')
        while not cluster.node.sessions or not cluster.node.sessions[0].sizes:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await socket.send_bytes(b"\x00\n")
        out = b""
        async for message in socket:
            if message.data[0] == 1:
                out += message.data[1:]
    assert b"40 120" in out


async def test_a_client_that_leaves_ends_the_command(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    await cluster.run_pod()
    socket = await admin.ws_connect(
        f"{EXEC}?command=sleep&command=60&stdout=1", protocols=("v5.channel.k8s.io",)
    )
    await socket.receive()
    process = cluster.node.sessions[0].process
    assert process.returncode is None
    await socket.close()
    assert await asyncio.wait_for(process.wait(), 60) != 0


async def test_slow_output_reader_bounds_memory(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    await cluster.run_pod()
    socket = await admin.ws_connect(
        f"{EXEC}?command=yes&stdout=1", protocols=("v5.channel.k8s.io",), max_msg_size=0
    )
    await asyncio.sleep(1.0)  # nobody reads; the command has to stall
    written = Path(f"/proc/{cluster.node.sessions[0].process.pid}/io")
    before = written.read_text()
    await asyncio.sleep(0.3)
    assert written.read_text() == before
    await socket.close()


async def test_port_forward_over_plain_websocket(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    await cluster.run_pod()

    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"/api/v1/namespaces/default/pods/p/portforward?ports={port}&ports=1"
    async with admin.ws_connect(url, protocols=("v4.channel.k8s.io",)) as socket:
        found: dict[int, list[bytes]] = {}
        await socket.send_bytes(b"\x00hello\n")
        async for message in socket:
            found.setdefault(message.data[0], []).append(message.data[1:])
    number = port.to_bytes(2, "little")
    assert found[0][0] == number and b"".join(found[0][1:]) == b"HELLO\n"
    assert found[1] == [number]
    assert found[2] == [b"\x01\x00"]
    assert found[3][0] == b"\x01\x00" and b"error forwarding port 1 to pod p" in found[3][1]
    server.close()


async def test_log_failure_is_a_status(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    await cluster.run_pod(containers=("c", "absent"))
    async with admin.get("/api/v1/namespaces/default/pods/p/log?container=absent") as answer:
        assert answer.status == 400
        assert "waiting to start" in (await answer.json())["message"]
    async with admin.get("/api/v1/namespaces/default/pods/p/log") as answer:
        assert answer.status == 400 and "choose one of" in (await answer.json())["message"]


async def test_followed_log_ends_with_its_reader(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    await cluster.run_pod()
    async with admin.get("/api/v1/namespaces/default/pods/p/log?follow=true") as answer:
        assert answer.headers["Content-Type"] == "text/plain"
        assert await answer.content.readline() == b"line 0\n"
        assert cluster.server.metrics.long_running == 1
    for _ in range(100):
        if cluster.server.metrics.long_running == 0:
            break
        await asyncio.sleep(0.02)
    assert cluster.server.metrics.long_running == 0


async def test_proxy(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    await cluster.run_pod()

    async def answer_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"ength" in line), 0)
        body = await reader.readexactly(length)
        text = head.split(b"\r\n")[0] + b"|" + body + b"|" + str(b"uthorization" in head).encode()
        writer.write(b"HTTP/1.1 203 X\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
        writer.close()

    server = await asyncio.start_server(answer_request, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"/api/v1/namespaces/default/pods/p:{port}/proxy/a/b%20c?x=1"
    async with admin.post(url, data=b"body", headers={"Authorization": "Bearer secret"}) as answer:
        assert answer.status == 203
        assert await answer.text() == "POST /a/b%20c?x=1 HTTP/1.1|body|False"
    async with admin.get("/api/v1/namespaces/default/pods/p:1/proxy/") as answer:
        assert answer.status == 503
    server.close()


async def test_proxy_to_a_node(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}}
    async with admin.post("/api/v1/nodes", json=body) as answer:
        assert answer.status == 201
    for name in ("node1", "node1:10250", "https:node1:10250"):
        async with admin.get(f"/api/v1/nodes/{name}/proxy/metrics/resource") as answer:
            assert (answer.status, answer.content_type) == (200, "text/plain")
            assert await answer.text() == "page metrics/resource"
    async with admin.get("/api/v1/nodes/node1/proxy/logs/this") as answer:
        assert (answer.status, answer.content_type) == (200, "text/plain")
        assert "class Cluster:" in await answer.text()
    async with admin.get("/api/v1/nodes/node1/proxy/logs/this", headers={"Range": "bytes=0-2"}) as answer:
        assert (answer.status, await answer.text()) == (206, '"""')
    async with admin.get("/api/v1/nodes/node1/proxy/nothing") as answer:
        assert answer.status == 404
    async with admin.post("/api/v1/nodes/node1/proxy/pods") as answer:
        assert answer.status == 405
    async with admin.get("/api/v1/nodes/nobody/proxy/healthz") as answer:
        assert (await answer.json())["message"] == 'nodes "nobody" not found'


async def test_proxy_to_a_service(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    await cluster.run_pod()

    async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")
        writer.close()

    server = await asyncio.start_server(hello, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    meta = {"name": "s", "namespace": "default"}
    spec = {"ports": [{"name": "web", "port": 80, "targetPort": port}]}
    await cluster.create("services", "default", {"metadata": meta, "spec": spec})
    url = "/api/v1/namespaces/default/services/http:s:web/proxy/"
    async with admin.get(url) as answer:
        assert answer.status == 503 and "no endpoints available" in (await answer.json())["message"]
    await cluster.create(
        "endpointslices.discovery.k8s.io",
        "default",
        {
            "metadata": {**meta, "labels": {"kubernetes.io/service-name": "s"}},
            "addressType": "IPv4",
            "ports": [{"name": "web", "port": port, "protocol": "TCP"}],
            "endpoints": [
                {
                    "addresses": ["10.244.0.5"],
                    "conditions": {"ready": True},
                    "targetRef": {"kind": "Pod", "name": "p", "namespace": "default"},
                }
            ],
        },
    )
    async with admin.get(url) as answer:
        assert answer.status == 200 and await answer.text() == "hello"
    server.close()


@pytest.mark.kubectl
@pytest.mark.parametrize("binary", KUBECTLS)
async def test_stopping_the_server_ends_streams(binary: str, cluster: Cluster) -> None:
    await cluster.run_pod()
    running = asyncio.create_task(
        kubectl(binary, cluster, "exec", "p", "--", "sh", "-c", "echo up; exec sleep 60")
    )
    while not cluster.node.sessions:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    await asyncio.wait_for(cluster.server.stop(), 20)
    assert cluster.node.sessions[0].process.returncode is not None
    code, _, _ = await running
    assert code != 0 or speaks_spdy(binary)  # there, an error stream that ends without a word means success


async def spdy_exec(cluster: Cluster) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that was just upgraded to SPDY for an exec, and has no streams yet."""
    tls = client_tls(cluster)
    reader, writer = await asyncio.open_connection("127.0.0.1", cluster.server.port, ssl=tls)
    lines = [
        f"POST {EXEC}?command=sleep&command=60&stdout=1 HTTP/1.1",
        "Host: localhost",
        "Connection: Upgrade",
        "Upgrade: SPDY/3.1",
        "X-Stream-Protocol-Version: v4.channel.k8s.io",
        "Content-Length: 0",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def frames(peer: Peer, reader: asyncio.StreamReader) -> list[tuple]:
    while not (found := peer.read(await reader.read(65536))):
        assert not reader.at_eof()
    return found


async def test_a_client_that_opens_its_streams_while_the_server_stops_is_refused(cluster: Cluster) -> None:
    """Go's SPDY client waits half a minute for the answer to a stream, whatever becomes of the connection."""
    await cluster.run_pod()
    reader, writer = await spdy_exec(cluster)
    peer = Peer()
    writer.write(peer.syn_stream(1, {"streamtype": "error"}))
    assert await frames(peer, reader) == [("reply", 1, {})]
    stopping = asyncio.create_task(cluster.server.stop())
    while not cluster.server.stopping:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    writer.write(peer.syn_stream(3, {"streamtype": "stdout"}))
    assert await frames(peer, reader) == [(RST_STREAM, 3, REFUSED_STREAM)]
    writer.close()
    await asyncio.wait_for(stopping, 20)
    assert cluster.node.sessions[0].process.returncode is not None


async def test_a_connection_made_while_the_server_stops_is_closed(cluster: Cluster) -> None:
    raw, begun = asyncio.StreamReader(), asyncio.get_running_loop()
    transport, _ = await begun.create_connection(
        lambda: asyncio.StreamReaderProtocol(raw), "127.0.0.1", cluster.server.port
    )
    await asyncio.sleep(0.05)  # the server has taken it, and waits for its handshake
    await cluster.server.stop()
    with pytest.raises(ConnectionError):
        encrypted = await begun.start_tls(
            transport, asyncio.StreamReaderProtocol(raw), client_tls(cluster), server_hostname="127.0.0.1"
        )
        assert encrypted is not None
        encrypted.write(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        if not await asyncio.wait_for(raw.read(), 60):
            raise ConnectionResetError
    transport.close()


async def test_a_watch_over_a_websocket(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with admin.ws_connect(f"{path}?{query}", protocols=("base64.binary.k8s.io",)) as socket:
        assert (await socket.receive_json(timeout=60))["type"] == "BOOKMARK"
        await cluster.create("configmaps", "default", {"metadata": {"name": "a", "namespace": "default"}})
        event = await socket.receive_json(timeout=60)
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")
        assert len(cluster.server._resources._open) == 1
    async with asyncio.timeout(60):
        while cluster.server._resources._open:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    async with admin.ws_connect(f"{path}?watch=1&timeoutSeconds=1") as socket:
        assert (await socket.receive_json(timeout=60))["type"] == "ADDED"
        assert (await socket.receive(timeout=60)).type == aiohttp.WSMsgType.CLOSE
    accept = {"Accept": "application/vnd.kubernetes.protobuf"}
    async with admin.ws_connect(f"{path}?watch=1", headers=accept) as socket:
        message = await socket.receive_bytes(timeout=60)
        assert message.startswith(b"\x0a\x05ADDED\x12") and b"k8s\x00" in message
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await admin.ws_connect(f"{path}?watch=1&resourceVersion=99999")
    assert refused.value.status == 504


async def test_stopping_the_server_ends_watches_over_websockets(
    cluster: Cluster, admin: aiohttp.ClientSession
) -> None:
    async with admin.ws_connect("/api/v1/namespaces/default/pods?watch=1") as socket:
        stopping = asyncio.create_task(cluster.server.stop())
        assert (await socket.receive(timeout=60)).type == aiohttp.WSMsgType.CLOSE
        await asyncio.wait_for(stopping, 20)


async def test_a_log_over_a_websocket(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    await cluster.run_pod()
    path = "/api/v1/namespaces/default/pods/p/log"
    async with admin.ws_connect(f"{path}?tailLines=2", protocols=("binary.k8s.io",)) as socket:
        messages = [message.data async for message in socket]
        assert messages[0] == b"" and b"".join(messages) == b"line 3\nline 4\n"
    async with admin.ws_connect(
        f"{path}?tailLines=1&follow=1", protocols=("base64.binary.k8s.io",)
    ) as socket:
        assert await socket.receive_str(timeout=60) == ""
        assert base64.b64decode(await socket.receive_str(timeout=60)) == b"line 4\n"
        assert base64.b64decode(await socket.receive_str(timeout=60)) == b"more\n"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await admin.ws_connect(f"{path}?container=absent")
    assert refused.value.status == 400
