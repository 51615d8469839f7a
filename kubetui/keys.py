"""Which action a key means: the registry with a user's keys, and how keys are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubetui.actions import ACTIONS, Action


class Registry:
    """The actions with a user's keys; which one a key means depends on where it is pressed."""

    def __init__(
        self, actions: Iterable[Action] = ACTIONS, keys: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        self.actions = {action.id: action for action in actions}
        self.keys: dict[str, tuple[str, ...]] = {a.id: a.keys for a in self.actions.values()}
        self.keys.update({k: v for k, v in (keys or {}).items() if k in self.actions})
        self._by_key: dict[str, list[Action]] = {}
        for action in self.actions.values():
            for key in self.keys[action.id]:
                self._by_key.setdefault(key, []).append(action)

    def resolve(
        self, key: str, where: Iterable[str], kinds: frozenset[str], read_only: bool
    ) -> Action | None:
        """The action of a key in this place: the most specific place wins, then the one that takes the kind."""
        best: tuple[int, Action] | None = None
        places = list(where)
        for action in self._by_key.get(key, ()):
            score = self.fit(action, places, kinds, read_only)
            if score and (best is None or score > best[0]):
                best = (score, action)
        return best[1] if best else None

    @staticmethod
    def fit(action: Action, places: list[str], kinds: frozenset[str], read_only: bool) -> int:
        """How well an action fits a place (``places`` from most to least specific), 0 for not at all."""
        if read_only and action.mutating:
            return 0
        if action.kinds is not None and not (kinds and all(action.takes(k) for k in kinds)):
            return 0
        for rank, place in enumerate(places):
            if place in action.where:
                return 1000 - rank * 10 + (1 if action.kinds is not None else 0)
        return 1 if "any" in action.where else 0

    def available(
        self, where: Iterable[str], kinds: frozenset[str], read_only: bool
    ) -> dict[Action, tuple[str, ...]]:
        """Every action that works here and now, with those of its keys that mean it here.

        An action whose keys all mean something else here is left out.
        """
        places = list(where)
        found: dict[Action, tuple[str, ...]] = {}
        for action in self.actions.values():
            if not self.fit(action, places, kinds, read_only):
                continue
            bound = self.keys[action.id]
            keys = tuple(k for k in bound if self.resolve(k, places, kinds, read_only) is action)
            if keys or not bound:
                found[action] = keys
        return found

    def key_text(self, action_id: str) -> str:
        """The first key as it is printed."""
        keys = self.keys.get(action_id, ())
        return key_name(keys[0]) if keys else ""


_NAMES = {
    "plus": "+", "minus": "-", "slash": "/", "colon": ":", "question_mark": "?", "exclamation_mark": "!",
    "ampersand": "&", "space": "space", "escape": "esc", "enter": "⏎", "up": "↑", "down": "↓", "left": "←",
    "right": "→", "pageup": "pgup", "pagedown": "pgdn", "right_square_bracket": "]",
    "left_square_bracket": "[", "ctrl+@": "ctrl+space", "tab": "tab", "full_stop": ".", "comma": ",",
    "equals_sign": "=", "underscore": "_", "backslash": "\\", "ctrl+left": "ctrl+←", "ctrl+right": "ctrl+→",
    "ctrl+up": "ctrl+↑", "ctrl+down": "ctrl+↓",
}  # fmt: skip
_CODES = {name: code for code, name in _NAMES.items()}


def key_name(key: str) -> str:
    """A key as people write it."""
    return _NAMES.get(key, key.replace("ctrl+", "^") if len(key) == 6 and key.startswith("ctrl+") else key)


_MODIFIERS = frozenset({"ctrl", "shift", "alt", "super", "hyper", "meta"})


def is_key(code: str) -> bool:
    """Whether a terminal can send it: a character, a named key or symbol, with or without modifiers."""
    import unicodedata

    from textual.keys import Keys

    *modifiers, last = code.split("+")
    if not last or not _MODIFIERS.issuperset(modifiers):
        return False
    if len(last) == 1 or last in {key.value for key in Keys}:
        return True
    try:
        return bool(unicodedata.lookup(last.replace("_", " ").upper())) or last in _NAMES
    except KeyError:
        return last in _NAMES


def key_code(name: str) -> str:
    """What people write as Textual's name of the key (``+`` → ``plus``, ``esc`` → ``escape``)."""
    name = name.strip()
    if name.startswith("^") and len(name) == 2:
        return f"ctrl+{name[1]}"
    return _CODES.get(name, name)
