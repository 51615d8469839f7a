"""Makes ``messages.json.gz`` from Kubernetes' published ``generated.proto`` files, once per Kubernetes version.

Run at development time as ``python -m runtime.api.http.protobuf.distill DIR``, where DIR holds checkouts of
k8s.io/api, k8s.io/apimachinery, k8s.io/apiextensions-apiserver and k8s.io/kube-aggregator, all of the version that
the schema is of; the program itself never needs it. What is kept are facts: for each message that the schema knows,
its field numbers, names and types. The output is deterministic.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import re
from pathlib import Path

from runtime.objects.schema import definitions, type_of

TARGET = Path(__file__).parent / "messages.json.gz"
MESSAGE = re.compile(r"^message (\w+) \{\n(.*?)^\}", re.M | re.S)
FIELD = re.compile(
    r"^\s+(optional|repeated|required)?\s*(map<string, ?[\w.]+>|[\w.]+)\s+(\w+)\s*=\s*(\d+);", re.M
)
PACKAGE = re.compile(r"^package ([\w.]+);", re.M)
SCALARS = {"string", "bool", "int32", "int64", "uint32", "uint64", "bytes", "double"}


def bare(name: str) -> str:
    """A field's name without case and punctuation."""
    return re.sub("[^a-z0-9]", "", name.lower())


def definition_name(package: str, message: str) -> str:
    """The schema's name of a message: ``k8s.io.api.core.v1`` becomes ``io.k8s.api.core.v1``."""
    return f"io.k8s.{package.removeprefix('k8s.io.').replace('_', '-')}.{message}"


def type_word(text: str, package: str) -> str:
    """A field's type in one word: a scalar's name, ``@definition``, or ``{}T`` for a map."""
    if text.startswith("map<"):
        return "{}" + type_word(text.removeprefix("map<string,").removesuffix(">").strip(), package)
    if text in SCALARS:
        return text
    if text.startswith("."):
        owner, _, name = text[1:].rpartition(".")
        return "@" + definition_name(owner, name)
    return "@" + definition_name(package, text)


def read_messages(root: Path) -> dict[str, dict[str, list[str]]]:
    """Every message of every ``generated.proto`` below a folder: field number → name and type."""
    found: dict[str, dict[str, list[str]]] = {}
    for path in sorted(root.rglob("generated.proto")):
        text = re.sub(r"//[^\n]*", "", path.read_text())
        match = PACKAGE.search(text)
        if match is None:
            continue
        package = match.group(1)
        for name, body in MESSAGE.findall(text):
            definition = definition_name(package, name)
            # Where proto and JSON spell a name differently (Webhooks, uID, ref and $ref), JSON's counts.
            spelled = {bare(field): field for field in type_of(definition).fields}
            fields = {
                number: [
                    spelled.get(bare(field), field),
                    ("[]" if label == "repeated" else "") + type_word(kind, package),
                ]
                for label, kind, field, number in FIELD.findall(body)
            }
            found[definition] = dict(sorted(fields.items(), key=lambda item: int(item[0])))
    return found


def reachable(messages: dict[str, dict[str, list[str]]]) -> dict[str, dict[str, list[str]]]:
    """The messages of served definitions, and those they are made of."""
    pending = [name for name in definitions() if name in messages]
    kept: dict[str, dict[str, list[str]]] = {}
    while pending:
        name = pending.pop()
        if name in kept or name not in messages:
            continue
        kept[name] = messages[name]
        pending += [kind[kind.index("@") + 1 :] for _, kind in messages[name].values() if "@" in kind]
    return dict(sorted(kept.items()))


def main() -> None:
    """Read the folder named on the command line and write the file beside this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    kept = reachable(read_messages(parser.parse_args().folder))
    raw = json.dumps(kept, separators=(",", ":")).encode()
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0, compresslevel=9) as file:
        file.write(raw)
    TARGET.write_bytes(buffer.getvalue())
    print(f"{TARGET.name}: {len(kept)} messages, {buffer.tell()} bytes")


if __name__ == "__main__":
    main()
