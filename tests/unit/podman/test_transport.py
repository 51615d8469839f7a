"""What Podman's answers mean."""

from types import SimpleNamespace

import pytest

from runtime.podman.interface import NoSuchItem
from runtime.podman.transport import Transport


def answer(body: bytes, kind: str = "application/json", status: int = 200) -> SimpleNamespace:
    return SimpleNamespace(content=body, status_code=status, headers={"Content-Type": kind} if kind else {})


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b'{"Stats": []}', "application/json", {"Stats": []}),
        (
            b'{"Stats": []}\n',
            "text/plain; charset=utf-8",
            {"Stats": []},
        ),  # Podman 5 says nothing, and Go guesses
        (b"[1]", "text/plain; charset=utf-8", [1]),
        (b"0123abcd\n", "text/plain; charset=utf-8", "0123abcd"),
        (b"", "application/json", None),
        (b"true", "", True),
    ],
)
def test_an_answer_is_read_by_what_it_is(body, kind, expected):
    assert Transport._json(answer(body, kind)) == expected


def test_what_is_not_there_is_told_apart():
    with pytest.raises(NoSuchItem, match="no such pod"):
        Transport._json(
            answer(b'{"cause":"no such pod","message":"no such pod x","response":404}', status=404)
        )
