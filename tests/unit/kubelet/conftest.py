from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from node_rig import Rig, rig


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Rig]:
    """A node on a manual clock with a simulated runtime, started."""
    async with rig(tmp_path) as found:
        await found.start()
        yield found
