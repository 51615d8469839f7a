"""Paths, options, Accept headers and bodies."""

from __future__ import annotations

import pytest
from multidict import MultiDict

from runtime.api.http.body import duplicate_fields, parse_json, parse_yaml, read_object
from runtime.api.http.deadline import deadline, parse_duration
from runtime.api.http.negotiation import (
    PATCH_TYPES,
    body_format,
    concerns_protobuf,
    negotiate,
    parse_accept,
    patch_type,
    wants_pretty,
)
from runtime.api.http.request import (
    delete_options,
    flag,
    list_options,
    number,
    parse_path,
    watch_options,
    write_options,
)
from runtime.objects.errors import StatusError
from runtime.objects.jsonerrors import go_json_error, summary


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/api/v1/pods", ("", "v1", "", "pods", "", "")),
        ("/api/v1/namespaces", ("", "v1", "", "namespaces", "", "")),
        ("/api/v1/namespaces/a", ("", "v1", "a", "namespaces", "a", "")),
        ("/api/v1/namespaces/a/status", ("", "v1", "a", "namespaces", "a", "status")),
        ("/api/v1/namespaces/a/finalize", ("", "v1", "a", "namespaces", "a", "finalize")),
        ("/api/v1/namespaces/a/pods", ("", "v1", "a", "pods", "", "")),
        ("/api/v1/namespaces/a/pods/p", ("", "v1", "a", "pods", "p", "")),
        ("/api/v1/namespaces/a/pods/p/log", ("", "v1", "a", "pods", "p", "log")),
        ("/api/v1/nodes/n/status", ("", "v1", "", "nodes", "n", "status")),
        ("/apis/apps/v1/deployments", ("apps", "v1", "", "deployments", "", "")),
        ("/apis/apps/v1/namespaces/a/deployments/d/scale", ("apps", "v1", "a", "deployments", "d", "scale")),
        ("/apis/r.io/v1/roles/system%3Anode", ("r.io", "v1", "", "roles", "system:node", "")),
    ],
)
def test_resource_paths(path: str, wanted: tuple[str, ...]) -> None:
    info = parse_path("GET", path)
    assert info.is_resource
    found = (info.group, info.version, info.namespace, info.resource, info.name, info.subresource)
    assert found == wanted


@pytest.mark.parametrize(
    "path", ["/", "/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", "/version", "/x/y/z"]
)
def test_plain_paths(path: str) -> None:
    info = parse_path("GET", path)
    assert not info.is_resource and info.path == path and info.verb == "get"


def test_proxy_paths_keep_their_rest_as_it_was() -> None:
    assert parse_path("GET", "/api/v1/namespaces/a/pods/p:80/proxy/x/%2F/y/").rest == "x/%2F/y/"
    assert parse_path("GET", "/api/v1/namespaces/a/pods/p/proxy").rest == ""


def test_old_watch_paths() -> None:
    info = parse_path("GET", "/api/v1/watch/namespaces/a/pods/p")
    assert info.watch and (info.namespace, info.resource, info.name) == ("a", "pods", "p")
    assert watch_options(MultiDict({"fieldSelector": "a=b"}), "p").field_selector == "a=b,metadata.name=p"


def test_options_are_read_as_go_reads_them() -> None:
    assert [flag({"w": value}, "w") for value in ("true", "1", "yes", "", "false", "0")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    assert not flag({}, "w")
    assert number({"n": "-5"}, "n") == -5 and number({}, "n") is None
    for wrong in ("x", "1.5", " 1", "9" * 30):
        with pytest.raises(StatusError, match="invalid syntax"):
            number({"n": wrong}, "n")
    options = list_options({"limit": "5", "continue": "t", "labelSelector": "a=b"})
    assert (options.limit, options.continue_, options.label_selector) == (5, "t", "a=b")
    assert watch_options({"sendInitialEvents": "true"}).send_initial_events is True
    assert watch_options({"sendInitialEvents": "false"}).send_initial_events is False
    for query in ({}, {"resourceVersion": "0"}):  # what asks for no version asks for initial events
        options = watch_options(query)
        assert (options.send_initial_events, options.resource_version_match) == (True, "NotOlderThan")
    assert watch_options({"resourceVersion": "7"}).send_initial_events is None
    assert watch_options({"resourceVersionMatch": "NotOlderThan"}).send_initial_events is None
    with pytest.raises(StatusError, match="invalid syntax"):
        list_options({"timeoutSeconds": "x"})


@pytest.mark.parametrize(
    ("query", "patch", "field"),
    [
        ({"dryRun": "x"}, "", "dryRun"),
        ({"fieldManager": "x" * 129}, "", "fieldManager"),
        ({"fieldManager": "a\nb"}, "", "fieldManager"),
        ({"fieldValidation": "x"}, "", "fieldValidation"),
        ({"force": "true"}, "merge", "force"),
        ({}, "apply", "fieldManager"),
    ],
)
def test_write_options_are_checked(query: dict[str, str], patch: str, field: str) -> None:
    with pytest.raises(StatusError) as refused:
        write_options(MultiDict(query), "PatchOptions", patch)
    assert refused.value.code == 422
    assert [cause["field"] for cause in refused.value.details["causes"]] == [field]


def test_delete_options_from_body_and_query() -> None:
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 3, "dryRun": ["All"]}
    assert delete_options(MultiDict(), body) == {"gracePeriodSeconds": 3, "dryRun": ["All"]}
    query = MultiDict({"gracePeriodSeconds": "0", "propagationPolicy": "Orphan", "orphanDependents": "true"})
    assert delete_options(query, None) == {
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Orphan",
        "orphanDependents": True,
    }
    for wrong in ({"dryRun": ["Some"]}, {"dryRun": "All"}, {"kind": "Pod"}):
        with pytest.raises(StatusError):
            delete_options(MultiDict(), wrong)


