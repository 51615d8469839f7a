"""The string formats that custom resources' schemas may ask for, as upstream's ``strfmt`` judges them.

After kube-openapi ``pkg/validation/strfmt`` and apiextensions-apiserver ``pkg/apiserver/validation/formats.go``:
names are compared without dashes, and a format that is not known is no restriction.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from email.utils import parseaddr
from urllib.parse import urlsplit

Check = Callable[[str], bool]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DURATION = re.compile(r"(\d+)\s*([A-Za-zµ]+)")
_GO_DURATION = re.compile(r"[-+]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)")
_UNITS = ("ns", "us", "µs", "ms", "s", "m", "h", "d", "w", "hr", "wk")
_UNIT_WORDS = ("nano", "micro", "milli", "sec", "min", "hour", "day", "week")
_DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
_DATETIME = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?"
    r"([Zz]|[-+]\d{2}:?\d{2})?"
)


def _pattern(text: str, flags: int = 0) -> Check:
    compiled = re.compile(text, flags | re.ASCII)
    return lambda value: compiled.fullmatch(value) is not None


def _address(value: str, version: int) -> bool:
    text = ".".join(str(int(part)) for part in value.split(".")) if re.fullmatch(r"[\d.]+", value) else value
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


def _cidr(value: str) -> bool:
    address, slash, length = value.partition("/")
    try:
        return (
            bool(slash)
            and length.isascii()
            and length.isdigit()
            and bool(ipaddress.ip_interface(f"{address}/{length}"))
        )
    except ValueError:
        return False


def _duration(value: str) -> bool:
    if _GO_DURATION.fullmatch(value):
        return True
    for _, unit in _DURATION.findall(value):
        word = unit.lower()
        if word in _UNITS or word.startswith(_UNIT_WORDS):
            return True
    return False


def _uri(value: str) -> bool:
    try:
        found = urlsplit(value)
    except ValueError:
        return False
    return bool(found.scheme) or value.startswith("/")


def _email(value: str) -> bool:
    address = parseaddr(value)[1]
    name, at, domain = address.rpartition("@")
    return bool(name and at and domain) and " " not in address


def _hostname(value: str) -> bool:
    if not value or len(value) > 255:
        return False
    parts = value.split(".")
    return all(
        0 < len(part) <= 63 and re.fullmatch(r"[^\W_](?:(?:[^\W_]|-)*[^\W_])?", part) is not None
        for part in parts
    )


def _base64(value: str) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) > 0
    except (binascii.Error, ValueError):
        return False


def _digits(value: str, length: int) -> str:
    text = re.sub(r"[\s-]", "", value)
    return text if len(text) == length else ""


def _isbn10(value: str) -> bool:
    text = _digits(value, 10).upper()
    if not re.fullmatch(r"\d{9}[\dX]", text, re.ASCII):
        return False
    return (
        sum((index + 1) * (10 if letter == "X" else int(letter)) for index, letter in enumerate(text)) % 11
        == 0
    )


def _isbn13(value: str) -> bool:
    text = _digits(value, 13)
    if not re.fullmatch(r"\d{13}", text, re.ASCII):
        return False
    return sum(int(letter) * (3 if index % 2 else 1) for index, letter in enumerate(text)) % 10 == 0


def _credit_card(value: str) -> bool:
    text = re.sub(r"\D", "", value)
    if not re.fullmatch(
        r"4\d{12}(\d{3})?|5[1-5]\d{14}|6(011|5\d\d)\d{12}|3[47]\d{13}|3(0[0-5]|[68]\d)\d{11}", text
    ):
        return False
    total = 0
    for index, letter in enumerate(reversed(text)):
        number = int(letter) * (2 if index % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def _uuid(version: str) -> Check:
    third = {"": "[0-9a-f]{4}", "3": "3[0-9a-f]{3}", "4": "4[0-9a-f]{3}", "5": "5[0-9a-f]{3}"}[version]
    fourth = "[89ab][0-9a-f]{3}" if version in ("4", "5") else "[0-9a-f]{4}"
    return _pattern(rf"[0-9a-f]{{8}}-?[0-9a-f]{{4}}-?{third}-?{fourth}-?[0-9a-f]{{12}}", re.IGNORECASE)


_SHORT_NAME = _pattern(_LABEL)
_LONG_NAME = _pattern(rf"{_LABEL}(\.{_LABEL})*")

FORMATS: dict[str, Check] = {
    "bsonobjectid": _pattern("[0-9a-fA-F]{24}"),
    "uri": _uri,
    "email": _email,
    "hostname": _hostname,
    "ipv4": lambda value: _address(value, 4),
    "ipv6": lambda value: _address(value, 6),
    "cidr": _cidr,
    "mac": _pattern(
        r"([0-9a-fA-F]{2}[:-]){5}([0-9a-fA-F]{2}[:-]){0,2}[0-9a-fA-F]{2}|([0-9a-fA-F]{4}\.){2,3}[0-9a-fA-F]{4}"
    ),
    "uuid": _uuid(""),
    "uuid3": _uuid("3"),
    "uuid4": _uuid("4"),
    "uuid5": _uuid("5"),
    "isbn": lambda value: _isbn10(value) or _isbn13(value),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "creditcard": _credit_card,
    "ssn": _pattern(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _pattern("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _pattern(r"rgb\(\s*(\d{1,3}\s*,\s*){2}\d{1,3}\s*\)"),
    "byte": _base64,
    "password": lambda _value: True,
    "date": lambda value: _DATE.fullmatch(value) is not None,
    "duration": _duration,
    "datetime": lambda value: _DATETIME.fullmatch(value) is not None,
    "k8sshortname": lambda value: len(value) <= 63 and _SHORT_NAME(value),
    "k8slongname": lambda value: len(value) <= 253 and _LONG_NAME(value),
}


def normal(name: str) -> str:
    """A format's name as it is compared."""
    return name.replace("-", "")


def known_format(kind: str, name: str) -> bool:
    """Whether a format means anything for a type; what is not known is ignored, with a warning."""
    match kind:
        case "" | "string":
            return normal(name) in FORMATS
        case "integer":
            return name in ("int32", "int64")
        case "number":
            return name in ("float", "double")
    return False
