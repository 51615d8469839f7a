"""Keys and what the server allows: what it refuses is shown as such, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakeapi import FakeAPI, Status
from steps import editor, nodes, pick, replicas, yes
from terminal import Terminal, terminal

from kubetui.actions import ACTIONS
from kubetui.allowed import questions, refusal
from kubetui.context import Ref
from kubetui.live.discovery import DEPLOYMENTS, NAMESPACES
from kubetui.live.permissions import Question, rule_allows
from kubetui.screens.dialogs import Confirm, Picker, Prompt

Obj = dict[str, Any]
READ = {"verbs": ["get", "list", "watch"], "apiGroups": ["*"], "resources": ["*"]}
NOTHING_MORE = {"resourceRules": [READ], "nonResourceRules": [], "incomplete": False}
MAY_NOT_SCALE = "you may not patch deployments.apps/scale in namespace default"


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        ({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, True),
        ({"verbs": ["patch"], "apiGroups": ["apps"], "resources": ["deployments/scale"]}, True),
        ({"verbs": ["patch"], "apiGroups": ["apps"], "resources": ["*/scale"]}, True),
        ({"verbs": ["patch"], "apiGroups": ["apps"], "resources": ["deployments"]}, False),
        ({"verbs": ["patch"], "apiGroups": [""], "resources": ["deployments/scale"]}, False),
        ({"verbs": ["update"], "apiGroups": ["apps"], "resources": ["deployments/scale"]}, False),
        ({"verbs": ["patch"], "apiGroups": ["apps"], "resources": ["*"], "resourceNames": ["web"]}, True),
        ({"verbs": ["patch"], "apiGroups": ["apps"], "resources": ["*"], "resourceNames": ["db"]}, False),
        ({"verbs": None}, False),
    ],
)
def test_rules(rule: Obj, allowed: bool) -> None:
    assert rule_allows(rule, Question("patch", "apps", "deployments", "scale", "default", "web")) is allowed


class Known:
    """Answers for the namespace ``closed``, and for one verb."""

    def denied(self, question: Question) -> str | None:
        return "no" if question.namespace == "closed" or question.verb == "create" else None


def test_one_of_many_namespaces_that_refuses_is_enough() -> None:
    scale, shell = (next(a for a in ACTIONS if a.id == name) for name in ("scale", "shell"))
    refs = [Ref(DEPLOYMENTS, "Deployment", f"open-{n % 3}", f"web-{n}", f"uid-{n}") for n in range(50)]
    closed = Ref(DEPLOYMENTS, "Deployment", "closed", "web", "uid")
    assert refusal(Known(), scale, refs) is None  # type: ignore[arg-type]
    found = refusal(Known(), scale, [*refs, closed])  # type: ignore[arg-type]
    assert found is not None
    assert found.questions == (Question("patch", "apps", "deployments", "scale", "closed", "web"),)
    assert refusal(Known(), shell, refs) is None  # type: ignore[arg-type]


def test_a_namespace_is_asked_about_inside_of_itself() -> None:
    ref = Ref(NAMESPACES, "Namespace", "", "shop", "uid")
    assert questions("delete", ref) == (Question("delete", "", "namespaces", "", "shop", "shop"),)


def by_one(*refused: tuple[str, str]) -> Callable[[Obj], Obj]:
    """A server that can't list its rules: (verb, resource) are refused when asked about."""

    def review(spec: Obj) -> Obj:
        asked = spec.get("resourceAttributes")
        if asked is None:
            return {"resourceRules": [READ], "nonResourceRules": [], "incomplete": True}
        what = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
        return {"allowed": (asked["verb"], what) not in refused, "reason": "the auditor objects"}

    return review


def footer(term: Terminal) -> dict[str, bool]:
    return {label: allowed for _, label, _, allowed in term.app.screen.keybar._content[0]}


async def said(term: Terminal, text: str) -> None:
    await term.wait(lambda: any(text in note.message for note in term.app._notifications))


async def test_what_is_not_allowed_is_shown_and_said(api: FakeAPI, tmp_path: Path) -> None:
    api.review = lambda spec: NOTHING_MORE if "namespace" in spec else {"allowed": False}
    async with terminal(api, tmp_path, (160, 40)) as term:
        await term.workload("web")
        await term.wait(lambda: not footer(term)["Scale"])
        assert footer(term)["Logs"] and footer(term)["Describe"] and footer(term)["Filter"]
        assert not footer(term)["Roll back"] and not footer(term)["Delete"]
        await term.press("s")
        await said(term, f"Scale: {MAY_NOT_SCALE}.")
        assert term.app.screen is term.app.dashboard
        await term.press("question_mark")
        await term.sees(f"not allowed: {MAY_NOT_SCALE}")
        await term.press("escape", "colon", *"scale")
        await term.sees("not allowed  s")
        assert not term.sent("PATCH")