TABLES = frozenset({"Table"})


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", ("application/json", "")),
        ("*/*", ("application/json", "")),
        ("application/yaml", ("application/yaml", "")),
        ("application/vnd.kubernetes.protobuf,application/json", ("application/json", "")),
        ("application/json;q=0.1, application/yaml", ("application/yaml", "")),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", ("application/json", "Table")),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", ("application/json", "")),
        ("application/json;as=Other;v=v1;g=meta.k8s.io,application/json", ("application/json", "")),
        ("nonsense, application/json", ("application/json", "")),
    ],
)
def test_accept(header: str, wanted: tuple[str, str]) -> None:
    accepted = negotiate(header, TABLES)
    assert (accepted.media, accepted.transform) == wanted


def test_protobuf_is_answered_where_it_is_preferred_and_there_is_any() -> None:
    protobuf = "application/vnd.kubernetes.protobuf"
    both, metadata = f"{protobuf},application/json", f"{protobuf};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    assert negotiate(both, protobuf=True).media == protobuf
    assert negotiate(both).media == "application/json"
    assert negotiate(f"{protobuf};q=0.1,application/json", protobuf=True).media == "application/json"
    assert negotiate("application/json,*/*", protobuf=True).media == "application/json"
    assert negotiate(metadata, frozenset({"PartialObjectMetadata"})).media == protobuf
    assert negotiate(f"{protobuf};stream=watch", stream=True, protobuf=True).media == protobuf
    for header in (both, protobuf, "text/html"):
        assert concerns_protobuf(header)
    for header in ("", "*/*", "application/json", "application/json;as=Table;v=v1;g=meta.k8s.io"):
        assert not concerns_protobuf(header)
    with pytest.raises(StatusError, match=r"application/vnd\.kubernetes\.protobuf;stream=watch"):
        negotiate("text/html", stream=True, protobuf=True)


@pytest.mark.parametrize(
    "header", ["text/html", "application/json;q=0", "application/json;as=Table;v=v1;g=x"]
)
def test_not_acceptable(header: str) -> None:
    with pytest.raises(StatusError) as refused:
        negotiate(header, TABLES)
    assert refused.value.code == 406


def test_a_watch_is_never_yaml() -> None:
    assert (
        negotiate("application/yaml, application/json;stream=watch", stream=True).media == "application/json"
    )
    with pytest.raises(StatusError):
        negotiate("application/yaml", stream=True)


def test_the_order_of_clauses() -> None:
    found = [f"{c.type}/{c.subtype}" for c in parse_accept("*/*, text/*;q=0.5, a/b, a/c;q=0.9")]
    assert found == ["a/b", "*/*", "a/c", "text/*"]


def test_media_types_of_bodies() -> None:
    assert body_format("") == "json"
    assert body_format("Application/JSON; charset=utf-8") == "json"
    assert body_format("application/vnd.kubernetes.protobuf") == "protobuf"
    assert {patch_type(media) for media in PATCH_TYPES} == {"json", "merge", "strategic", "apply"}
    for wrong in ("text/plain", "application/json"):
        with pytest.raises(StatusError) as refused:
            patch_type(wrong)
        assert refused.value.code == 415


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("32s", 32), ("1m30s", 90), ("1.5h", 5400), ("-.5s", -0.5), ("100ms", 0.1), ("1.s", 1)],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("abc", 'time: invalid duration "abc"'),
        ("5", 'time: missing unit in duration "5"'),
        ("1m5", 'time: missing unit in duration "1m5"'),
        ("3x", 'time: unknown unit "x" in duration "3x"'),
        (".s", 'time: invalid duration ".s"'),
        ("-", 'time: invalid duration "-"'),
        ("9999999999h", 'time: invalid duration "9999999999h"'),
    ],
)
def test_what_is_no_duration(text: str, sentence: str) -> None:
    with pytest.raises(StatusError) as refused:
        deadline({"timeout": text}, 60)
    assert refused.value.code == 400
    assert refused.value.message == f"invalid timeout specified in the request URL - {sentence}"


def test_a_request_has_the_time_it_asks_for_within_what_is_allowed() -> None:
    asked = [{}, {"timeout": ""}, {"timeout": "0s"}, {"timeout": "-1s"}, {"timeout": "2m"}, {"timeout": "5s"}]
    assert [deadline(query, 60) for query in asked] == [60, 60, 60, 60, 60, 5]


