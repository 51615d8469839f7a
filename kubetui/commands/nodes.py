"""Taking nodes out of service and back: cordon and uncordon."""

from __future__ import annotations

from kubetui.commands.undo import perform, unless
from kubetui.context import Context
from kubetui.journal import UndoStep


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
