"""CustomResourceDefinitions: accept their names, establish them, and empty them before they go.

After apiextensions-apiserver ``pkg/controller/{status/naming_controller,establish/establishing_controller,
apiapproval/apiapproval_controller,finalizer/crd_finalizer}.go``. Names are given out one definition at a time, so
one worker does all of it. A definition is established one write after its names were accepted: by then it is served.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runtime.client.informer import Delta
from runtime.objects.custom import CLEANUP, condition_of, is_true, with_condition
from runtime.objects.custom.approval import approval
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import finalizers_of, is_deleting, name_of, namespace_of

from .context import BaseController, Context

RESOURCE: Final = "customresourcedefinitions.apiextensions.k8s.io"
LOOK_AGAIN: Final = 1.0
"""Seconds between looks at what is left of a definition's instances."""
_NAMES = ("plural", "singular", "kind", "listKind")


def _text(name: str, names: Obj) -> str:
    return str(names.get(name) or "")


def taken_names(definitions: Sequence[Obj], group: str) -> tuple[set[str], set[str]]:
    """The resource names and the kinds that the definitions of a group were given."""
    resources: set[str] = set()
    kinds: set[str] = set()
    for definition in definitions:
        if definition["spec"]["group"] != group:
            continue
        names = (definition.get("status") or {}).get("acceptedNames") or {}
        resources |= {_text("plural", names), _text("singular", names), *(names.get("shortNames") or ())}
        kinds |= {_text("kind", names), _text("listKind", names)}
    return resources, kinds


def accept_names(definition: Obj, definitions: Sequence[Obj]) -> tuple[Obj, Obj]:
    """The names a definition gets, and its NamesAccepted condition (without a time).

    Args:
        definition: the one that asks.
        definitions: all there are.
    """
    resources, kinds = taken_names(definitions, definition["spec"]["group"])
    wanted: Obj = definition["spec"]["names"]
    held: Obj = (definition.get("status") or {}).get("acceptedNames") or {}
    given = dict(held)
    refusal: tuple[str, str] | None = None
    for name in _NAMES:
        used = resources if name in ("plural", "singular") else kinds
        asked = _text(name, wanted)
        if asked != _text(name, held) and asked in used:
            refusal = (f"{name[0].upper()}{name[1:]}Conflict", f'"{asked}" is already in use')
        else:
            given[name] = asked
        if name == "singular":
            clashing = [
                f'"{short}" is already in use'
                for short in wanted.get("shortNames") or ()
                if short not in (held.get("shortNames") or ()) and short in resources
            ]
            if clashing:
                joined = clashing[0] if len(clashing) == 1 else f"[{', '.join(clashing)}]"
                refusal = ("ShortNamesConflict", joined)
            else:
                given["shortNames"] = list(wanted.get("shortNames") or ())
    given["categories"] = list(wanted.get("categories") or ())
    given = {name: value for name, value in given.items() if value}
    condition: Obj = {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts"}
    condition["message"] = "no conflicts found"
    if refusal is not None:
        condition.update(status="False", reason=refusal[0], message=refusal[1])
    return given, condition


class CustomResourceDefinitionController(BaseController):
    """One definition at a time, one step at a time."""

    name = "customresourcedefinition"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.definitions = context.informers.informer(RESOURCE)
        self.definitions.add_handler(self._on_definitions)

    def _on_definitions(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            if delta.new is not None:
                self.queue.add(name_of(delta.new))
            if delta.old is not None and (delta.new is None or _given(delta.old) != _given(delta.new)):
                self._reconsider(delta.old)

    def _reconsider(self, definition: Obj) -> None:
        """A name may have become free: the others of its group may have been waiting for it."""
        for other in self.definitions.list():
            if other["spec"]["group"] == definition["spec"]["group"] and name_of(other) != name_of(
                definition
            ):
                self.queue.add(name_of(other))

    async def sync(self, key: str) -> float | None:
        """Names, then Established; or, on the way out, the instances and then the finalizer."""
        definition = self.definitions.get(key)
        if definition is None:
            return None
        try:
            if is_deleting(definition):
                return await self._finish(definition)
            await self._accept(definition)
        except StatusError as error:
            if error.code not in (404, 409):  # changed or gone meanwhile: its event brings us back
                raise
        return None

    async def _accept(self, definition: Obj) -> None:
        status: Obj = definition.get("status") or {}
        given, condition = accept_names(definition, self.definitions.list())
        changed = {**status, "acceptedNames": given}
        changed = self._with(changed, condition)
        approved = approval(definition)
        if approved is not None:
            changed = self._with(changed, approved)
        if is_true(definition, "NamesAccepted") and not is_true(definition, "Established"):
            established: Obj = {"type": "Established", "status": "True", "reason": "InitialNamesAccepted"}
            changed = self._with(changed, {**established, "message": "the initial names have been accepted"})
        elif not is_true(definition, "Established"):
            accepted = condition["status"] == "True"
            changed = self._with(
                changed,
                {
                    "type": "Established",
                    "status": "False",
                    "reason": "Installing" if accepted else "NotAccepted",
                    "message": (
                        "the initial names have been accepted" if accepted else "not all names are accepted"
                    ),
                },
            )
        if changed != status:
            await self.client.update_status({**definition, "status": changed})

    def _with(self, status: Obj, condition: Obj) -> Obj:
        """The status with a condition, which keeps its time as long as it says the same."""
        return with_condition(status, {**condition, "lastTransitionTime": self.context.stamp()})

    async def _finish(self, definition: Obj) -> float | None:
        if CLEANUP not in finalizers_of(definition):
            return None
        definition = await self._terminating(
            definition, "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress"
        )
        if not is_true(definition, "Established"):
            done = ("NeverEstablished", "resource was never established")
        elif await self._empty(definition):
            done = ("InstanceDeletionCompleted", "removed all instances")
        else:
            return LOOK_AGAIN
        definition = await self._terminating(definition, "False", *done)
        rest = [one for one in finalizers_of(definition) if one != CLEANUP]
        await self.client.update({**definition, "metadata": {**definition["metadata"], "finalizers": rest}})
        return None

    async def _terminating(self, definition: Obj, status: str, reason: str, message: str) -> Obj:
        condition = {"type": "Terminating", "status": status, "reason": reason, "message": message}
        before = condition_of(definition, "Terminating") or {}
        if all(before.get(name) == value for name, value in condition.items()):
            return definition
        changed = self._with(definition["status"], condition)
        return await self.client.update_status({**definition, "status": changed})

    async def _empty(self, definition: Obj) -> bool:
        """Ask every instance to go; whether none is left."""
        spec = definition["spec"]
        resource = f"{spec['names']['plural']}.{spec['group']}"
        if self.context.registry.find(resource) is None:
            return True  # no version is served: nobody can reach what there may be
        for namespace in sorted({namespace_of(obj) for obj in (await self.client.list(resource)).items}):
            await self.client.delete_collection(resource, namespace)
        return not (await self.client.list(resource)).items


def _given(definition: Obj) -> Obj:
    names: Obj = (definition.get("status") or {}).get("acceptedNames") or {}
    return names
