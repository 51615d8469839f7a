"""The logs of many pods followed at once, over HTTP, by the terminal's follower; against a client that only reads.

The fake API server runs in a process of its own. ``python tests/benchmarks/terminal_follow.py [pods] [lines each]``.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve()
ROOT = HERE.parents[2]
FAKES = ROOT / "tests" / "unit" / "kubetui"


def serve(kubeconfig: str, pods: int, lines: int) -> None:
    """A server with so many pods, each with so many lines, until it is ended."""
    sys.path.insert(0, str(FAKES))
    from fakeapi import FakeAPI
    from fakeworld import World

    api = FakeAPI()
    world = World(api)
    for number in range(pods):
        world.pod(f"pod-{number}", None, "app:1", 60)
        for line in range(lines):
            api.log(
                f"pod-{number}", "app", f"request {line} took {line % 97} ms and all is as it was", 1e9 + line
            )
    api.start()
    api.kubeconfig(Path(kubeconfig))
    print(api.url, api.token, flush=True)
    threading.Event().wait()


def followed(kubeconfig: str, pods: int, lines: int) -> float:
    """Seconds from the wish to follow until every line is in the spool; all streams are open then."""
    from kubetui.connection import Access, Connection
    from kubetui.live.logfollow import ContainerRef, LogFollower
    from kubetui.live.logspool import LogSpool

    connection = Connection(Access(kubeconfig), lambda state: None, lambda: None)
    connection.start()
    connection._ready.result(30)
    arrived = threading.Event()
    spool = LogSpool()
    follower = LogFollower(spool, connection.background, arrived.set, tail=None)
    began = time.perf_counter()
    follower.want(
        ContainerRef("default", f"pod-{number}", f"uid-{number}", "app", 0, True) for number in range(pods)
    )
    while len(spool) < pods * lines:
        arrived.wait(1)
        arrived.clear()
        assert time.perf_counter() - began < 120, f"{len(spool)} lines in two minutes: {follower.errors}"
    taken = time.perf_counter() - began
    assert follower.streams == pods
    follower.stop()
    connection.stop()
    spool.close()
    return taken


async def read(url: str, token: str, pods: int, lines: int) -> float:
    """Seconds to read the same logs and count their lines."""
    import aiohttp

    async with aiohttp.ClientSession(
        url, connector=aiohttp.TCPConnector(limit=0), headers={"Authorization": f"Bearer {token}"}
    ) as session:

        async def one(number: int) -> int:
            path = f"/api/v1/namespaces/default/pods/pod-{number}/log?container=app&timestamps=true"
            async with session.get(path) as answer:
                return (await answer.read()).count(b"\n")

        began = time.perf_counter()
        counts = await asyncio.gather(*(one(number) for number in range(pods)))
        assert counts == [lines] * pods
        return time.perf_counter() - began


def measure(pods: int = 200, lines: int = 1000, rounds: int = 3) -> dict[str, float]:
    """The median seconds of both, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = f"{folder}/kubeconfig"
        server = subprocess.Popen(
            [sys.executable, str(HERE), "--serve", kubeconfig, str(pods), str(lines)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            url, token = server.stdout.readline().split()
            ours, bare = [], []
            for _ in range(rounds):
                ours.append(followed(kubeconfig, pods, lines))
                bare.append(asyncio.run(read(url, token, pods, lines)))
        finally:
            server.terminate()
            server.wait(10)
    return {"followed": sorted(ours)[rounds // 2], "read": sorted(bare)[rounds // 2]}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        print(json.dumps(measure(*(int(each) for each in sys.argv[1:3]))))
