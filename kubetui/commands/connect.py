"""Into the cluster: a shell in a container, attach, port-forwards."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kubetui.commands.edit import give_terminal
from kubetui.commands.view import choose_container, full, one_pod
from kubetui.context import Context, Ref
from kubetui.live.client import KubeClient
from kubetui.live.discovery import PODS
from kubetui.live.forwards import Forward, Forwards
from kubetui.live.health import pod_view
from kubetui.live.lines import Line, line
from kubetui.live.objects import Obj, dig, name_of, namespace_of
from kubetui.live.selection import selector_text
from kubetui.live.streams import Ended, ExecStream
from kubetui.live.text import clean
from kubetui.screens.dialogs import Choice, Picker, Prompt
from kubetui.screens.text import TextScreen

# The best shell that is there; every image with a shell has sh.
SHELL = (
    "/bin/sh",
    "-c",
    "TERM=${TERM:-xterm-256color}; export TERM; exec $(command -v bash || command -v ash || echo sh)",
)


async def shell(context: Context) -> None:
    """A shell in a container, in a real terminal."""
    await _session(context, "exec", SHELL)


async def attach(context: Context) -> None:
    """The container's own process; ctrl+p ctrl+q leaves it running."""
    await _session(context, "attach", ())


async def _session(context: Context, kind: str, command: Sequence[str]) -> None:
    app = context.app
    pod = await one_pod(context)
    if pod is None or pod.obj is None:
        app.fail(f"{context.ref.word} has no pod.")
        return
    container = await choose_container(context, pod.obj, f"{kind.capitalize()} in {pod.name}")
    if container is None:
        return
    want_tty = True
    if kind == "attach":
        specs = dig(pod.obj, "spec", "containers", default=[])
        want_tty = any(c.get("tty") for c in specs if c.get("name") == container)
    tail = " -- sh" if kind == "exec" else ""
    app.log_command(f"kubectl {kind} -it {pod.name} -c {container}{pod.flags}{tail}")
    received = Output()
    path = pod.sub(kind)
    stream = await app.read(
        lambda client: ExecStream.open(
            client, path, received, container=container, command=command, tty=want_tty
        )
    )
    leave = ", ctrl+p ctrl+q leaves" if kind == "attach" else ""
    title = f"kubetui: {pod.name}/{container}   (exit or ctrl+d ends it{leave})"
    loop = app.connection.loop
    ahead = app.take_typed().encode()
    result: Ended = await give_terminal(context, lambda: run_terminal(loop, stream, received, title, ahead))
    if result.code and result.message:
        app.fail(result.message)
    elif result.code:
        app.say(f"It ended with exit code {result.code}.")


