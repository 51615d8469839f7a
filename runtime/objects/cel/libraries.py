"""Kubernetes' own CEL libraries: quantities, URLs, addresses, named formats, regular expressions, versions.

After apiserver ``pkg/cel/library/{quantity,urls,ip,cidr,format,regex,semverlib}.go``. A value of such a type carries
its methods as ``cel_<name>``, where the evaluator looks for them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import total_ordering
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from ..custom.formats import FORMATS
from ..quantity import NANO, QuantityError
from ..quantity import Quantity as Amount
from ..quantity import parse as parse_quantity
from ..regexps import go_pattern
from ..selectors import label_key_errors, label_value_errors
from ..validation import names
from .values import NO_VALUE, CelError, Optional

_INT: Final = 2**63


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise CelError("no such overload")


class Quantity:
    """resource.Quantity."""

    cel_type = "kubernetes.Quantity"

    def __init__(self, amount: Amount) -> None:
        self._amount = amount

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and other._amount.nano == self._amount.nano

    def __hash__(self) -> int:
        return hash(self._amount.nano)

    def cel_text(self) -> str:
        """``string(q)``"""
        return str(self._amount)

    def cel_isInteger(self) -> bool:  # noqa: N802
        """Whether it is a whole number that an int can hold."""
        return self._amount.nano % NANO == 0 and -_INT <= self._amount.nano // NANO < _INT

    def cel_asInteger(self) -> int:  # noqa: N802
        """The number as an int."""
        if not self.cel_isInteger():
            raise CelError("cannot convert value to integer")
        return self._amount.nano // NANO

    def cel_asApproximateFloat(self) -> float:  # noqa: N802
        """The number as a double."""
        return self._amount.nano / NANO

    def cel_sign(self) -> int:
        """-1, 0 or 1."""
        return (self._amount.nano > 0) - (self._amount.nano < 0)

    def _other(self, other: Any) -> int:
        if isinstance(other, Quantity):
            return other._amount.nano
        if isinstance(other, int) and not isinstance(other, bool):
            return other * NANO
        raise CelError("no such overload")

    def cel_add(self, other: Any) -> Quantity:
        """The sum with a quantity or a number."""
        return Quantity(Amount(self._amount.nano + self._other(other), self._amount.format))

    def cel_sub(self, other: Any) -> Quantity:
        """The difference to a quantity or a number."""
        return Quantity(Amount(self._amount.nano - self._other(other), self._amount.format))

    def cel_compareTo(self, other: Any) -> int:  # noqa: N802
        """-1, 0 or 1."""
        mine, theirs = self._amount.nano, self._other(other)
        return (mine > theirs) - (mine < theirs)

    def cel_isLessThan(self, other: Any) -> bool:  # noqa: N802
        """Whether it is less."""
        return self.cel_compareTo(other) < 0

    def cel_isGreaterThan(self, other: Any) -> bool:  # noqa: N802
        """Whether it is more."""
        return self.cel_compareTo(other) > 0


def _quantity(value: Any) -> Quantity:
    try:
        return Quantity(parse_quantity(_text(value)))
    except QuantityError as error:
        raise CelError(str(error)) from None


class URL:
    """An absolute URI or an absolute path."""

    cel_type = "kubernetes.URL"

    def __init__(self, value: str) -> None:
        try:
            self._parts = urlsplit(value)
            port = self._parts.port
        except ValueError as error:
            raise CelError(f"URL parse error during conversion from string: {error}") from None
        if not (self._parts.scheme or value.startswith("/")):
            raise CelError(
                f'URL parse error during conversion from string: parse "{value}": invalid URI for request'
            )
        self._value = value
        self._port = "" if port is None else str(port)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, URL) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def cel_text(self) -> str:
        """``string(url)``"""
        return self._value

    def cel_getScheme(self) -> str:  # noqa: N802
        """``https``"""
        return self._parts.scheme

    def cel_getHost(self) -> str:  # noqa: N802
        """Host and port, addresses of version 6 in brackets."""
        return self._parts.netloc.rpartition("@")[2]

    def cel_getHostname(self) -> str:  # noqa: N802
        """The host alone."""
        return self._parts.hostname or ""

    def cel_getPort(self) -> str:  # noqa: N802
        """The port, or nothing."""
        return self._port

    def cel_getEscapedPath(self) -> str:  # noqa: N802
        """The path with what needs it escaped."""
        return quote(unquote(self._parts.path), safe="/:@!$&'()*+,;=-._~")

    def cel_getQuery(self) -> dict[str, list[str]]:  # noqa: N802
        """Names and their values, unescaped."""
        found: dict[str, list[str]] = {}
        for name, value in parse_qsl(self._parts.query, keep_blank_values=True):
            found.setdefault(name, []).append(value)
        return found


class IP:
    """An address in its canonical form."""

    cel_type = "net.IP"

    def __init__(self, value: str) -> None:
        try:
            self.address = ipaddress.ip_address(value)
        except ValueError:
            raise CelError(f"IP Address '{value}' parse error during conversion from string") from None
        if isinstance(self.address, ipaddress.IPv6Address) and self.address.ipv4_mapped is not None:
            raise CelError(f"IPv4-mapped IPv6 address '{value}' is not allowed")
        if "%" in value:
            raise CelError(f"IP Address with zone value '{value}' is not allowed")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IP) and other.address == self.address

    def __hash__(self) -> int:
        return hash(self.address)

    def cel_text(self) -> str:
        """``string(ip)``"""
        return str(self.address)

    def cel_family(self) -> int:
        """4 or 6."""
        return self.address.version

    def cel_isUnspecified(self) -> bool:  # noqa: N802
        """Whether it is ``0.0.0.0`` or ``::``."""
        return self.address.is_unspecified

    def cel_isLoopback(self) -> bool:  # noqa: N802
        """Whether it is the machine's own."""
        return self.address.is_loopback

    def cel_isLinkLocalMulticast(self) -> bool:  # noqa: N802
        """Whether it is a group on the link."""
        link = ipaddress.ip_network("224.0.0.0/24" if self.address.version == 4 else "ff02::/16")
        return self.address in link

    def cel_isLinkLocalUnicast(self) -> bool:  # noqa: N802
        """Whether it is valid on the link alone."""
        return self.address.is_link_local

    def cel_isGlobalUnicast(self) -> bool:  # noqa: N802
        """Whether it is one host's anywhere."""
        one = self.address
        return not (one.is_unspecified or one.is_loopback or one.is_multicast or one.is_link_local)


