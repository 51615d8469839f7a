"""A container's environment: every reference resolved to a string.

Follows ``pkg/kubelet/kubelet_pods.go`` (makeEnvironmentVariables), ``pkg/kubelet/envvars`` and
``third_party/forked/golang/expansion``. Pure: what it needs of the cluster comes in through :class:`EnvSource`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from runtime.kubelet.fields import FieldFailure, pod_field, resource_field
from runtime.objects.errors import Obj

_NAME = re.compile(r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")


class ConfigFailure(Exception):
    """A reference that can't be resolved: CreateContainerConfigError with this message."""


class EnvSource(Protocol):
    """Where ConfigMaps and Secrets come from."""

    async def config_map(self, namespace: str, name: str) -> Obj | None:
        """The ConfigMap, or None when there is none."""
        ...

    async def secret(self, namespace: str, name: str) -> Obj | None:
        """The Secret with ``data`` still in base64, or None."""
        ...


@dataclass(frozen=True, slots=True)
class EnvContext:
    """What is known of the pod's place when a container starts."""

    node_name: str
    host_ips: tuple[str, ...] = ()
    pod_ips: tuple[str, ...] = ()
    allocatable: Mapping[str, float] = field(default_factory=dict)
    """Cores (``cpu``) and bytes (``memory``, ``ephemeral-storage``) of the node, for unset limits."""
    services: Mapping[str, str] = field(default_factory=dict)
    """Service variables of the namespace, ready made."""
    volume_paths: Mapping[str, Path] = field(default_factory=dict)
    """Volume name → folder on this machine, for ``fileKeyRef``."""


def expand(text: str, variables: Mapping[str, str]) -> str:
    """``$(NAME)`` replaced where NAME is known, ``$$`` made ``$``; anything else stays as it is."""
    if "$" not in text:
        return text
    out: list[str] = []
    position = 0
    length = len(text)
    while position < length:
        dollar = text.find("$", position)
        if dollar < 0 or dollar + 1 >= length:
            break
        out.append(text[position:dollar])
        following = text[dollar + 1]
        if following == "$":
            out.append("$")
            position = dollar + 2
        elif following == "(":
            end = text.find(")", dollar + 2)
            if end < 0:
                out.append("$(")
                position = dollar + 2
            else:
                name = text[dollar + 2 : end]
                value = variables.get(name)
                out.append(f"$({name})" if value is None else value)
                position = end + 1
        else:
            out.append("$" + following)
            position = dollar + 2
    out.append(text[position:])
    return "".join(out)


