"""The file watcher: manifests in files and folders, applied as they are saved."""

from .documents import Document, read
from .errors import ManifestError
from .watcher import ManifestWatcher

__all__ = ["Document", "ManifestError", "ManifestWatcher", "read"]
