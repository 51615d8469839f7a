"""Requests made from our own OpenAPI documents by schemathesis: every operation of some groups, a few times.

The namespace and the name are real ones, so that the requests get past "not found"; everything else is drawn.
"""

from __future__ import annotations

import json
import random
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.support.target import Target

PATCHES = (
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
)
STREAMS = ("/proxy", "/exec", "/attach", "/portforward", "/log", "/watch/")


@pytest.mark.parametrize(
    ("group", "examples"),
    [
        ("api/v1", 1),
        ("apis/apps/v1", 2),
        ("apis/batch/v1", 2),
        ("apis/autoscaling/v2", 2),
        ("apis/networking.k8s.io/v1", 1),
        ("apis/policy/v1", 2),
        ("apis/rbac.authorization.k8s.io/v1", 1),
        ("apis/coordination.k8s.io/v1", 3),
        ("apis/apiextensions.k8s.io/v1", 2),
    ],
)
def test_operations(target: Target, group: str, examples: int) -> None:
    code, document, _ = target.send("GET", f"/openapi/v3/{group}")
    assert code == 200
    schema = schemathesis.openapi.from_dict(document)
    codes: set[int] = set()
    sent = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if any(part in operation.path for part in STREAMS):
            continue

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @seed(20)
        @given(case=operation.as_strategy())
        def run(case: schemathesis.Case) -> None:
            nonlocal sent
            codes.add(send(target, case))
            sent += 1

        run()
    assert sent > 5 and codes & {200, 201} and codes & {400, 404, 409, 422}, codes


def send(target: Target, case: schemathesis.Case) -> int:
    luck = random.Random(repr((case.method, case.path, case.body)))
    named = {"namespace": "fuzz", "name": luck.choice(("x", "y"))}
    path = case.path
    for name, value in (case.path_parameters or {}).items():
        path = path.replace("{" + name + "}", named.get(name) or quote(str(value), safe=""))
    query = {
        name: value for name, value in (case.query or {}).items() if name not in ("watch", "timeoutSeconds")
    }
    if query:
        path += "?" + urlencode(query, doseq=True, errors="replace")
    body: Any = case.body
    if isinstance(body, dict) and luck.random() < 0.8:
        body["metadata"] = {"name": named["name"]}
        body.pop("apiVersion", None)
        body.pop("kind", None)
    method = case.method.upper()
    kind = luck.choice(PATCHES) if method == "PATCH" else "application/json"
    data: bytes | None = None
    if isinstance(body, dict | list | str | int | float | bool):
        try:
            data = json.dumps(body).encode()
        except (UnicodeEncodeError, ValueError):
            data = b"{}"
    code, _, _ = target.send(method, path, data, Content_Type=kind)
    return code
