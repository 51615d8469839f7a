"""Throwing requests at a server, and what must hold however bad they are.

Every answer comes in time, is no 5xx and, where it refuses, is a Status of the same code.
"""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import urllib3
import yaml

from runtime.api.http.protobuf import decode_body
from tests.support.serving import Serving

PROTOBUF = "application/vnd.kubernetes.protobuf"
SLOW = 5.0
"""Seconds after which an answer counts as a hang."""
ON_PURPOSE = ("resourceVersion should not be set on objects to be created", "Too large resource version")
"""What Kubernetes itself answers with a 5xx."""


class Target:
    """The server under fire."""

    def __init__(self, serving: Serving, folder: Path) -> None:
        self.serving = serving
        config = yaml.safe_load(serving.kubeconfig.read_text())
        user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
        for name, data in (
            ("cert", user["client-certificate-data"]),
            ("key", user["client-key-data"]),
            ("ca", cluster["certificate-authority-data"]),
        ):
            (folder / name).write_bytes(base64.b64decode(data))
        self.pool = urllib3.PoolManager(
            cert_file=str(folder / "cert"),
            key_file=str(folder / "key"),
            ca_certs=str(folder / "ca"),
            maxsize=4,
            retries=urllib3.Retry(0, redirect=3, read=1),
        )

    def send(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, Any, urllib3.BaseHTTPResponse]:
        """Send a request and judge the answer; gives code, JSON (or text), answer."""
        started = time.monotonic()
        answer = self.pool.request(
            method,
            self.serving.server + path,
            body=body,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            timeout=SLOW * 2,
        )
        taken = time.monotonic() - started
        about = (method, path, (body or b"")[:2000], answer.status, answer.data[:1000])
        assert taken < SLOW, (taken, about)
        value: Any = answer.data.decode(errors="replace")
        if answer.headers.get("Content-Type", "").startswith("application/json") and answer.data:
            lines = answer.data.splitlines() if "watch" in path else [answer.data]
            value = [json.loads(line) for line in lines if line]
            value = value[0] if len(value) == 1 else value
        if answer.status >= 400 and method != "HEAD" and isinstance(value, dict):
            assert (value.get("kind"), value.get("code")) == ("Status", answer.status), about
        if answer.status >= 500:
            assert any(words in str(value) for words in ON_PURPOSE), about
        return answer.status, value, answer

    def state(self) -> dict[str, Any]:
        """Every object that the fuzzed kinds have, by path."""
        found: dict[str, Any] = {}
        for path in (
            "/api/v1/configmaps", "/api/v1/secrets", "/api/v1/services", "/apis/apps/v1/deployments",
            "/apis/apps/v1/controllerrevisions", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            "/apis/rbac.authorization.k8s.io/v1/roles", "/apis/networking.k8s.io/v1/ingresses",
        ):  # fmt: skip
            _, listed, _ = self.send("GET", path)
            _, _, answer = self.send("GET", path, Accept=PROTOBUF)
            names = [item["metadata"]["name"] for item in decode_body(answer.data).get("items", [])]
            assert names == [item["metadata"]["name"] for item in listed["items"]], (path, names)
            for item in listed["items"]:
                meta = item["metadata"]
                found[f"{path}/{meta.get('namespace', '')}/{meta['name']}"] = {
                    key: value for key, value in item.items() if key != "status"
                } | {"metadata": {k: v for k, v in meta.items() if k in ("uid", "labels", "name")}}
        return found
