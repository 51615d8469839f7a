"""What stands in a body that its kind has no place for: keys written twice, and fields that are unknown.

Three readers look for them upstream, each in its own order. JSON of a built-in kind is read once, so both kinds of
problems come as they are written there, and nothing is said of what stands inside an unknown field. YAML and the
result of a patch reach that reader with their keys in order of the alphabet. A custom resource is searched for
repeated keys first and pruned afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.objects.registry import Resource

_MOST = 100
"""Problems that the reader of one body counts (sigs.k8s.io/json ``saveStrictError``)."""

_STEP = re.compile(r"[.\[\]]+")
_PATH = re.compile(r'^unknown field "(.*)"$', re.S)


@dataclass(frozen=True, slots=True)
class Repeated:
    """Keys that stand twice in a body; true where there are any."""

    sentences: Sequence[str] = ()
    """What is said of each."""
    places: Sequence[tuple[str, bool]] = ()
    """The path of every key as a JSON body has it, and whether it stood there before; only where one did."""
    alphabetic: bool = False
    """Whether the body's keys were put in order before its fields were read."""
    heading: str = ""
    """What an error says before it names the sentences, each on a line of its own; nothing where they are as any."""

    def __bool__(self) -> bool:
        return bool(self.sentences)

    def warnings(self, resource: Resource, unknown: Sequence[str]) -> list[str]:
        """All problems in the order of the kind's reader; ``unknown`` holds sentences of its unknown fields."""
        if resource.custom is not None:
            return [*self.sentences, *unknown]
        if self.places:
            return _as_written(self.places, unknown)
        if self.alphabetic:
            unknown = sorted(unknown, key=_steps)
        return [*self.sentences, *unknown[:_MOST]]

    def errors(self, resource: Resource, unknown: Sequence[str]) -> str:
        """All problems as one sentence of a strict reader."""
        found = self.warnings(resource, unknown)
        if self.heading and self.sentences:
            count = len(self.sentences)
            found = ["\n  ".join((self.heading, *found[:count])), *found[count:]]
        return ", ".join(found)


NONE_REPEATED = Repeated()
"""Of a body that was not looked at, or in which every key stands once."""


def _as_written(places: Sequence[tuple[str, bool]], unknown: Sequence[str]) -> list[str]:
    unread = {match[1] for one in unknown if (match := _PATH.match(one))}
    found: dict[str, None] = {}
    inside: tuple[str, ...] = ()
    for path, again in places:
        if inside and path.startswith(inside):
            continue
        inside = ()
        if path in unread:
            found[f'unknown field "{path}"'] = None
            inside = (f"{path}.", f"{path}[")
        elif again:
            found[f'duplicate field "{path}"'] = None
    return list(found)[:_MOST]


def _steps(sentence: str) -> list[tuple[bool, int, str]]:
    return [
        (not step.isdigit(), int(step) if step.isdigit() else 0, step)
        for step in _STEP.split(sentence.partition('"')[2].rstrip('"'))
    ]
