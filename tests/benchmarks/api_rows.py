"""The API over HTTPS: commits, reads and watches of a real server process, through kept connections.

Client and server share the machine, both with TLS. Bare sockets (:mod:`.wire`), so that the client's own work
does not hide the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import selectors
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from . import store_rows
from .live import PODS, Live, Obj, live, resident, roll_out
from .rows import Row, median_seconds
from .start_rows import UPSTREAM_SECONDS, api_ready, compiled
from .wire import Wire, connected, exchanges

WATCHERS = 100
CHANGES = 41
LISTED = 5000
ROUNDS = 3


def pod(name: str) -> Obj:
    """About 2 KB, like the store's."""
    made = store_rows.pod(0)
    del made["metadata"]["uid"], made["status"]
    made["metadata"]["name"] = name
    return made


# -- watches -----------------------------------------------------------------------------------------------------


def until_all_have(wires: Sequence[Wire], mark: bytes) -> None:
    """Read until each of the connections has brought ``mark``."""
    with selectors.DefaultSelector() as selector:
        for wire in wires:
            wire.socket.setblocking(False)
            selector.register(wire.socket, selectors.EVENT_READ, bytearray())
        waiting = len(wires)
        while waiting:
            for key, _ in selector.select():
                with contextlib.suppress(ssl.SSLWantReadError):
                    key.data.extend(key.fileobj.recv(1 << 16))  # type: ignore[union-attr]
                if mark in key.data:
                    selector.unregister(key.fileobj)
                    waiting -= 1
        for wire in wires:
            wire.socket.setblocking(True)


def bare_fan_out(port: multiprocessing.connection.Connection, pki: str, message: bytes) -> None:
    """A process that writes one message to each of its connections whenever a byte comes in on the first."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(f"{pki}/apiserver.crt", f"{pki}/apiserver.key")
    with socket.create_server(("127.0.0.1", 0), backlog=200) as server:
        port.send(server.getsockname()[1])
        connections = []
        for _ in range(WATCHERS + 1):
            connection, _ = server.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connections.append(tls.wrap_socket(connection, server_side=True))
        first, *others = connections
        while first.recv(1):
            for connection in others:
                connection.write(message)


def fan_out_medians(
    trigger: Callable[[int], bytes], wires: Sequence[Wire], after: Callable[[], object]
) -> float:
    """The median time from a change being sent to its arrival on every connection."""
    taken = []
    for number in range(CHANGES):
        start = time.perf_counter()
        mark = trigger(number)
        until_all_have(wires, mark)
        taken.append(time.perf_counter() - start)
        after()
    return statistics.median(taken)


def our_fan_out(server: Live) -> tuple[float, bytes]:
    """Seconds from sending a PATCH to the last of the watchers having it, and what each got."""
    with connected(server.serving.port, server.tls, WATCHERS + 1) as (writer, *watchers):
        name = "watched"
        writer.request("POST", PODS, orjson.dumps(pod(name)))
        version = orjson.loads(writer.answer())["metadata"]["resourceVersion"]
        for wire in watchers:
            wire.request("GET", f"{PODS}?watch=1&resourceVersion={version}")
        last = b""

        def change(number: int) -> bytes:
            body = orjson.dumps({"metadata": {"annotations": {"change": f"number-{number}"}}})
            writer.request("PATCH", f"{PODS}/{name}", body, "application/merge-patch+json")
            return f"number-{number}".encode()

        def after() -> None:
            nonlocal last
            last = writer.answer()

        taken = fan_out_medians(change, watchers, after)
        return taken, b'{"type":"MODIFIED","object":' + last + b"}\n"


def their_fan_out(server: Live, message: bytes) -> float:
    """The same with a process that does nothing but write."""
    ours, theirs = multiprocessing.Pipe()
    pki = str(server.serving.state / "pki")
    child = multiprocessing.get_context("spawn").Process(target=bare_fan_out, args=(theirs, pki, message))
    child.start()
    try:
        with connected(ours.recv(), server.tls, WATCHERS + 1) as (writer, *watchers):

            def change(_: int) -> bytes:
                writer.socket.sendall(b"x")
                return b"}\n"

            return fan_out_medians(change, watchers, lambda: None)
    finally:
        child.join(10)


# -- commits -----------------------------------------------------------------------------------------------------


SECRETS = "/api/v1/namespaces/default/secrets"


def commits(port: int, tls: ssl.SSLContext, writers: int, count: int, prefix: str) -> float:
    """Secrets created a second, each acknowledged when it is on disk."""

    def make(number: int) -> tuple[str, str, bytes]:
        return "POST", SECRETS, orjson.dumps(secret(f"{prefix}-{number}"))

    with connected(port, tls, writers) as wires:
        return exchanges(wires, make, count)


async def fill(server: Live, first: int, last: int) -> None:
    """Create Secrets, which no controller looks at, up to a number of them."""
    places = asyncio.Semaphore(64)

    async def one(number: int) -> None:
        async with places:
            await server.ask("POST", SECRETS, secret(f"secret-{number}"))

    await asyncio.gather(*[one(number) for number in range(first, last)])


def secret(name: str) -> Obj:
    """About 2 KB."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": {"app": "web"}},
        "data": {f"key-{i}": "eHh4" * 30 for i in range(16)},
    }


