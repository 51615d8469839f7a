"""The objects a pod refers to: ConfigMaps, Secrets, Services, claims, and tokens.

Kept by watching, shared by all kubelets of a machine. What is not in the local copy is asked for once more, because
a pod may arrive before the ConfigMap that was written an instant earlier has been seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from runtime.client.informer import Delta, Informer, InformerFactory
from runtime.kubelet.env import service_variables
from runtime.kubelet.ports import APIClient
from runtime.objects.clock import Clock, parse_time
from runtime.objects.errors import Obj, StatusError

Changed = Callable[[str, str, str], None]
"""(resource, namespace, name): something pods may refer to has changed."""

_DAY = timedelta(hours=24)


class ObjectCache:
    """Lookups for environment, volumes and pull secrets."""

    def __init__(self, client: APIClient, informers: InformerFactory, clock: Clock) -> None:
        self._client = client
        self._informers = informers
        self._clock = clock
        self._used: dict[str, Informer] = {}
        self._changed: list[Changed] = []
        self._service_env: dict[str, dict[str, str]] = {}
        self._tokens: dict[str, dict[tuple[str, int], tuple[str, datetime]]] = {}

    def subscribe(self, changed: Changed) -> None:
        """Be told of changes to ConfigMaps, Secrets and claims that were asked for."""
        self._changed.append(changed)

    def unsubscribe(self, changed: Changed) -> None:
        """Be told no more."""
        if changed in self._changed:
            self._changed.remove(changed)

    def start(self) -> None:
        """Begin to follow what every pod needs: Services, for the environment."""
        if "services" not in self._used:
            services = self._informers.informer("services")
            self._used["services"] = services
            services.add_handler(lambda _: self._service_env.clear())
            services.start()

    # -- objects

    async def config_map(self, namespace: str, name: str) -> Obj | None:
        """The ConfigMap, or None."""
        return await self._find("configmaps", namespace, name)

    async def secret(self, namespace: str, name: str) -> Obj | None:
        """The Secret, or None."""
        return await self._find("secrets", namespace, name)

    async def claim(self, namespace: str, name: str) -> Obj | None:
        """The PersistentVolumeClaim, or None."""
        return await self._find("persistentvolumeclaims", namespace, name)

    async def volume(self, name: str) -> Obj | None:
        """The PersistentVolume, or None."""
        return await self._find("persistentvolumes", "", name)

    async def _find(self, resource: str, namespace: str, name: str) -> Obj | None:
        informer = self._used.get(resource)
        if informer is None:
            informer = self._informers.informer(resource)
            self._used[resource] = informer
            informer.add_handler(self._handler(resource))
            informer.start()
        if informer.has_synced:
            found = informer.get(f"{namespace}/{name}" if namespace else name)
            if found is not None:
                return found
        try:
            return await self._client.get(resource, name, namespace)
        except StatusError as error:
            if error.code == 404:
                return None
            raise

    def _handler(self, resource: str) -> Callable[[Sequence[Delta]], None]:
        def handle(deltas: Sequence[Delta]) -> None:
            for delta in deltas:
                found = delta.new or delta.old  # what is optional may be deleted, and its files go with it
                if found is None:
                    continue
                meta = found["metadata"]
                for changed in self._changed:
                    changed(resource, meta.get("namespace", ""), meta["name"])

        return handle

    # -- services

    async def service_env(self, namespace: str, *, links: bool) -> Mapping[str, str]:
        """Service variables: the namespace's own when ``links``, and those of ``kubernetes`` always."""
        key = namespace if links else ""
        found = self._service_env.get(key)
        if found is None:
            services = self._used["services"]
            if not services.has_synced:
                await services.wait_for_sync()
            master = services.get("default/kubernetes")
            found = service_variables([master], "default") if master else {}
            if links:
                found.update(service_variables(services.list(namespace), namespace))
            self._service_env[key] = found
        return found

    # -- tokens

    async def service_account_token(self, pod: Obj, audience: str, seconds: int) -> tuple[str, datetime]:
        """A token bound to the pod, kept until it needs renewal (``pkg/kubelet/token/token_manager.go``)."""
        meta = pod["metadata"]
        tokens = self._tokens.setdefault(meta["uid"], {})
        known = tokens.get((audience, seconds))
        now = self._clock.now()
        if known is not None and now < known[1]:
            return known
        body: Obj = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": seconds,
                "boundObjectRef": {
                    "kind": "Pod",
                    "apiVersion": "v1",
                    "name": meta["name"],
                    "uid": meta["uid"],
                },
            },
        }
        account = pod["spec"].get("serviceAccountName") or "default"
        answer = await self._client.create_subresource(
            "serviceaccounts", account, meta.get("namespace", ""), "token", body
        )
        status = answer["status"]
        expires = parse_time(status["expirationTimestamp"])
        # Renewed after four fifths of its life, after a day at the latest.
        result = (status["token"], now + min((expires - now) * 0.8, _DAY))
        tokens[(audience, seconds)] = result
        return result

    def forget_pod(self, uid: str) -> None:
        """Drop the tokens of a pod that is gone."""
        self._tokens.pop(uid, None)
