"""`python -m tests.benchmarks [GROUP…]` measures, prints the table and writes RESULTS.md.

Groups are the modules ``*_rows``; without a name all of them run. RESULTS.md is written only by a whole run.
"""

from __future__ import annotations

import asyncio
import datetime
import os
import platform
import sys
from importlib import import_module
from pathlib import Path

from .rows import Row, table

HERE = Path(__file__).parent
GROUPS = sorted(path.stem.removesuffix("_rows") for path in HERE.glob("*_rows.py"))


def machine() -> str:
    """One line on what was measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}, "
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    )


def main(arguments: list[str]) -> int:
    unknown = [name for name in arguments if name not in GROUPS]
    if unknown:
        print(f"no such group: {', '.join(unknown)}; there are {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    parts: list[str] = []
    for name in arguments or GROUPS:
        module = import_module(f".{name}_rows", __package__)
        rows: list[Row] = asyncio.run(module.measure())
        title = (module.__doc__ or name).splitlines()[0].rstrip(".")
        parts.append(f"## {title}\n\n{table(rows)}")
        print(parts[-1], flush=True)
    if not arguments:
        text = "\n".join(
            [
                "# Measured\n",
                "Written by `make bench`. Each ratio comes from one run, both sides on the same machine.\n",
                machine() + "\n",
                *parts,
            ]
        )
        (HERE / "RESULTS.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
