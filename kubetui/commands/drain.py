"""Draining nodes: cordoned first, then evicted pod by pod as disruption budgets allow, until done or stopped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from kubetui.commands.nodes import cordon
from kubetui.context import Context, Ref
from kubetui.live.client import KubeClient
from kubetui.live.discovery import PODS
from kubetui.live.errors import ApiError
from kubetui.live.lines import Line, line
from kubetui.live.objects import Obj, annotations_of, controller_of, dig, name_of, namespace_of, uid_of
from kubetui.live.text import clean, plural
from kubetui.screens.dialogs import Choice, Confirm
from kubetui.screens.text import TextScreen

DRAIN_TIMEOUT = 600.0
AGAIN_SECONDS = 2.0  # between two tries to evict, as kubectl waits 5
MIRROR = "kubernetes.io/config.mirror"


def to_evict(pods: list[Obj]) -> tuple[list[Obj], list[Obj]]:
    """(pods to evict, pods that stay): those of DaemonSets and mirror pods stay, as ``kubectl drain`` has it."""
    going, staying = [], []
    for pod in pods:
        owner = controller_of(pod) or {}
        finished = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if owner.get("kind") == "DaemonSet" or MIRROR in annotations_of(pod):
            staying.append(pod)
        elif finished or not (pod.get("metadata") or {}).get("deletionTimestamp"):
            going.append(pod)
    return going, staying


class DrainScreen(TextScreen):
    """The pods that have to go and how far each is. Leaving it does not stop the drain."""

    def __init__(self, refs: Sequence[Ref], going: Sequence[Obj]) -> None:
        title = refs[0].name if len(refs) == 1 else plural(len(refs), "node")
        super().__init__(f"drain {clean(title)}", self.describe, places=("drain", "text"), each_second=True)
        self.nodes = list(refs)
        self.going = going
        self.states: dict[str, tuple[str, str]] = {uid_of(p): ("waiting", "dim") for p in going}
        self.stops = {ref.name: asyncio.Event() for ref in refs}
        self.ended = False

    @property
    def gone(self) -> int:
        """How many pods are gone."""
        return sum(1 for word, _ in self.states.values() if word == "gone")

    def describe(self) -> Sequence[Line]:
        """One line for each pod."""
        head = [(f" {self.gone} of {len(self.going)} pods are gone", "strong")]
        if self.ended and self.gone < len(self.going):
            head.append(("   the others stay", "warn"))
        rows = [line(), Line(tuple(head)), line()]
        for pod in self.going:
            word, style = self.states[uid_of(pod)]
            label = f"{clean(namespace_of(pod))}/{clean(name_of(pod))}"
            rows.append(Line(((f"   {label:<60.60} ", "text"), (clean(word), style))))
        return rows

    def stop(self) -> None:
        """Evict nothing more; what has been evicted goes on terminating."""
        for event in self.stops.values():
            event.set()


async def drain(context: Context) -> None:
    """Cordon, then evict pod by pod; a disruption budget is waited for."""
    app, refs = context.app, context.refs

    async def read(client: KubeClient) -> list[Obj]:
        targets = [replace(PODS, field_selector=f"spec.nodeName={ref.name}") for ref in refs]
        return [p for t in targets async for page in client.pages(t) for p in page.get("items") or ()]

    going, staying = to_evict(await app.read(read))
    bare = [p for p in going if controller_of(p) is None]
    stay = f", {plural(len(staying), 'pod')} of DaemonSets stay{'s' * (len(staying) == 1)}" if staying else ""
    lines = [line(f"{plural(len(going), 'pod')} will be evicted{stay}.")]
    if bare:
        have = "pod has no controller" if len(bare) == 1 else "pods have no controller"
        lines.append(line(f"{len(bare)} {have} and will not come back:", "warn"))
        lines += [line(f"  {clean(namespace_of(p))}/{clean(name_of(p))}", "warn") for p in bare[:10]]
    title = f"Drain {refs[0].name}?" if len(refs) == 1 else f"Drain {len(refs)} nodes?"
    if len(refs) > 1:
        lines = [*(line(clean(ref.name)) for ref in refs), line(), *lines]
    name = refs[0].name if bare else ""
    choices = [Choice("Drain", "yes")]
    if await app.ask(Confirm(title, "", choices, lines=lines, type_name=name, danger=True)) is None:
        return
    await cordon(context)
    force = " --force" if bare else ""
    for ref in refs:
        app.log_command(f"kubectl drain {ref.name} --ignore-daemonsets --delete-emptydir-data{force}")
    screen = DrainScreen(refs, going)
    app.open_screen(screen)
    watching = asyncio.create_task(_watch_nodes(context, screen))
    try:
        deadline = app.clock() + DRAIN_TIMEOUT
        await asyncio.gather(*(_Eviction(context, pod, screen, deadline).run() for pod in going))
    finally:
        watching.cancel()
    screen.ended = True
    if screen.is_mounted:
        screen.redraw()
    what = refs[0].name if len(refs) == 1 else plural(len(refs), "node")
    left = len(going) - screen.gone
    if not left:
        app.say(f"{what} {'is' if len(refs) == 1 else 'are'} drained.")
    else:
        app.say(f"{plural(left, 'pod')} {'is' if left == 1 else 'are'} still on {what}.")


async def stop_drain(context: Context) -> None:
    """Stop the drain that is shown; its nodes stay cordoned."""
    screen = context.app.key_screen
    if isinstance(screen, DrainScreen) and not screen.ended:
        screen.stop()
        key = context.app.registry.key_text("uncordon")
        context.app.say(f"Nothing more is evicted. Its nodes take no pods until they are uncordoned ({key}).")


async def _watch_nodes(context: Context, screen: DrainScreen) -> None:
    """A node that takes pods again, because somebody took the cordon back, is not drained any further."""
    while True:
        await asyncio.sleep(AGAIN_SECONDS)
        for ref in screen.nodes:
            with contextlib.suppress(ApiError, OSError):
                node = await context.app.call(lambda client, path=ref.path: client.get(path))  # type: ignore[misc]
                if not dig(node, "spec", "unschedulable", default=False):
                    screen.stops[ref.name].set()


class _Eviction:
    """One pod on its way."""

    def __init__(self, context: Context, pod: Obj, screen: DrainScreen, deadline: float) -> None:
        self.app = context.app
        self.ref = Ref.of(PODS, {"kind": "Pod", **pod})
        self.screen = screen
        self.stopped = screen.stops[str(dig(pod, "spec", "nodeName"))]
        self.deadline = deadline

    def say(self, word: str, style: str) -> None:
        self.screen.states[self.ref.uid] = (word, style)

    async def run(self) -> None:
        """Evict it, then wait until it is gone."""
        self.say("evicting", "busy")
        if not await self._until(self._evict, self.stopped):
            self.say("stays: the drain was stopped" if self.stopped.is_set() else "stays", "warn")
        elif self.screen.states[self.ref.uid][0] == "terminating":
            await self._until(self._see, asyncio.Event())

    async def _until(self, attempt: Callable[[], Awaitable[bool]], stopped: asyncio.Event) -> bool:
        """Try again and again; False when time is up or it is stopped first."""
        while self.app.clock() < self.deadline and not stopped.is_set():
            try:
                if await attempt():
                    return True
            except OSError as error:
                self.say(f"trying again: {error}", "warn")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_SECONDS):
                    await stopped.wait()
        return False

    async def _evict(self) -> bool:
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": self.ref.name, "namespace": self.ref.namespace},
        }
        try:
            await self.app.call(lambda client: client.create(self.ref.sub("eviction"), body))
        except ApiError as error:
            if error.code == 429:
                self.say(f"waiting: {error.message}", "warn")
                return False
            self.say("gone", "ok") if error.code == 404 else self.say(error.message, "bad")
            return True
        self.say("terminating", "busy")
        return True

    async def _see(self) -> bool:
        try:
            live = await self.app.call(lambda client: client.get(self.ref.path))
        except ApiError as error:
            self.say("gone", "ok") if error.code == 404 else self.say(error.message, "bad")
            return True
        if uid_of(live) != self.ref.uid:
            self.say("gone", "ok")
            return True
        return False