class CIDR:
    """A network."""

    cel_type = "net.CIDR"

    def __init__(self, value: str) -> None:
        try:
            self._interface = ipaddress.ip_interface(value)
        except ValueError:
            raise CelError(f"network address parse error during conversion from string: {value}") from None
        if "/" not in value:
            raise CelError(f"network address parse error during conversion from string: {value}")
        self._network = self._interface.network

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CIDR) and other._interface == self._interface

    def __hash__(self) -> int:
        return hash(self._interface)

    def cel_text(self) -> str:
        """``string(cidr)``"""
        return str(self._interface)

    def cel_ip(self) -> IP:
        """The address in front of the slash."""
        return IP(str(self._interface.ip))

    def cel_prefixLength(self) -> int:  # noqa: N802
        """The number behind the slash."""
        return self._network.prefixlen

    def cel_masked(self) -> CIDR:
        """The network with its first address."""
        return CIDR(str(self._network))

    def cel_containsIP(self, other: Any) -> bool:  # noqa: N802
        """Whether an address lies in it."""
        address = other if isinstance(other, IP) else IP(_text(other))
        return address.address in self._network

    def cel_containsCIDR(self, other: Any) -> bool:  # noqa: N802
        """Whether another network lies in it."""
        inner = (other if isinstance(other, CIDR) else CIDR(_text(other)))._network
        same = inner.version == self._network.version
        return same and inner.prefixlen >= self._network.prefixlen and inner.network_address in self._network


class Format:
    """A named format of strings."""

    cel_type = "kubernetes.NamedFormat"

    def __init__(self, name: str, check: Callable[[str], list[str]]) -> None:
        self._name = name
        self._check = check

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Format) and other._name == self._name

    def __hash__(self) -> int:
        return hash(self._name)

    def cel_validate(self, value: Any) -> Optional:
        """What is wrong with a string; nothing when it is right."""
        found = self._check(_text(value))
        return Optional(True, found) if found else NO_VALUE


def _named(check: Callable[[str], Any]) -> Callable[[str], list[str]]:
    return lambda value: list(check(value))


def _prefix(check: Callable[[str, bool], Any]) -> Callable[[str], list[str]]:
    return lambda value: list(check(value, True))


def _format(name: str, sentence: str) -> Callable[[str], list[str]]:
    return lambda value: [] if FORMATS[name](value) else [sentence]


