"""Getting a container's image here, with upstream's events, waiting reasons and back-off.

Follows ``pkg/kubelet/images/image_manager.go`` and ``pkg/credentialprovider``. Shared by the kubelets of a machine:
ten pods that need one image wait for one pull.
"""

from __future__ import annotations

import asyncio
import base64
import fnmatch
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from runtime.kubelet.backoff import Backoff, go_duration
from runtime.objects.clock import Clock
from runtime.objects.errors import Obj
from runtime.podman import names
from runtime.podman.interface import ContainerRuntime, Image, ImageFailure, RuntimeFailure, RuntimeUnavailable

IMAGE_BACKOFF = 10.0
IMAGE_BACKOFF_MAX = 300.0
_FRESH = 5.0

Say = Callable[[str, str, str], None]
"""(type, reason, message): an event about the container that needs the image."""


class StartFailure(Exception):
    """A container could not be started; ``reason`` is its waiting reason."""

    def __init__(self, reason: str, message: str, retry: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry = retry
        """Seconds until the next try; None is the usual period."""


class SecretSource(Protocol):
    """Where pull secrets come from."""

    async def secret(self, namespace: str, name: str) -> Obj | None:
        """The Secret, or None."""
        ...


@dataclass(slots=True)
class _Known:
    image: Image
    at: float


def image_ref(image: Image) -> str:
    """What ``imageID`` shows: the digest it was pulled by, or the id of one that was built here."""
    return image.digests[0] if image.digests else image.id


class ImageManager:
    """Makes sure an image is here. One for all kubelets of a machine."""

    def __init__(self, runtime: ContainerRuntime, clock: Clock) -> None:
        self._runtime = runtime
        self._clock = clock
        self._backoff = Backoff(clock, IMAGE_BACKOFF, IMAGE_BACKOFF_MAX)
        self._known: dict[str, _Known] = {}
        self._pulling: dict[tuple[str, str], asyncio.Future[Image]] = {}
        self._last_error: dict[tuple[str, str], str] = {}
        self.refs: dict[str, str] = {}
        """Runtime's image id → what ``imageID`` shows for it."""

    def images(self) -> list[Image]:
        """Images that were used lately, for the Node's status."""
        return [known.image for known in self._known.values()]

    def forget_image(self, name: str) -> None:
        """It turned out not to be here."""
        self._known.pop(name, None)

    def forget_pod(self, uid: str) -> None:
        """The pod is gone, and its back-offs with it."""
        self._backoff.forget(uid)
        if self._last_error:
            for key in [key for key in self._last_error if key[0] == uid]:
                del self._last_error[key]

    def at_hand(self, container: Obj, say: Say) -> Image | None:
        """The image, when it was seen a moment ago and need not be pulled: most starts are of such."""
        known = self._known.get(container["image"])
        if known is None or self._clock.monotonic() - known.at >= _FRESH:
            return None
        if container.get("imagePullPolicy") == "Always":
            return None
        say("Normal", "Pulled", _PRESENT.format(container["image"]))
        return known.image

    async def ensure(self, pod: Obj, container: Obj, secrets: SecretSource, say: Say) -> Image:
        """The image of a container, pulled when its policy says so.

        Raises:
            StartFailure: with reason InvalidImageName, ErrImageNeverPull, ErrImagePull, ImagePullBackOff or
                ImageInspectError.
            RuntimeUnavailable: nobody answers.
        """
        name = str(container.get("image") or "")
        policy = container.get("imagePullPolicy") or "IfNotPresent"
        if not names.is_valid(name):
            message = f'Failed to apply default image tag "{name}": couldn\'t parse image name "{name}": '
            message += "invalid reference format"
            say("Warning", "InspectFailed", message)
            raise StartFailure("InvalidImageName", message)
        try:
            image = await self._runtime.image(name)
        except RuntimeUnavailable:
            raise
        except ImageFailure as failure:
            raise StartFailure(failure.reason or "InvalidImageName", failure.message) from None
        except RuntimeFailure as failure:
            message = f'Failed to inspect image "{name}": {failure.message}'
            say("Warning", "InspectFailed", message)
            raise StartFailure("ImageInspectError", message) from None
        if policy == "Never" and image is None:
            message = f'Container image "{name}" is not present with pull policy of Never'
            say("Warning", "ErrImageNeverPull", message)
            raise StartFailure("ErrImageNeverPull", message)
        if image is not None and policy != "Always":
            say("Normal", "Pulled", _PRESENT.format(name))
            return self._remember(name, image)
        return await self._pull(pod, name, secrets, say)

    async def _pull(self, pod: Obj, name: str, secrets: SecretSource, say: Say) -> Image:
        uid = str(pod["metadata"]["uid"])
        wait = self._backoff.remaining_since_update(uid, name)
        if wait > 0:
            message = f'Back-off pulling image "{name}"'
            say("Normal", "BackOff", message)
            before = self._last_error.get((uid, name))
            raise StartFailure("ImagePullBackOff", f"{message}: {before}" if before else message, wait)
        credentials = await pull_credentials(pod, name, secrets)
        say("Normal", "Pulling", f'Pulling image "{name}"')
        started = self._clock.monotonic()
        try:
            image = await self._shared_pull(name, credentials)
        except RuntimeUnavailable:
            raise
        except RuntimeFailure as failure:
            say("Warning", "Failed", f'Failed to pull image "{name}": {failure.message}')
            self._backoff.next(uid, name, self._clock.now())
            reason = failure.reason or "ErrImagePull"
            if reason == "RegistryUnavailable":
                message = (
                    f"image pull failed for {name} because the registry is unavailable: {failure.message}"
                )
            else:
                message = failure.message
                reason = reason if reason == "InvalidImageName" else "ErrImagePull"
            self._last_error[(uid, name)] = f"{reason}: {message}"
            # Look again soon: by then it is "ImagePullBackOff", which tells the user that it is being retried.
            raise StartFailure(reason, message, 1.0) from None
        took = go_duration(round(self._clock.monotonic() - started, 3))
        say(
            "Normal",
            "Pulled",
            f'Successfully pulled image "{name}" in {took} ({took} including waiting). '
            f"Image size: {image.size} bytes.",
        )
        self._last_error.pop((uid, name), None)
        return self._remember(name, image)

    async def _shared_pull(self, name: str, credentials: Sequence[Mapping[str, Any]]) -> Image:
        key = (name, json.dumps(list(credentials), sort_keys=True))
        running = self._pulling.get(key)
        if running is None:
            running = asyncio.ensure_future(self._runtime.pull_image(name, credentials))
            self._pulling[key] = running
            running.add_done_callback(lambda pull: self._pull_ended(key, pull))
        return await asyncio.shield(running)

    def _pull_ended(self, key: tuple[str, str], pull: asyncio.Future[Image]) -> None:
        self._pulling.pop(key, None)
        if not pull.cancelled():
            pull.exception()  # whoever waited for it may be gone, and it is nobody else's concern then

    def _remember(self, name: str, image: Image) -> Image:
        self._known[name] = _Known(image, self._clock.monotonic())
        self.refs[image.id] = image_ref(image)
        return image


_PRESENT = 'Container image "{}" already present on machine and can be accessed by the pod'


async def pull_credentials(pod: Obj, image: str, secrets: SecretSource) -> list[dict[str, Any]]:
    """The logins from imagePullSecrets that fit the image's registry, the most particular first.

    A secret that is missing or can't be read is passed over, as upstream does; the pull then says what is wrong.
    """
    found: list[tuple[int, dict[str, Any]]] = []
    for reference in pod["spec"].get("imagePullSecrets") or ():
        secret = await secrets.secret(
            str(pod["metadata"].get("namespace", "")), str(reference.get("name", ""))
        )
        if secret is None:
            continue
        for pattern, login in read_docker_config(secret).items():
            if registry_matches(pattern, image):
                found.append((len(pattern), {"serveraddress": pattern, **login}))
    found.sort(key=lambda entry: -entry[0])
    return [login for _, login in found]


def read_docker_config(secret: Obj) -> dict[str, dict[str, Any]]:
    """Registry → username, password and tokens of a dockerconfigjson or dockercfg Secret."""
    data = secret.get("data") or {}
    try:
        if ".dockerconfigjson" in data:
            entries = json.loads(base64.b64decode(data[".dockerconfigjson"])).get("auths") or {}
        elif ".dockercfg" in data:
            entries = json.loads(base64.b64decode(data[".dockercfg"]))
        else:
            return {}
        result: dict[str, dict[str, Any]] = {}
        for registry, entry in entries.items():
            login = {
                key: value for key, value in entry.items() if key in ("username", "password", "identitytoken")
            }
            if entry.get("auth") and "password" not in login:
                user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
                login.update(username=user, password=password)
            result[registry] = login
    except (ValueError, AttributeError, TypeError):
        return {}
    return result


def registry_matches(pattern: str, image: str) -> bool:
    """Whether a login for ``pattern`` (host, glob, port, path prefix) is for this image."""
    stripped = re.sub(r"^https?://", "", pattern).rstrip("/")
    host, _, path = stripped.partition("/")
    if path in ("v1", "v2"):
        path = ""
    first, slash, rest = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        image_host, image_path = first, rest
    else:
        image_host, image_path = "docker.io", image if slash else f"library/{image}"
    if host in ("index.docker.io", "registry-1.docker.io"):
        host = "docker.io"
    if image_host == "index.docker.io":
        image_host = "docker.io"
    pattern_labels, image_labels = host.split("."), image_host.split(".")
    if len(pattern_labels) != len(image_labels):
        return False
    if not all(
        fnmatch.fnmatchcase(part, glob) for part, glob in zip(image_labels, pattern_labels, strict=True)
    ):
        return False
    return not path or image_path.startswith(path)
