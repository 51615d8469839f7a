"""Makes the two data files of this package from published JSON schemas, once per Kubernetes version.

Run at development time as ``python -m runtime.objects.schema.distill``; the program itself never needs it. The
``kubernetes-validate`` package carries every definition of upstream's swagger with its patch and list extensions
(tens of megabytes). What the API server needs of that are facts: field names, types, which fields are required, how
lists merge. They go to ``facts.json.gz``; the prose, which only ``kubectl explain`` and OpenAPI show, goes to
``descriptions.json.gz`` so that starting up does not pay for it. What Go's declarations say beyond the swagger (is an
absent value told apart from a zero one? what is the type called in error messages?) is merged in from
``goTypes`` of the previous facts, or read anew with ``--go-source DIR``, a folder holding checkouts of
k8s.io/api, k8s.io/apimachinery, k8s.io/apiextensions-apiserver and k8s.io/kube-aggregator.

The output is deterministic: same input, same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import re
from pathlib import Path
from typing import Any

from .go_source import read_enums, read_go_types

VERSION = "v1.36.0"
HERE = Path(__file__).parent
REFERENCE = "#/$defs/"
ENVELOPES = ("apiVersion", "kind")

SPECIAL = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "date-time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "micro-time",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "any",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "any",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Patch": "any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": "any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray": "any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool": "any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray": "any",
}
"""Definitions that are written as one JSON value of their own kind."""

UNSERVED = re.compile(r"\.v\d+(alpha|beta)\d+\.")


def plain_type(schema: dict[str, Any]) -> str:
    """The JSON type without the ``null`` that the package adds to optional ones."""
    kind = schema.get("type", "")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "")
    return str(kind)


def expression(schema: dict[str, Any]) -> str:
    """A type in one word: ``string``, ``[]T`` a list, ``{}T`` a map, ``@name`` another definition."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(REFERENCE)
        return SPECIAL.get(name, f"@{name}")
    kind = plain_type(schema)
    if kind == "array":
        return "[]" + expression(schema["items"])
    if kind == "object":
        return "{}" + (
            expression(schema["additionalProperties"]) if "additionalProperties" in schema else "any"
        )
    if kind == "integer":
        return str(schema.get("format") or "int64")
    if kind == "string":
        return {"byte": "byte", "date-time": "date-time"}.get(schema.get("format", ""), "string")
    return kind or "any"


def field_facts(schema: dict[str, Any], envelope: bool) -> Any:
    """One field: its type alone, or a small object where there is more to say."""
    facts: dict[str, Any] = {"t": expression(schema)}
    if schema.get("enum") and not envelope:
        facts["e"] = sorted(item for item in schema["enum"] if item is not None)
    for key, name in (
        ("patch-strategy", "ps"),
        ("patch-merge-key", "mk"),
        ("list-type", "lt"),
        ("map-type", "mt"),
    ):
        if value := schema.get(f"x-kubernetes-{key}"):
            facts[name] = value
    if keys := schema.get("x-kubernetes-list-map-keys"):
        facts["lk"] = keys
    return facts["t"] if len(facts) == 1 else facts


def distill(definitions: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The facts and the descriptions of all definitions of stable versions."""
    facts: dict[str, Any] = {}
    descriptions: dict[str, Any] = {}
    for name, schema in sorted(definitions.items()):
        if UNSERVED.search(name):
            continue
        properties = schema.get("properties") or {}
        descriptions[name] = [
            schema.get("description", ""),
            {
                field: one["description"]
                for field, one in sorted(properties.items())
                if one.get("description")
            },
        ]
        if name in SPECIAL:
            continue
        entry: dict[str, Any] = {
            "f": {f: field_facts(one, f in ENVELOPES) for f, one in sorted(properties.items())}
        }
        if required := schema.get("required"):
            entry["r"] = sorted(required)
        if schema.get("x-kubernetes-map-type"):
            entry["m"] = schema["x-kubernetes-map-type"]
        if kinds := schema.get("x-kubernetes-group-version-kind"):
            if isinstance(kinds, dict):
                kinds = [kinds]
            entry["k"] = sorted([kind["group"], kind["version"], kind["kind"]] for kind in kinds)
        facts[name] = entry
    return facts, descriptions


def keep_enums(before: dict[str, Any], facts: dict[str, Any]) -> None:
    """Carry the values of enumerations over from earlier facts, where they came from Go's declarations."""
    for definition, entry in facts.items():
        for name, field in entry["f"].items():
            old = before.get(definition, {}).get("f", {}).get(name)
            if isinstance(old, dict) and "e" in old:
                entry["f"][name] = {**({"t": field} if isinstance(field, str) else field), "e": old["e"]}


def write(path: Path, content: Any) -> None:
    """Compressed JSON with a fixed time stamp, so that equal content is equal bytes."""
    raw = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0, compresslevel=9) as file:
        file.write(raw)
    path.write_bytes(buffer.getvalue())
    print(f"{path.name}: {len(raw)} bytes, {buffer.tell()} compressed")


def main() -> None:
    """Read the installed schemas and write both files beside this module."""
    import kubernetes_validate

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--go-source", type=Path, help="folder with checkouts of the k8s.io modules")
    arguments = parser.parse_args()
    package = Path(kubernetes_validate.__file__).parent
    source = package / "kubernetes-json-schema" / f"{VERSION}-local" / "_definitions.json"
    facts, descriptions = distill(json.loads(source.read_text())["$defs"])
    target = HERE / "facts.json.gz"
    if arguments.go_source:
        go_types = read_go_types(arguments.go_source, facts)
        read_enums(arguments.go_source, facts)
    elif target.exists():
        before = json.loads(gzip.decompress(target.read_bytes()))
        go_types = before.get("goTypes", {})
        keep_enums(before["definitions"], facts)
    else:
        go_types = {}
    write(target, {"version": VERSION, "definitions": facts, "goTypes": go_types})
    write(HERE / "descriptions.json.gz", descriptions)


if __name__ == "__main__":
    main()