_NAMED: Final[dict[str, Callable[[str], list[str]]]] = {
    "dns1123Label": _named(names.label),
    "dns1123Subdomain": _named(names.subdomain),
    "dns1035Label": _named(names.label_1035),
    "qualifiedName": _named(label_key_errors),
    "dns1123LabelPrefix": _prefix(names.label_name),
    "dns1123SubdomainPrefix": _prefix(names.subdomain_name),
    "dns1035LabelPrefix": _prefix(names.label_1035_name),
    "labelValue": _named(label_value_errors),
    "uri": _format("uri", "invalid URL"),
    "uuid": _format("uuid", "does not match the UUID format"),
    "byte": _format("byte", "invalid base64"),
    "date": _format("date", "invalid date"),
    "datetime": _format("datetime", "invalid datetime"),
}


def _format_named(name: Any) -> Optional:
    check = _NAMED.get(_text(name))
    return NO_VALUE if check is None else Optional(True, Format(name, check))


def _maker(name: str, check: Callable[[str], list[str]]) -> Callable[[], Format]:
    return lambda: Format(name, check)


@total_ordering
class Semver:
    """A version by the rules of semver.org."""

    cel_type = "kubernetes.Semver"
    _FORM = re.compile(
        r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?", re.ASCII
    )

    def __init__(self, value: str) -> None:
        match = self._FORM.fullmatch(value)
        if match is None:
            raise CelError(f"semver parse error during conversion from string: {value}")
        self._value = value
        self._numbers = (int(match[1]), int(match[2]), int(match[3]))
        pre = match[4].split(".") if match[4] else []
        parts = [(0, int(one), "") if one.isdigit() else (1, 0, one) for one in pre]
        self._rank = (self._numbers, not pre, parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Semver) and other._rank == self._rank

    def __lt__(self, other: Semver) -> bool:
        return self._rank < other._rank

    def __hash__(self) -> int:
        return hash(self._value)

    def cel_text(self) -> str:
        """``string(version)``"""
        return self._value

    def cel_major(self) -> int:
        """The first number."""
        return self._numbers[0]

    def cel_minor(self) -> int:
        """The second number."""
        return self._numbers[1]

    def cel_patch(self) -> int:
        """The third number."""
        return self._numbers[2]

    def cel_compareTo(self, other: Semver) -> int:  # noqa: N802
        """-1, 0 or 1."""
        return (self > other) - (self < other)

    def cel_isLessThan(self, other: Semver) -> bool:  # noqa: N802
        """Whether it is older."""
        return self < other

    def cel_isGreaterThan(self, other: Semver) -> bool:  # noqa: N802
        """Whether it is newer."""
        return self > other


def _fits(make: Callable[[Any], Any]) -> Callable[[Any], bool]:
    """``isQuantity`` and its like: whether the conversion would succeed."""

    def ask(value: Any) -> bool:
        _text(value)
        try:
            make(value)
        except CelError:
            return False
        return True

    return ask


def _find(value: Any, pattern: Any) -> str:
    found = go_pattern(_text(pattern))
    match = found.search(_text(value)) if found is not None else None
    return match[0] if match else ""


def _find_all(value: Any, pattern: Any, limit: Any = -1) -> list[str]:
    found = go_pattern(_text(pattern))
    matches = [match[0] for match in found.finditer(_text(value))] if found is not None else []
    return matches if limit < 0 else matches[:limit]


def _is_canonical(value: Any) -> bool:
    return bool(str(IP(_text(value)).address) == value)


LIBRARY: Final[dict[str, Callable[..., Any]]] = {
    "quantity": _quantity,
    "isQuantity": _fits(_quantity),
    "url": lambda value: URL(_text(value)),
    "isURL": _fits(lambda value: URL(value)),
    "ip": lambda value: IP(_text(value)),
    "isIP": _fits(lambda value: IP(value)),
    "cidr": lambda value: CIDR(_text(value)),
    "isCIDR": _fits(lambda value: CIDR(value)),
    "semver": lambda value: Semver(_text(value)),
    "isSemver": _fits(lambda value: Semver(value)),
    "find": _find,
    "findAll": _find_all,
}
LIBRARY_QUALIFIED: Final[dict[str, Callable[..., Any]]] = {
    "format.named": _format_named,
    "ip.isCanonical": _is_canonical,
    **{f"format.{name}": _maker(name, check) for name, check in _NAMED.items()},
}
METHODS: Final = frozenset(
    name.removeprefix("cel_")
    for kind in (Quantity, URL, IP, CIDR, Format, Semver)
    for name in vars(kind)
    if name.startswith("cel_")
)
"""The names of what can be asked of Kubernetes' own types."""
