"""resource.Quantity: the fixed-point numbers of ``resources.requests`` and capacities.

Clients compare quantities as text, so the canonical form has to be upstream's to the letter, including the cases
where upstream keeps the text as it was written. Follows apimachinery's ``pkg/api/resource`` (quantity.go,
suffix.go, amount.go). Amounts are exact integers of one billionth (``n``), the finest a quantity can hold.
"""

from __future__ import annotations

import re
from functools import lru_cache, total_ordering
from typing import Final, Literal

Format = Literal["DecimalSI", "BinarySI", "DecimalExponent"]

NANO: Final = 10**9
_MAX_BINARY: Final = (2**63 - 1) * NANO
_MAX_EXPONENT: Final = 400
"""Powers of ten beyond this are refused: nothing real is that large, and they cost memory to write out."""

_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX: Final = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")

_SHAPE = re.compile(r"([+-]?)([0-9]*)(\.[0-9]*)?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)", re.ASCII)

WRONG_FORMAT: Final = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
WRONG_NUMBER: Final = "unable to parse numeric part of quantity"
WRONG_SUFFIX: Final = "unable to parse quantity's suffix"


class QuantityError(ValueError):
    """The text is no quantity; the message is upstream's sentence."""


@total_ordering
class Quantity:
    """An exact amount and the family of suffixes it is written with. A value: never changed in place."""

    __slots__ = ("_text", "format", "nano")

    def __init__(self, nano: int, fmt: Format = "DecimalSI", text: str = "") -> None:
        self.nano = nano
        """The amount in billionths."""
        self.format: Format = fmt
        """The suffix family: DecimalSI (``k``), BinarySI (``Ki``) or DecimalExponent (``e3``)."""
        self._text = text

    def __str__(self) -> str:
        if not self._text:
            self._text = _render(self.nano, self.format)
        return self._text

    def __repr__(self) -> str:
        return f"Quantity({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nano == other.nano

    def __lt__(self, other: Quantity) -> bool:
        return self.nano < other.nano

    def __hash__(self) -> int:
        return hash(self.nano)

    def __bool__(self) -> bool:
        return self.nano != 0

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.nano + other.nano, self.format if self.nano else other.format)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.nano - other.nano, self.format if self.nano else other.format)

    def __neg__(self) -> Quantity:
        return Quantity(-self.nano, self.format)

    def __mul__(self, times: int) -> Quantity:
        return Quantity(self.nano * times, self.format)

    @property
    def value(self) -> int:
        """The amount in whole units, rounded away from zero (``Quantity.Value``)."""
        return _up(self.nano, NANO)

    @property
    def milli(self) -> int:
        """The amount in thousandths, rounded away from zero (``Quantity.MilliValue``)."""
        return _up(self.nano, 10**6)

    @property
    def number(self) -> int | float:
        """The amount as a plain number: an int where it is whole, else the nearest float."""
        whole, rest = divmod(self.nano, NANO)
        return self.nano / NANO if rest else whole


