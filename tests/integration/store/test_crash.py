"""``kill -9`` at random instants: all that was acknowledged is there, nothing is there by half.

A forked child writes under load and tells each acknowledged write through a pipe before it goes on. The parent
kills it and reads the folder back. The child compacts all the time; some rounds have it write alone, some begin with
what an older program left, in some the parent makes a backup at the same time.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from pathlib import Path
from zlib import crc32

import orjson

from runtime.store import Change, Key, Store, back_up, check
from runtime.store import store as store_module

ROUNDS = 200
WRITERS = 8


def age(folder: Path) -> None:
    """Put what the first format's program would have left after a clean stop in the place of the state."""
    state = check(folder)
    tables = [
        b"%b:{%b}"
        % (
            orjson.dumps(name),
            b",".join(b'"%d":%b' % (number, record.json) for number, record in enumerate(records, 1)),
        )
        for name, records in state.by_resource()
    ]
    body = b"{" + b",".join(tables)
    meta = {"format": 1, "epoch": state.epoch, "revision": state.revision, "crc32": f"{crc32(body):08x}"}
    for name in ("journal.old", "journal.new"):
        (folder / name).unlink(missing_ok=True)
    (folder / "cluster.json").write_bytes(body + b',\n"_cluster":{"1":%b}}\n' % orjson.dumps(meta))
    (folder / "journal").write_bytes(b"kubetui-journal 1 %b %d\n" % (state.epoch.encode(), state.revision))


def serve(folder: Path, out: int, start: int, writers: int) -> None:
    """The child: pairs of objects written together, each acknowledged pair told as one line."""
    store_module.COMPACT_BYTES = 20_000

    async def write(store: Store, writer: int) -> None:
        count = start
        while True:
            count += 1
            changes = [
                Change(
                    Key("pods", "default", f"{side}-{writer}"),
                    {"metadata": {"name": f"{side}-{writer}", "namespace": "default"}, "count": count},
                )
                for side in ("left", "right")
            ]
            (record, _) = await store.submit(changes)
            os.write(out, b"%d %d %d\n" % (writer, count, record.version))

    async def main() -> None:
        store = Store.open(folder)
        os.write(out, b"ready\n")
        await asyncio.gather(*[write(store, writer) for writer in range(writers)])

    asyncio.run(main())


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    chance = random.Random(20261120)
    folder = tmp_path / "state"
    newest_version, count = 0, 0
    acknowledged = 0
    for round_number in range(ROUNDS):
        if round_number % 10 == 5:
            age(folder)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            try:
                serve(folder, writer, count, 1 if round_number % 4 == 3 else WRITERS)
            finally:
                os._exit(1)
        os.close(writer)
        told = b""
        while not told.startswith(b"ready\n"):
            piece = os.read(reader, 65536)
            assert piece, f"the child of round {round_number} did not start"
            told += piece
        if round_number % 10 == 9:
            back_up(folder, tmp_path / "copy.json")
        time.sleep(chance.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while piece := os.read(reader, 65536):
            told += piece
        os.close(reader)
        lines = [line.split() for line in told.split(b"\n")[1:-1]]
        acknowledged += len(lines)

        state = check(folder)
        stored = {key.name: record.obj["count"] for key, record in state.records.items()}
        for number in range(WRITERS):
            counts = [int(line[1]) for line in lines if int(line[0]) == number]
            left, right = stored.get(f"left-{number}", 0), stored.get(f"right-{number}", 0)
            assert left == right, "half a transaction"
            if counts:
                assert left >= counts[-1], (
                    f"round {round_number}: {counts[-1]} was acknowledged, {left} is stored"
                )
        versions = [int(line[2]) for line in lines]
        assert not versions or min(versions) > newest_version, "a version was given twice"
        assert state.revision >= max([newest_version, *versions])
        newest_version = state.revision
        count = max([count, *stored.values()])
    assert acknowledged > ROUNDS
