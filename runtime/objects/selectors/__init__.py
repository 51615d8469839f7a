"""Label selectors and field selectors, parsed once and matched many times.

Every watch, every list and most controllers ask "does this selector match these labels" for each object, so a
selector is compiled into one function when it is made: ``selector.matches(labels)``.
"""

from .fields import (
    EVERY_FIELD,
    FieldSelector,
    FieldTerm,
    escape_field_value,
    metadata_fields,
    parse_field_selector,
)
from .labels import (
    EVERYTHING,
    NOTHING,
    Labels,
    Requirement,
    Selector,
    SelectorError,
    format_label_selector,
    format_labels,
    from_labels,
    label_key_errors,
    label_selector,
    label_value_errors,
    parse_label_selector,
)

__all__ = [
    "EVERYTHING",
    "EVERY_FIELD",
    "NOTHING",
    "FieldSelector",
    "FieldTerm",
    "Labels",
    "Requirement",
    "Selector",
    "SelectorError",
    "escape_field_value",
    "format_label_selector",
    "format_labels",
    "from_labels",
    "label_key_errors",
    "label_selector",
    "label_value_errors",
    "metadata_fields",
    "parse_field_selector",
    "parse_label_selector",
]