def _up(nano: int, unit: int) -> int:
    return -(-nano // unit) if nano >= 0 else nano // unit


def _render(nano: int, fmt: Format) -> str:
    """The canonical text (``Quantity.CanonicalizeBytes``)."""
    if nano == 0:
        return "0"
    if fmt == "BinarySI" and (-1024 * NANO < nano < 1024 * NANO or nano % NANO):
        fmt = "DecimalSI"  # a fraction of Ki would have to be rounded
    if fmt == "BinarySI":
        whole = nano // NANO
        power = 0
        while power < 6 and abs(whole) >= 1024 and whole % 1024 == 0:
            whole //= 1024
            power += 1
        return f"{whole}{_BINARY_SUFFIX[power]}"
    digits = str(nano)
    mantissa = digits.rstrip("0")
    exponent = len(digits) - len(mantissa) - 9
    ceiling = 18 if fmt == "DecimalSI" else exponent
    pad = exponent % 3 if exponent <= ceiling else exponent - ceiling
    mantissa += "0" * pad
    exponent -= pad
    if fmt == "DecimalSI":
        return mantissa + _DECIMAL_SUFFIX[exponent]
    return f"{mantissa}e{exponent}" if exponent else mantissa


def _parse(text: str) -> Quantity:
    if not text:
        raise QuantityError(WRONG_FORMAT)
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        raise QuantityError(WRONG_FORMAT)
    sign, whole, point, suffix = shape.groups()
    numerator = whole.lstrip("0") or "0"
    fraction = point[1:] if point else ""
    if not whole and not fraction:
        raise QuantityError(WRONG_FORMAT)
    exponent: int | None
    fmt: Format
    if (exponent := _DECIMAL.get(suffix)) is not None:
        fmt, power = "DecimalSI", 0
    elif (binary := _BINARY.get(suffix)) is not None:
        fmt, exponent, power = "BinarySI", 0, binary
    elif match := _EXPONENT.fullmatch(suffix):
        digits = match[1]
        if len(digits) > 11 or not -(2**31) <= int(digits) < 2**31:
            raise QuantityError(WRONG_SUFFIX)
        fmt, exponent, power = "DecimalExponent", int(digits), 0
        if exponent > _MAX_EXPONENT:
            raise QuantityError(WRONG_NUMBER)
    else:
        raise QuantityError(WRONG_SUFFIX)

    shifted = numerator + fraction
    if len(shifted) > 4000:
        raise QuantityError(WRONG_NUMBER)
    number = int(shifted)
    scale = exponent - len(fraction)
    if scale >= -9:
        nano = number * 10 ** (scale + 9) << power
    else:  # what is finer than a billionth rounds up, away from zero: some is more than none
        cut = -9 - scale
        scaled = number << power
        nano = -(-scaled // 10**cut) if cut <= len(shifted) + 20 else int(scaled > 0)
    text_kept = _keeps_text(fmt, numerator, fraction, shifted, number, scale, power)
    if fmt == "BinarySI":
        if nano > _MAX_BINARY:
            nano = _MAX_BINARY
        if 0 < nano < NANO:
            fmt = "DecimalSI"
    return Quantity(-nano if sign == "-" else nano, fmt, text if text_kept else "")


def _keeps_text(
    fmt: Format, numerator: str, fraction: str, shifted: str, number: int, scale: int, power: int
) -> bool:
    """Whether upstream's fast path takes the text for canonical and hands it back as written."""
    if fmt == "BinarySI":
        if fraction or 15 - len(numerator) - power * 3 // 10 - 1 < 0:
            return False
        return number << power < 2**63 and number & 7 != 0
    if len(shifted) > 18 or scale < -9:
        return False
    return scale % 3 == 0 and not shifted.endswith("000") and shifted[0] != "0"


@lru_cache(maxsize=4096)
def _parse_cached(text: str) -> Quantity:
    return _parse(text)


def parse(value: str | int | float | Quantity) -> Quantity:
    """A quantity from its JSON form: text, or a bare number as JSON and YAML allow.

    Raises:
        QuantityError: with upstream's sentence (``ParseQuantity``).
    """
    if isinstance(value, str):
        return _parse_cached(value.strip()) if len(value) <= 64 else _parse(value.strip())
    if isinstance(value, Quantity):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise QuantityError(WRONG_FORMAT)
    if isinstance(value, int) and abs(value) >= 10**4000:
        raise QuantityError(WRONG_NUMBER)
    return _parse(repr(value))


def canonical(value: str | int | float) -> str:
    """The text upstream would store and print: ``0.5`` → ``500m``, ``1024Mi`` → ``1Gi``.

    Raises:
        QuantityError: no quantity.
    """
    return str(parse(value))


def to_number(value: str | int | float) -> int | float:
    """The amount as a plain number: ``100m`` → 0.1, ``1Gi`` → 1073741824.

    Raises:
        QuantityError: no quantity.
    """
    return parse(value).number


def whole(value: str | int | float) -> int:
    """The amount in whole units (bytes, pods), rounded up.

    Raises:
        QuantityError: no quantity.
    """
    return parse(value).value


def milli(value: str | int | float) -> int:
    """The amount in thousandths (CPU millicores), rounded up.

    Raises:
        QuantityError: no quantity.
    """
    return parse(value).milli


def compare(left: str | int | float, right: str | int | float) -> int:
    """-1, 0 or 1 as ``left`` is less than, equal to or more than ``right``.

    Raises:
        QuantityError: one of them is no quantity.
    """
    a, b = parse(left).nano, parse(right).nano
    return (a > b) - (a < b)
