"""Server-side apply, and who owns which field.

Two functions, both pure; stored objects are neither changed nor copied, results share what did not change:

``apply_patch(live, applied, type_info, manager, ...)`` merges an applied configuration into the live object (None:
there is none yet) and gives the object to default, validate and store, its managedFields included. What the manager
applied last time and not now is removed unless others own it; what others own and the configuration changes is a
conflict (409) unless forced.

``track_update(old, new, type_info, manager, ...)`` is for everything else: create (``old`` None), update, patch of
any other type, subresources. It compares and gives the list for ``new``'s ``metadata.managedFields``::

    entries = track_update(old, new, type_info, manager, now=now, api_version="apps/v1")
    set_managed_fields(new, entries)

Call it after defaulting and before admission, as upstream does: what admission adds is owned by nobody. Parts of
``new`` that are the same Python objects as in ``old``, or equal, cost next to nothing. Don't call it after
``apply_patch``. ``is_noop(old, new)`` says whether there is anything to store: a write that changes nothing but the
times of entries is none.

Fields that a request can't set are owned by nobody through it: ``reset`` names them, as paths of field names. Left
out, it is ``status`` for the main resource and ``spec`` and most of metadata for ``status``, which is right for every
kind that has a status subresource; pass ``()`` for kinds that have none but a field of that name.

Follows apimachinery ``pkg/util/managedfields/internal`` and structured-merge-diff ``merge/update.go``.
"""

from .applying import apply_patch
from .overlay import OverlayError, overlay
from .tracking import Paths, is_noop, set_managed_fields, track_update, validate_managed_fields

__all__ = [
    "OverlayError",
    "Paths",
    "apply_patch",
    "is_noop",
    "overlay",
    "set_managed_fields",
    "track_update",
    "validate_managed_fields",
]