async def test_a_server_that_cannot_list_its_rules_is_asked_one_by_one(api: FakeAPI, tmp_path: Path) -> None:
    api.review = by_one(("delete", "deployments"), ("create", "pods/exec"), ("patch", "nodes"))
    async with terminal(api, tmp_path, (160, 40)) as term:
        await term.workload("web")
        await term.wait(lambda: not footer(term)["Delete"])
        assert footer(term)["Scale"] and footer(term)["Roll back"]
        assert footer(term)["Shell"] or "Shell" not in footer(term)  # by one of its two verbs
        await term.press("ctrl+d")
        await said(term, "you may not delete deployments.apps in namespace default: the auditor objects.")
        await term.press("s")
        await term.wait(lambda: isinstance(term.app.screen, Prompt))
        await term.press("escape")
        await nodes(term)
        await term.press("question_mark")
        await term.sees("not allowed: you may not patch nodes: the auditor objects")
        await term.press("escape", "C")
        await said(term, "Cordon: you may not patch nodes: the auditor objects.")
        assert not term.sent("PATCH")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"allowed": None, "resourceRules": None},
        {"resourceRules": "all", "incomplete": False},
        {"resourceRules": [], "incomplete": False, "evaluationError": "a role is missing", "allowed": True},
    ],
)
async def test_a_server_that_answers_something_else_takes_no_key_away(
    api: FakeAPI, tmp_path: Path, answer: Obj
) -> None:
    api.review = lambda spec: answer
    async with terminal(api, tmp_path, (160, 40)) as term:
        await term.workload("web")
        await term.wait(lambda: any(method == "REVIEW" for method, *_ in api.requests))
        await term.wait(lambda: term.app._learning is None and term.app.permissions.version)
        assert all(footer(term).values())
        await term.press("ctrl+d")
        await term.wait(lambda: isinstance(term.app.screen, Confirm))


async def test_what_has_been_allowed_meanwhile_is_done(api: FakeAPI, tmp_path: Path) -> None:
    api.review = lambda spec: NOTHING_MORE if "namespace" in spec else {"allowed": True}
    async with terminal(api, tmp_path, (160, 40)) as term:
        await term.workload("worker")
        await term.wait(lambda: not footer(term)["Scale up"])
        api.review = lambda spec: {
            "resourceRules": [{k: ["*"] for k in READ}],
            "incomplete": False,
            "allowed": True,
        }
        await term.press("plus")
        await term.wait(lambda: replicas(term, "worker") == 3)
        await term.wait(lambda: all(footer(term).values()))


async def test_a_refusal_is_heeded(api: FakeAPI, tmp_path: Path) -> None:
    may: list[Obj] = [{k: ["*"] for k in READ}]
    api.review = lambda spec: {"resourceRules": may, "incomplete": False, "allowed": False}
    async with terminal(api, tmp_path, (160, 40)) as term:
        await term.workload("api")
        await term.wait(lambda: term.app.permissions.version)
        assert footer(term)["Restart"]
        may[:] = [READ]
        api.refuse = Status(403, "Forbidden", 'deployments.apps "api" is forbidden')
        await term.press("R")
        await yes(term)
        await said(term, "is forbidden")
        await term.wait(lambda: not footer(term)["Restart"])


async def test_a_refusal_of_what_was_edited_is_heeded(
    api: FakeAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may: list[Obj] = [{k: ["*"] for k in READ}]
    api.review = lambda spec: {"resourceRules": may, "incomplete": False, "allowed": False}
    editor(
        tmp_path,
        monkeypatch,
        f'[ -e {tmp_path}/once ] || sed -i "s/replicas: 3/replicas: 6/" "$1"; touch {tmp_path}/once',
    )
    async with terminal(api, tmp_path, (160, 40)) as term:
        await term.workload("api")
        await term.wait(lambda: term.app.permissions.version)
        may[:] = [READ]
        api.refuse = Status(403, "Forbidden", 'deployments.apps "api" is forbidden')
        await term.press("e")
        await term.wait(lambda: not footer(term)["Edit"])
        found = await term.wait(
            lambda: next((n.message for n in term.app._notifications if "kept in" in n.message), None)
        )
        Path(found.rpartition("kept in ")[2].rstrip(".")).unlink()


async def test_each_namespace_has_its_own_rules(api: FakeAPI, tmp_path: Path) -> None:
    everything = {"resourceRules": [{k: ["*"] for k in READ}], "incomplete": False}

    def review(spec: Obj) -> Obj:
        return everything if spec.get("namespace") == "kube-system" else {**NOTHING_MORE, "allowed": False}

    api.review = review
    async with terminal(api, tmp_path, (160, 40)) as term:
        await term.command("cm")
        await term.press("n")
        await term.wait(lambda: isinstance(term.app.screen, Picker))
        await pick(term, "kube-system")
        await term.wait(lambda: term.app.screen.table.order)
        await term.wait(
            lambda: any(s.get("namespace") == "kube-system" for m, _, s in api.requests if m == "REVIEW")
        )
        await term.wait(lambda: term.app._learning is None)
        assert footer(term)["Delete"]
