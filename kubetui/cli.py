"""The command line: what to run, with which options, and one clear line when it can't be done.

Imports are late on purpose: ``kubetui --help`` and the first frame of the terminal must not wait for a control
plane, a Podman client or a terminal library that they do not use.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from runtime import ClusterOptions

COMMANDS = ("serve", "doctor", "down", "backup", "restore", "kubeconfig")

_OVERVIEW = """\
Kubernetes on one workstation, in one terminal.

  kubetui [PATH…]          the terminal, with a cluster inside that follows the manifests in PATH
  kubetui serve [PATH…]    the same cluster without the terminal
  kubetui doctor           what is missing on this machine, and the command that mends it
  kubetui down             remove everything this cluster owns from Podman
  kubetui backup FILE      write the cluster's state to a file, also while it runs
  kubetui restore FILE     put a backup in its place
  kubetui kubeconfig       print the path of the kubeconfig (kubectl --kubeconfig "$(kubetui kubeconfig)" …)

With --context NAME or --kubeconfig FILE the terminal shows any other Kubernetes cluster.
`kubetui COMMAND --help` lists a command's options.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}", file=sys.stderr)
        print(f"Try '{self.prog} --help'.", file=sys.stderr)
        raise SystemExit(2)


def default_state_dir() -> Path:
    """``$XDG_STATE_HOME/kubetui``, or ``~/.local/state/kubetui``."""
    base = os.environ.get("XDG_STATE_HOME") or ""
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "state") / "kubetui"


def _version() -> str:
    try:
        return version("kubetui")
    except PackageNotFoundError:
        return "unknown"


def _positive(text: str) -> int:
    value = int(text) if text.isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _port(text: str) -> int:
    value = int(text) if text.isdigit() else -1
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")
    return value


def _subnet(text: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.IPv4Network(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a subnet such as 10.244.0.0/16: {error}"
        ) from error


def _add_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=default_state_dir(),
        metavar="DIR",
        help="where the cluster's state is kept (default: %(default)s)",
    )


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    _add_state(parser)
    parser.add_argument(
        "--runtime",
        choices=("podman", "simulated"),
        default="podman",
        help="what runs the pods (default: podman)",
    )
    parser.add_argument("--nodes", type=_positive, default=1, metavar="N", help="how many nodes (default: 1)")
    parser.add_argument(
        "--port",
        type=_port,
        default=6443,
        metavar="P",
        help="the API's port; 0 picks a free one (default: 6443)",
    )
    parser.add_argument("--podman-url", default="", metavar="URL", help="the Podman service (unix:///…)")
    parser.add_argument(
        "--pod-subnet",
        type=_subnet,
        metavar="CIDR",
        help="addresses of pods (default: 10.244.0.0/16)",
    )
    parser.add_argument(
        "--service-subnet",
        type=_subnet,
        metavar="CIDR",
        help="addresses of Services (default: 10.96.0.0/16)",
    )
    parser.add_argument(
        "--audit-log", type=Path, metavar="FILE", help="write one line of JSON for each request"
    )


