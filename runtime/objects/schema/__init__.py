"""What every kind looks like: field names, types, requiredness, merge rules, and the decoder compiled from them."""

from .decode import check_unknown, decode, decode_as, strict_error, zero_of
from .facts import (
    ANY,
    TypeInfo,
    definition_of,
    definitions,
    description_of,
    kinds_of,
    swagger_version,
    type_of,
)

__all__ = [
    "ANY",
    "TypeInfo",
    "check_unknown",
    "decode",
    "decode_as",
    "definition_of",
    "definitions",
    "description_of",
    "kinds_of",
    "strict_error",
    "swagger_version",
    "type_of",
    "zero_of",
]
