"""One control plane's API over a store of its own, on a clock that the test moves."""

from __future__ import annotations

from runtime.api.api import API
from runtime.api.context import AUTHENTICATED, RequestContext, User, system_user
from runtime.client.client import Client
from runtime.objects.clock import ManualClock
from runtime.objects.kinds import builtin_registry
from runtime.store import Store


class Plane:
    """What a test holds in its hands."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.registry = builtin_registry()
        self.api = API(self.registry, store, clock, nodes={})
        self.client = Client(self.api, system_user("system:tests"), field_manager="tests")

    def ctx(self, **options) -> RequestContext:
        return RequestContext(system_user("system:tests"), "tests", **options)

    def as_user(self, name: str, *groups: str) -> Client:
        return Client(self.api, User(name, groups=(*groups, AUTHENTICATED)))

    def resource(self, name: str):
        found = self.registry.find(name)
        assert found is not None
        return found

    async def namespace(self, name: str) -> None:
        await self.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        await self.account(name)

    async def account(self, namespace: str, name: str = "default") -> None:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
        await self.client.create(account, namespace)


def pod(name: str = "", *, labels: dict[str, str] | None = None, **spec) -> dict:
    metadata: dict = {"name": name} if name else {"generateName": "web-"}
    if labels:
        metadata["labels"] = labels
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [{"name": "main", "image": "nginx"}], **spec},
    }


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> dict:
    metadata: dict = {"name": name}
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def deployment(name: str, replicas: int = 1) -> dict:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "nginx"}]},
            },
        },
    }
