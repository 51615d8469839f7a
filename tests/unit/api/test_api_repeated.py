"""The order in which unknown and repeated fields are told is that of the reader upstream has for the kind."""

from __future__ import annotations

import pytest

from runtime.api.http.body import duplicate_fields
from runtime.api.repeated import Repeated
from runtime.objects.kinds import builtin_registry

MAPS = builtin_registry().find("configmaps")
assert MAPS is not None


def unknown(*paths: str) -> list[str]:
    return [f'unknown field "{path}"' for path in paths]


@pytest.mark.parametrize(
    ("body", "paths", "told"),
    [
        (b'{"u":1,"a":1,"a":2}', ["u"], ["unknown u", "duplicate a"]),
        (b'{"a":1,"a":2,"u":1}', ["u"], ["duplicate a", "unknown u"]),
        (b'{"u":{"x":1,"x":2},"ux":1,"ux":2}', ["u"], ["unknown u", "duplicate ux"]),
        (b'{"u":1,"u":2}', ["u"], ["unknown u"]),
        (
            b'{"s":{"c":[{"u":[{"x":1,"x":1}],"n":1,"n":2}]}}',
            ["s.c[0].u"],
            ["unknown s.c[0].u", "duplicate s.c[0].n"],
        ),
    ],
)
def test_json_is_told_as_it_is_written(body: bytes, paths: list[str], told: list[str]) -> None:
    found = duplicate_fields(body).warnings(MAPS, unknown(*paths))
    assert found == [f'{kind} field "{path}"' for kind, path in (one.split(" ") for one in told)]


def test_what_was_sorted_before_is_told_in_order_of_its_keys() -> None:
    found = Repeated(["twice"], alphabetic=True)
    paths = ["spec.c[10].u", "spec.c[2].u", "spec.a", "metadata.z"]
    assert found.warnings(MAPS, unknown(*paths)) == [
        "twice",
        *unknown("metadata.z", "spec.a", "spec.c[2].u", "spec.c[10].u"),
    ]


def test_no_more_than_a_hundred_are_told() -> None:
    many = unknown(*(f"u{number:03}" for number in range(150)))
    assert Repeated().warnings(MAPS, many) == many[:100]