def one_request(server: Live, make: Callable[[int], tuple[str, str, bytes]], times: int = 400) -> float:
    """The median time of a request on one connection."""
    with connected(server.serving.port, server.tls, 1) as (wire,):
        taken = []
        for number in range(times):
            method, path, body = make(number)
            start = time.perf_counter()
            wire.request(method, path, body, "application/merge-patch+json")
            wire.answer()
            taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def reads_and_writes(server: Live, stored: int) -> tuple[float, float]:
    """Seconds of a GET and of a PATCH with so many objects stored."""
    path = f"{SECRETS}/secret-"

    def get(number: int) -> tuple[str, str, bytes]:
        return "GET", f"{path}{number * 97 % 100 * stored // 100}", b""

    def patch(number: int) -> tuple[str, str, bytes]:
        body = b'{"metadata":{"annotations":{"n":"%d"}}}' % number
        return "PATCH", f"{path}{number * 97 % 100 * stored // 100}", body

    return one_request(server, get), one_request(server, patch)


_PLAIN = """
import os, sys, orjson
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
before = resident()
kept = []
for line in open(sys.argv[1], "rb"):
    kept.append((orjson.loads(line), bytes(line)))
print(resident() - before)
"""


def plain_memory(items: list[Any], folder: Path) -> float:
    """MB of a process that keeps the same objects as dicts and as JSON, and nothing else."""
    path = folder / "items"
    path.write_bytes(b"\n".join(orjson.dumps(item) for item in items) + b"\n")
    done = subprocess.run(
        [sys.executable, "-c", _PLAIN, str(path)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


# -- the rows ----------------------------------------------------------------------------------------------------


async def commit_rows(folder: Path) -> list[Row]:
    """The sides take turns, round after round: the disk is never equally busy for long."""
    ones, manys, floors, etcd_ones, etcd_manys = [], [], [], [], []
    async with live(folder / "commits", "--runtime", "simulated", environment=compiled(folder)) as server:
        etcd = (
            store_rows.Etcd(folder / "etcd", server.serving.state / "pki") if shutil.which("etcd") else None
        )
        try:

            async def ours(writers: int, count: int, prefix: str) -> float:
                return await asyncio.to_thread(
                    commits, server.serving.port, server.tls, writers, count, prefix
                )

            await ours(4, 400, "warm")
            value = orjson.dumps(secret("etcd-00000"))
            size = len(orjson.dumps(await server.ask("GET", f"{SECRETS}/warm-0"))) + 60
            if etcd is not None:
                await asyncio.to_thread(etcd.wait, server.tls)
            for number in range(ROUNDS):
                floors.append(store_rows.bare_commits(folder, size))
                ones.append(await ours(1, 1000, f"one-{number}"))
                if etcd is not None:
                    etcd_ones.append(etcd.puts(1, 1000, f"one-{number}", value, server.tls))
                manys.append(await ours(store_rows.WRITERS, 3200, f"many-{number}"))
                if etcd is not None:
                    etcd_manys.append(
                        etcd.puts(store_rows.WRITERS, 3200, f"many-{number}", value, server.tls)
                    )
        finally:
            if etcd is not None:
                etcd.stop()
    one, many, floor = (statistics.median(rates) for rates in (ones, manys, floors))
    unit, name, many_writers = "commits/s", "write + fdatasync", f"{store_rows.WRITERS} writers"
    note = "a Secret of 2 KB created: authorized, defaulted, validated, journaled, answered"
    higher = partial(Row, unit=unit, higher_is_better=True)
    rows = [
        higher("Commits over HTTPS, 1 writer", one, name, floor, goal=0.5, note=note),
        higher(f"Commits over HTTPS, {many_writers}", many, name, floor, goal=0.5),
    ]
    if etcd_ones:
        single, parallel = statistics.median(etcd_ones), statistics.median(etcd_manys)
        note = "etcd's gateway, with TLS and the same client; it checks nothing of what it stores"
        rows.append(higher("… 1 writer", one, "etcd", single, goal=1, note=note))
        rows.append(higher(f"… {many_writers}", many, "etcd", parallel, goal=1))
    return rows


MERGE = "application/merge-patch+json"


async def list_and_watch_rows(folder: Path) -> list[Row]:
    rows = []
    async with live(folder / "list", "--runtime", "simulated", environment=compiled(folder)) as server:
        await roll_out(server, "listed", LISTED, {"name": "c", "image": "nginx:1.14.2"})
        await asyncio.sleep(2)
        path = f"{PODS}?limit={LISTED}"

        def list_all() -> bytes:
            wire.request("GET", path)
            return wire.answer()

        with connected(server.serving.port, server.tls, 1) as (wire,):
            items = orjson.loads(list_all())["items"]
            assert len(items) == LISTED
            ours = median_seconds(list_all, 9)
        gc.collect()
        bare = median_seconds(lambda: orjson.dumps(items), 9)
        rows.append(
            Row(f"LIST of {LISTED:,} pods over HTTPS", ours, "orjson.dumps of the same", bare, "s", 3)
        )
    async with live(folder / "watch", "--runtime", "simulated", environment=compiled(folder)) as server:
        await server.ask(
            "PATCH", "/api/v1/nodes/kubetui", {"spec": {"unschedulable": True}}, content_type=MERGE
        )
        taken, message = await asyncio.to_thread(our_fan_out, server)
        bare = await asyncio.to_thread(their_fan_out, server, message)
        rows.append(
            Row(
                f"One change seen by {WATCHERS} watchers",
                taken,
                f"{WATCHERS} socket writes",
                bare,
                "s",
                3,
                note="from sending the PATCH, with its commit, to the last watcher's read; TLS on both sides",
            )
        )
    return rows


async def size_rows(folder: Path) -> list[Row]:
    environment = compiled(folder)
    rows = []
    async with live(folder / "sizes", "--runtime", "simulated", environment=environment) as server:
        await fill(server, 0, 100)
        few_get, few_patch = await asyncio.to_thread(reads_and_writes, server, 100)
        before = resident(server.pid)
        await fill(server, 100, 10_000)
        await asyncio.sleep(3)
        memory = (resident(server.pid) - before) / 9.9
        many_get, many_patch = await asyncio.to_thread(reads_and_writes, server, 10_000)
        listed = await server.ask("GET", f"{SECRETS}?limit=1000")
        plain = plain_memory(listed["items"], folder)
        rows.append(
            Row("A GET over HTTPS with 10,000 objects stored", many_get, "with 100", few_get, "s", 1.2)
        )
        rows.append(
            Row("A PATCH over HTTPS with 10,000 objects stored", many_patch, "with 100", few_patch, "s", 1.2)
        )
        note = "2 KB each; watch history included"
        rows.append(
            Row("Memory for 1,000 objects more", memory, "as dicts and JSON", plain, "MB", 2, note=note)
        )
    times = [await api_ready(folder / "sizes" / "state", environment) for _ in range(3)]
    taken = statistics.median(times)
    rows.append(
        Row(
            "Start with 10,000 objects stored → API ready",
            taken,
            "upstream with none",
            UPSTREAM_SECONDS,
            "s",
            0.5,
        )
    )
    return rows


async def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="kubetui-bench-", dir=".") as name:
        folder = Path(name).absolute()
        return [
            *await commit_rows(folder),
            *await list_and_watch_rows(folder),
            *await size_rows(folder),
        ]
