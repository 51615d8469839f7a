"""The formats of names: DNS labels and subdomains, ports, environment variables, keys, addresses.

Follows apimachinery ``util/validation/{validation,ip}.go`` and ``api/validation/{generic,path}``; each function
returns the sentences that are wrong about a value, none for a good one. Results are remembered: a cluster sees the
same few thousand names over and over.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache

Sentences = tuple[str, ...]
NameCheck = Callable[[str, bool], Sentences]
"""Takes a name and whether it is a prefix (generateName), which may end with a dash."""

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = LABEL + r"(\." + LABEL + ")*"
LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
WILDCARD = r"\*\." + SUBDOMAIN
CONFIG_KEY = "[-._a-zA-Z0-9]+"
PERCENT = "[0-9]+%"
HEADER = "[-A-Za-z0-9]+"
_IS_LABEL = re.compile(LABEL)
_IS_SUBDOMAIN = re.compile(SUBDOMAIN)
_IS_LABEL_1035 = re.compile(LABEL_1035)
_IS_WILDCARD = re.compile(WILDCARD)
_IS_CONFIG_KEY = re.compile(CONFIG_KEY)
_IS_PERCENT = re.compile(PERCENT)
_IS_HEADER = re.compile(HEADER)
_IS_ENV_NAME = re.compile(r"[ -<>-~]+")
NEGATIVE = "must be greater than or equal to 0"
IMMUTABLE = "field is immutable"


def by_pattern(message: str, pattern: str, *examples: str) -> str:
    """The sentence for a value that does not match a pattern (``RegexError``)."""
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


def too_many_characters(limit: int) -> str:
    """The sentence for a name that is too long."""
    return f"must be no more than {limit} characters"


def between(low: int, high: int) -> str:
    """The sentence for a number out of range."""
    return f"must be between {low} and {high}, inclusive"


NOT_LABEL = by_pattern(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character",
    LABEL,
    "my-name",
    "123-abc",
)
NOT_SUBDOMAIN = by_pattern(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character",
    SUBDOMAIN,
    "example.com",
)
NOT_LABEL_1035 = by_pattern(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character",
    LABEL_1035,
    "my-name",
    "abc-123",
)
NOT_WILDCARD = by_pattern(
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    WILDCARD,
    "*.example.com",
)
NOT_CONFIG_KEY = by_pattern(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    CONFIG_KEY,
    "key.name",
    "KEY_NAME",
    "key-name",
)


@lru_cache(maxsize=4096)
def label(value: str) -> Sentences:
    """An RFC 1123 label (``IsDNS1123Label``)."""
    found = [too_many_characters(63)] if len(value) > 63 else []
    if not _IS_LABEL.fullmatch(value):
        found.append("must not contain dots" if _IS_SUBDOMAIN.fullmatch(value) else NOT_LABEL)
    return tuple(found)


@lru_cache(maxsize=8192)
def subdomain(value: str) -> Sentences:
    """An RFC 1123 subdomain (``IsDNS1123Subdomain``)."""
    found = [too_many_characters(253)] if len(value) > 253 else []
    if not _IS_SUBDOMAIN.fullmatch(value):
        found.append(NOT_SUBDOMAIN)
    return tuple(found)


@lru_cache(maxsize=1024)
def label_1035(value: str) -> Sentences:
    """An RFC 1035 label (``IsDNS1035Label``)."""
    found = [too_many_characters(63)] if len(value) > 63 else []
    if not _IS_LABEL_1035.fullmatch(value):
        found.append(NOT_LABEL_1035)
    return tuple(found)


def wildcard(value: str) -> Sentences:
    """A wildcard host name (``IsWildcardDNS1123Subdomain``)."""
    found = [too_many_characters(253)] if len(value) > 253 else []
    if not _IS_WILDCARD.fullmatch(value):
        found.append(NOT_WILDCARD)
    return tuple(found)


def path_segment(value: str) -> Sentences:
    """A name that may be anything that fits between two slashes (``IsValidPathSegmentName``)."""
    if value in (".", ".."):
        return (f"may not be '{value}'",)
    return tuple(f"may not contain '{mark}'" for mark in ("/", "%") if mark in value)


def path_segment_prefix(value: str) -> Sentences:
    """The same for a prefix (``IsValidPathSegmentPrefix``)."""
    return tuple(f"may not contain '{mark}'" for mark in ("/", "%") if mark in value)


def _masked(name: str) -> str:
    """A prefix as the name it will become: what follows the last dash is still to come."""
    return name[:-2] + "a" if len(name) > 1 and name.endswith("-") else name


def subdomain_name(name: str, prefix: bool) -> Sentences:
    """The name of most kinds (``NameIsDNSSubdomain``)."""
    return subdomain(_masked(name) if prefix else name)


def label_name(name: str, prefix: bool) -> Sentences:
    """The name of a namespace (``NameIsDNSLabel``)."""
    return label(_masked(name) if prefix else name)


def label_1035_name(name: str, prefix: bool) -> Sentences:
    """The name of a service (``NameIsDNS1035Label``)."""
    return label_1035(_masked(name) if prefix else name)


def path_segment_name(name: str, prefix: bool) -> Sentences:
    """The name of roles and bindings (``path.ValidatePathSegmentName``)."""
    return path_segment_prefix(name) if prefix else path_segment(name)


def any_name(name: str, prefix: bool) -> Sentences:
    """A kind whose name is checked elsewhere."""
    return ()


def _parent(value: str) -> Sentences:
    if value in (".", ".."):
        return (f"must not be '{value}'",)
    return ("must not start with '..'",) if value.startswith("..") else ()


@lru_cache(maxsize=4096)
def config_key(value: str) -> Sentences:
    """A key of a ConfigMap or Secret (``IsConfigMapKey``)."""
    found = [too_many_characters(253)] if len(value) > 253 else []
    if not _IS_CONFIG_KEY.fullmatch(value):
        found.append(NOT_CONFIG_KEY)
    return (*found, *_parent(value))


@lru_cache(maxsize=4096)
def env_name(value: str) -> Sentences:
    """The name of an environment variable (``IsRelaxedEnvVarName``)."""
    if not value:
        return ("environment variable name must be non-empty",)
    if not _IS_ENV_NAME.fullmatch(value):
        return (
            "a valid environment variable name must consist only of printable ASCII characters other than '='",
        )
    return ()


@lru_cache(maxsize=1024)
def port_name(value: str) -> Sentences:
    """An IANA service name (``IsValidPortName``)."""
    found: list[str] = []
    if len(value) > 15:
        found.append(too_many_characters(15))
    if not re.fullmatch("[-a-z0-9]+", value):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        found.append("must contain at least one letter (a-z)")
    if "--" in value:
        found.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        found.append("must not begin or end with a hyphen")
    return tuple(found)


def port_number(value: int) -> Sentences:
    """A port (``IsValidPortNum``)."""
    return () if 1 <= value <= 65535 else (between(1, 65535),)


def percent(value: str) -> Sentences:
    """A percentage (``IsValidPercent``)."""
    if _IS_PERCENT.fullmatch(value):
        return ()
    message = "a valid percent string must be a numeric string followed by an ending '%'"
    return (by_pattern(message, PERCENT, "1%", "93%"),)


def header_name(value: str) -> Sentences:
    """The name of an HTTP header (``IsHTTPHeaderName``)."""
    if _IS_HEADER.fullmatch(value):
        return ()
    return (
        by_pattern(
            "a valid HTTP header must consist of alphanumeric characters or '-'", HEADER, "X-Header-Name"
        ),
    )


def parse_address(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An IP address, or None."""
    try:
        return ipaddress.ip_address(value)
    except ValueError:
        return None


def parse_network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """A CIDR, or None; bits beyond the prefix are let through, as upstream's parser does."""
    try:
        return ipaddress.ip_network(value, strict=False) if "/" in value else None
    except ValueError:
        return None


def address(value: str) -> Sentences:
    """An IP address (``IsValidIP``)."""
    parsed = parse_address(value)
    if parsed is None:
        return ("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",)
    return () if str(parsed) == value else (f'must be in canonical form ("{parsed}")',)


def loose_address(value: str) -> Sentences:
    """An IP address in a field that takes any spelling (``IsValidIPForLegacyField``)."""
    if parse_address(value) is None:
        return ("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",)
    return ()


def network(value: str) -> Sentences:
    """A CIDR (``IsValidCIDRForLegacyField``)."""
    parsed = parse_network(value)
    if parsed is None:
        return ("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",)
    base = parse_address(value.partition("/")[0])
    if base != parsed.network_address:
        return ("must not have bits set beyond the prefix length",)
    return ()
