"""Taking nodes out of service: cordon, drain with progress, uncordon."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from kubetui.commands.undo import perform, unless
from kubetui.context import Context, Ref
from kubetui.journal import UndoStep
from kubetui.live.client import KubeClient
from kubetui.live.discovery import PODS
from kubetui.live.errors import ApiError
from kubetui.live.lines import Line, line
from kubetui.live.objects import Obj, annotations_of, controller_of, name_of, namespace_of, uid_of
from kubetui.live.text import clean
from kubetui.screens.dialogs import Choice, Confirm
from kubetui.screens.text import TextScreen

DRAIN_TIMEOUT = 600.0
MIRROR = "kubernetes.io/config.mirror"


async def _set(context: Context, unschedulable: bool) -> None:
    word = "cordon" if unschedulable else "uncordon"
    back = "uncordon" if unschedulable else "cordon"
    for ref in context.refs:
        path = ref.path
        undo = UndoStep(
            f"Undo: {word} {ref.name}",
            [("spec.unschedulable", unschedulable, not unschedulable)],
            f"kubectl {back} {ref.name}",
            lambda client, path=path: client.patch(path, {"spec": {"unschedulable": not unschedulable}}),  # type: ignore[misc]
            unless(ref, ("spec", "unschedulable"), unschedulable),
            act=context,
        )
        await perform(
            context.app,
            f"kubectl {word} {ref.name}",
            lambda client, path=path: client.patch(path, {"spec": {"unschedulable": unschedulable}}),  # type: ignore[misc]
            undo,
        )


async def cordon(context: Context) -> None:
    """No new pods."""
    await _set(context, True)


async def uncordon(context: Context) -> None:
    """Pods again."""
    await _set(context, False)


def to_evict(pods: list[Obj]) -> tuple[list[Obj], list[Obj]]:
    """(pods to evict, pods that stay): DaemonSet, mirror and finished pods stay, as ``kubectl drain`` has it."""
    going, staying = [], []
    for pod in pods:
        owner = controller_of(pod) or {}
        finished = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if owner.get("kind") == "DaemonSet" or MIRROR in annotations_of(pod):
            staying.append(pod)
        elif finished or not (pod.get("metadata") or {}).get("deletionTimestamp"):
            going.append(pod)
    return going, staying


async def drain(context: Context) -> None:
    """Cordon, then evict pod by pod; a disruption budget is waited for."""
    app, ref = context.app, context.ref
    target = replace(PODS, field_selector=f"spec.nodeName={ref.name}")

    async def read(client: KubeClient) -> list[Obj]:
        return [item async for page in client.pages(target) for item in page.get("items") or ()]

    going, staying = to_evict(await app.read(read))
    bare = [p for p in going if controller_of(p) is None]
    lines = [line(f"{len(going)} pods will be evicted, {len(staying)} of DaemonSets stay.")]
    if bare:
        lines.append(line(f"{len(bare)} pods have no controller and will not come back:", "warn"))
        lines += [line(f"  {clean(namespace_of(p))}/{clean(name_of(p))}", "warn") for p in bare[:10]]
    choices = [Choice("Drain", "yes")]
    name = ref.name if bare else ""
    if (
        await app.ask(Confirm(f"Drain {ref.name}?", "", choices, lines=lines, type_name=name, danger=True))
        is None
    ):
        return
    await cordon(context)
    status: dict[str, tuple[str, str]] = {uid_of(p): ("waiting", "dim") for p in going}

    def produce() -> list[Line]:
        done = sum(1 for s, _ in status.values() if s == "gone")
        rows = [line(), Line(((f" {done} of {len(going)} pods are gone", "strong"),)), line()]
        for pod in going:
            word, style = status[uid_of(pod)]
            label = f"{clean(namespace_of(pod))}/{clean(name_of(pod))}"
            rows.append(Line(((f"   {label:<60.60} ", "text"), (clean(word), style))))
        return rows

    app.log_command(f"kubectl drain {ref.name} --ignore-daemonsets --delete-emptydir-data --force")
    screen = TextScreen(f"drain {clean(ref.name)}", produce, refs=[ref], each_second=True)
    app.open_screen(screen)
    deadline = app.clock() + DRAIN_TIMEOUT
    await asyncio.gather(*(_evict(context, pod, status, deadline) for pod in going))
    if screen.is_mounted:
        screen.redraw()
    left = sum(1 for s, _ in status.values() if s != "gone")
    app.say(f"{ref.name} is drained." if not left else f"{left} pods are still on {ref.name}.")


async def _evict(context: Context, pod: Obj, status: dict[str, tuple[str, str]], deadline: float) -> None:
    app, ref = context.app, Ref.of(PODS, {"kind": "Pod", **pod})
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": ref.name, "namespace": ref.namespace},
    }
    status[ref.uid] = ("evicting", "busy")
    while app.clock() < deadline:
        try:
            await app.call(lambda client: client.create(ref.sub("eviction"), body))
            break
        except ApiError as error:
            if error.code == 404:
                status[ref.uid] = ("gone", "ok")
                return
            if error.code != 429:
                status[ref.uid] = (error.message, "bad")
                return
            status[ref.uid] = (f"waiting: {error.message}", "warn")
            await asyncio.sleep(2)
        except OSError as error:
            status[ref.uid] = (f"trying again: {error}", "warn")
            await asyncio.sleep(2)
    status[ref.uid] = ("terminating", "busy")
    while app.clock() < deadline:
        try:
            live = await app.call(lambda client: client.get(ref.path))
        except ApiError as error:
            if error.code == 404:
                status[ref.uid] = ("gone", "ok")
                return
            status[ref.uid] = (error.message, "bad")
            return
        except OSError as error:
            status[ref.uid] = (f"trying again: {error}", "warn")
            await asyncio.sleep(2)
            continue
        if uid_of(live) != ref.uid:
            status[ref.uid] = ("gone", "ok")
            return
        await asyncio.sleep(1)
