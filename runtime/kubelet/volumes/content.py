"""What the files of a configMap, secret, downwardAPI or projected volume contain.

Follows ``pkg/volume/{configmap,secret,downwardapi,projected}``: missing objects and keys fail the mount unless they
are optional, in upstream's words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from runtime.kubelet.env import decode_bytes
from runtime.kubelet.fields import FieldFailure, pod_field, resource_field
from runtime.kubelet.volumes.atomic import FileContent
from runtime.objects.errors import Obj

_DEFAULT_MODE = 0o644


class VolumeFailure(Exception):
    """A volume that can't be set up (yet); the message is what FailedMount says after the volume's name."""


class ContentSource(Protocol):
    """Where ConfigMaps, Secrets and tokens come from."""

    async def config_map(self, namespace: str, name: str) -> Obj | None:
        """The ConfigMap, or None."""
        ...

    async def secret(self, namespace: str, name: str) -> Obj | None:
        """The Secret, or None."""
        ...

    async def service_account_token(self, pod: Obj, audience: str, seconds: int) -> tuple[str, datetime]:
        """A token bound to the pod and when it should be renewed."""
        ...


@dataclass(slots=True)
class Content:
    """Files and what they came from."""

    files: dict[str, FileContent] = field(default_factory=dict)
    renew_at: datetime | None = None
    """When a token in it should be renewed."""

    def renew(self, at: datetime) -> None:
        """Remember the earliest renewal."""
        self.renew_at = at if self.renew_at is None else min(self.renew_at, at)


@dataclass(frozen=True, slots=True)
class ContentContext:
    """What is known of the pod's place."""

    node_name: str
    host_ips: Sequence[str] = ()
    pod_ips: Sequence[str] = ()
    allocatable: Mapping[str, float] = field(default_factory=dict)


def references(pod: Obj) -> set[tuple[str, str]]:
    """The (``configmaps`` | ``secrets``, name) pairs whose change the pod's files follow."""
    found: set[tuple[str, str]] = set()
    for volume in pod["spec"].get("volumes") or ():
        if source := volume.get("configMap"):
            found.add(("configmaps", source.get("name", "")))
        elif source := volume.get("secret"):
            found.add(("secrets", source.get("secretName", "")))
        elif source := volume.get("projected"):
            for part in source.get("sources") or ():
                if inner := part.get("configMap"):
                    found.add(("configmaps", inner.get("name", "")))
                elif inner := part.get("secret"):
                    found.add(("secrets", inner.get("name", "")))
    return found


async def volume_content(
    pod: Obj, volume: Obj, source: ContentSource, context: ContentContext, *, tokens: bool = True
) -> Content:
    """All files of one volume; without ``tokens``, service account tokens are left out.

    Raises:
        VolumeFailure: something it needs is missing.
    """
    content = Content()
    namespace = str(pod["metadata"].get("namespace", ""))
    if spec := volume.get("configMap"):
        await _add_config_map(content, spec, namespace, source, spec.get("defaultMode", _DEFAULT_MODE))
    elif spec := volume.get("secret"):
        renamed = {**spec, "name": spec.get("secretName", "")}
        await _add_secret(content, renamed, namespace, source, spec.get("defaultMode", _DEFAULT_MODE))
    elif (spec := volume.get("downwardAPI")) is not None:
        _add_downward(content, spec, pod, context, spec.get("defaultMode", _DEFAULT_MODE))
    elif (spec := volume.get("projected")) is not None:
        mode = spec.get("defaultMode", _DEFAULT_MODE)
        for part in spec.get("sources") or ():
            if inner := part.get("configMap"):
                await _add_config_map(content, inner, namespace, source, mode)
            elif inner := part.get("secret"):
                await _add_secret(content, inner, namespace, source, mode)
            elif (inner := part.get("downwardAPI")) is not None:
                _add_downward(content, inner, pod, context, mode)
            elif inner := part.get("serviceAccountToken"):
                if tokens:
                    await _add_token(content, inner, pod, source, mode)
            else:
                kind = next(iter(part), "source")
                if not (part.get(kind) or {}).get("optional"):
                    raise VolumeFailure(f"projected volume source {kind} is not supported on this node")
    return content


async def _add_config_map(
    content: Content, spec: Obj, namespace: str, source: ContentSource, mode: int
) -> None:
    found = await source.config_map(namespace, spec.get("name", ""))
    optional = bool(spec.get("optional"))
    if found is None:
        if optional:
            return
        raise VolumeFailure(f'configmap "{spec.get("name", "")}" not found')
    data: dict[str, bytes] = {key: value.encode() for key, value in (found.get("data") or {}).items()}
    data.update({key: decode_bytes(value) for key, value in (found.get("binaryData") or {}).items()})
    _select(content, spec, data, mode, "configmap references non-existent config key: {}", optional=optional)


async def _add_secret(content: Content, spec: Obj, namespace: str, source: ContentSource, mode: int) -> None:
    found = await source.secret(namespace, spec["name"])
    optional = bool(spec.get("optional"))
    if found is None:
        if optional:
            return
        raise VolumeFailure(f'secret "{spec["name"]}" not found')
    data = {key: decode_bytes(value) for key, value in (found.get("data") or {}).items()}
    _select(content, spec, data, mode, "references non-existent secret key: {}", optional=optional)


def _select(
    content: Content, spec: Obj, data: Mapping[str, bytes], mode: int, missing: str, *, optional: bool
) -> None:
    items = spec.get("items")
    if not items:
        for key, value in data.items():
            content.files[key] = FileContent(value, mode)
        return
    for item in items:
        if item["key"] not in data:
            if optional:
                continue
            raise VolumeFailure(missing.format(item["key"]))
        chosen = item.get("mode")
        content.files[item["path"]] = FileContent(data[item["key"]], mode if chosen is None else chosen)


def _add_downward(content: Content, spec: Obj, pod: Obj, context: ContentContext, mode: int) -> None:
    for item in spec.get("items") or ():
        try:
            if reference := item.get("fieldRef"):
                text = pod_field(
                    pod,
                    reference["fieldPath"],
                    node_name=context.node_name,
                    host_ips=context.host_ips,
                    pod_ips=context.pod_ips,
                )
            else:
                text = resource_field(pod, {}, item.get("resourceFieldRef") or {}, context.allocatable)
        except FieldFailure as failure:
            raise VolumeFailure(str(failure)) from None
        chosen = item.get("mode")
        content.files[item["path"]] = FileContent(text.encode(), mode if chosen is None else chosen)


async def _add_token(content: Content, spec: Obj, pod: Obj, source: ContentSource, mode: int) -> None:
    token, renew_at = await source.service_account_token(
        pod, spec.get("audience") or "", int(spec.get("expirationSeconds") or 3600)
    )
    # A token is for the pod's user alone, where that is one; its group, where it has one, is given to it later.
    user = _only_user(pod)
    if user is not None or (pod["spec"].get("securityContext") or {}).get("fsGroup") is not None:
        mode = 0o600
    content.files[spec["path"]] = FileContent(token.encode(), mode, user)
    content.renew(renew_at)


def _only_user(pod: Obj) -> int | None:
    """The one user that every container names; None when there are several, or one does not say (FsUserFrom)."""
    default = (pod["spec"].get("securityContext") or {}).get("runAsUser")
    users = {
        (container.get("securityContext") or {}).get("runAsUser", default)
        for container in (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"])
    }
    return users.pop() if len(users) == 1 else None
