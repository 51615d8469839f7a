"""The three patch languages of the API: what PATCH makes of an object, as pure functions.

Each takes a stored object and a decoded patch and returns a new object that shares every unchanged part with the
old one; neither input is changed. Server-side apply, the fourth language, is in :mod:`runtime.objects.apply`.
"""

from .json_patch import MAX_OPERATIONS, apply_json_patch, is_failed_test, why_refused
from .merge_patch import apply_merge_patch
from .strategic import apply_strategic_merge

__all__ = [
    "MAX_OPERATIONS",
    "apply_json_patch",
    "apply_merge_patch",
    "apply_strategic_merge",
    "is_failed_test",
    "why_refused",
]
