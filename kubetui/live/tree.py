"""Who owns whom: Deployment → ReplicaSet → Pod → container; and who uses a ConfigMap, Secret or Service."""

from __future__ import annotations

from kubetui.live.health import pod_view, short_image, workload_view
from kubetui.live.lines import Line, line
from kubetui.live.objects import Obj, controller_of, dig, labels_of, meta, name_of, namespace_of, uid_of
from kubetui.live.selection import selector_matches
from kubetui.live.session import Session
from kubetui.live.text import age, clean

Node = tuple[str, str, str, str, list["Node"]]  # kind, name, note, style, children


def tree_lines(obj: Obj, session: Session, now: float) -> list[Line]:
    """Draw the tree that ``obj`` belongs to, from its topmost owner that is known."""
    top = obj
    while (reference := controller_of(top)) is not None:
        above = session.workload(str(reference.get("uid")))
        if above is None:
            break
        top = above
    kind = str(top.get("kind") or obj.get("kind") or "")
    if kind in ("ConfigMap", "Secret", "ServiceAccount", "PersistentVolumeClaim"):
        users = [
            p for p in session.pods if namespace_of(p) == namespace_of(obj) and uses(p, kind, name_of(obj))
        ]
        nodes = _grouped(users, session, now)
        root: Node = (kind, name_of(top), f"used by {len(users)} pods", "text", nodes)
    elif kind == "Service":
        selector = dig(top, "spec", "selector")
        users = [
            p
            for p in session.pods
            if selector
            and namespace_of(p) == namespace_of(top)
            and selector_matches({"matchLabels": selector}, labels_of(p))
        ]
        root = (kind, name_of(top), f"{len(users)} pods", "text", [_pod(p, now) for p in users])
    elif kind == "Pod":
        root = _pod(top, now)
    else:
        root = _workload(top, session, now)
    lines: list[Line] = [line()]
    _draw(root, "", "", uid_of(obj), lines, name_of(obj))
    return lines


def forest_lines(session: Session, kind: str, now: float) -> list[Line]:
    """The trees of all workloads of a kind (of every workload and lone pod when empty), by namespace and name."""
    roots = [
        (obj, _workload(obj, session, now))
        for watched in session.workloads.values()
        for obj in watched
        if (obj.get("kind") == kind if kind else session.is_top(obj) and not _idle(obj))
    ]
    if kind in ("", "Pod"):
        roots += [(pod, _pod(pod, now)) for pod in session.pods if kind or controller_of(pod) is None]
    roots.sort(key=lambda root: (namespace_of(root[0]), name_of(root[0]), uid_of(root[0])))
    lines: list[Line] = []
    space = None
    for obj, root in roots:
        if namespace_of(obj) != space:
            space = namespace_of(obj)
            lines += [line(), line(f" {clean(space)}", "accent-strong")]
        _draw(root, "  ", "", "", lines, "")
    return lines


def _idle(obj: Obj) -> bool:
    return obj.get("kind") == "ReplicaSet" and dig(obj, "spec", "replicas") == 0


def _grouped(pods: list[Obj], session: Session, now: float) -> list[Node]:
    groups: dict[str, tuple[Obj | None, list[Obj]]] = {}
    for pod in pods:
        workload = session.workload_of(pod)
        key = uid_of(workload) if workload is not None else ""
        groups.setdefault(key, (workload, []))[1].append(pod)
    nodes: list[Node] = []
    for workload, members in groups.values():
        children = [_pod(p, now) for p in members]
        if workload is None:
            nodes += children
        else:
            view = workload_view(workload)
            nodes.append((view.kind, view.name, f"{view.ready}  {view.state}", view.health, children))
    return nodes


def _workload(obj: Obj, session: Session, now: float) -> Node:
    uid = uid_of(obj)
    view = workload_view(obj)
    children: list[Node] = []
    for child in sorted(
        session.replica_sets_of(obj), key=lambda c: str(meta(c).get("creationTimestamp")), reverse=True
    ):
        if dig(child, "spec", "replicas", default=1) or dig(child, "status", "replicas", default=0):
            children.append(_workload(child, session, now))
    direct = [p for p in session.pods_of(uid) if (controller_of(p) or {}).get("uid") == uid]
    children += [_pod(p, now) for p in sorted(direct, key=name_of)]
    return (view.kind, view.name, f"{view.ready}  {view.state}", view.health, children)


def _pod(pod: Obj, now: float) -> Node:
    view = pod_view(pod)
    statuses = {s.get("name"): s for s in dig(pod, "status", "containerStatuses", default=[])}
    children: list[Node] = []
    for container in dig(pod, "spec", "containers", default=[]):
        status = statuses.get(container.get("name"), {})
        state = next(iter(status.get("state") or {"waiting": {}}))
        ready = bool(status.get("ready"))
        note = f"{short_image(str(container.get('image') or ''))}  {state}"
        if status.get("restartCount"):
            note += f"  {status['restartCount']} restarts"
        if status.get("containerID"):
            note += f"  {str(status['containerID'])[:24]}"
        children.append(("container", str(container.get("name")), note, "ok" if ready else "warn", []))
    return (
        "Pod",
        view.name,
        f"{view.ready}/{view.total}  {view.status}  {age(view.created, now)}",
        view.health,
        children,
    )


def uses(pod: Obj, kind: str, name: str) -> bool:
    """Whether a pod refers to a ConfigMap, Secret, ServiceAccount or claim."""
    spec = pod.get("spec") or {}
    if kind == "ServiceAccount":
        return bool(spec.get("serviceAccountName", "default") == name)
    for volume in spec.get("volumes") or ():
        found = {
            "ConfigMap": dig(volume, "configMap", "name"),
            "Secret": dig(volume, "secret", "secretName"),
            "PersistentVolumeClaim": dig(volume, "persistentVolumeClaim", "claimName"),
        }[kind]
        if found == name:
            return True
        for source in dig(volume, "projected", "sources", default=[]):
            if dig(source, "configMap" if kind == "ConfigMap" else "secret", "name") == name:
                return True
    from_key, env_key = (
        ("configMapRef", "configMapKeyRef") if kind == "ConfigMap" else ("secretRef", "secretKeyRef")
    )
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        if any(dig(e, from_key, "name") == name for e in container.get("envFrom") or ()):
            return True
        if any(dig(e, "valueFrom", env_key, "name") == name for e in container.get("env") or ()):
            return True
    return kind == "Secret" and any(s.get("name") == name for s in spec.get("imagePullSecrets") or ())


def _draw(node: Node, lead: str, branch: str, wanted: str, lines: list[Line], wanted_name: str) -> None:
    kind, name, note, style, children = node
    strong = "accent-strong" if name == wanted_name else "text"
    lines.append(
        Line(
            (
                (f" {lead}{branch}", "faint"),
                (f"{kind} ", "dim"),
                (clean(name), strong),
                (f"  {clean(note)}", style),
            )
        )
    )
    deeper = lead + ("" if not branch.strip() else "│  " if branch.startswith("├") else "   ")
    for index, child in enumerate(children):
        last = index == len(children) - 1
        _draw(child, deeper, "└─ " if last else "├─ ", wanted, lines, wanted_name)
