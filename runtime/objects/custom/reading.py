"""Reading the body of a custom resource: its metadata is typed, the rest is pruned and defaulted by its schema.

After apiextensions-apiserver ``pkg/apiserver/customresource_handler.go`` (``unstructuredSchemaCoercer`` and
``unstructuredDefaulter``).
"""

from __future__ import annotations

from ..errors import Obj, bad_request
from ..meta import copy
from ..schema.decode import handled_as, read_metadata
from .structural import (
    Structural,
    drop_nulls,
    embedded_metadata,
    fill_defaults,
    mistyped,
    prune,
    strip_metadata,
)


def read_custom(obj: Obj, schema: Structural, gvk: tuple[str, str, str]) -> tuple[Obj, list[str]]:
    """A clean copy of a body, and its unknown fields as ``unknown field "spec.foo"``.

    Raises:
        StatusError: 400, its metadata, or that of a resource embedded in it, is not what ObjectMeta is.
    """
    _, version, kind = gvk
    if not isinstance(obj, dict):
        raise bad_request(f"the object provided is unrecognized (must be of type {kind})")
    found = copy(obj)
    unknown: list[str] = []
    metadata = found.get("metadata")
    if isinstance(metadata, dict):
        unknown += strip_metadata(metadata, "metadata")
    if metadata is not None:
        found["metadata"] = read_metadata(metadata, kind, version)
    else:
        found.pop("metadata", None)
    unknown += prune(found, schema, root=True)
    drop_nulls(found, schema)
    fill_defaults(found, schema)
    if wrong := next(mistyped(found, schema), None):
        raise handled_as(kind, version, str(wrong))
    unknown += embedded_metadata(found, schema)
    return found, [f'unknown field "{path}"' for path in unknown]
