"""The store: durable commits against the bare disk (and etcd where it is installed), and how cost grows."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import socket
import ssl
import statistics
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from runtime.store import Change, Key, Store
from tests.support.serving import eventually

from .rows import Row, median_seconds
from .wire import connected, exchanges

COMMITS = 2000
WRITERS = 64
ROUNDS = 3


def pod(number: int) -> dict[str, Any]:
    """About 2 KB of a pod."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"pod-{number}",
            "namespace": "default",
            "labels": {"app": "web"},
            "uid": "u" * 36,
        },
        "spec": {
            "containers": [{"name": f"c{i}", "image": "nginx:1.14.2", "args": ["x" * 100]} for i in range(10)]
        },
        "status": {"phase": "Running"},
    }


def put(number: int) -> list[Change]:
    return [Change(Key("pods", "default", f"pod-{number}"), pod(number))]


def bare_commits(folder: Path, size: int) -> float:
    """write + fdatasync a second."""
    data = os.urandom(size)
    fd = os.open(folder / "bare", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    start = time.perf_counter()
    for _ in range(COMMITS):
        os.write(fd, data)
        os.fdatasync(fd)
    taken = time.perf_counter() - start
    os.close(fd)
    return COMMITS / taken


async def our_commits(store: Store, writers: int, commits: int) -> float:
    """Acknowledged commits a second."""

    async def write(writer: int) -> None:
        for number in range(commits // writers):
            await store.submit(put(writer * commits + number))

    start = time.perf_counter()
    await asyncio.gather(*[write(writer) for writer in range(writers)])
    return commits / (time.perf_counter() - start)


async def cost_of_one(folder: Path, stored: int) -> tuple[float, float]:
    """Seconds of a commit and of a get with this many objects stored."""
    store = Store.open(folder)
    for start in range(0, stored, 500):
        await store.submit([put(number)[0] for number in range(start, min(stored, start + 500))])
    taken = []
    for number in range(1000):
        begin = time.perf_counter()
        await store.submit(put(number % stored))
        taken.append(time.perf_counter() - begin)
    # The same number of different keys on both sides: what counts is the store's size, not the CPU's caches.
    asked = [Key("pods", "default", f"pod-{number}") for number in range(0, stored, stored // 100)]
    keys = asked * 200

    def get_all() -> None:
        for key in keys:
            store.get(key)

    get = median_seconds(get_all) / len(keys)
    await store.close()
    return statistics.median(taken), get


class Etcd:
    """A real etcd on loopback, spoken to through its JSON gateway over kept connections."""

    def __init__(self, folder: Path, pki: Path | None = None) -> None:
        """``pki``: a folder with ``apiserver.crt`` and ``apiserver.key`` to serve with TLS."""
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            two.bind(("127.0.0.1", 0))
            client, peer = one.getsockname()[1], two.getsockname()[1]
        self.port = client
        self.url = f"{'https' if pki else 'http'}://127.0.0.1:{client}"
        tls = [f"--cert-file={pki}/apiserver.crt", f"--key-file={pki}/apiserver.key"] if pki else []
        self.process = subprocess.Popen(
            [
                "etcd",
                f"--data-dir={folder}",
                f"--listen-client-urls={self.url}",
                f"--advertise-client-urls={self.url}",
                f"--listen-peer-urls=http://127.0.0.1:{peer}",
                "--log-level=error",
                *tls,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def wait(self, tls: ssl.SSLContext | None = None) -> None:
        """Return when it answers."""

        def answers() -> bool:
            try:
                return self.puts(1, 10, "first", b"{}", tls) > 0
            except OSError as error:
                raise ValueError(error) from error

        eventually("etcd", answers)

    def puts(
        self, writers: int, count: int, prefix: str, value: bytes, tls: ssl.SSLContext | None = None
    ) -> float:
        """Puts a second through its JSON gateway."""
        text = base64.b64encode(value).decode()

        def make(number: int) -> tuple[str, str, bytes]:
            key = base64.b64encode(f"/registry/default/{prefix}-{number}".encode()).decode()
            return "POST", "/v3/kv/put", orjson.dumps({"key": key, "value": text})

        with connected(self.port, tls, writers) as wires:
            return exchanges(wires, make, count)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


async def commit_rows(folder: Path) -> list[Row]:
    """The sides take turns, round after round: the disk is never equally busy for long."""
    value = orjson.dumps(pod(1))
    floors, ones, manys, etcd_ones, etcd_manys = [], [], [], [], []
    store = Store.open(folder / "commits")
    etcd = Etcd(folder / "etcd") if shutil.which("etcd") else None
    try:
        if etcd is not None:
            etcd.wait()
        for number in range(ROUNDS):
            floors.append(bare_commits(folder, len(value) + 60))
            ones.append(await our_commits(store, 1, COMMITS))
            if etcd is not None:
                etcd_ones.append(etcd.puts(1, 1000, f"one-{number}", value))
            manys.append(await our_commits(store, WRITERS, COMMITS * 4))
            if etcd is not None:
                etcd_manys.append(etcd.puts(WRITERS, 3200, f"many-{number}", value))
    finally:
        await store.close()
        if etcd is not None:
            etcd.stop()
    one, many, floor = (statistics.median(rates) for rates in (ones, manys, floors))
    higher = partial(Row, unit="commits/s", higher_is_better=True)
    name = "write + fdatasync"
    rows = [
        higher(
            "Durable commits, 1 writer",
            one,
            name,
            floor,
            goal=0.5,
            note="appended to a file that grows with each; the journal has room made ahead",
        ),
        higher(f"Durable commits, {WRITERS} writers", many, name, floor, goal=0.5),
    ]
    if etcd_ones:
        single, parallel = statistics.median(etcd_ones), statistics.median(etcd_manys)
        note = (
            "inside the process; etcd through its HTTP gateway, with a client that does as little as can be"
        )
        rows.append(higher("… 1 writer", one, "etcd", single, goal=1, note=note))
        rows.append(higher(f"… {WRITERS} writers", many, "etcd", parallel, goal=1))
    return rows


async def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="kubetui-bench-", dir=".") as name:
        folder = Path(name)
        rows = await commit_rows(folder)
        few_commit, few_get = await cost_of_one(folder / "few", 100)
        many_commit, many_get = await cost_of_one(folder / "many", 10_000)
        rows.append(Row("A commit with 10,000 objects stored", many_commit, "with 100", few_commit, "s", 1.2))
        rows.append(Row("A get with 10,000 objects stored", many_get, "with 100", few_get, "s", 1.2))
        start = time.perf_counter()
        store = Store.open(folder / "many")
        opened = time.perf_counter() - start
        data = (folder / "many" / "cluster.json").read_bytes()
        parse = median_seconds(lambda: orjson.loads(data), 3)
        rows.append(Row("Open a store of 10,000 objects", opened, "orjson.loads of its file", parse, "s", 4))
        await store.close()
    return rows