def service_variables(services: Iterable[Obj], namespace: str) -> dict[str, str]:
    """The variables of every Service with a cluster IP in a namespace (``pkg/kubelet/envvars/envvars.go``)."""
    result: dict[str, str] = {}
    for service in services:
        meta = service["metadata"]
        if meta.get("namespace") != namespace:
            continue
        spec = service.get("spec") or {}
        address = spec.get("clusterIP") or ""
        ports = spec.get("ports") or []
        if not address or address == "None" or not ports:
            continue
        prefix = str(meta["name"]).upper().replace("-", "_")
        host = f"[{address}]" if ":" in address else address
        result[f"{prefix}_SERVICE_HOST"] = address
        result[f"{prefix}_SERVICE_PORT"] = str(ports[0]["port"])
        for port in ports:
            if port.get("name"):
                result[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
        for index, port in enumerate(ports):
            number, protocol = port["port"], port.get("protocol") or "TCP"
            url = f"{protocol.lower()}://{host}:{number}"
            if index == 0:
                result[f"{prefix}_PORT"] = url
            stem = f"{prefix}_PORT_{number}_{protocol.upper()}"
            result[stem] = url
            result[f"{stem}_PROTO"] = protocol.lower()
            result[f"{stem}_PORT"] = str(number)
            result[f"{stem}_ADDR"] = address
    return result


async def make_environment(
    pod: Obj, container: Obj, source: EnvSource, context: EnvContext
) -> tuple[dict[str, str], list[str]]:
    """All variables of a container, and the names that had to be skipped as invalid.

    Precedence: ``env`` over ``envFrom`` over service variables. ``$(VAR)`` sees what was defined before it.

    Raises:
        ConfigFailure: a reference that is not optional is missing; the message is upstream's.
    """
    result: dict[str, str] = {}
    skipped: list[str] = []
    namespace = str(pod["metadata"].get("namespace", ""))
    for entry in container.get("envFrom") or ():
        await _add_from(entry, namespace, source, result, skipped)
    # Service variables are visible to $(VAR) but give way to everything the container names itself.
    visible = {**context.services, **result} if context.services else dict(result)
    for variable in container.get("env") or ():
        name = variable["name"]
        value_from = variable.get("valueFrom")
        if value_from:
            resolved = await _value_from(pod, container, value_from, namespace, source, context)
            if resolved is None:
                continue
            value = resolved
        else:
            value = expand(variable.get("value") or "", visible)
        result[name] = value
        visible[name] = value
    if context.services:
        return {**context.services, **result}, skipped
    return result, skipped


async def _add_from(
    entry: Obj, namespace: str, source: EnvSource, result: dict[str, str], skipped: list[str]
) -> None:
    prefix = entry.get("prefix") or ""
    reference = entry.get("configMapRef")
    if reference:
        found = await source.config_map(namespace, reference["name"])
        if found is None:
            if reference.get("optional"):
                return
            raise ConfigFailure(f'configmap "{reference["name"]}" not found')
        pairs: Mapping[str, str] = found.get("data") or {}
    else:
        reference = entry.get("secretRef")
        if not reference:
            return
        found = await source.secret(namespace, reference["name"])
        if found is None:
            if reference.get("optional"):
                return
            raise ConfigFailure(f'secret "{reference["name"]}" not found')
        pairs = {key: decode(value) for key, value in (found.get("data") or {}).items()}
    for key in sorted(pairs):
        name = prefix + key
        if _NAME.match(name):
            result[name] = pairs[key]
        else:
            skipped.append(name)


def decode(text: str) -> str:
    """A Secret's value as a string; bytes that are no UTF-8 survive a round trip through the environment."""
    return decode_bytes(text).decode("utf-8", "surrogateescape")


def decode_bytes(text: str) -> bytes:
    """A base64 value as bytes."""
    return base64.b64decode(text)


async def _value_from(
    pod: Obj, container: Obj, value_from: Obj, namespace: str, source: EnvSource, context: EnvContext
) -> str | None:
    if reference := value_from.get("fieldRef"):
        try:
            return pod_field(
                pod,
                reference["fieldPath"],
                node_name=context.node_name,
                host_ips=context.host_ips,
                pod_ips=context.pod_ips,
            )
        except FieldFailure as failure:
            raise ConfigFailure(str(failure)) from None
    if reference := value_from.get("resourceFieldRef"):
        try:
            return resource_field(pod, container, reference, context.allocatable)
        except FieldFailure as failure:
            raise ConfigFailure(str(failure)) from None
    if reference := value_from.get("configMapKeyRef"):
        return await _key(reference, namespace, source, secret=False)
    if reference := value_from.get("secretKeyRef"):
        return await _key(reference, namespace, source, secret=True)
    if reference := value_from.get("fileKeyRef"):
        return _file_key(reference, context)
    return ""


async def _key(reference: Obj, namespace: str, source: EnvSource, *, secret: bool) -> str | None:
    name, key = reference["name"], reference["key"]
    found = await (source.secret(namespace, name) if secret else source.config_map(namespace, name))
    optional = bool(reference.get("optional"))
    if found is None:
        if optional:
            return None
        raise ConfigFailure(f'{"secret" if secret else "configmap"} "{name}" not found')
    data = found.get("data") or {}
    if key not in data:
        if optional:
            return None
        kind = "Secret" if secret else "ConfigMap"
        raise ConfigFailure(f"couldn't find key {key} in {kind} {namespace}/{name}")
    value: str = data[key]
    return decode(value) if secret else value


def _file_key(reference: Obj, context: EnvContext) -> str | None:
    folder = context.volume_paths.get(reference["volumeName"])
    key, optional = reference["key"], bool(reference.get("optional"))
    if folder is None:
        raise ConfigFailure(f'volume "{reference["volumeName"]}" not found')
    path = (folder / reference["path"]).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ConfigFailure(f'path "{reference["path"]}" leaves its volume')
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        if optional:
            return None
        raise ConfigFailure(f'couldn\'t parse env file "{reference["path"]}": {error.strerror}') from None
    found: str | None = None
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.strip() == key and not line.lstrip().startswith("#"):
            value = value.strip()
            found = value[1:-1] if len(value) > 1 and value[0] == value[-1] == "'" else value
    if found is None and not optional:
        raise ConfigFailure(f"environment variable key {key!r} not found in file {reference['path']!r}")
    return found
