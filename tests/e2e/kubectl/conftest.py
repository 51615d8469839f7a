"""A cluster on the simulated runtime for each module, and a namespace of its own for each test.

What a container does is simulated; everything between kubectl and the container runtime is the real thing.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from tests.support.kubectls import InNamespace
from tests.support.serving import Serving

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    server = Serving(tmp_path_factory.mktemp("families"), options=["--runtime", "simulated"])
    try:
        yield server.start()
        log = server.log.read_text()
        assert "Traceback" not in log, log[-4000:]
    finally:
        server.stop()


@pytest.fixture
def k(simulated: Serving) -> Iterator[InNamespace]:
    """kubectl in a fresh namespace, which goes away with the test."""
    everywhere = simulated.kubectl(os.environ.get("KUBETUI_KUBECTL", "kubectl"))
    name = f"t{next(_NUMBERS)}"
    everywhere("create", "namespace", name)
    yield InNamespace(everywhere, name)
    everywhere.run("delete", "namespace", name, "--wait=false", check=False)
