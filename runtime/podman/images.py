"""Local images by the names that Kubernetes users write, and pulls that fail with Kubernetes' reasons.

Every pod asks for its image, and asking Podman each time would cost a fourth call per pod. One listing answers for
all of them; it is thrown away when an event, a pull or a failed creation says that it may be wrong, and after a few
seconds, unless the storage's own index of images is within reach and still the same.
"""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from . import names, state
from .accounts import layers
from .interface import Image, ImageFailure, NoSuchItem, RuntimeFailure
from .transport import Transport

_FRESH_SECONDS = 10.0
_AT_LEAST_SECONDS = 0.5
_UNREACHABLE = re.compile(
    r"connection refused|no such host|i/o timeout|network is unreachable|no route to host|TLS handshake timeout"
    r"|context deadline exceeded|connection reset|server misbehaving|temporary failure in name resolution",
    re.IGNORECASE,
)


class ImageStore:
    """The images of one Podman."""

    def __init__(self, transport: Transport, folder: Path | None = None) -> None:
        """``folder``: where the storage keeps its images, when that is on this machine."""
        self._transport = transport
        self._folder = folder
        self._index = None if folder is None else folder / "images.json"
        self._listed_index: tuple[int, ...] | None = None
        """What the index was when all the images that it names were listed."""
        self._ids: dict[str, str] = {}
        self._tags: dict[str, tuple[str, ...]] = {}
        self._details: dict[str, Image] = {}
        """By id, each with a key in ``_tags``."""
        self._listed = 0.0
        self._stale = True
        self._listing = asyncio.Lock()

    def forget(self) -> None:
        """Something changed: list again before the next answer."""
        self._stale = True

    async def find(self, name: str) -> Image | None:
        """A local image by short or full name, digest or id. No registry is asked; None for an invalid name."""
        try:
            wanted = names.candidates(name)
        except ValueError:
            return None
        await self._list(_FRESH_SECONDS)
        found = self._match(wanted)
        if found is None:
            await self._list(_AT_LEAST_SECONDS)
            found = self._match(wanted)
        return None if found is None else await self._detail(found)

    def _match(self, wanted: Sequence[str]) -> str | None:
        return next((self._ids[name] for name in wanted if name in self._ids), None)

    async def _list(self, age: float) -> None:
        """List again unless the last listing is still right, or at most ``age`` seconds old where that can't be seen.

        A hundred who ask at once share one.
        """
        async with self._listing:
            if not self._stale and self._is_fresh(age):
                return
            await self._list_now()

    def _is_fresh(self, age: float) -> bool:
        if self._listed_index is not None:
            return self._listed_index == self._index_now()
        return time.monotonic() - self._listed <= age

    def _index_now(self) -> tuple[int, ...] | None:
        """What tells one index from another: it is written anew with each change."""
        try:
            found = self._index.stat() if self._index is not None else None
        except OSError:
            return None
        return None if found is None else (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)

    def _is_index_of(self, listed: Iterable[str]) -> bool:
        """Whether all these images are kept beside the index: a storage may have others, kept elsewhere."""
        try:
            folder = None if self._index is None else self._index.parent
            return folder is not None and set(listed) <= {entry.name for entry in folder.iterdir()}
        except OSError:
            return False

    async def _list_now(self) -> None:
        self._stale = False
        index = self._index_now()
        listed = await self._transport.get("/images/json")
        ids: dict[str, str] = {}
        tags: dict[str, tuple[str, ...]] = {}
        for item in listed or []:
            image_id = str(item["Id"])
            ids[image_id] = ids[f"sha256:{image_id}"] = image_id
            tags[image_id] = (*(item.get("RepoTags") or ()), *(item.get("RepoDigests") or ()))
            for name in tags[image_id]:
                ids[name] = image_id
        self._ids = ids
        self._listed = time.monotonic()
        self._listed_index = index if self._is_index_of(tags) else None
        self._details = {
            image_id: known
            for image_id, known in self._details.items()
            if tags.get(image_id) == self._tags[image_id]
        }
        self._tags = tags

    async def _detail(self, image_id: str) -> Image | None:
        known = self._details.get(image_id)
        if known is None:
            try:
                item = await self._transport.get(f"/images/{image_id}/json")
            except NoSuchItem:
                self.forget()
                return None
            known = state.image(item, layers(item, self._folder))
            if image_id in self._tags:
                self._details[image_id] = known
        return known

    async def pull(self, name: str, credentials: Sequence[Mapping[str, Any]] = ()) -> Image:
        """Pull by the full name that Docker would use; each credential is tried until one is accepted."""
        try:
            full = names.canonical(name)
        except ValueError:
            raise ImageFailure(
                f'Failed to apply default image tag "{name}": couldn\'t parse image name "{name}": '
                "invalid reference format",
                "InvalidImageName",
            ) from None
        failure: ImageFailure | None = None
        for credential in (*credentials, None):
            try:
                image_id = await self._pull(full, credential)
            except ImageFailure as error:
                failure = error
                continue
            self.forget()
            found = await self.find(image_id) or await self.find(full)
            if found is not None:
                return found
            failure = ImageFailure(f"{full} was pulled and is not there", "ErrImagePull")
        raise failure or ImageFailure(f"{full} can't be pulled", "ErrImagePull")

    async def _pull(self, full: str, credential: Mapping[str, Any] | None) -> str:
        headers = []
        if credential:
            login = {
                "username": str(credential.get("username") or ""),
                "password": str(credential.get("password") or ""),
                "identitytoken": str(credential.get("identitytoken") or ""),
            }
            headers = [("X-Registry-Auth", base64.urlsafe_b64encode(orjson.dumps(login)).decode())]
        last = ""
        try:
            answer = await self._transport.stream(
                "POST",
                "/images/pull",
                params={"reference": full, "policy": "always"},
                headers=headers,
                timeout=None,
            )
            async with answer:
                async for line in answer.objects():
                    if line.get("error"):
                        raise _pull_failure(full, str(line["error"]))
                    found = line.get("id") or (line.get("images") or [""])[-1]
                    last = str(found) if found else last
        except ImageFailure:
            raise
        except RuntimeFailure as error:
            if error.code:
                raise _pull_failure(full, error.message) from error
            raise
        if not last:
            raise ImageFailure(f"the pull of {full} ended without an image", "ErrImagePull")
        return last

    async def exists(self, name: str) -> bool:
        """Whether exactly this name is local."""
        try:
            await self._transport.get(f"/images/{quote(name, safe='')}/exists")
        except NoSuchItem:
            return False
        return True


def _pull_failure(full: str, message: str) -> ImageFailure:
    line = " ".join(message.split())
    if "invalid reference format" in line:
        return ImageFailure(line, "InvalidImageName")
    reason = "RegistryUnavailable" if _UNREACHABLE.search(line) else "ErrImagePull"
    return ImageFailure(f'failed to pull image "{full}": {line}', reason)
