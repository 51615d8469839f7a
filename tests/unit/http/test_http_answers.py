"""What an answer's head looks like on the wire."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from runtime.api.http.responses import head


def test_a_head_is_its_line_and_its_headers() -> None:
    headers = CIMultiDict([("Audit-Id", "a"), ("Warning", '299 - "é\tb"'), ("Warning", "two")])
    assert head((1, 1), 201, headers) == (
        'HTTP/1.1 201 Created\r\nAudit-Id: a\r\nWarning: 299 - "é\tb"\r\nWarning: two\r\n\r\n'.encode()
    )
    assert head((1, 0), 299, CIMultiDict()) == b"HTTP/1.0 299 \r\n\r\n"


def test_bytes_that_are_no_text_come_back_as_they_came() -> None:
    raw = b"\xff\xfe"
    echoed = CIMultiDict({"Audit-Id": raw.decode("utf-8", "surrogateescape")})
    assert raw in head((1, 1), 200, echoed)


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb", "\0", "\x1b[2J", "\x7f"])
def test_nobody_writes_headers_through_a_value(value: str) -> None:
    with pytest.raises(ValueError, match="Audit-Id"):
        head((1, 1), 200, CIMultiDict({"Audit-Id": value}))
