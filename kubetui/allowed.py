"""Which actions the server allows on what is selected: they are offered, the others are shown as not allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from kubetui.actions import Action
from kubetui.context import Ref, one_of_each
from kubetui.live.permissions import Permissions, Question


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an action is not allowed, and the questions that were all answered with no."""

    reason: str
    questions: tuple[Question, ...]


@lru_cache(maxsize=256)
def _needs(text: str) -> tuple[tuple[str, ...], str, str, str]:
    """(verbs, resource, group, subresource) of an action's ``needs``; no resource: that of the object."""
    verbs, _, what = text.partition(" ")
    resource, _, subresource = what.partition("/")
    resource, _, group = resource.partition(".")
    return tuple(verbs.split("|")), resource, group, subresource


def questions(needs: str, ref: Ref) -> tuple[Question, ...]:
    """What has to be asked before something is done to an object; one yes is enough."""
    verbs, resource, group, subresource = _needs(needs)
    name = ref.name
    if resource and resource != ref.target.resource:
        name = ""  # of pods that are found only later, say
    elif not resource:
        resource, group = ref.target.resource, ref.target.group
    # a request for one namespace is a request in that namespace, as the API server reads its path
    space = ref.name if (ref.target.group, ref.target.resource) == ("", "namespaces") else ref.namespace
    return tuple(Question(verb, group, resource, subresource, space, name) for verb in verbs)


def refusal(permissions: Permissions, action: Action, refs: Sequence[Ref]) -> Refusal | None:
    """Why an action can't be done to all of the objects; None where nothing is known against it."""
    if not action.needs:
        return None
    for ref in one_of_each(refs):
        asked = questions(action.needs, ref)
        reasons = [permissions.denied(question) for question in asked]
        if asked and reasons[0] and all(reasons):
            return Refusal(reasons[0], asked)
    return None
