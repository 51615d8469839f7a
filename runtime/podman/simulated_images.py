"""Images that nobody has: every name can be pulled but those that say that they are missing.

An image is made from its name alone, so that the same name is the same image in every run of this program.
"""

from __future__ import annotations

import contextlib

from . import names
from .accounts import Accounts
from .interface import Image, ImageFailure
from .simulated_life import MISSING_IMAGE


class SimulatedImages:
    """What was pulled so far."""

    def __init__(self) -> None:
        self._images: dict[str, Image] = {}

    def local(self, name: str) -> Image | None:
        """An image that was pulled before (an invalid name is simply not there)."""
        found = self._images.get(name)
        if found is None and not names.is_id(name):
            with contextlib.suppress(ValueError):
                found = self._images.get(names.canonical(name))
        return found

    def pull(self, name: str) -> tuple[Image, bool]:
        """The image of this name, and whether it is new. Raises ImageFailure."""
        try:
            full = names.canonical(name)
        except ValueError:
            message = f'Failed to apply default image tag "{name}": couldn\'t parse image reference "{name}"'
            raise ImageFailure(f"{message}: invalid reference format", "InvalidImageName") from None
        if MISSING_IMAGE.search(name):
            message = f'failed to pull and unpack image "{full}": failed to resolve reference "{full}"'
            raise ImageFailure(f"{message}: {full}: not found", "ErrImagePull", 404)
        found = self._images.get(full)
        if found is not None:
            return found, False
        digest = f"{sum(full.encode()) * 2654435761 % 2**32:08x}" * 8
        digests = (f"{full.rpartition(':')[0]}@sha256:{digest}",)
        found = Image(digest, (full,), digests, 10 << 20, accounts=Accounts())
        self._images[full] = self._images[digest] = self._images[f"sha256:{digest}"] = found
        return found, True

    def pulled(self) -> list[str]:
        """The full name of every image."""
        return sorted({image.names[0] for image in self._images.values()})
