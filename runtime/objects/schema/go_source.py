"""Reads the few facts that Go's type declarations hold and the published swagger lacks.

Development-time only, beside :mod:`.distill`. A Go field that is no pointer can't tell "absent" from "zero": an empty
value disappears when the object is written again (``omitempty``) or is always written. Clients and managed fields
see the difference, so it is a fact of the format. The names of enumeration types are printed in decoding errors.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.M | re.S)
FIELD = re.compile(r"^\s+(?:(\w+)\s+)?([\w.*\[\]]+)\s+`([^`]*)`", re.M)
NAMED = re.compile(r"^type (\w+) (?:string\b|int32\b|int64\b|bool\b|map\[)", re.M)
ENUM = re.compile(r"^// \+enum\n(?:^//.*\n)*^type (\w+) string", re.M)
CONSTANT = re.compile(r'^\s+\w+\s+(\w+)\s*=\s*"([^"]*)"', re.M)
TAG = re.compile(r'json:"([^"]*)"')


def _folder(root: Path, definition: str) -> tuple[Path, str]:
    """Where a definition's package lies, and its Go package name."""
    package, _, _ = definition.rpartition(".")
    if package.startswith("io.k8s.api."):
        relative = Path("api") / package.removeprefix("io.k8s.api.").replace(".", "/")
    elif package.startswith("io.k8s.apimachinery."):
        relative = Path("apimachinery") / package.removeprefix("io.k8s.apimachinery.").replace(".", "/")
    elif package.startswith("io.k8s.apiextensions-apiserver."):
        rest = package.removeprefix("io.k8s.apiextensions-apiserver.").replace(".", "/")
        relative = Path("apiextensions-apiserver") / rest
    elif package.startswith("io.k8s.kube-aggregator."):
        relative = Path("kube-aggregator") / package.removeprefix("io.k8s.kube-aggregator.").replace(".", "/")
    else:
        relative = Path("absent")
    return root / relative, package.rpartition(".")[2]


class _Package:
    """The struct and scalar declarations of one folder."""

    def __init__(self, folder: Path) -> None:
        text = "\n".join(path.read_text() for path in sorted(folder.glob("*types*.go")))
        self.structs = dict(STRUCT.findall(text))
        self.scalars = set(NAMED.findall(text))
        self.enums = enumerations(text)


def _fields(package: _Package, struct: str) -> dict[str, tuple[str, str]]:
    """JSON name → (Go type, json tag options), embedded structs included."""
    found: dict[str, tuple[str, str]] = {}
    for _, kind, tags in FIELD.findall(package.structs.get(struct, "")):
        match = TAG.search(tags)
        if not match:
            continue
        name, _, options = match.group(1).partition(",")
        if name == "-":
            continue
        if name:
            found[name] = (kind, options)
        elif kind.rpartition(".")[2] != "TypeMeta":
            found.update(_fields(package, kind.lstrip("*")))
    return found


def enumerations(text: str) -> dict[str, list[str]]:
    """The values of the string types that are marked as enumerations."""
    names = set(ENUM.findall(text))
    found: dict[str, list[str]] = {}
    for name, value in CONSTANT.findall(text):
        if name in names and value:
            found.setdefault(name, []).append(value)
    return {name: sorted(set(values)) for name, values in found.items()}


def read_enums(root: Path, facts: dict[str, Any]) -> None:
    """Add the values of enumerations to the facts of the fields that hold them (the swagger has lost them)."""
    core = _Package(root / "api/core/v1").enums
    for definition, entry in facts.items():
        folder, _ = _folder(root, definition)
        if not folder.is_dir():
            continue
        package = _Package(folder)
        for name, (kind, _) in _fields(package, definition.rpartition(".")[2]).items():
            bare = kind.lstrip("*")
            values = core.get(bare.rpartition(".")[2]) if "." in bare else package.enums.get(bare)
            if values and name in entry["f"]:
                field = entry["f"][name]
                entry["f"][name] = {**({"t": field} if isinstance(field, str) else field), "e": values}


def read_go_types(root: Path, facts: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Definition → field → how it is written.

    The value starts with ``*`` (a pointer: zero is kept), ``!`` (always written, even zero) or nothing (zero is
    left out), and ends with the name of its Go type where that is a named scalar.
    """
    packages: dict[Path, _Package] = {}
    result: dict[str, dict[str, str]] = {}
    for definition in sorted(facts):
        folder, package_name = _folder(root, definition)
        if not folder.is_dir():
            continue
        package = packages.get(folder) or packages.setdefault(folder, _Package(folder))
        entry: dict[str, str] = {}
        for name, (kind, options) in _fields(package, definition.rpartition(".")[2]).items():
            bare = kind.lstrip("*")
            mark = "*" if kind.startswith("*") else "" if "omit" in options else "!"
            if bare[0].isupper() and mark == "" and "omitzero" not in options and bare in package.structs:
                mark = "!"  # a struct by value: omitempty does not leave it out
            if (
                "." in bare
                and mark == ""
                and "omitzero" not in options
                and bare.rpartition(".")[2]
                not in (
                    "Time",
                    "MicroTime",
                )
                and not _is_scalar(root, bare)
            ):
                mark = "!"
            named = ""
            if bare in package.scalars:
                named = f"{package_name}.{bare}"
            elif "." in bare and _is_scalar(root, bare):
                name_in_go = bare.rpartition(".")[2]
                named = bare if bare.startswith("types.") else f"v1.{name_in_go}"
            elif bare.startswith("[]") and bare[2:] in package.scalars:
                named = f"[]{package_name}.{bare[2:]}"
            if mark or named:
                entry[name] = mark + named
        if entry:
            result[definition] = entry
    return result


_FOREIGN: dict[Path, set[str]] = {}


def _is_scalar(root: Path, kind: str) -> bool:
    """Whether a type of another package is a named string or number."""
    if root not in _FOREIGN:
        found: set[str] = set()
        for folder in (
            "api/core/v1",
            "apimachinery/pkg/apis/meta/v1",
            "apimachinery/pkg/types",
            "api/rbac/v1",
        ):
            for path in (root / folder).glob("*.go"):
                found.update(
                    re.findall(
                        r"^type (\w+) (?:string\b|int32\b|int64\b|bool\b|map\[)", path.read_text(), re.M
                    )
                )
        _FOREIGN[root] = found
    return kind.rpartition(".")[2] in _FOREIGN[root]