class Output:
    """Writes what arrives straight to the terminal; what came too early is kept until the screen is free."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._early: list[bytes] = []

    def __call__(self, channel: int, data: bytes) -> None:
        """On the network thread."""
        if self._descriptor is None:
            self._early.append(data)
        else:
            write_all(self._descriptor, data)

    def attach(self, descriptor: int) -> None:
        """The terminal is ours now."""
        for data in self._early:
            write_all(descriptor, data)
        self._early.clear()
        self._descriptor = descriptor


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything, also to a descriptor that does not block."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            select.select([], [descriptor], [], 1)


def run_terminal(
    loop: asyncio.AbstractEventLoop, stream: ExecStream, output: Output, title: str, ahead: bytes = b""
) -> Ended:
    """Connect this process's terminal with a stream until the stream ends. Blocks; the screen must be suspended.

    ``ahead`` was typed while it was being opened.
    """
    source, sink = sys.__stdin__, sys.__stdout__
    if source is None or sink is None or not source.isatty():
        output.attach(sink.fileno() if sink is not None else 1)
        return asyncio.run_coroutine_threadsafe(stream.run(), loop).result()
    descriptor = source.fileno()
    before = termios.tcgetattr(descriptor)
    sink.write(f"\x1b[2m{title}\x1b[0m\r\n")
    sink.flush()
    wake_read, wake_write = os.pipe()

    def resize(*_: object) -> None:
        size = os.get_terminal_size(descriptor)
        asyncio.run_coroutine_threadsafe(stream.resize(size.columns, size.lines), loop)

    previous = signal.signal(signal.SIGWINCH, resize)
    try:
        tty.setraw(descriptor)
        output.attach(sink.fileno())
        resize()
        if ahead:
            asyncio.run_coroutine_threadsafe(stream.write(ahead), loop)
        done = asyncio.run_coroutine_threadsafe(stream.run(), loop)
        done.add_done_callback(lambda _: os.write(wake_write, b"x"))
        detach = b""
        while not done.done():
            ready, _, _ = select.select([descriptor, wake_read], [], [])
            if wake_read in ready:
                break
            data = os.read(descriptor, 4096)
            if not data:
                break
            detach = (detach + data)[-2:]
            if detach == b"\x10\x11":  # ctrl+p ctrl+q
                asyncio.run_coroutine_threadsafe(stream.close(), loop).result(5)
                return Ended(0)
            asyncio.run_coroutine_threadsafe(stream.write(data), loop)
        return done.result(5)
    finally:
        signal.signal(signal.SIGWINCH, previous)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        os.close(wake_read)
        os.close(wake_write)
        sink.write("\r\n")  # what is written here next does not continue the container's last line
        sink.flush()


# -- port-forwards -----------------------------------------------------------------------------------------------


def ports_of(obj: Obj) -> list[tuple[str, str]]:
    """(port, description) that an object offers."""
    found = []
    if obj.get("kind") == "Service":
        for port in dig(obj, "spec", "ports", default=[]):
            found.append((str(port.get("port")), str(port.get("name") or port.get("targetPort") or "")))
        return found
    spec = obj.get("spec") or {}
    spec = dig(spec, "template", "spec", default=spec)
    for container in spec.get("containers") or ():
        for port in container.get("ports") or ():
            found.append(
                (str(port.get("containerPort")), f"{container.get('name')} {port.get('name') or ''}".strip())
            )
    return found


def target_port(service: Obj, port: int, pod: Obj) -> int:
    """The pod's port behind a Service's port; a named one is looked up in the pod."""
    for found in dig(service, "spec", "ports", default=[]):
        if found.get("port") == port:
            wanted = found.get("targetPort", port)
            if isinstance(wanted, int):
                return wanted
            for container in dig(pod, "spec", "containers", default=[]):
                for named in container.get("ports") or ():
                    if named.get("name") == wanted:
                        return int(named["containerPort"])
    return port


def finder(ref: Ref, obj: Obj, port: int) -> Any:
    """How to find a ready pod of a pod, workload or Service: by its selector, so that a successor is found too."""
    selector = dig(obj, "spec", "selector", default={})
    if ref.kind == "Service":
        text = selector_text({"matchLabels": selector})
    elif ref.kind == "Pod":
        labels = {k: v for k, v in (dig(obj, "metadata", "labels", default={})).items() if "hash" not in k}
        text = (
            selector_text({"matchLabels": labels})
            if labels and dig(obj, "metadata", "ownerReferences")
            else ""
        )
    else:
        text = selector_text(selector)

    async def find(client: KubeClient) -> tuple[str, str, int] | None:
        if ref.kind == "Pod":
            try:
                pod = await client.get(ref.path)
                if pod_view(pod).health in ("ok", "warn"):
                    return ref.sub("portforward"), ref.name, port
            except Exception:
                if not text:
                    return None
        if not text or text == "<none>":
            return None
        target = replace(PODS, namespace=ref.namespace, label_selector=text)
        pods = [item async for page in client.pages(target) for item in page.get("items") or ()]
        pods = [p for p in pods if pod_view(p).health == "ok"]
        if not pods:
            return None
        pods.sort(key=name_of)
        chosen = pods[0]
        number = target_port(obj, port, chosen) if ref.kind == "Service" else port
        return (
            PODS.item(name_of(chosen), namespace_of(chosen) or ref.namespace, "portforward"),
            name_of(chosen),
            number,
        )

    return find


async def forward(context: Context) -> None:
    """Ask for the ports and listen."""
    app, ref = context.app, context.ref
    obj = ref.obj or await full(context, ref)
    obj.setdefault("kind", ref.kind)
    ports = ports_of(obj)
    first = ports[0][0] if ports else "8080"
    if len(ports) > 1:
        picked = await app.ask(Picker("Port", [Choice(p, p, note) for p, note in ports]))
        if picked is None or not picked.values:
            return
        first = picked.values[0]

    def check(text: str) -> str:
        local, _, remote = text.partition(":")
        good = local.isdigit() and (not remote or remote.isdigit()) and int(local) < 65536
        return "" if good else "Type LOCAL:REMOTE, e.g. 8080:80 (0 for any free local port)."

    suggestion = first if int(first) > 1023 else f"{int(first) + 8000}:{first}"
    text = await app.ask(Prompt(f"Port-forward to {ref.word}", suggestion, "LOCAL:REMOTE", check))
    if text is None:
        return
    local, _, remote = text.partition(":")
    number = int(remote or local)
    if app.forwarding is None:
        app.forwarding = Forwards()
    forwards = app.forwarding
    item = Forward(f"{ref.word}{ref.flags}", int(local), str(number), finder(ref, obj, number))
    app.log_command(f"kubectl port-forward {ref.word} {text}{ref.flags}")
    started = await app.call(lambda client: forwards.start(client, item))
    app.say(f"127.0.0.1:{started.local} leads to {ref.word} port {started.remote}.")


async def forwards(context: Context) -> None:
    """All port-forwards with their state; choose one to stop it."""
    app = context.app
    items = app.forwarding.items if app.forwarding is not None else []
    if not items:

        def produce() -> list[Line]:
            key = app.registry.key_text("forward-port")
            return [
                line(),
                line(f"  There are no port-forwards. {key} on a pod, workload or Service starts one.", "dim"),
            ]

        app.open_screen(TextScreen("port-forwards", produce))
        return
    choices = [
        Choice(
            f"127.0.0.1:{f.local} → {clean(f.title)}:{f.remote}",
            f,
            f"{clean(f.pod)}  {f.connections} open  {f.bytes / 1000:.0f} kB  {clean(f.state)}",
        )
        for f in items
    ]
    picked = await app.ask(Picker("Port-forwards", choices, hint="⏎ stop it   esc leave"))
    if picked is not None and picked.values and app.forwarding is not None:
        chosen, owner = picked.values[0], app.forwarding
        await app.call(lambda client: owner.stop(chosen))
        app.say(f"127.0.0.1:{chosen.local} is closed.")
