"""Paths below an object that take another kind than the object itself: scale, binding, eviction, token.

``pkg/registry/apps/*/storage`` (ScaleREST), ``core/pod/storage/{storage,eviction}.go`` and
``core/serviceaccount/storage/token.go``. Status and its like, which take the whole object, are plain updates.
"""

from __future__ import annotations

from typing import Any

from runtime.objects import meta
from runtime.objects.clock import Clock, format_time
from runtime.objects.errors import (
    FieldError,
    Obj,
    StatusError,
    bad_request,
    conflict,
    forbidden,
    internal,
    invalid,
    invalid_object,
    not_found,
    not_supported,
    required,
    too_many_requests,
    unavailable,
)
from runtime.objects.registry import Resource, ScalePaths
from runtime.objects.schema import decode_as
from runtime.objects.selectors import SelectorError, from_labels, label_selector
from runtime.store import Change, Key, Record, Store

from .context import Answer, RequestContext, TokenIssuer
from .deleting import check_options
from .metadata import check_name, check_uid, settle_namespace
from .view import StoreView
from .writing import Planned, Writer, report_unknown

PDBS = "poddisruptionbudgets.policy"
MAX_DISRUPTED_PODS = 2000
MIN_TOKEN_SECONDS = 600
DEFAULT_TOKEN_SECONDS = 3600
_EVICTION_VERSIONS = ("policy/v1", "policy/v1beta1")
_SUCCESS: Obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


# -- scale -----------------------------------------------------------------------------------------------------


def scale_of(paths: ScalePaths, obj: Obj) -> Obj:
    """autoscaling/v1 Scale of an object."""
    metadata = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Obj = {"replicas": meta.dig(obj, *paths.status_replicas, default=0)}
    selector = meta.dig(obj, *paths.selector) if paths.selector else None
    if isinstance(selector, str):
        status["selector"] = selector
    elif selector is not None:
        status["selector"] = _selector_text(selector)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in kept if name in metadata},
        "spec": {"replicas": meta.dig(obj, *paths.spec_replicas, default=0)},
        "status": status,
    }


def _selector_text(selector: Obj) -> str:
    if "matchLabels" in selector or "matchExpressions" in selector:
        try:
            return str(label_selector(selector))
        except SelectorError:
            return ""
    return str(from_labels(selector))


def read_scale(ctx: RequestContext, resource: Resource, body: Obj) -> Obj:
    """A Scale from a request's body.

    Raises:
        StatusError: 400 for another kind or wrong types, 422 for a negative number.
    """
    if not isinstance(body, dict) or body.get("kind", "Scale") != "Scale":
        raise bad_request("the object provided is unrecognized (must be of type Scale)")
    scale, unknown = decode_as("io.k8s.api.autoscaling.v1.Scale", body, "Scale", "v1")
    report_unknown(ctx, resource, unknown)
    replicas = (scale.get("spec") or {}).get("replicas") or 0
    if replicas < 0:
        raise invalid_object(
            "Scale",
            "autoscaling",
            meta.name_of(scale),
            [invalid("spec.replicas", replicas, "must be greater than or equal to 0")],
        )
    return scale


def rescaled(
    resource: Resource, namespace: str, name: str, current: Obj, scale: Obj, *, patched: bool
) -> Obj:
    """The object with a Scale's number; its parts are shared where they did not change.

    Raises:
        StatusError: 400 or 409, the Scale is about another object or an older one.
    """
    assert resource.scale is not None
    metadata = dict(scale.get("metadata") or {})
    settle_namespace(resource, namespace, metadata)
    check_name(name, namespace, metadata)
    if not patched:
        check_uid(resource, name, metadata.get("uid") or "", current["metadata"]["uid"])
    new = {**current, "metadata": dict(current["metadata"])}
    if metadata.get("resourceVersion"):
        new["metadata"]["resourceVersion"] = metadata["resourceVersion"]
    *path, last = resource.scale.spec_replicas
    inner: dict[str, Any] = new
    for step in path:
        inner[step] = dict(inner.get(step) or {})
        inner = inner[step]
    inner[last] = (scale.get("spec") or {}).get("replicas") or 0
    return new


# -- the pod's own ---------------------------------------------------------------------------------------------


