"""Manifest text to objects: Go's scalars, lines for errors, and everything that is wrong with a file."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.manifests.documents import DOCUMENT_LIMIT, read
from runtime.manifests.errors import ManifestError
from runtime.objects.yamltext import resolve

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-5", -5),
        ("0644", 420),
        ("0o644", 420),
        ("0x1F", 31),
        ("0b11", 3),
        ("1_000", 1000),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.2.3", "1.2.3"),
        ("1:30", "1:30"),
        ("2001-01-01", "2001-01-01"),
        ("2001-12-14T21:59:43.10Z", "2001-12-14T21:59:43.10Z"),
        ("100m", "100m"),
        ("64Mi", "64Mi"),
        ("0889", 889.0),
        ("true", True),
        ("Yes", True),
        ("off", False),
        ("y", "y"),
        ("~", None),
        ("", None),
        ("null", None),
        ("-", "-"),
        ("+", "+"),
        ("nginx:1.14.2", "nginx:1.14.2"),
    ],
)
def test_plain_scalars_are_what_go_makes_of_them(text: str, value: Any) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_quoted_and_tagged_scalars_are_strings() -> None:
    (document,) = read((HEAD + "data:\n  a: '5'\n  b: \"true\"\n  c: !!str 7\n  d: |\n    no\n").encode())
    assert document.obj["data"] == {"a": "5", "b": "true", "c": "7", "d": "no\n"}


def test_keys_are_strings_as_in_json() -> None:
    (document,) = read((HEAD + "data:\n  1: x\n  true: y\n  1.5: z\n").encode())
    assert document.obj["data"] == {"1": "x", "true": "y", "1.5": "z"}


def test_many_documents_lists_and_empty_ones() -> None:
    text = f"""# nothing but a comment
---
{HEAD}---
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {{name: b}}
- apiVersion: v1
  kind: ConfigMapList
  items:
  - apiVersion: v1
    kind: ConfigMap
    metadata: {{name: c}}
--- # a comment
{{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "d"}}}}
"""
    documents = read(text.encode())
    assert [document.obj["metadata"]["name"] for document in documents] == ["a", "b", "c", "d"]
    assert [document.index for document in documents] == [0, 1, 2, 3]
    assert [document.line for document in documents] == [3, 12, 18, 22]


def test_anchors_aliases_and_merge_keys() -> None:
    text = HEAD + "data: &d\n  a: x\n  b: y\nother:\n  <<: *d\n  b: z\nthird: *d\n"
    (document,) = read(text.encode())
    assert document.obj["other"] == {"a": "x", "b": "z"}
    assert document.obj["third"] == {"a": "x", "b": "y"}


def test_a_path_leads_to_its_line() -> None:
    text = """---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 3
  template:
    spec:
      containers:
      - name: one
        image: x
      - name: two
        image: y
        ports:
        - containerPort: 80
"""
    (document,) = read(("# comment\n" + text).encode())
    assert document.line_of("spec.replicas") == 8
    assert document.line_of("spec.template.spec.containers[1].image") == 15
    assert document.line_of("spec.template.spec.containers[1].ports[0].containerPort") == 17
    assert document.line_of("spec.template.spec.containers[1].nothing.here") == 14
    assert document.line_of('spec.template.spec.containers[name="two"].image') == 15
    assert (
        document.line_of('spec.template.spec.containers[name="two"].ports[containerPort=80,protocol="TCP"]')
        == 17
    )
    assert document.line_of("") == document.line == 3
    assert document.line_of("metadata.labels[app]") == 5


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (HEAD + "data:\n\tx: y\n", 6, "tab|token"),
        (HEAD + "data: {a: b\n", 6, "expected|flow"),
        (HEAD + "data:\n  a: 1\n  a: 2\n", 7, 'key "a" is already set'),
        ("- a\n- b\n", 1, "mapping"),
        ("just text\n", 1, "mapping"),
        ("kind: Pod\nmetadata: {name: a}\n", 1, "apiVersion: is missing"),
        ("apiVersion: v1\nkind: 7\nmetadata: {name: a}\n", 2, "kind: has to be a string"),
        ("apiVersion: v1\nkind: Pod\n", 1, "metadata: is missing"),
        ("apiVersion: v1\nkind: Pod\nmetadata:\n  generateName: a-\n", 4, "can't be applied"),
        (HEAD + "data:\n  a: .inf\n", 6, "JSON"),
        (HEAD + "data:\n  a: !custom x\n", 6, "tag"),
        (HEAD + "data: *nowhere\n", 5, "undefined alias"),
        (HEAD + "data:\n  ? [a]\n  : b\n", 6, "key has to be a string"),
        (HEAD + "data: &x\n  a: *x\n", 5, "contains itself"),
        ("---\n" + HEAD + "---\n" + HEAD + "x: [\n", 11, "expected"),
    ],
)
def test_errors_name_their_line(text: str, line: int, what: str) -> None:
    with pytest.raises(ManifestError, match=what) as caught:
        read(text.encode())
    assert caught.value.line in (line, line + 1)


def test_a_yaml_bomb_is_refused_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 12):
        lines.append(f"a{level}: &a{level} [" + ", ".join([f"*a{level - 1}"] * 10) + "]")
    with pytest.raises(ManifestError, match="aliases multiply"):
        read((HEAD + "\n".join(lines)).encode())


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(ManifestError, match="nested deeper"):
        read((HEAD + "x: " + "[" * 300 + "]" * 300).encode())
    with pytest.raises(ManifestError):
        read((HEAD + "x: " + "[" * 100_000).encode())


def test_what_is_not_text_is_refused() -> None:
    for data in (b"\x7fELF\x02\x01\x01\0\0", b"\x89PNG\r\n\x1a\n\0", b"abc\xff\xfe\xfa", b"a\0b"):
        with pytest.raises(ManifestError, match="not"):
            read(data)


def test_a_byte_order_mark_and_utf_16_are_text() -> None:
    assert read(b"\xef\xbb\xbf" + HEAD.encode())[0].obj["kind"] == "ConfigMap"
    assert read(HEAD.encode("utf-16"))[0].obj["kind"] == "ConfigMap"


def test_a_huge_document_is_refused_and_a_huge_file_of_small_ones_is_not() -> None:
    with pytest.raises(ManifestError, match="at most"):
        read((HEAD + "data:\n  a: " + "x" * DOCUMENT_LIMIT).encode())
    many = "".join(f"---\n{HEAD}data: {{n: '{number}'}}\n" for number in range(3000))
    assert len(read(many.encode())) == 3000
