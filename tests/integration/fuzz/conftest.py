"""A server to throw things at; at the end its log has no traceback, and a restart finds exactly what was there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.serving import Serving
from tests.support.target import Target


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("fuzz")
    serving = Serving(folder, options=["--runtime", "simulated"])
    try:
        target = Target(serving.start(), folder)
        target.send(
            "POST", "/api/v1/namespaces", b'{"metadata":{"name":"fuzz"}}', Content_Type="application/json"
        )
        yield target
        before = target.state()
        serving.kill()
        serving.start()
        log = serving.log.read_text()
        assert "Traceback" not in log, log[log.index("Traceback") - 1000 :][:5000]
        assert Target(serving, folder).state() == before
    finally:
        serving.stop()
