"""What the user may do, asked of the server before a key is offered: nothing is filled in for nothing.

One SelfSubjectRulesReview a namespace says it all where the server can list its rules. Many can't: an authorizer
beside RBAC (the node's, a webhook) makes the list incomplete. What is on it may be done all the same; the rest is
asked about one by one, with SelfSubjectAccessReviews. Only a plain no counts: a server without these APIs, one that
fails, or that has not answered yet takes no key away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from kubetui.live.client import KubeClient
from kubetui.live.errors import ApiError
from kubetui.live.objects import Obj

RULES = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
FRESH_SECONDS = 120.0
AWAY_SECONDS = 10.0
NEVER = float("-inf")
AT_ONCE = 8  # questions in one go
ERRORS = (ApiError, OSError)


@dataclass(frozen=True, slots=True)
class Question:
    """May I do this? The fields of ``ResourceAttributes``."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def words(self) -> str:
        """``patch deployments.apps/scale in namespace shop``."""
        what = self.resource + (f".{self.group}" if self.group else "")
        what += f"/{self.subresource}" if self.subresource else ""
        return f"{self.verb} {what}" + (f" in namespace {self.namespace}" if self.namespace else "")

    @property
    def attributes(self) -> dict[str, str]:
        """As the server takes them."""
        found = {"verb": self.verb, "group": self.group, "resource": self.resource, "version": "*"}
        found |= {"subresource": self.subresource, "namespace": self.namespace, "name": self.name}
        return {key: value for key, value in found.items() if value}


def rule_allows(rule: Obj, question: Question) -> bool:
    """Whether a ResourceRule holds for a question, as RBAC has it (``pkg/apis/rbac/v1/evaluation_helpers.go``)."""

    def has(key: str, *values: str) -> bool:
        listed = rule.get(key) or ()
        return "*" in listed or any(value in listed for value in values)

    whole = question.resource + (f"/{question.subresource}" if question.subresource else "")
    sub = (f"*/{question.subresource}",) if question.subresource else ()
    names = rule.get("resourceNames") or ()
    return (
        has("verbs", question.verb)
        and has("apiGroups", question.group)
        and has("resources", whole, *sub)
        and (not names or question.name in names)
    )


@dataclass(slots=True)
class _Rules:
    rules: list[Obj]
    complete: bool
    at: float


class Permissions:
    """What is known of one server's answers. Used on the screen's thread; ``call`` runs work on the network's."""

    def __init__(
        self,
        call: Callable[[Callable[[KubeClient], Awaitable[Any]]], Awaitable[Any]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._call = call
        self._clock = clock
        self._rules: dict[str, _Rules] = {}
        self._answers: dict[Question, tuple[str | None, float]] = {}
        self._listed_before: dict[Question, bool] = {}
        self.wanted: set[Question] = set()
        self.version = 0  # rises with every change of what is known

    def denied(self, question: Question) -> str | None:
        """Why the user may not do it; None where that is not certain. What is not known is :attr:`wanted`."""
        if question.namespace:
            rules = self._rules.get(question.namespace)
            if rules is None or not self._fresh(rules.at):
                self.wanted.add(question)
            if rules is None or self._listed(rules, question):
                return None
            if rules.complete:
                return _no(question)
        plain = replace(question, name="")  # an answer for each of 5,000 pods would be 5,000 questions
        reason, at = self._answers.get(plain, (None, NEVER))
        if not self._fresh(at):
            self.wanted.add(question)
        return reason

    async def learn(self) -> None:
        """Ask what is wanted."""
        wanted, self.wanted = self.wanted, set()
        for namespace in sorted({q.namespace for q in wanted if q.namespace}):
            known = self._rules.get(namespace)
            if known is None or not self._fresh(known.at):
                self._rules[namespace] = await self._ask_rules(namespace)
        self._listed_before.clear()
        single: dict[Question, None] = {}
        for question in wanted:
            rules = self._rules.get(question.namespace) if question.namespace else None
            plain = replace(question, name="")
            known_at = self._answers.get(plain, (None, NEVER))[1]
            listed = rules is not None and (rules.complete or self._listed(rules, question))
            if not listed and not self._fresh(known_at):
                single[plain] = None
        questions = list(single)
        for first in range(0, len(questions), AT_ONCE):
            await asyncio.gather(*(self._ask_one(q) for q in questions[first : first + AT_ONCE]))
        self.version += 1

    async def _ask_rules(self, namespace: str) -> _Rules:
        spec = {"namespace": namespace}
        try:
            status = await self._review(RULES, "SelfSubjectRulesReview", spec)
        except ERRORS as error:
            return _Rules([], False, self._asked_at(error))
        found = status.get("resourceRules")
        rules = [rule for rule in found if isinstance(rule, dict)] if isinstance(found, list) else []
        complete = status.get("incomplete") is False and not status.get("evaluationError") and rules == found
        return _Rules(rules, complete, self._clock())

    async def _ask_one(self, question: Question) -> str | None:
        try:
            status = await self._review(
                ACCESS, "SelfSubjectAccessReview", {"resourceAttributes": question.attributes}
            )
        except ERRORS as error:
            reason, at = None, self._asked_at(error)
        else:
            refused = status.get("allowed") is False
            why = str(status.get("reason") or "").strip()
            reason, at = (_no(question) + (f": {why}" if why else "")) if refused else None, self._clock()
        self._answers[replace(question, name="")] = reason, at
        return reason

    async def _review(self, path: str, kind: str, spec: Obj) -> Obj:
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        answer = await self._call(lambda client: client.ask("POST", path, body=body))
        status = answer.get("status")
        return status if isinstance(status, dict) else {}

    def _asked_at(self, error: Exception) -> float:
        """A server that has no such answers is not asked again soon, one that was away is."""
        return self._clock() - (0.0 if isinstance(error, ApiError) else FRESH_SECONDS - AWAY_SECONDS)

    def forget(self) -> None:
        """The server has refused something: what it said before counts no longer than until it is asked again."""
        for rules in self._rules.values():
            rules.at = NEVER
        self._answers = {question: (reason, NEVER) for question, (reason, _) in self._answers.items()}

    async def still_denied(self, questions: Iterable[Question]) -> str | None:
        """Ask again, with the object's name; None unless all is refused."""
        reason = None
        for question in questions:
            reason = await self._ask_one(question)
            if reason is None:
                self.forget()
                return None
        return reason

    def _fresh(self, at: float) -> bool:
        return self._clock() - at < FRESH_SECONDS

    def _listed(self, rules: _Rules, question: Question) -> bool:
        found = self._listed_before.get(question)
        if found is None:
            if len(self._listed_before) > 5000:
                self._listed_before.clear()
            found = any(rule_allows(rule, question) for rule in rules.rules)
            self._listed_before[question] = found
        return found


def _no(question: Question) -> str:
    return f"you may not {question.words}"
