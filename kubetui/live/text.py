"""Making text from a cluster safe and short enough for a terminal.

Names, messages and log lines come from strangers: nothing of them may reach the terminal as a control sequence, move
the cursor, or reverse the reading direction of the rest of the line. Ages are printed with the same rounding as
``kubectl get`` (apimachinery ``pkg/util/duration/duration.go``), so that both show the same word.
"""

from __future__ import annotations

import json
import re
import textwrap
from datetime import UTC, datetime
from functools import lru_cache

from rich.cells import cell_len, set_cell_size

# CSI (colours, cursor), OSC/DCS/PM/APC strings with their terminator, and two-byte escapes.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]"
)
# C0, DEL, C1, bidirectional overrides and isolates, zero-width and interlinear marks, line separators, surrogates.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffc\ud800-\udfff]"
)
_INVISIBLE = re.compile("[\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffc]")


def _visible(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if _INVISIBLE.match(character):
        return "·"
    return "�"


def clean(text: str) -> str:
    """Return ``text`` as one harmless line: control characters become visible symbols, newlines become spaces."""
    if text.isascii() and text.isprintable():
        return text
    if not _UNSAFE.search(text):
        return text
    text = text.replace("\r\n", " ").replace("\n", " ").replace("\t", " ")
    return _UNSAFE.sub(_visible, text)


def clean_log(text: str, tab: int = 8) -> str:
    """Return a log line without its escape sequences and with tabs expanded.

    Colour sequences are removed rather than shown because programs write them in good faith; whatever remains of
    other control characters becomes a visible symbol.
    """
    if text.isascii() and text.isprintable():
        return text
    if not _UNSAFE.search(text):
        return text
    if "\x1b" in text or "\x9b" in text:
        text = _ESCAPES.sub("", text)
    text = text.rstrip("\r\n")
    if "\r" in text:  # a progress bar rewrites its line: the last state is what was meant to be seen
        text = text.rsplit("\r", 1)[1] or text.replace("\r", "")
    if "\t" in text:
        text = text.expandtabs(tab)
    return _UNSAFE.sub(_visible, text)


def fit(text: str, width: int, *, right: bool = False, middle: bool = False) -> str:
    """Return ``text`` in exactly ``width`` cells: padded, or cut with an ellipsis (at the end or in the middle)."""
    if width <= 0:
        return ""
    if text.isascii():
        size = len(text)
        if size == width:
            return text
        if size < width:
            return text.rjust(width) if right else text.ljust(width)
        if width == 1:
            return "…"
        if middle and width > 6:
            head = (width - 1) * 2 // 3
            return text[:head] + "…" + text[size - (width - 1 - head) :]
        return text[: width - 1] + "…"
    size = cell_len(text)
    if size <= width:
        return " " * (width - size) + text if right else text + " " * (width - size)
    if width == 1:
        return "…"
    return set_cell_size(text, width - 1) + "…"


def human_duration(seconds: float) -> str:
    """Return an age the way kubectl prints it: ``5s``, ``3m20s``, ``2d3h``."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 120:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        rest = whole % 60
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = whole // 3600
    if hours < 8:
        rest = minutes % 60
        return f"{hours}h{rest}m" if rest else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 192:
        rest = hours % 24
        return f"{days}d{rest}h" if rest else f"{days}d"
    if days < 365 * 2:
        return f"{days}d"
    years, rest = divmod(days, 365)
    if days < 365 * 8:
        return f"{years}y{rest}d" if rest else f"{years}y"
    return f"{years}y"


@lru_cache(maxsize=16384)
def parse_time(value: str | None) -> float:
    """Return an RFC 3339 time as seconds since 1970, 0.0 for nothing or nonsense."""
    if not value:
        return 0.0
    try:
        if len(value) == 20 and value[-1] == "Z":
            return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        head, dot, rest = value.partition(".")
        if dot:  # fromisoformat takes six digits at most; Kubernetes logs have nine
            digits = re.match(r"\d+", rest)
            if digits:
                fraction = digits.group()
                return datetime.fromisoformat(head + (rest[len(fraction) :] or "Z")).timestamp() + float(
                    "0." + fraction
                )
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        return 0.0


def age(timestamp: str | None, now: float) -> str:
    """Return the age of a Kubernetes timestamp at ``now`` (seconds since 1970), ``<unknown>`` when there is none."""
    then = parse_time(timestamp)
    return human_duration(now - then) if then else "<unknown>"


def fuzzy(pattern: str, text: str) -> tuple[int, tuple[int, ...]] | None:
    """Match ``pattern`` as a subsequence of ``text``; return (score, matched indices), higher is better, or None.

    Consecutive characters and word starts weigh more, so that ``dp`` prefers ``deployments`` to ``endpoints``.
    """
    if not pattern:
        return 0, ()
    low = text.lower()
    wanted = pattern.lower().replace(" ", "")
    direct = low.find(wanted)
    if direct >= 0:
        start = direct == 0 or not low[direct - 1].isalnum()
        score = (1200 if start else 400) - direct - len(low) + (300 if len(low) == len(wanted) else 0)
        return score, tuple(range(direct, direct + len(wanted)))
    indices: list[int] = []
    position = 0
    score = 0
    for character in wanted:
        found = low.find(character, position)
        if found < 0:
            return None
        # a later word start is a better reading than the first letter that happens to fit
        for candidate in range(found, len(low)):
            if low[candidate] == character and (candidate == 0 or not low[candidate - 1].isalnum()):
                if candidate - found < 24:
                    found = candidate
                break
        if indices and found == indices[-1] + 1:
            score += 12
        if found == 0 or not low[found - 1].isalnum():
            score += 10
        indices.append(found)
        position = found + 1
    if position > len(low):
        return None
    score += 430 if indices[0] == 0 else 0  # abbreviations begin with the first letter
    return score - (indices[-1] - indices[0]), tuple(indices)


def near(pattern: str, text: str) -> tuple[int, tuple[int, ...]] | None:
    """:func:`fuzzy`, but only where the letters found are close together: what somebody may have meant to type."""
    found = fuzzy(pattern, text)
    if found is None or not found[1]:
        return found
    spread = found[1][-1] - found[1][0]
    return found if spread <= 3 * len(pattern) + 4 else None


def wrapped(text: str, width: int) -> list[str]:
    """Cut into rows of at most ``width`` cells, at spaces where there are some."""
    rows = textwrap.wrap(text, max(8, width))
    return [row if cell_len(row) <= width else fit(row, width) for row in rows]


def value_text(value: object) -> str:
    """A field's value as YAML has it on one line: ``true`` and ``null``, not Python's words for them."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def plural(count: int, word: str) -> str:
    """Return ``1 pod``, ``2 pods``."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
