"""The user's configuration: ``$XDG_CONFIG_HOME/kubetui/config.yaml``.

Nothing in it can keep the terminal from starting: what cannot be understood is reported with its line and the default
is used instead.

    theme: nord                       # any of Textual's, or one of `themes`
    keys: {scale-up: ["+", "="]}      # any action id; key names as in the help
    aliases: {dp: deployments, front: "pods web -l tier=front"}
    columns: {pods: [NAME, READY, STATUS, "LABEL:.metadata.labels.tier"]}
    protected-namespaces: [kube-system, prod]
    themes: {mine: {dark: true, primary: "#88c0d0", …}}
    plugins: {stern: {key: "ctrl+o", kinds: [Deployment], command: "stern -n $NAMESPACE $NAME", description: Stern}}
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubetui.actions import ACTIONS
from kubetui.keys import is_key, key_code
from kubetui.live.columns import column_problem

if TYPE_CHECKING:
    import yaml


@dataclass(frozen=True, slots=True)
class Plugin:
    """A command of the user's, run with the fields of the selected object in its environment."""

    name: str
    key: str
    kinds: frozenset[str]
    command: str
    description: str
    confirm: bool
    background: bool


@dataclass(slots=True)
class Config:
    """The configuration with its problems."""

    theme: str = ""
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    columns: dict[str, list[str]] = field(default_factory=dict)
    protected: frozenset[str] = frozenset({"kube-system"})
    themes: dict[str, dict[str, Any]] = field(default_factory=dict)
    plugins: list[Plugin] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def config_path() -> Path:
    """Where the configuration is looked for."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "kubetui" / "config.yaml"


def state_path() -> Path:
    """Where the layout is remembered."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "kubetui" / "terminal.json"


def load_config(path: Path) -> Config:
    """Read a configuration file; a file that does not exist is an empty one."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        return Config(problems=[f"{path}: {error}"])
    return parse_config(text, str(path))


def parse_config(text: str, name: str) -> Config:
    """Parse configuration text; problems name ``name`` and the line."""
    import yaml

    config = Config()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        config.problems.append(f"{name}:{line}: {error.problem or 'not YAML'}; defaults are used")
        return config
    if root is None:
        return config
    if not isinstance(root, yaml.MappingNode):
        config.problems.append(f"{name}:1: expected a mapping of settings; defaults are used")
        return config
    for key_node, value_node in root.value:
        line = key_node.start_mark.line + 1
        key = str(key_node.value)
        value = _plain(value_node)
        reader = _READERS.get(key)
        if reader is None:
            config.problems.append(f"{name}:{line}: unknown setting {key!r}")
            continue
        for offset, problem in reader(config, value):
            place = value_node.start_mark.line + 1 if value_node.start_mark.line + 1 > line else line
            found = _line_of(value_node, offset) or place
            config.problems.append(f"{name}:{found}: {key}: {problem}")
    return config


def _plain(node: yaml.Node) -> Any:
    import yaml

    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    except yaml.YAMLError:
        return None
    finally:
        loader.dispose()


def _line_of(node: yaml.Node, key: str) -> int | None:
    import yaml

    if isinstance(node, yaml.MappingNode):
        for key_node, _ in node.value:
            if str(key_node.value) == key:
                return int(key_node.start_mark.line) + 1
    return None


Problems = Iterable[tuple[str, str]]


def _theme(config: Config, value: Any) -> Problems:
    if not isinstance(value, str):
        yield "", "expected a name"
    else:
        config.theme = value


def _keys(config: Config, value: Any) -> Problems:
    if not isinstance(value, dict):
        yield "", "expected action: key"
        return
    known = {action.id for action in ACTIONS}
    for action, keys in value.items():
        wanted = [keys] if isinstance(keys, str) else keys
        if action not in known:
            yield str(action), f"there is no action {action!r}"
        elif not isinstance(wanted, list) or not all(isinstance(k, str) and k for k in wanted):
            yield str(action), f"{action}: expected a key or a list of keys"
        else:
            codes = [key_code(k) for k in wanted]
            for key in (k for k, code in zip(wanted, codes, strict=True) if not is_key(code)):
                yield str(action), f"{action}: there is no key {key!r}"
            known_codes = tuple(code for code in codes if is_key(code))
            if known_codes or not wanted:
                config.keys[action] = known_codes


def _aliases(config: Config, value: Any) -> Problems:
    if not isinstance(value, dict):
        yield "", "expected name: command"
        return
    for name, command in value.items():
        if isinstance(command, str):
            config.aliases[str(name)] = command
        else:
            yield str(name), f"{name}: expected text"


def _columns(config: Config, value: Any) -> Problems:
    if not isinstance(value, dict):
        yield "", "expected kind: [columns]"
        return
    for kind, columns in value.items():
        if isinstance(columns, list) and all(isinstance(c, str) for c in columns):
            good = [c for c in columns if not column_problem(c)]
            yield from ((str(kind), f"{kind}: {column_problem(c)}") for c in columns if c not in good)
            config.columns[str(kind)] = good
        else:
            yield str(kind), f"{kind}: expected a list of column titles or TITLE:.json.path"


def _protected(config: Config, value: Any) -> Problems:
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        config.protected = frozenset(value)
    else:
        yield "", "expected a list of namespaces"


def _themes(config: Config, value: Any) -> Problems:
    if not isinstance(value, dict):
        yield "", "expected name: colours"
        return
    from kubetui.themes import theme_problem

    for name, colors in value.items():
        good = {}
        for key, wanted in colors.items() if isinstance(colors, dict) else ():
            problem = theme_problem(str(key), wanted)
            if problem:
                yield str(name), f"{name}: {problem}"
            else:
                good[str(key)] = wanted
        if "primary" in good:
            config.themes[str(name)] = good
        else:
            yield str(name), f"{name}: needs at least a colour for primary"


def _plugins(config: Config, value: Any) -> Problems:
    if not isinstance(value, dict):
        yield "", "expected name: {key, command}"
        return
    for name, found in value.items():
        if not isinstance(found, dict) or not isinstance(found.get("command"), str):
            yield str(name), f"{name}: needs a command"
            continue
        if not is_key(key_code(str(found.get("key") or ""))):
            yield str(name), f"{name}: there is no key {found.get('key')!r}"
            continue
        config.plugins.append(
            Plugin(
                str(name),
                key_code(str(found.get("key") or "")),
                frozenset(str(k) for k in found.get("kinds") or ("*",)),
                found["command"],
                str(found.get("description") or name),
                bool(found.get("confirm")),
                bool(found.get("background")),
            )
        )


_READERS = {
    "theme": _theme,
    "keys": _keys,
    "aliases": _aliases,
    "columns": _columns,
    "protected-namespaces": _protected,
    "themes": _themes,
    "plugins": _plugins,
}
