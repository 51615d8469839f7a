"""Changing things: scale, roll back, restart, pause, images, labels, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubetui.commands.undo import Work, change_lines, perform, side_by_side, undo_to, unless
from kubetui.commands.view import full
from kubetui.context import Context, Ref
from kubetui.journal import UndoStep
from kubetui.live.client import KubeClient
from kubetui.live.errors import ApiError
from kubetui.live.history import RESTARTED, HistoryEntry, changed_fields, rollback_patch, without_hash
from kubetui.live.lines import line
from kubetui.live.objects import Obj, annotations_of, dig, labels_of, uid_of
from kubetui.live.text import clean, plural
from kubetui.live.undo import recreated
from kubetui.screens.dialogs import Choice, Confirm, Prompt
from kubetui.screens.rollback import RollbackScreen

if TYPE_CHECKING:
    from kubetui.app import KubetuiApp


def _patch(path: str, body: Any, kind: str = "merge") -> Work:
    return lambda client: client.patch(path, body, kind)


# -- scale -------------------------------------------------------------------------------------------------------


def _replicas(context: Context, ref: Ref, obj: Obj) -> int:
    wanted = context.app.dashboard.workloads.wanted.get(ref.uid)
    if wanted is not None:
        return wanted
    value = dig(obj, "spec", "replicas")
    return 1 if value is None else int(value)


async def scale_up(context: Context) -> None:
    """One more."""
    await _step_scale(context, 1)


async def scale_down(context: Context) -> None:
    """One less."""
    await _step_scale(context, -1)


async def _step_scale(context: Context, step: int) -> None:
    """Show the new number at once; presses that follow quickly become one patch."""
    app = context.app
    for ref in context.refs:
        obj = ref.obj or await full(context, ref)
        target = max(0, _replicas(context, ref, obj) + step)
        app.scaler.want(ref, dig(obj, "spec", "replicas", default=1), target, context)


async def scale_to(app: KubetuiApp, ref: Ref, before: int, target: int, act: object = None) -> bool:
    """PATCH the scale subresource. ``act``: the press that it came of."""

    def patch(count: int) -> Work:
        return lambda client: client.patch(ref.sub("scale"), {"spec": {"replicas": count}})

    undo = UndoStep(
        f"Undo: scale {ref.word} {before} → {target}",
        [("spec.replicas", target, before)],
        f"kubectl scale {ref.word} --replicas={before}{ref.flags}",
        patch(before),
        unless(ref, ("spec", "replicas"), target),
        act=act,
    )
    return await perform(app, f"kubectl scale {ref.word} --replicas={target}{ref.flags}", patch(target), undo)


def _number(text: str) -> str:
    return "" if text.isdigit() and int(text) <= 100_000 else "Type a number of replicas, 0 or more."


async def scale(context: Context) -> None:
    """Ask for the number of replicas of every marked workload."""
    app = context.app
    objs = [r.obj or await full(context, r) for r in context.refs]
    now = _replicas(context, context.ref, objs[0])
    title = f"Scale {context.ref.word}" if len(objs) == 1 else f"Scale {plural(len(objs), 'workload')}"
    text = await app.ask(Prompt(title, str(now), "Replicas", _number))
    if text is None:
        return
    for ref, obj in zip(context.refs, objs, strict=True):
        live = dig(obj, "spec", "replicas", default=1)
        if live != int(text):
            app.dashboard.workloads.wanted[ref.uid] = int(text)
            app.scaler.want(ref, live, int(text), context)


# -- rollouts ----------------------------------------------------------------------------------------------------


async def rollback(context: Context) -> None:
    """Choose the revision, see the difference."""
    from dataclasses import replace

    from kubetui.live.discovery import CONTROLLERREVISIONS, REPLICASETS

    app, ref = context.app, context.ref
    target = replace(
        REPLICASETS if ref.kind == "Deployment" else CONTROLLERREVISIONS, namespace=ref.namespace
    )

    async def read(client: KubeClient) -> tuple[Obj, list[Obj]]:
        workload = await client.get(ref.path)
        found = [item async for page in client.pages(target) for item in page.get("items") or ()]
        return workload, found

    workload, candidates = await app.read(read)
    workload.setdefault("kind", ref.kind)
    app.log_command(f"kubectl rollout history {ref.word}{ref.flags}")
    app.open_screen(RollbackScreen(ref, workload, candidates))


async def rollback_base(context: Context) -> None:
    """Compare from the revision under the cursor; again: from the current one."""
    screen = context.app.key_screen
    if isinstance(screen, RollbackScreen):
        screen.base = None if screen.base is screen.chosen else screen.chosen
        screen.redraw()


async def rollback_now(context: Context) -> None:
    """Go back to the revision under the cursor, after asking."""
    app, screen = context.app, context.app.key_screen
    if not isinstance(screen, RollbackScreen) or screen.chosen is None:
        return
    entry: HistoryEntry = screen.chosen
    ref, workload = screen.ref, await full(context, screen.ref)
    if uid_of(workload) != uid_of(screen.workload):
        app.fail(f"{ref.word} has been deleted and created again: open its revisions anew.")
        return
    changes = changed_fields(without_hash(dig(workload, "spec", "template", default={})), entry.template)
    if not changes:
        app.say(f"Revision {entry.number} is what runs now.")
        return
    lines = change_lines(changes)
    answer = await app.ask(Confirm(f"Roll {ref.word} back to revision {entry.number}?", lines=lines))
    if answer is None:
        return
    paused = bool(dig(workload, "spec", "paused"))
    if paused:
        app.say("The rollout is paused: the change takes effect when it is resumed.")
    kind, body = rollback_patch(workload, entry)
    text = f"kubectl rollout undo {ref.word} --to-revision={entry.number}{ref.flags}"
    undo = undo_to(ref, workload, text)
    undo.preview = [(path, new, old) for path, old, new in changes]
    if await perform(app, text, lambda client: client.patch(ref.path, body, kind), undo):
        from kubetui.commands.move import leave

        if app.key_screen is screen:
            leave(screen)
        app.say(f"{ref.word} goes back to revision {entry.number}.")


async def restart(context: Context) -> None:
    """Restart as kubectl does: an annotation on the pod template."""
    from datetime import datetime

    app = context.app
    title = (
        f"Restart {context.ref.word}?"
        if len(context.refs) == 1
        else f"Restart {len(context.refs)} workloads?"
    )
    if await app.ask(Confirm(title, "Its pods are replaced one after the other.")) is None:
        return
    stamp = datetime.now().astimezone().isoformat(timespec="seconds")
    body = {"spec": {"template": {"metadata": {"annotations": {RESTARTED: stamp}}}}}
    for ref in context.refs:
        before = ref.obj or await full(context, ref)
        if dig(before, "spec", "paused"):
            app.fail(f"{ref.word} is paused: resume it first.")
            continue
        text = f"kubectl rollout restart {ref.word}{ref.flags}"
        undo = undo_to(ref, before, text)
        undo.act = context
        old = dig(before, "spec", "template", "metadata", "annotations", RESTARTED)
        undo.preview = [(f"spec.template.metadata.annotations[{RESTARTED}]", stamp, old)]
        await perform(app, text, _patch(ref.path, body, "strategic"), undo)


async def pause(context: Context) -> None:
    """Pause the rollout, or resume it."""

    def line_of(ref: Ref, paused: bool) -> str:
        return f"kubectl rollout {'pause' if paused else 'resume'} {ref.word}{ref.flags}"

    await _toggle(context, "paused", line_of, "pause", "resume")


async def _toggle(
    context: Context, field: str, line_of: Callable[[Ref, bool], str], on: str, off: str
) -> None:
    """Turn a switch of the spec around. Presses that follow quickly wait for their turn, and see what came of it."""

    def patch(ref: Ref, value: bool) -> Work:
        return lambda client: client.patch(ref.path, {"spec": {field: value}})

    app = context.app
    for ref in context.refs:
        async with app.turn(ref.path):
            value = not dig(await full(context, ref), "spec", field, default=False)
            undo = UndoStep(
                f"Undo: {on if value else off} {ref.word}",
                [(f"spec.{field}", value, not value)],
                line_of(ref, not value),
                patch(ref, not value),
                unless(ref, ("spec", field), value),
                act=context,
            )
            await perform(app, line_of(ref, value), patch(ref, value), undo)


POD_SPECS = {"Pod": ("spec",), "CronJob": ("spec", "jobTemplate", "spec", "template", "spec")}


async def set_image(context: Context) -> None:
    """Change the image of a container."""
    app, ref = context.app, context.ref
    obj = ref.obj or await full(context, ref)
    place = POD_SPECS.get(ref.kind, ("spec", "template", "spec"))
    containers = [
        (group, container)
        for group in ("containers", "initContainers")
        for container in dig(obj, *place, group, default=[])
    ]
    from kubetui.screens.dialogs import Picker

    index = 0
    if len(containers) > 1:
        choices = [Choice(str(c.get("name")), i, str(c.get("image"))) for i, (_, c) in enumerate(containers)]
        picked = await app.ask(Picker("Container", choices))
        if picked is None or not picked.values:
            return
        index = picked.values[0]
    group, chosen = containers[index]
    name, image = str(chosen.get("name")), str(chosen.get("image"))

    def check(text: str) -> str:
        return "" if text and not any(c.isspace() for c in text) else "Type an image, e.g. nginx:1.27."

    new = await app.ask(Prompt(f"Image of {name} in {ref.word}", image, check=check))
    if new is None or new == image:
        return

    def patch(value: str) -> Work:
        body: Obj = {group: [{"name": name, "image": value}]}
        for key in reversed(place):
            body = {key: body}
        return lambda client: client.patch(ref.path, body, "strategic")

    undo = UndoStep(
        f"Undo: image of {ref.word}",
        [(f"containers[{name}].image", new, image)],
        f"kubectl set image {ref.word} {name}={image}{ref.flags}",
        patch(image),
    )
    await perform(app, f"kubectl set image {ref.word} {name}={new}{ref.flags}", patch(new), undo)


# -- labels, suspend, trigger ------------------------------------------------------------------------------------


async def label(context: Context) -> None:
    """``key=value`` sets, ``key-`` removes, several by spaces."""
    app = context.app

    def check(text: str) -> str:
        words = text.split()
        good = words and all(w.endswith("-") or "=" in w for w in words)
        return "" if good else "Type key=value or key-."

    text = await app.ask(Prompt(f"Label {context.ref.word}", "", "key=value sets it, key- removes it", check))
    if text is None:
        return
    changes: dict[str, str | None] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if equals:
            changes[key] = value
        else:
            changes[word.removesuffix("-")] = None
    for ref in context.refs:
        before = ref.obj or await full(context, ref)
        back = {k: labels_of(before).get(k) for k in changes}
        path = ref.path
        undo = UndoStep(
            f"Undo: label {ref.word}",
            [(f"metadata.labels.{k}", v, back[k]) for k, v in changes.items()],
            f"kubectl label --overwrite {ref.word} "
            + " ".join(f"{k}={v}" if v is not None else f"{k}-" for k, v in back.items())
            + ref.flags,
            lambda client, path=path, back=back: client.patch(path, {"metadata": {"labels": back}}),  # type: ignore[misc]
            act=context,
        )
        await perform(
            app,
            f"kubectl label --overwrite {ref.word} {text}{ref.flags}",
            lambda client, path=path: client.patch(path, {"metadata": {"labels": changes}}),  # type: ignore[misc]
            undo,
        )


async def suspend(context: Context) -> None:
    """Suspend a CronJob or Job, or let it go on."""

    def line_of(ref: Ref, value: bool) -> str:
        return f'kubectl patch {ref.word} -p \'{{"spec":{{"suspend":{str(value).lower()}}}}}\'{ref.flags}'

    await _toggle(context, "suspend", line_of, "suspend", "resume")


async def trigger(context: Context) -> None:
    """Create a Job from the CronJob now, as ``kubectl create job --from`` does."""
    from kubetui.live.discovery import JOBS

    app, ref = context.app, context.ref
    cron = ref.obj or await full(context, ref)
    template = dig(cron, "spec", "jobTemplate", default={})
    name = f"{ref.name[:42]}-manual-{int(app.clock()) % 100_000:05}"
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": ref.namespace,
            "labels": dict(labels_of(template)),
            "annotations": {**annotations_of(template), "cronjob.kubernetes.io/instantiate": "manual"},
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "CronJob",
                    "name": ref.name,
                    "uid": ref.uid,
                    "controller": True,
                }
            ],
        },
        "spec": template.get("spec") or {},
    }
    path = JOBS.item("", ref.namespace).rstrip("/")
    if await perform(
        app,
        f"kubectl create job {name} --from=cronjob/{ref.name}{ref.flags}",
        lambda client: client.create(path, job),
        UndoStep(
            f"Undo: run of {ref.word}",
            [("job", name, None)],
            f"kubectl delete job {name}{ref.flags}",
            lambda client: client.delete(JOBS.item(name, ref.namespace), {"propagationPolicy": "Background"}),
        ),
    ):
        app.say(f"Job {name} has been created.")


# -- delete ------------------------------------------------------------------------------------------------------


async def delete(context: Context) -> None:
    """Ask, with the choice of what happens to dependents; protected namespaces want the name typed."""
    app, refs = context.app, context.refs
    protected = [
        r
        for r in refs
        if r.namespace in app.config.protected or (r.kind == "Namespace") or (r.kind == "Node")
    ]
    choices = [
        Choice("Delete, dependents in the background", "Background"),
        Choice("Delete, dependents first", "Foreground"),
        Choice("Delete it alone, orphan dependents", "Orphan"),
    ]
    if all(r.kind == "Pod" for r in refs):
        choices = [Choice("Delete gracefully", "Background"), Choice("Kill at once (no grace period)", "now")]
    space = f" in {refs[0].namespace}" if refs[0].namespace and len(refs) == 1 else ""
    title = f"Delete {refs[0].word}{space}?" if len(refs) == 1 else f"Delete {len(refs)} objects?"
    lines = (
        [line(clean(r.word) + (f"  {r.namespace}" if r.namespace else ""), "text") for r in refs]
        if len(refs) > 1
        else []
    )
    name = protected[0].name if protected else ""
    answer = await app.ask(Confirm(title, "", choices, lines=lines, type_name=name, danger=True))
    if answer is None:
        return
    options: Obj = {"propagationPolicy": "Background" if answer == "now" else answer}
    flag = "" if answer == "Background" else f" --cascade={answer.lower()}"
    if answer == "now":
        options["gracePeriodSeconds"] = 0
        flag = " --grace-period=0 --force"

    async def remove(ref: Ref) -> None:
        try:
            before = await app.call(lambda client: client.get(ref.path))
        except (ApiError, OSError) as error:
            app.fail(str(error))
            return
        before.setdefault("kind", ref.kind)
        if ref.uid and uid_of(before) != ref.uid:  # a StatefulSet's pod, say: it is not what was asked about
            app.fail(f"{ref.word} is another one by now: it has not been deleted.")
            return
        checked = {**options, "preconditions": {"uid": uid_of(before)}}
        collection = ref.target.item("", ref.namespace).rstrip("/")
        copy = recreated(before)
        undo = UndoStep(
            f"Undo: delete {ref.word}",
            [(ref.word, None, "created again from what it was")],
            f"kubectl create -f {ref.name}.yaml{ref.flags}",
            lambda client: client.create(collection, copy),
            act=context,
        )
        await perform(
            app,
            f"kubectl delete {ref.kind.lower()} {ref.name}{flag}{ref.flags}",
            lambda client: client.delete(ref.path, checked),
            None if ref.kind == "Pod" and (before.get("metadata") or {}).get("ownerReferences") else undo,
        )

    await side_by_side(remove, refs)
