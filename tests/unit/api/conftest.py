from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from planes import Plane

from runtime.api.bootstrap import ensure_cluster
from runtime.objects.clock import ManualClock
from runtime.store import Store


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    store = Store.open(tmp_path / "state")
    plane = Plane(store, ManualClock())
    await ensure_cluster(plane.api, cluster_ip="10.96.0.1", port=6443)
    await plane.account("default")
    yield plane
    await store.close()