class PodSubresources:
    """Binding and eviction."""

    def __init__(self, store: Store, view: StoreView, clock: Clock, writer: Writer) -> None:
        self._store = store
        self._view = view
        self._clock = clock
        self._writer = writer

    async def bind(self, ctx: RequestContext, namespace: str, name: str, binding: Obj) -> Planned:
        """Assign a pod to a node (``BindingREST``).

        Raises:
            StatusError: 409 for a pod that is assigned, gated or going, 422 for a binding that names no node.
        """
        target = binding.get("target") or {}
        metadata = binding.get("metadata") or {}
        node = target.get("name") or ""
        errors: list[FieldError] = []
        if target.get("kind") not in (None, "", "Node"):
            errors.append(not_supported("target.kind", target["kind"], ("Node", "<empty>")))
        if not node:
            errors.append(required("target.name"))
        if errors:
            raise invalid_object("Binding", "", name, errors)
        record = self._store.latest(Key("pods", namespace, name))
        if record is None:
            raise not_found("pods", name)
        pod = record.obj
        stored = pod["metadata"]
        if metadata.get("uid") and metadata["uid"] != stored["uid"]:
            raise conflict(
                "pods",
                name,
                f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: {stored['uid']}",
            )
        spec = pod["spec"]
        if "deletionTimestamp" in stored:
            raise conflict("pods/binding", name, f"pod {name} is being deleted, cannot be assigned to a host")
        if spec.get("nodeName"):
            raise conflict(
                "pods/binding", name, f'pod {name} is already assigned to node "{spec["nodeName"]}"'
            )
        if spec.get("schedulingGates"):
            raise conflict("pods/binding", name, f"pod {name} has non-empty .spec.schedulingGates")
        status = pod.get("status") or {}
        now = format_time(self._clock.now())
        conditions = [c for c in status.get("conditions") or () if c.get("type") != "PodScheduled"]
        scheduled = {
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": now,
        }
        scheduled |= meta.observed(pod)
        changed_metadata = dict(stored)
        if metadata.get("annotations"):
            changed_metadata["annotations"] = {**(stored.get("annotations") or {}), **metadata["annotations"]}
        kept = {key: value for key, value in status.items() if key != "nominatedNodeName"}
        bound = {
            **pod,
            "metadata": changed_metadata,
            "spec": {**spec, "nodeName": node},
            "status": {**kept, "conditions": [*conditions, scheduled]},
        }
        answer = Answer(_SUCCESS, 201)
        if ctx.dry_run:
            return Planned(answer)
        future = self._store.submit([Change(record.key, bound, record.version)])
        return Planned(None, future, 201, render=lambda _: answer)

    async def evict(
        self, ctx: RequestContext, pods: Resource, namespace: str, name: str, eviction: Obj
    ) -> Planned:
        """Delete a pod if its disruption budget allows (``EvictionREST``).

        Raises:
            StatusError: 429 with cause DisruptionBudget when it does not.
        """
        api_version = eviction.get("apiVersion") or "policy/v1"
        if api_version not in _EVICTION_VERSIONS or eviction.get("kind", "Eviction") != "Eviction":
            raise bad_request(
                f"the API version in the data ({api_version}) does not match the expected API version (policy/v1)"
            )
        if meta.name_of(eviction) not in ("", name):
            raise bad_request("name in URL does not match name in Eviction object")
        options: Obj = eviction.get("deleteOptions") or {}
        check_options(options)
        if options.get("dryRun"):
            ctx.dry_run = True
        record = self._store.latest(Key("pods", namespace, name))
        if record is None:
            raise not_found("pods", name)
        changes = self._disruption(ctx, namespace, record.obj)
        disrupted = {
            **meta.observed(record.obj),
            "type": "DisruptionTarget",
            "status": "True",
            "lastTransitionTime": format_time(self._clock.now()),
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        }
        plan = await self._writer.delete(ctx, pods, record, options, changes, disrupted, admitted=True)
        answer = Answer(_SUCCESS, 201)
        if plan.future is None:
            return Planned(answer)
        plan.render = lambda _: answer
        return plan

    def _disruption(self, ctx: RequestContext, namespace: str, pod: Obj) -> list[Change]:
        phase = (pod.get("status") or {}).get("phase")
        if phase in ("Succeeded", "Failed", "Pending") or meta.is_deleting(pod):
            return []
        budgets = [b for b in self._view.list(PDBS, namespace) if _covers(b, meta.labels_of(pod))]
        if len(budgets) > 1:
            raise StatusError(
                500,
                "InternalError",
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
            )
        if not budgets:
            return []
        record = self._view.record(PDBS, namespace, budgets[0]["metadata"]["name"])
        if record is None:
            return []
        budget = record.obj
        status = budget.get("status") or {}
        if not meta.is_true(pod, "Ready"):
            if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
                return []
            desired = status.get("desiredHealthy") or 0
            if desired > 0 and (status.get("currentHealthy") or 0) >= desired:
                return []
        return [Change(record.key, self._decremented(budget, status, meta.name_of(pod)), record.version)]

    def _decremented(self, budget: Obj, status: Obj, pod: str) -> Obj:
        """The budget with one disruption less (``checkAndDecrement``)."""
        name = meta.name_of(budget)
        sentence = "Cannot evict pod as it would violate the pod's disruption budget."
        if (status.get("observedGeneration") or 0) < (budget["metadata"].get("generation") or 0):
            why = f"The disruption budget {name} is still being processed by the server."
            raise too_many_requests(sentence, 10, [{"reason": "DisruptionBudget", "message": why}])
        allowed = status.get("disruptionsAllowed") or 0
        if allowed < 0:
            raise forbidden("poddisruptionbudget", name, "pdb disruptions allowed is negative", "policy")
        disrupted = status.get("disruptedPods") or {}
        if len(disrupted) > MAX_DISRUPTED_PODS:
            why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
            raise forbidden("poddisruptionbudget", name, why, "policy")
        if allowed == 0:
            why = (
                f"The disruption budget {name} needs {status.get('desiredHealthy') or 0} healthy pods and has "
                f"{status.get('currentHealthy') or 0} currently"
            )
            raise too_many_requests(sentence, 0, [{"reason": "DisruptionBudget", "message": why}])
        now = format_time(self._clock.now())
        changed = {
            **status,
            "disruptionsAllowed": allowed - 1,
            "disruptedPods": {**disrupted, pod: now},
        }
        if allowed == 1:
            others = [c for c in status.get("conditions") or () if c.get("type") != "DisruptionAllowed"]
            before = meta.condition(budget, "DisruptionAllowed") or {}
            moment = before.get("lastTransitionTime") if before.get("status") == "False" else now
            others.append(
                {
                    "type": "DisruptionAllowed",
                    "status": "False",
                    "observedGeneration": budget["metadata"].get("generation") or 0,
                    "lastTransitionTime": moment or now,
                    "reason": "InsufficientPods",
                    "message": "",
                }
            )
            changed["conditions"] = others
        return {**budget, "metadata": dict(budget["metadata"]), "status": changed}


