"""What every kind looks like: field names, types, requiredness, merge rules, and the decoder compiled from them."""

from .decode import decode, decode_as, strict_error, zero_of
from .facts import (
    ANY,
    TIMES,
    TypeInfo,
    definition_of,
    definitions,
    description_of,
    kinds_of,
    type_of,
)
from .mismatch import find_unrestorable

__all__ = [
    "ANY",
    "TIMES",
    "TypeInfo",
    "decode",
    "decode_as",
    "definition_of",
    "definitions",
    "description_of",
    "find_unrestorable",
    "kinds_of",
    "strict_error",
    "type_of",
    "zero_of",
]
