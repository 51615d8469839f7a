"""A Kubernetes API that is not ours, small enough to read: what the terminal's tests and benchmarks talk to.

It keeps plain dicts and speaks only what upstream documents: discovery (aggregated), list with pages, watch with
bookmarks and 410, server-side tables, JSON/merge/strategic/apply patches, scale, delete, logs with follow. It has no
controllers: tests put objects in and take them out.
"""

from __future__ import annotations

import asyncio
import copy
import io
import json
import tarfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import WSMsgType, web

Obj = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    group: str
    version: str
    resource: str
    kind: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


KINDS = [
    Kind("", "v1", "pods", "Pod", True, ("po",), ("log", "exec", "portforward", "status", "eviction")),
    Kind("", "v1", "services", "Service", True, ("svc",), categories=("all",)),
    Kind("", "v1", "configmaps", "ConfigMap", True, ("cm",)),
    Kind("", "v1", "secrets", "Secret"),
    Kind("", "v1", "events", "Event", True, ("ev",)),
    Kind("", "v1", "namespaces", "Namespace", False, ("ns",)),
    Kind("", "v1", "nodes", "Node", False, ("no",)),
    Kind("apps", "v1", "deployments", "Deployment", True, ("deploy",), ("scale", "status")),
    Kind("apps", "v1", "replicasets", "ReplicaSet", True, ("rs",), ("scale", "status")),
    Kind("apps", "v1", "statefulsets", "StatefulSet", True, ("sts",), ("scale", "status")),
    Kind("apps", "v1", "daemonsets", "DaemonSet", True, ("ds",), ("status",)),
    Kind("apps", "v1", "controllerrevisions", "ControllerRevision"),
    Kind("batch", "v1", "jobs", "Job"),
    Kind("batch", "v1", "cronjobs", "CronJob", True, ("cj",)),
    Kind("metrics.k8s.io", "v1beta1", "pods", "PodMetrics"),
    Kind("metrics.k8s.io", "v1beta1", "nodes", "NodeMetrics", False),
    Kind("example.com", "v1", "widgets", "Widget", True, ("wd",), categories=("shop", "all")),
]


class Status(Exception):
    def __init__(self, code: int, reason: str, message: str, causes: list[Obj] | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.causes = code, reason, message, causes

    def body(self) -> Obj:
        details = {"causes": self.causes} if self.causes else {}
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "code": self.code,
            "reason": self.reason,
            "message": self.message,
            "details": details,
        }


@dataclass
class Watcher:
    kind: Kind
    namespace: str
    labels: str
    fields: str
    table: bool
    queue: asyncio.Queue[tuple[str, Obj] | None] = field(default_factory=asyncio.Queue)