def test_pretty() -> None:
    assert wants_pretty({}, "curl/8") and not wants_pretty({"pretty": "false"}, "curl/8")
    assert wants_pretty({"pretty": "true"}, "x") and not wants_pretty({}, "kubectl/v1")


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b'{"a":1,"b":{"c":1}}', []),
        (b'{"a":1,"a":2}', ["a"]),
        (b'{"s":{"c":[{"n":1},{"n":1,"n":2,"x":{"y":1,"y":1}}]}}', ["s.c[1].n", "s.c[1].x.y"]),
        (b'{"a":{"b":1,"b":2},"a":3}', ["a.b", "a"]),
        (b'{"a":{"b":1},"a":{"b":1,"b":2}}', ["a", "a.b"]),
    ],
)
def test_duplicate_fields(body: bytes, wanted: list[str]) -> None:
    assert list(duplicate_fields(body).sentences) == [f'duplicate field "{path}"' for path in wanted]


def test_yaml_is_read_as_gos_library_reads_it() -> None:
    text = b"""
    port: 22:22
    day: 2026-01-02
    mode: 0644
    octal: 0o17
    yes: on
    3: three
    float: 1e3
    text: "1"
    none: ~
    under: 1_000
    """
    assert parse_yaml(text) == {
        "port": "22:22",
        "day": "2026-01-02",
        "mode": 0o644,
        "octal": 0o17,
        "true": True,
        "3": "three",
        "float": 1000.0,
        "text": "1",
        "none": None,
        "under": 1000,
    }


@pytest.mark.parametrize(
    "body",
    [
        b"a: [",
        b"a: !!python/object:os.system x",
        b"a: !!binary aGk",
        b"[" * 100_000,
        b"a: " + b"{a: " * 100_000,
        b"a: " + b"[" * 300 + b"]" * 300,
        b"? [1]\n: 2",
        b"--- 1\n--- 2",
        b"a: &a [*a]",
        b"a: &a [1,1,1,1,1,1,1,1,1,1]\n"
        + b"".join(
            b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 10)) for i in range(8)
        ),
        b"\xff\xfe\x00",
    ],
)
def test_bad_yaml_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(StatusError) as refused:
        parse_yaml(body)
    assert refused.value.code == 400


def test_repeated_yaml_keys_are_told_with_their_line() -> None:
    value, repeated = read_object(b"a: 1\nb: {c: 1,\n c: 2}\n", "yaml", "Warn")
    assert value == {"a": 1, "b": {"c": 2}}
    assert repeated.sentences == ['line 3: key "c" already set in map']
    assert not read_object(b"a: 1\na: 2", "yaml", "Ignore")[1]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nope",
        b'{"a":1',
        b"\xff",
        b"[" * 2000,
        b"[" * 201 + b"]" * 201,
        b'{"a":' * 240 + b"1" + b"}" * 240,
    ],
)
def test_bad_json_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(StatusError) as refused:
        parse_json(body)
    assert refused.value.code == 400


def test_wide_and_moderately_deep_bodies_are_read() -> None:
    assert parse_json(b"[" * 200 + b"]" * 200)
    assert len(parse_json(b"[" + b"{}," * 1000 + b"{}]")) == 1001
    assert parse_yaml(b"[" * 200 + b"]" * 200)


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null", b"true"])
def test_a_body_has_to_be_an_object(body: bytes) -> None:
    with pytest.raises(StatusError, match="cannot unmarshal"):
        read_object(body, "json", "Warn")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "unexpected end of JSON input"),
        (b'{"a": ', "unexpected end of JSON input"),
        (b'{"a": "b', "unexpected end of JSON input"),
        (b"apiVersion: v1", "invalid character 'a' looking for beginning of value"),
        (b"{a: 1}", "invalid character 'a' looking for beginning of object key string"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a": 1 "b": 2}', "invalid character '\"' after object key:value pair"),
        (b'{"a": [1 2]}', "invalid character '2' after array element"),
        (b'{"a": [1,]}', "invalid character ']' looking for beginning of value"),
        (b'{"a": 1,}', "invalid character '}' looking for beginning of object key string"),
        (b"{} {}", "invalid character '{' after top-level value"),
        (b'{"a": "\\q"}', "invalid character 'q' in string escape code"),
        (b'{"a": 1}', ""),
        (b'{"a": ' + b"9" * 5000 + b"}", ""),
    ],
)
def test_what_is_no_json_is_told_in_gos_sentences(body: bytes, why: str) -> None:
    assert go_json_error(body) == why


def test_bodies_that_are_not_understood_are_shown_by_their_beginning() -> None:
    assert summary(b"") == "<empty>"
    assert summary(b'{"a": 1}') == '{"a": 1}'
    assert summary(b"{" + b"a" * 40) == "{" + "a" * 29 + " ..."
    assert summary(b"kind: Pod") == "6b696e643a20506f64"
