"""What Go says of JSON that can't be read: clients and their users know its sentences, not those of our parsers.

``encoding/json`` names the character it did not expect and what it looked for there; the standard library's parser
finds the same place, so its complaint is translated (a second reading, made only when the first has failed).
"""

from __future__ import annotations

import json
import re

_END = "unexpected end of JSON input"
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?')
_LOOKED_FOR = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Extra data": "after top-level value",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Illegal trailing comma before end of array": "looking for beginning of value",
}


def _quoted(letter: str) -> str:
    """A character as Go quotes it."""
    if letter == "'":
        return r"'\''"
    if letter == '"':
        return "'\"'"
    return repr(letter) if letter.isprintable() else f"'{letter.encode('unicode_escape').decode()}'"


def _inside(text: str) -> str:
    """What is open at the end of a text: ``{`` or ``[``."""
    stack: list[str] = []
    for letter in _STRING.sub("", text):
        if letter in "{[":
            stack.append(letter)
        elif letter in "}]" and stack:
            stack.pop()
    return stack[-1] if stack else ""


def go_json_error(body: bytes) -> str:
    """Go's sentence about a body that is no JSON; empty when it is."""
    text = body.decode("utf-8", "replace")
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return _sentence(text, error)
    except RecursionError:
        return "exceeded max depth"
    return ""


def _sentence(text: str, error: json.JSONDecodeError) -> str:
    place = error.pos
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    if place >= len(text) or error.msg.startswith("Unterminated string"):
        return _END
    if error.msg.startswith("Illegal trailing comma"):
        place = next(index for index in range(place + 1, len(text)) if text[index] in "}]")
    letter = text[place]
    message = error.msg.partition(": ")[0]
    if message == "Expecting ',' delimiter":
        where = "after array element" if _inside(text[:place]) == "[" else "after object key:value pair"
    else:
        where = _LOOKED_FOR.get(message, "looking for beginning of value")
    if where == "in string escape code":
        letter = text[place + 1] if place + 1 < len(text) else letter
    return f"invalid character {_quoted(letter)} {where}"


def summary(body: bytes, limit: int = 30) -> str:
    """The beginning of a body that is not understood (apiserver's ``summarizeData``)."""
    if not body:
        return "<empty>"
    more = " ..." if len(body) > limit else ""
    shown = body[:limit]
    return (shown.decode("utf-8", "replace") if body.startswith(b"{") else shown.hex()) + more
