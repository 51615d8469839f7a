"""A shell small enough to be simulated: what a container of the simulated runtime does, second by second.

Manifests are tried on the simulated runtime with the commands they were written with. The few words that examples
are made of (echo, sleep, touch, cat, test, exit, loops) are understood here as a pure function of time: given the
script and the seconds since its start, what was printed, which files exist, whether it has ended and how.
Everything else prints nothing and succeeds, or runs for ever when it is the container's own command.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

FOREVER = math.inf
_STEP_LIMIT = 10_000
_QUIET_WORDS = "date mkdir cp mv chmod chown ln grep sed awk cut sort tee wget curl nslookup perl tar"
_QUIET = frozenset(_QUIET_WORDS.split())
"""Commands that print nothing here, succeed and end."""


@dataclass(slots=True)
class Outcome:
    """A script's life up to some instant."""

    lines: list[tuple[float, str]] = field(default_factory=list)
    """(seconds since the start, text) for every line printed."""
    files: dict[str, str] = field(default_factory=dict)
    ends: float = FOREVER
    """Seconds since the start at which it ended, or would."""
    exit_code: int = 0


class _Ended(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


class _Later(Exception):
    """The instant asked about lies before the script's next step."""


class _Script:
    def __init__(self, until: float, env: Mapping[str, str], files: dict[str, str], hostname: str) -> None:
        self.until = until
        self.env = dict(env)
        self.out = Outcome(files=files)
        self.time = 0.0
        self.steps = 0
        self.hostname = hostname
        self.unknown = False

    def run(self, text: str) -> int:
        """Run a list of commands; returns the last exit code."""
        code = 0
        for joiner, command in _split(text):
            if (joiner == "&&" and code != 0) or (joiner == "||" and code == 0):
                continue
            code = self.command(command)
        return code

    def command(self, text: str) -> int:
        self.steps += 1
        if self.steps > _STEP_LIMIT:
            raise _Later
        loop = re.fullmatch(r"while\s+(.*?)\s*;\s*do\s+(.*?)\s*;?\s*done", text, re.DOTALL)
        if loop:
            code = 0
            while self.run(loop[1]) == 0:
                before = self.time
                code = self.run(loop[2])
                if self.time == before or (self.until == FOREVER and loop[1] in ("true", ":")):
                    raise _Later  # a busy loop, or one that nothing but an exit inside could have ended
            return code
        try:
            words = shlex.split(text, comments=True)
        except ValueError:
            return 2
        target, append = "", False
        if len(words) >= 2 and words[-2] in (">", ">>"):
            target, append = words[-1], words[-2] == ">>"
            words = words[:-2]
        words = [self.expand(word) for word in words if not re.fullmatch(r"[12]?>(&\d|/dev/null)", word)]
        if not words:
            return 0
        self.unknown = False
        output, code = self.builtin(words)
        if target and target not in ("/dev/null", "/dev/stdout", "/dev/stderr"):
            old = self.out.files.get(target, "") if append else ""
            self.out.files[target] = old + output
        elif output and target != "/dev/null":
            for line in output.removesuffix("\n").split("\n"):
                self.out.lines.append((self.time, line))
        return code

    def expand(self, word: str) -> str:
        word = re.sub(
            r"\$\((date|hostname)[^)]*\)", lambda found: self.hostname if found[1] == "hostname" else "", word
        )
        return re.sub(
            r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?",
            lambda found: self.hostname if found[1] == "HOSTNAME" else self.env.get(found[1], ""),
            word,
        )

    def builtin(self, words: list[str]) -> tuple[str, int]:
        name, rest = words[0].rpartition("/")[2], words[1:]
        files = self.out.files
        match name:
            case "sh" | "bash" | "ash":
                script = shell_script(words)
                return ("", self.run(script)) if script is not None else ("", 0)
            case "sleep":
                self.sleep(rest[0] if rest else "0")
            case "exit":
                raise _Ended(int(rest[0]) & 255 if rest and rest[0].isdigit() else 0)
            case "echo":
                newline = "\n"
                if rest and rest[0] in ("-n", "-e", "-ne", "-en"):
                    newline = "" if "n" in rest[0] else "\n"
                    rest = rest[1:]
                return " ".join(rest) + newline, 0
            case "printf":
                return (rest[0].replace("\\n", "\n") if rest else ""), 0
            case "true" | ":" | "set" | "export" | "cd" | "sync" | "wait":
                return "", 0
            case "false":
                return "", 1
            case "touch":
                for path in rest:
                    if not path.startswith("-"):
                        files.setdefault(path, "")
            case "rm":
                paths = [path for path in rest if not path.startswith("-")]
                gone = [path for path in paths if files.pop(path, None) is None]
                force = any("f" in option for option in rest if option.startswith("-"))
                return "", 1 if gone and not force else 0
            case "cat":
                missing = [path for path in rest if path not in files]
                if missing:
                    return f"cat: can't open '{missing[0]}': No such file or directory\n", 1
                return "".join(files[path] for path in rest), 0
            case "ls":
                missing = [
                    path for path in rest if path not in files and path.startswith("/") and len(path) > 1
                ]
                if missing and not any(path.startswith(missing[0].rstrip("/") + "/") for path in files):
                    return f"ls: {missing[0]}: No such file or directory\n", 1
                folder = (rest[0] if rest else "/").rstrip("/") + "/"
                seen = {path.removeprefix(folder).split("/")[0] for path in files if path.startswith(folder)}
                return "".join(f"{entry}\n" for entry in sorted(seen)), 0
            case "test" | "[":
                operands = [word for word in rest if word != "]"]
                if len(operands) == 2 and operands[0] in ("-e", "-f"):
                    return "", 0 if operands[1] in files else 1
                if len(operands) == 3 and operands[1] in ("=", "=="):
                    return "", 0 if operands[0] == operands[2] else 1
                return "", 0
            case "env" | "printenv":
                if rest:
                    value = self.env.get(rest[0])
                    return (f"{value}\n", 0) if value is not None else ("", 1)
                return "".join(f"{key}={value}\n" for key, value in self.env.items()), 0
            case "hostname":
                return self.hostname + "\n", 0
            case "pwd":
                return "/\n", 0
            case "id" | "whoami":
                return ("root\n" if name == "whoami" else "uid=0(root) gid=0(root)\n"), 0
            case _:
                self.unknown = name not in _QUIET
        return "", 0

    def sleep(self, text: str) -> None:
        units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
        if text in ("infinity", "inf"):
            raise _Later
        try:
            seconds = float(text[:-1]) * units[text[-1]] if text[-1:] in units else float(text)
        except ValueError:
            seconds = 0.0
        if self.time + seconds > self.until:
            raise _Later
        self.time += seconds


def _split(text: str) -> list[tuple[str, str]]:
    """Cut a script at ``;``, newlines, ``&&`` and ``||`` outside quotes and loops: [(joiner before, command)]."""
    parts: list[tuple[str, str]] = []
    joiner, start, depth, quote, index = "", 0, 0, "", 0
    while index < len(text):
        char = text[index]
        if quote:
            if char == "\\" and quote == '"':
                index += 1
            elif char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char.isalpha():
            end = index
            while end < len(text) and (text[end].isalnum() or text[end] in "_-"):
                end += 1
            word = text[index:end]
            depth += {"while": 1, "done": -1}.get(word, 0)
            index = end
            continue
        elif depth == 0 and (char in ";\n" or text[index : index + 2] in ("&&", "||")):
            width = 1 if char in ";\n" else 2
            if text[start:index].strip():
                parts.append((joiner, text[start:index].strip()))
            joiner = "" if width == 1 else text[index : index + 2]
            index += width
            start = index
            continue
        index += 1
    if text[start:].strip():
        parts.append((joiner, text[start:].strip()))
    return parts


def shell_script(command: Sequence[str]) -> str | None:
    """The script of ``sh -c SCRIPT``, or None for any other command."""
    if command and command[0].rpartition("/")[2] in ("sh", "bash", "ash"):
        for index, word in enumerate(command[1:], 1):
            if word.startswith("-") and "c" in word and index + 1 < len(command):
                return command[index + 1]
    return None


def play(
    command: Sequence[str],
    *,
    until: float = FOREVER,
    env: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    hostname: str = "",
    service: bool = False,
) -> Outcome:
    """What ``command`` has done ``until`` seconds after its start.

    ``service``: the command is a container's own; one that is not understood is a server and runs for ever.
    """
    script = _Script(until, env or {}, dict(files or {}), hostname)
    try:
        text = shell_script(command)
        code = script.run(text) if text is not None else script.command(shlex.join(command))
        if service and script.unknown:
            return script.out
    except _Later:
        return script.out
    except _Ended as ended:
        code = ended.code
    script.out.ends = script.time
    script.out.exit_code = code
    return script.out
