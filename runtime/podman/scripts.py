"""A shell small enough to be simulated: what a container of the simulated runtime does, second by second.

Manifests are tried on the simulated runtime with the commands they were written with. The few words that examples
are made of (echo, sleep, touch, cat, test, exit, loops) are understood here as a pure function of time: given the
script and the seconds since its start, what was printed where, which files exist, whether it has ended and how.
Everything else prints nothing and succeeds, or runs for ever when it is the container's own command.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

FOREVER = math.inf
_STEP_LIMIT = 10_000
_QUIET_WORDS = "mkdir cp mv chmod chown ln grep sed awk cut sort tee wget curl nslookup perl tar"
_QUIET = frozenset(_QUIET_WORDS.split())
"""Commands that print nothing here, succeed and end."""
_PRINTS = re.compile(r"\b(?:cat|date|echo|env|hostname|id|ls|printenv|printf|pwd|seq|uptime|whoami)\b")
_REDIRECTION = re.compile(r"([012&]?)(>>?)(.*)")
_NOWHERE = "/dev/null"
_LOOP = re.compile(r"while\s+(.*?)\s*[;\n]\s*do\s+(.*?)\s*;?\s*done", re.DOTALL)
_EACH = re.compile(r"for\s+(\w+)\s+in\s+(.*?)\s*[;\n]\s*do\s+(.*?)\s*;?\s*done", re.DOTALL)
_SEQUENCE = re.compile(r"\$\(\s*(seq\s[^()]*)\)")
UNKNOWN_START = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Outcome:
    """A script's life up to some instant."""

    lines: list[tuple[float, str]] = field(default_factory=list)
    """(seconds since the start, text) for every line printed."""
    errors: set[int] = field(default_factory=set)
    """Which of the lines went to standard error."""
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
    def __init__(
        self, until: float, env: Mapping[str, str], files: dict[str, str], hostname: str, start: datetime
    ) -> None:
        self.until = until
        self.start = start
        self.complaint = ""
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
        loop = _LOOP.fullmatch(text)
        if loop:
            code = 0
            while self.run(loop[1]) == 0:
                before = self.time
                code = self.run(loop[2])
                if self.time == before or (self.until == FOREVER and loop[1] in ("true", ":")):
                    raise _Later  # a busy loop, or one that nothing but an exit inside could have ended
            return code
        each = _EACH.fullmatch(text)
        if each:
            code = 0
            for value in self.expand(self.substitute(each[2])).split():
                self.env[each[1]] = value
                code = self.run(each[3])
            return code
        try:
            words, places = _redirect(shlex.split(self.substitute(text), comments=True))
        except ValueError:
            return 2
        words = [self.expand(word) for word in words]
        if not words:
            return 0
        self.unknown, self.complaint = False, ""
        output, code = self.builtin(words)
        complaint, self.complaint = self.complaint, ""
        for descriptor, said in ((1, output), (2, complaint)):
            if said:
                self.put(said, *places[descriptor])
        return code

    def put(self, text: str, place: str, append: bool) -> None:
        """Print to ``1`` or ``2``, or into a file."""
        if place == _NOWHERE:
            return
        if place in ("1", "2"):
            for line in text.removesuffix("\n").split("\n"):
                if place == "2":
                    self.out.errors.add(len(self.out.lines))
                self.out.lines.append((self.time, line))
            return
        self.out.files[place] = (self.out.files.get(place, "") if append else "") + text

    def substitute(self, text: str) -> str:
        """What the few commands print that stand inside others as ``$(…)``."""
        text = re.sub(r"\$\(\s*hostname[^()]*\)", lambda found: self.hostname, text)
        text = re.sub(r"\$\(\s*date\b([^()]*)\)", lambda found: self.date(shlex.split(found[1])), text)
        return _SEQUENCE.sub(lambda found: " ".join(_sequence(found[1].split()[1:])), text)

    def expand(self, word: str) -> str:
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
                    self.complaint = f"cat: can't open '{missing[0]}': No such file or directory\n"
                    return "", 1
                return "".join(files[path] for path in rest), 0
            case "ls":
                missing = [
                    path for path in rest if path not in files and path.startswith("/") and len(path) > 1
                ]
                if missing and not any(path.startswith(missing[0].rstrip("/") + "/") for path in files):
                    self.complaint = f"ls: {missing[0]}: No such file or directory\n"
                    return "", 1
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
            case "date":
                return self.date(rest) + "\n", 0
            case "uptime":
                return f" {self.now:%H:%M:%S} up 1 min,  0 users,  load average: 0.00, 0.00, 0.00\n", 0
            case "seq":
                return "".join(f"{number}\n" for number in _sequence(rest)), 0
            case "hostname":
                return self.hostname + "\n", 0
            case "pwd":
                return "/\n", 0
            case "id" | "whoami":
                return ("root\n" if name == "whoami" else "uid=0(root) gid=0(root)\n"), 0
            case _:
                self.unknown = name not in _QUIET
        return "", 0

    @property
    def now(self) -> datetime:
        """What its clock shows."""
        return self.start + timedelta(seconds=self.time)

    def date(self, words: list[str]) -> str:
        """``date``, with a ``+FORMAT`` or without."""
        wanted = next((word[1:] for word in words if word.startswith("+")), "%a %b %e %H:%M:%S UTC %Y")
        return self.now.strftime(wanted.replace("%s", str(int(self.now.timestamp()))))

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


def _redirect(words: list[str]) -> tuple[list[str], dict[int, tuple[str, bool]]]:
    """The words without their redirections, and where descriptors 1 and 2 lead: (place, whether to append)."""
    places = {1: ("1", False), 2: ("2", False)}
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        found = _REDIRECTION.fullmatch(word)
        if found is None:
            kept.append(word)
            continue
        target = found[3] or next(rest, _NOWHERE)
        target = {"/dev/stdout": "&1", "/dev/stderr": "&2"}.get(target, target)
        if target in ("&1", "&2"):
            place = places[int(target[1])]
        else:
            place = (target, found[2] == ">>")
        for descriptor in (1, 2) if found[1] == "&" else (int(found[1] or 1),):
            places[descriptor] = place
    return kept, places


def _sequence(words: list[str]) -> list[str]:
    numbers = [int(word) for word in words if re.fullmatch(r"-?\d+", word)][:3]
    if not numbers:
        return []
    first, step, last = {1: (1, 1, numbers[0]), 2: (numbers[0], 1, numbers[-1])}.get(
        len(numbers), (numbers[0], numbers[len(numbers) // 2], numbers[-1])
    )
    steps = range(first, last + (1 if step > 0 else -1), step) if step else ()
    return [str(number) for number in steps[:_STEP_LIMIT]]


def may_print(command: Sequence[str]) -> bool:
    """Whether there is a word in it that prints something."""
    return _PRINTS.search(" ".join(command)) is not None


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
            depth += {"while": 1, "for": 1, "done": -1}.get(word, 0)
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
    start: datetime = UNKNOWN_START,
    service: bool = False,
) -> Outcome:
    """What ``command`` has done ``until`` seconds after its ``start``.

    ``service``: the command is a container's own; one that is not understood is a server and runs for ever.
    """
    script = _Script(until, env or {}, dict(files or {}), hostname, start)
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