def _covers(budget: Obj, labels: dict[str, str]) -> bool:
    """Whether a budget is about a pod; one whose selector is empty or broken is about none here."""
    try:
        selector = label_selector((budget.get("spec") or {}).get("selector"))
    except SelectorError:
        return False
    return not selector.everything and selector.matches(labels)


# -- tokens ----------------------------------------------------------------------------------------------------


def request_token(issuer: TokenIssuer | None, view: StoreView, namespace: str, name: str, body: Obj) -> Obj:
    """A TokenRequest with its status (``TokenREST.Create``).

    Raises:
        StatusError: 404, 409 or 422 for what the token can't be made for, 503 where nobody can sign it.
    """
    account = view.get("serviceaccounts", namespace, name)
    if account is None:
        raise not_found("serviceaccounts", name)
    request, _ = decode_as("io.k8s.api.authentication.v1.TokenRequest", body, "TokenRequest", "v1")
    spec: Obj = request.get("spec") or {}
    seconds = spec.get("expirationSeconds")
    if seconds is None:
        seconds = DEFAULT_TOKEN_SECONDS
    errors: list[FieldError] = []
    if seconds < MIN_TOKEN_SECONDS:
        errors.append(
            invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        )
    if seconds > 1 << 32:
        errors.append(
            invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
        )
    if errors:
        raise invalid_object("TokenRequest", "authentication.k8s.io", "", errors)
    if issuer is None:
        raise unavailable("this server signs no tokens")
    reference = spec.get("boundObjectRef")
    bound = _bound(view, namespace, name, reference) if reference else None
    issued = issuer.issue(
        service_account=account,
        audiences=spec.get("audiences") or [],
        expiration_seconds=int(seconds),
        bound=bound,
    )
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "audiences": spec.get("audiences") or [],
            "expirationSeconds": seconds,
            "boundObjectRef": reference,
        },
        "status": {"token": issued.token, "expirationTimestamp": issued.expiration},
    }


def _bound(view: StoreView, namespace: str, account: str, reference: Obj) -> Obj:
    places = {"Pod": ("pods", namespace), "Secret": ("secrets", namespace), "Node": ("nodes", "")}
    kind, name = reference.get("kind") or "", reference.get("name") or ""
    if kind not in places or reference.get("apiVersion") != "v1":
        raise bad_request(f"cannot bind token to object of type {reference.get('apiVersion')}, Kind={kind}")
    plural, scope = places[kind]
    found = view.get(plural, scope, name)
    if found is None:
        raise not_found(plural, name)
    uid = reference.get("uid") or ""
    if uid and uid != found["metadata"]["uid"]:
        raise conflict(
            plural,
            name,
            f"the UID in the bound object reference ({uid}) does not match the UID in record. The object might have "
            "been deleted and then recreated",
        )
    if kind == "Pod" and (found["spec"].get("serviceAccountName") or "default") != account:
        raise bad_request(
            f'cannot bind token for serviceaccount "{account}" to pod running with different serviceaccount name.'
        )
    return found


def scale_answer(resource: Resource, record: Record, code: int = 200) -> Answer:
    """The Scale of an object as it is served.

    Raises:
        StatusError: 500, a custom resource whose number of replicas was left out has none to show.
    """
    assert resource.scale is not None
    path = resource.scale.spec_replicas
    if resource.scale.demanded and meta.dig(record.obj, *path) is None:
        raise internal(f'the spec replicas field ".{".".join(path)}" does not exist')
    return Answer(scale_of(resource.scale, record.obj), code)