def now_text(at: float | None = None) -> str:
    return datetime.fromtimestamp(at if at is not None else time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class FakeAPI:
    """All methods that change something may be called from any thread while the server runs on its own."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.version = 100
        self.objects: dict[Kind, dict[tuple[str, str], Obj]] = {k: {} for k in KINDS}
        self.history: list[tuple[int, Kind, str, Obj]] = []
        self.watchers: list[Watcher] = []
        self.logs: dict[tuple[str, str], list[bytes]] = {}
        self.log_events: dict[tuple[str, str], asyncio.Event] = {}
        self.forbidden: set[str] = set()
        self.absent: set[str] = set()  # API groups that this server does not have
        self.requests: list[tuple[str, str, Any]] = []
        self.refuse: Status | None = None
        self.down = False
        self.silent = False  # packets get lost: no answers, no events, and no connection is closed
        self.sick: Status | None = None  # what everything is answered with
        self.slow = 0.0  # seconds that a GET takes
        self.held: set[str] = set()  # paths that are answered once they are no longer in here
        self.closed: dict[str, Status] = {}  # what these paths are answered with
        self.review: Callable[[Obj], Obj] | None = (
            None  # the status of an access or rules review, by its spec
        )
        self.page = 500
        self.loop: asyncio.AbstractEventLoop | None = None
        self.url = ""
        self.on_write: Callable[[Kind, Obj], None] | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self.token = "secret-token"
        self.exec_received: list[bytes] = []
        self.files: dict[str, bytes] = {}  # in every container
        self.folders: set[str] = {"/tmp"}
        self.evil: list[str] = []  # further members of what tar sends
        self.no_tar = False
        self.budgeted: set[str] = set()  # pods that a disruption budget keeps

    # -- state ----------------------------------------------------------------------------------------------------

    def kind(self, name: str) -> Kind:
        return next(k for k in KINDS if name in (k.kind, f"{k.resource}.{k.group}", k.resource))

    def put(self, obj: Obj, event: bool = True) -> Obj:
        """Create or replace an object as it is."""
        with self.lock:
            kind = self.kind(obj["kind"])
            obj = copy.deepcopy(obj)
            meta = obj.setdefault("metadata", {})
            meta.setdefault("uid", f"uid-{kind.resource}-{meta.get('namespace', '')}-{meta['name']}")
            meta.setdefault("creationTimestamp", now_text())
            self.version += 1
            meta["resourceVersion"] = str(self.version)
            key = (meta.get("namespace", ""), meta["name"])
            word = "MODIFIED" if key in self.objects[kind] else "ADDED"
            self.objects[kind][key] = obj
            if event:
                self._tell(kind, word, obj)
            return obj

    def get(self, kind: str, name: str, namespace: str = "default") -> Obj:
        found = self.kind(kind)
        return self.objects[found][namespace if found.namespaced else "", name]

    def change(self, kind: str, name: str, how: Callable[[Obj], None], namespace: str = "default") -> Obj:
        with self.lock:
            obj = copy.deepcopy(self.get(kind, name, namespace))
            how(obj)
            return self.put(obj)

    def remove(self, kind: str, name: str, namespace: str = "default") -> None:
        with self.lock:
            found = self.kind(kind)
            obj = self.objects[found].pop((namespace if found.namespaced else "", name))
            self.version += 1
            obj = copy.deepcopy(obj)
            obj["metadata"]["resourceVersion"] = str(self.version)
            self._tell(found, "DELETED", obj)

    def _tell(self, kind: Kind, word: str, obj: Obj) -> None:
        self.history.append((self.version, kind, word, obj))
        if len(self.history) > 20000:
            del self.history[:10000]
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self._fan_out, kind, word, obj)

    def _fan_out(self, kind: Kind, word: str, obj: Obj) -> None:
        for watcher in self.watchers if not self.silent else ():
            if watcher.kind is kind and matches(watcher.namespace, watcher.labels, watcher.fields, obj):
                watcher.queue.put_nowait((word, obj))

    def expire(self) -> None:
        """Forget the history: resumed watches get 410."""
        with self.lock:
            self.history.clear()
            self.version += 1

    def cut(self) -> None:
        """End every watch now."""
        assert self.loop is not None
        self.loop.call_soon_threadsafe(lambda: [w.queue.put_nowait(None) for w in self.watchers])

    def log(self, pod: str, container: str, text: str, at: float | None = None) -> None:
        """Append a line to a container's log."""
        moment = at if at is not None else time.time()
        stamp = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"
        with self.lock:
            self.logs.setdefault((pod, container), []).append(f"{stamp} {text}\n".encode())
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self._log_ready, (pod, container))

    def _log_ready(self, key: tuple[str, str]) -> None:
        event = self.log_events.pop(key, None)
        if event is not None:
            event.set()

    # -- running --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        ready.wait(10)

    async def _serve(self, ready: threading.Event) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        await self._stop.wait()
        for watcher in self.watchers:
            watcher.queue.put_nowait(None)
        await runner.cleanup()

    def stop(self) -> None:
        if self.loop is not None and self._stop is not None:
            self.loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(60)

    def kubeconfig(self, path: Any, namespace: str = "default") -> str:
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "fake",
                    "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
                    "users": [{"name": "fake", "user": {"token": self.token}}],
                    "contexts": [
                        {
                            "name": "fake",
                            "context": {"cluster": "fake", "user": "fake", "namespace": namespace},
                        },
                        {
                            "name": "other",
                            "context": {"cluster": "fake", "user": "fake", "namespace": "kube-system"},
                        },
                    ],
                }
            )
        )
        return str(path)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.down:
            assert request.transport is not None
            request.transport.close()
            return web.Response(status=503)
        while self.silent:  # noqa: ASYNC110 - set from another thread
            await asyncio.sleep(0.05)
        while request.path in self.held:  # noqa: ASYNC110 - set from another thread
            await asyncio.sleep(0.02)
        if self.slow and request.method == "GET":
            await asyncio.sleep(self.slow)
        try:
            if self.sick is not None:
                raise self.sick
            if request.path in self.closed:
                raise self.closed[request.path]
            return await self._route(request)
        except Status as status:
            return web.json_response(status.body(), status=status.code)

    async def _route(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise Status(401, "Unauthorized", "Unauthorized")
        if path == "/version":
            return web.json_response({"major": "1", "minor": "36", "gitVersion": "v1.36.2"})
        if path in ("/api", "/apis"):
            return self._discovery(path == "/api")
        if path.startswith("/apis/authorization.k8s.io/v1/") and self.review is not None:
            spec = orjson.loads(await request.read())["spec"]
            self.requests.append(("REVIEW", path, spec))
            return web.json_response({"status": self.review(spec)}, status=201)
        parts = [p for p in path.split("/") if p]
        if parts[0] == "api":
            group, version, rest = "", parts[1], parts[2:]
        elif parts[0] == "apis" and len(parts) > 3:
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            raise Status(404, "NotFound", "the server could not find the requested resource")
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        kind = next((k for k in KINDS if (k.group, k.version, k.resource) == (group, version, rest[0])), None)
        if kind is None or kind.group in self.absent:
            raise Status(404, "NotFound", "the server could not find the requested resource")
        if kind.resource in self.forbidden:
            raise Status(
                403,
                "Forbidden",
                f'{kind.resource} is forbidden: User "you" cannot list resource "{kind.resource}"',
            )
        if len(rest) == 1:
            if request.method == "POST":
                return await self._create(request, kind, namespace)
            if request.query.get("watch") in ("true", "1"):
                return await self._watch(request, kind, namespace)
            return self._list(request, kind, namespace)
        name, sub = rest[1], rest[2] if len(rest) > 2 else ""
        if sub == "log":
            return await self._log(request, namespace, name)
        if sub == "exec" or sub == "attach":
            return await self._exec(request)
        if sub == "portforward":
            return await self._portforward(request)
        return await self._item(request, kind, namespace, name, sub)

    def _discovery(self, core: bool) -> web.Response:
        groups: dict[str, dict[str, list[Obj]]] = {}
        for k in KINDS:
            if (k.group == "") != core or k.group in self.absent:
                continue
            groups.setdefault(k.group, {}).setdefault(k.version, []).append(
                {
                    "resource": k.resource,
                    "singularResource": k.kind.lower(),
                    "responseKind": {"group": k.group, "version": k.version, "kind": k.kind},
                    "scope": "Namespaced" if k.namespaced else "Cluster",
                    "shortNames": list(k.short),
                    "categories": list(k.categories),
                    "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
                    "subresources": [
                        {"subresource": s, "responseKind": {"kind": "X"}, "verbs": []} for s in k.subresources
                    ],
                }
            )
        items = [
            {
                "metadata": {"name": g},
                "versions": [{"version": v, "resources": r} for v, r in versions.items()],
            }
            for g, versions in groups.items()
        ]
        return web.json_response(
            {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": items}
        )

    def _list(self, request: web.Request, kind: Kind, namespace: str) -> web.Response:
        query = request.query
        with self.lock:
            keys = sorted(self.objects[kind])
            version = self.version
            found = [
                self.objects[kind][k]
                for k in keys
                if matches(
                    namespace,
                    query.get("labelSelector", ""),
                    query.get("fieldSelector", ""),
                    self.objects[kind][k],
                )
            ]
        start = int(query.get("continue") or 0)
        limit = min(int(query.get("limit") or self.page), self.page)
        page = found[start : start + limit]
        meta: Obj = {"resourceVersion": str(version)}
        if start + limit < len(found):
            meta["continue"] = str(start + limit)
        if "as=Table" in request.headers.get("Accept", "") and kind.resource != "widgets":
            return web.Response(
                body=orjson.dumps(
                    {
                        "kind": "Table",
                        "apiVersion": "meta.k8s.io/v1",
                        "metadata": meta,
                        "columnDefinitions": columns(kind),
                        "rows": [table_row(kind, o, query.get("includeObject") == "Object") for o in page],
                    }
                ),
                content_type="application/json",
            )
        return web.Response(
            body=orjson.dumps(
                {
                    "kind": f"{kind.kind}List",
                    "apiVersion": api_version(kind),
                    "metadata": meta,
                    "items": [{k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for o in page],
                }
            ),
            content_type="application/json",
        )

    async def _watch(self, request: web.Request, kind: Kind, namespace: str) -> web.StreamResponse:
        query = request.query
        table = "as=Table" in request.headers.get("Accept", "") and kind.resource != "widgets"
        watcher = Watcher(
            kind, namespace, query.get("labelSelector", ""), query.get("fieldSelector", ""), table
        )
        since = int(query.get("resourceVersion") or 0)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        first = True

        async def send(word: str, obj: Obj) -> None:
            nonlocal first
            if table and word != "BOOKMARK":
                obj = {
                    "kind": "Table",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": {},
                    "columnDefinitions": columns(kind) if first else None,
                    "rows": [table_row(kind, obj, query.get("includeObject") == "Object")],
                }
                first = False
            await response.write(orjson.dumps({"type": word, "object": obj}) + b"\n")

        with self.lock:
            oldest = self.history[0][0] if self.history else self.version + 1
            if since < oldest - 1:
                status = Status(410, "Expired", "too old resource version")
                backlog = None
            else:
                backlog = [(w, o) for v, k, w, o in self.history if v > since and k is kind]
            self.watchers.append(watcher)
            if self.down:  # since it was asked for
                watcher.queue.put_nowait(None)
        try:
            if backlog is None:
                await response.write(orjson.dumps({"type": "ERROR", "object": status.body()}) + b"\n")
                return response
            for word, obj in backlog:
                if matches(namespace, watcher.labels, watcher.fields, obj):
                    await send(word, obj)
            while True:
                found = await watcher.queue.get()
                if found is None:
                    break
                if int(found[1]["metadata"]["resourceVersion"]) > since:
                    await send(*found)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.watchers.remove(watcher)
        return response

    async def _create(self, request: web.Request, kind: Kind, namespace: str) -> web.Response:
        body = orjson.loads(await request.read())
        self.requests.append(("POST", request.path, body))
        self._refuse()
        if body["metadata"].get("generateName") and not body["metadata"].get("name"):
            body["metadata"]["name"] = body["metadata"]["generateName"] + "abcde"
        if kind.namespaced:
            body["metadata"].setdefault("namespace", namespace)
        key = (body["metadata"].get("namespace", ""), body["metadata"]["name"])
        if key in self.objects[kind]:
            raise Status(409, "AlreadyExists", f'{kind.resource} "{key[1]}" already exists')
        body["metadata"].pop("resourceVersion", None)
        body["metadata"].pop("uid", None)
        return web.json_response(
            self.put({"kind": kind.kind, "apiVersion": api_version(kind), **body}), status=201
        )

    def _refuse(self) -> None:
        if self.refuse is not None:
            status, self.refuse = self.refuse, None
            raise status

    async def _item(
        self, request: web.Request, kind: Kind, namespace: str, name: str, sub: str
    ) -> web.Response:
        key = (namespace, name)
        raw = await request.read()
        if request.method != "GET":
            self.requests.append((request.method, request.path, orjson.loads(raw) if raw else None))
            self._refuse()
        with self.lock:
            obj = self.objects[kind].get(key)
            if obj is None:
                raise Status(404, "NotFound", f'{kind.resource} "{name}" not found')
            if sub == "scale":
                if request.method == "PATCH":
                    replicas = orjson.loads(raw)["spec"]["replicas"]
                    obj = copy.deepcopy(obj)
                    obj["spec"]["replicas"] = replicas
                    obj["metadata"]["generation"] = obj["metadata"].get("generation", 1) + 1
                    obj = self.put(obj)
                    self._written(kind, obj)
                return web.json_response(
                    {
                        "kind": "Scale",
                        "apiVersion": "autoscaling/v1",
                        "metadata": obj["metadata"],
                        "spec": {"replicas": obj["spec"].get("replicas", 1)},
                        "status": {"replicas": 0},
                    }
                )
            if sub == "eviction":
                if name in self.budgeted:
                    raise Status(429, "TooManyRequests", "Cannot evict pod as it would violate the budget.")
                self.remove(kind.kind, name, namespace)
                return web.json_response({"kind": "Status", "status": "Success"}, status=201)
            if request.method == "GET":
                return web.Response(body=orjson.dumps(obj), content_type="application/json")
            if request.method == "DELETE":
                self.remove(kind.kind, name, namespace)
                return web.json_response({"kind": "Status", "apiVersion": "v1", "status": "Success"})
            body = orjson.loads(raw)
            if request.method == "PUT":
                sent = body["metadata"].get("resourceVersion")
                if sent and sent != obj["metadata"]["resourceVersion"]:
                    raise Status(409, "Conflict", "the object has been modified")
                new = body
            else:
                new = apply_patch(obj, body, request.headers["Content-Type"])
            new["metadata"]["uid"] = obj["metadata"]["uid"]
            if new.get("spec") != obj.get("spec"):
                new["metadata"]["generation"] = obj["metadata"].get("generation", 1) + 1
            if request.query.get("dryRun"):
                return web.json_response(new)
            new = self.put(new)
            self._written(kind, new)
            return web.json_response(new)

    def _written(self, kind: Kind, obj: Obj) -> None:
        if self.on_write is not None:
            self.on_write(kind, obj)

    async def _log(self, request: web.Request, namespace: str, pod: str) -> web.StreamResponse:
        query = request.query
        container = query.get("container", "")
        if (namespace, pod) not in self.objects[self.kind("Pod")]:
            raise Status(404, "NotFound", f'pods "{pod}" not found')
        self.requests.append(("LOG", pod, dict(query)))
        key = (pod + ("#previous" if query.get("previous") == "true" else ""), container)
        response = web.StreamResponse()
        await response.prepare(request)
        lines = self.logs.get(key, [])
        position = 0
        if "tailLines" in query:
            position = max(0, len(lines) - int(query["tailLines"]))
        if "sinceTime" in query:
            since = query["sinceTime"][:19].encode()
            while position < len(lines) and lines[position][:19] < since:
                position += 1
        try:
            while True:
                lines = self.logs.get(key, [])
                if position < len(lines):
                    batch = lines[position : position + 2000]
                    position += len(batch)
                    await response.write(b"".join(batch))
                    continue
                if query.get("follow") != "true":
                    break
                event = self.log_events.setdefault(key, asyncio.Event())
                await event.wait()
        except (ConnectionError, asyncio.CancelledError):
            pass
        return response

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(protocols=("v5.channel.k8s.io", "v4.channel.k8s.io"))
        await ws.prepare(request)
        self.requests.append(("EXEC", request.path, list(request.query.items())))
        command = request.query.getall("command", [])
        if command and command[0] in ("tar", "test"):
            code, message = await self._files(ws, command)
            status: Obj = {"kind": "Status", "status": "Failure" if code else "Success", "message": message}
            if code:
                status["details"] = {"causes": [{"reason": "ExitCode", "message": str(code)}]}
            await ws.send_bytes(b"\x03" + orjson.dumps(status))
            await ws.close()
            return ws
        await ws.send_bytes(b"\x01$ ")
        async for message in ws:
            if message.type != WSMsgType.BINARY:
                break
            data = message.data
            self.exec_received.append(data)
            if data[:1] == b"\x00":
                await ws.send_bytes(b"\x01" + data[1:].replace(b"\r", b"\r\n"))
                if b"exit" in data:
                    await ws.send_bytes(b"\x03" + orjson.dumps({"kind": "Status", "status": "Success"}))
                    break
        await ws.close()
        return ws

    async def _files(self, ws: web.WebSocketResponse, command: list[str]) -> tuple[int, str]:
        """``test -d`` and both directions of tar, on :attr:`files`."""
        if command[0] == "test":
            return int(command[2] not in self.folders), ""
        if self.no_tar:
            await ws.send_bytes(b'\x02exec: "tar": executable file not found in $PATH')
            return 127, ""
        if command[1] == "xmf":
            received = b""
            async for message in ws:
                if message.data[:1] == b"\xff":
                    break
                received += message.data[1:]
            with tarfile.open(fileobj=io.BytesIO(received)) as archive:
                for member in archive:
                    stream = archive.extractfile(member)
                    self.files[f"{command[4].rstrip('/')}/{member.name}"] = stream.read() if stream else b""
            return 0, ""
        out = io.BytesIO()
        top = f"{command[4].rstrip('/')}/{command[5].removeprefix('./')}"
        found = {path: data for path, data in self.files.items() if path == top or path.startswith(f"{top}/")}
        if not found:
            await ws.send_bytes(b"\x02tar: " + command[5].encode() + b": No such file or directory")
            return 2, ""
        with tarfile.open(fileobj=out, mode="w") as archive:
            for path, data in found.items():
                member = tarfile.TarInfo("./" + path[len(command[4].rstrip("/")) + 1 :])
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
            for name in self.evil:
                archive.addfile(tarfile.TarInfo(name))
        whole = out.getvalue()
        for start in range(0, len(whole), 30_000):
            await ws.send_bytes(b"\x01" + whole[start : start + 30_000])
        return 0, ""

    async def _portforward(self, request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await ws.prepare(request)
        port = int(request.query["ports"]).to_bytes(2, "little")
        await ws.send_bytes(b"\x00" + port)
        await ws.send_bytes(b"\x01" + port)
        async for message in ws:
            if message.type != WSMsgType.BINARY:
                break
            if message.data[:1] == b"\x00":
                await ws.send_bytes(b"\x00echo:" + message.data[1:])
        return ws


def api_version(kind: Kind) -> str:
    return f"{kind.group}/{kind.version}" if kind.group else kind.version


def matches(namespace: str, labels: str, fields: str, obj: Obj) -> bool:
    meta = obj["metadata"]
    if namespace and meta.get("namespace", "") != namespace:
        return False
    for requirement in filter(None, labels.split(",")):
        key, eq, value = requirement.partition("=")
        have = meta.get("labels", {}).get(key)
        if have is None or (eq and have != value):
            return False
    for requirement in filter(None, fields.split(",")):
        path, _, value = requirement.partition("=")
        found: Any = obj
        for part in path.split("."):
            found = (found or {}).get(part) if isinstance(found, dict) else None
        if str(found or "") != value:
            return False
    return True


def apply_patch(obj: Obj, patch: Any, content_type: str) -> Obj:
    if "json-patch" in content_type:
        new = copy.deepcopy(obj)
        for step in patch:
            *parents, last = [p.replace("~1", "/").replace("~0", "~") for p in step["path"].split("/")[1:]]
            target: Any = new
            for part in parents:
                target = target[int(part)] if isinstance(target, list) else target.setdefault(part, {})
            if step["op"] == "remove":
                target.pop(last)
            elif step["op"] == "test":
                if target.get(last) != step["value"]:
                    raise Status(422, "Invalid", "test failed")
            else:
                target[last] = step["value"]
        return new
    if "apply-patch" in content_type or "strategic" in content_type:
        return merge(obj, patch, True)
    return merge(obj, patch, False)


def merge(old: Any, patch: Any, strategic: bool) -> Any:
    if not isinstance(patch, dict):
        if (
            strategic
            and isinstance(patch, list)
            and isinstance(old, list)
            and all(isinstance(i, dict) and "name" in i for i in [*patch, *old])
        ):
            by_name = {i["name"]: i for i in old}
            for item in patch:
                by_name[item["name"]] = merge(by_name.get(item["name"], {}), item, True)
            return list(by_name.values())
        return patch
    if patch.get("$patch") == "replace":
        return {k: v for k, v in patch.items() if k != "$patch"}
    new = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            new.pop(key, None)
        else:
            new[key] = merge(new.get(key), value, strategic)
    return new


def columns(kind: Kind) -> list[Obj]:
    names = {
        "pods": ["Name", "Ready", "Status", "Restarts", "Age", "IP*", "Node*"],
        "deployments": ["Name", "Ready", "Up-to-date", "Available", "Age", "Containers*", "Images*"],
        "services": ["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector*"],
        "nodes": ["Name", "Status", "Roles", "Age", "Version", "Internal-IP*"],
        "namespaces": ["Name", "Status", "Age"],
        "configmaps": ["Name", "Data", "Age"],
        "secrets": ["Name", "Type", "Data", "Age"],
        "events": ["Last Seen", "Type", "Reason", "Object", "Message"],
    }.get(kind.resource, ["Name", "Age"])
    return [{"name": n.rstrip("*"), "type": "string", "priority": 1 if n.endswith("*") else 0} for n in names]


def table_row(kind: Kind, o: Obj, whole: bool = False) -> Obj:
    from kubetui.live.health import pod_view, workload_view
    from kubetui.live.text import age

    now = time.time()
    meta, status, spec = o["metadata"], o.get("status", {}), o.get("spec", {})
    old = age(meta.get("creationTimestamp"), now)
    cells: list[Any] = [meta["name"], old]
    if kind.resource == "pods" and not kind.group:
        v = pod_view(o)
        cells = [
            v.name,
            f"{v.ready}/{v.total}",
            v.status,
            v.restarts_text(now),
            old,
            v.ip or "<none>",
            v.node or "<none>",
        ]
    elif kind.resource == "deployments":
        w = workload_view(o)
        cells = [w.name, w.ready, int(w.updated), int(w.available), old, "c", w.images]
    elif kind.resource == "services":
        ports = ",".join(f"{p['port']}/TCP" for p in spec.get("ports", []))
        cells = [
            meta["name"],
            spec.get("type", "ClusterIP"),
            spec.get("clusterIP", ""),
            "<none>",
            ports,
            old,
            "<none>",
        ]
    elif kind.resource == "nodes":
        word = "Ready,SchedulingDisabled" if spec.get("unschedulable") else "Ready"
        cells = [meta["name"], word, "<none>", old, "v1.36.2", "10.0.0.1"]
    elif kind.resource == "namespaces":
        cells = [meta["name"], status.get("phase", "Active"), old]
    elif kind.resource == "configmaps":
        cells = [meta["name"], len(o.get("data", {})), old]
    elif kind.resource == "secrets":
        cells = [meta["name"], o.get("type", "Opaque"), len(o.get("data", {})), old]
    elif kind.resource == "events":
        about = o.get("involvedObject", {})
        cells = [
            old,
            o.get("type"),
            o.get("reason"),
            f"{about.get('kind', '').lower()}/{about.get('name')}",
            o.get("message"),
        ]
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
    return {"cells": cells, "object": o if whole else partial}
