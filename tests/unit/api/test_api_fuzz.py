"""Whatever a client sends, the answer is an object or a Status, and what is stored can be read again."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planes import Plane, config_map, deployment, pod

from runtime.api.bootstrap import ensure_cluster
from runtime.api.context import Answer
from runtime.objects import meta
from runtime.objects.clock import ManualClock
from runtime.objects.errors import StatusError
from runtime.store import Store

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "a", "1", "100m", "1Gi", "None", "Always", "x" * 300, "\u0000", "ü"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["name", "key", "spec", "metadata", "labels", "image", "$patch"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=5,
)


def _service() -> dict:
    spec = {
        "type": "NodePort",
        "ports": [{"name": "a", "port": 80, "targetPort": 80}],
        "selector": {"a": "b"},
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec}


def _role() -> dict:
    rules = [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]
    group = "rbac.authorization.k8s.io/v1"
    return {"apiVersion": group, "kind": "Role", "metadata": {"name": "r"}, "rules": rules}


def _quota() -> dict:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "q"},
        "spec": {"hard": {"pods": "100000"}},
    }


KINDS = {
    "pods": lambda: pod("p", labels={"a": "b"}, volumes=[{"name": "v", "emptyDir": {}}]),
    "deployments.apps": lambda: deployment("web"),
    "services": _service,
    "configmaps": lambda: config_map("c", x="1"),
    "roles.rbac.authorization.k8s.io": _role,
    "resourcequotas": _quota,
}


def _paths(value: Any, here: tuple = ()) -> list[tuple]:
    found = [here]
    if isinstance(value, dict):
        for key, item in value.items():
            found += _paths(item, (*here, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += _paths(item, (*here, index))
    return found


@st.composite
def damaged(draw, valid: dict) -> Any:
    obj = meta.copy(valid)
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from([p for p in _paths(obj) if p]))
        inner = obj
        for step in path:
            inner = inner[step]
        inner[last] = draw(VALUES)
    return obj


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_damaged_objects(kind: str) -> None:
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryDirectory() as folder:

        async def begin() -> Plane:
            plane = Plane(Store.open(Path(folder) / "state"), ManualClock())
            await ensure_cluster(plane.api, cluster_ip="10.96.0.1", port=6443)
            await plane.account("default")
            await plane.client.create(KINDS[kind](), "default")
            return plane

        plane = loop.run_until_complete(begin())
        resource = plane.resource(kind)
        valid = KINDS[kind]()
        name = valid["metadata"]["name"]

        async def attempt(operation) -> None:
            try:
                answer = await operation
            except StatusError as error:
                assert 400 <= error.code < 500 or "resourceVersion should not be set" in error.message, (
                    error.status
                )
                orjson.dumps(error.status)
                return
            assert isinstance(answer, Answer)
            assert orjson.loads(answer.json)["kind"]

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.data())
        def run(data) -> None:
            obj = data.draw(damaged(valid))
            api, ctx = plane.api, plane.ctx
            fresh = meta.copy(obj)
            if isinstance(fresh.get("metadata"), dict):
                fresh["metadata"]["name"] = "other"
            loop.run_until_complete(attempt(api.create(ctx(dry_run=True), resource, "default", fresh)))
            loop.run_until_complete(attempt(api.update(ctx(), resource, "default", name, obj)))
            for language in ("merge", "strategic", "apply"):
                patching = api.patch(ctx(), resource, "default", name, obj, language)
                loop.run_until_complete(attempt(patching))
            stored = loop.run_until_complete(plane.client.get(kind, name, "default"))
            assert stored["metadata"]["name"] == name and orjson.loads(orjson.dumps(stored)) == stored

        try:
            run()
        finally:
            loop.run_until_complete(plane.store.close())
            loop.close()