def _parser(command: str) -> argparse.ArgumentParser:
    prog = f"kubetui {command}".strip()
    match command:
        case "":
            parser: argparse.ArgumentParser = _Parser(
                prog="kubetui", description=_OVERVIEW, formatter_class=argparse.RawDescriptionHelpFormatter
            )
            parser.add_argument(
                "paths", nargs="*", type=Path, metavar="PATH", help="manifest files and folders"
            )
            parser.add_argument("--version", action="version", version=f"kubetui {_version()}")
            _add_cluster(parser)
            parser.add_argument("--context", default="", metavar="NAME", help="a cluster of your kubeconfig")
            parser.add_argument("--kubeconfig", default="", metavar="FILE", help="another kubeconfig")
            parser.add_argument(
                "-n", "--namespace", default="", metavar="NS", help="the namespace to begin with"
            )
            parser.add_argument(
                "--read-only", action="store_true", help="offer nothing that changes anything"
            )
        case "serve":
            parser = _Parser(prog=prog, description="The cluster without the terminal.")
            parser.add_argument(
                "paths", nargs="*", type=Path, metavar="PATH", help="manifest files and folders"
            )
            _add_cluster(parser)
        case "doctor":
            parser = _Parser(prog=prog, description="What is missing on this machine, and how to mend it.")
            _add_state(parser)
            parser.add_argument(
                "--podman-url", default="", metavar="URL", help="the Podman service (unix:///…)"
            )
        case "down":
            parser = _Parser(
                prog=prog, description="Remove every pod, container and network of this cluster from Podman."
            )
            _add_state(parser)
            parser.add_argument(
                "--podman-url", default="", metavar="URL", help="the Podman service (unix:///…)"
            )
            parser.add_argument("--volumes", action="store_true", help="its volumes, and its state, too")
        case "backup" | "restore":
            what = (
                "Write the cluster's state to FILE."
                if command == "backup"
                else "Put FILE in the state's place."
            )
            parser = _Parser(prog=prog, description=what)
            parser.add_argument("file", type=Path, metavar="FILE")
            _add_state(parser)
        case _:
            parser = _Parser(prog=prog, description="Print the path of the cluster's kubeconfig.")
            _add_state(parser)
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns 0 when it is done and 1 when it failed, with one line on stderr. Wrong usage raises SystemExit(2).
    """
    command = arguments[0] if arguments and arguments[0] in COMMANDS else ""
    options = _parser(command).parse_args(arguments[1:] if command else arguments)
    if hasattr(options, "state_dir"):
        options.state_dir = options.state_dir.expanduser().absolute()
    try:
        match command:
            case "":
                return _terminal(options)
            case "serve":
                return _serve(options)
            case "kubeconfig":
                return _kubeconfig(options)
            case _:
                return _maintain(command, options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; that is no failure of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except PermissionError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else error)


def _fail(message: object) -> int:
    print(f"kubetui: {message}", file=sys.stderr)
    return 1


def _cluster_options(options: argparse.Namespace) -> ClusterOptions:
    from runtime import ClusterOptions

    return ClusterOptions(
        state_dir=options.state_dir,
        runtime=options.runtime,
        nodes=options.nodes,
        port=options.port,
        podman_url=options.podman_url,
        paths=tuple(options.paths),
        pod_subnet=options.pod_subnet or "",
        service_subnet=options.service_subnet or "",
        audit_log=options.audit_log,
    )


def _missing_path(paths: Sequence[Path]) -> str:
    for path in paths:
        if not path.exists():
            return f"{path}: no such file or folder"
    return ""


def _serve(options: argparse.Namespace) -> int:
    if missing := _missing_path(options.paths):
        return _fail(missing)
    from runtime import ClusterError, serve

    try:
        return serve(_cluster_options(options))
    except ClusterError as error:
        return _fail(error)


def _terminal(options: argparse.Namespace) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _fail("the terminal needs a terminal; `kubetui serve` runs the cluster without one")
    from kubetui.launch import launch

    if options.context or options.kubeconfig:
        if options.paths:
            return _fail("PATH goes with kubetui's own cluster, not with --context or --kubeconfig")
        return launch(None, options)
    if missing := _missing_path(options.paths):
        return _fail(missing)
    return launch(lambda: _cluster_options(options), options)


def _kubeconfig(options: argparse.Namespace) -> int:
    path = options.state_dir / "kubeconfig"
    if not path.exists():
        return _fail(f"{path} does not exist yet; `kubetui` and `kubetui serve` write it")
    print(path)
    return 0


def _maintain(command: str, options: argparse.Namespace) -> int:
    import runtime

    try:
        match command:
            case "doctor":
                lines, healthy = runtime.doctor(options.state_dir, options.podman_url)
                print("\n".join(lines))
                return 0 if healthy else 1
            case "down":
                for line in runtime.down(options.state_dir, options.podman_url, volumes=options.volumes):
                    print(line)
            case "backup":
                print(runtime.backup(options.state_dir, options.file))
            case _:
                print(runtime.restore(options.state_dir, options.file))
    except runtime.ClusterError as error:
        return _fail(error)
    return 0
