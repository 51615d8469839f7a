"""The describe page of a pod and of a pod template, and the page that all kinds write on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubetui.live.health import pod_view
from kubetui.live.lines import Line, line
from kubetui.live.objects import Obj, annotations_of, dig, labels_of
from kubetui.live.text import age, clean

INDENT = 2
WIDTH = 18


class Page:
    """Lines that grow: titles, fields, mappings; everything that is written is made harmless."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.lines: list[Line] = []

    def blank(self) -> None:
        """An empty line."""
        self.lines.append(line())

    def title(self, text: str, depth: int = 0) -> None:
        """A heading."""
        self.lines.append(line(" " * (1 + INDENT * depth) + clean(text), "accent-strong"))

    def field(self, name: str, value: Any, *, depth: int = 0, style: str = "text") -> None:
        """``Name:   value``; text of several lines goes below."""
        lead = " " * (1 + INDENT * depth)
        label = f"{clean(name)}:"
        text = str(value if value is not None else "<none>")
        size = max(WIDTH - INDENT * depth, 8)
        parts = text.split("\n")
        self.lines.append(Line(((f"{lead}{label:<{size}} ", "dim"), (clean(parts[0]), style))))
        for part in parts[1:]:
            self.lines.append(line(lead + " " * (size + 1) + clean(part), style))

    def mapping(self, name: str, values: Mapping[str, Any], separator: str, *, depth: int = 0) -> None:
        """Labels, annotations."""
        if not values:
            self.field(name, "<none>", depth=depth)
            return
        for index, (key, value) in enumerate(values.items()):
            text = str(value).replace("\n", " ")
            self.field(name if index == 0 else "", f"{key}{separator}{text}", depth=depth)
            if index:
                last = self.lines[-1]
                self.lines[-1] = Line(((last.spans[0][0].replace(":", " ", 1), "dim"), *last.spans[1:]))

    def spans(self, *spans: tuple[str, str]) -> None:
        """A line of styled parts."""
        self.lines.append(Line(tuple((clean(t), s) for t, s in spans)))


def pod_page(page: Page, pod: Obj) -> None:
    """What ``kubectl describe pod`` shows."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    view = pod_view(pod)
    page.field("Status", view.status, style=view.health)
    if view.message:
        page.field("Reason", view.message, style="bad" if view.health == "bad" else "warn")
    if spec.get("priorityClassName"):
        page.field("Priority Class", spec["priorityClassName"])
    page.field("Service Account", spec.get("serviceAccountName", "default"))
    page.field("Node", f"{spec.get('nodeName') or '<none>'}/{status.get('hostIP', '')}")
    page.field("Start Time", status.get("startTime", "<none>"))
    page.field("IP", status.get("podIP", "<none>"))
    page.field("QoS Class", status.get("qosClass", "<none>"))
    selector = spec.get("nodeSelector") or {}
    page.field("Node-Selectors", ", ".join(f"{k}={v}" for k, v in selector.items()) or "<none>")
    page.field("Tolerations", _tolerations(spec))
    for title, specs, statuses in (
        ("Init Containers", "initContainers", "initContainerStatuses"),
        ("Containers", "containers", "containerStatuses"),
        ("Ephemeral Containers", "ephemeralContainers", "ephemeralContainerStatuses"),
    ):
        if not spec.get(specs):
            continue
        page.blank()
        page.title(title)
        states = {s.get("name"): s for s in status.get(statuses) or ()}
        for container in spec[specs]:
            _container(page, container, states.get(container.get("name")))
    page.blank()
    _conditions(page, status)
    _volumes(page, spec)


def _tolerations(spec: Obj) -> str:
    found = []
    for t in spec.get("tolerations") or ():
        text = str(t.get("key") or "")
        if t.get("value"):
            text += f"={t['value']}"
        if t.get("effect"):
            text += f":{t['effect']}"
        if t.get("operator") == "Exists":
            text += " op=Exists"
        if t.get("tolerationSeconds") is not None:
            text += f" for {t['tolerationSeconds']}s"
        found.append(text)
    return "\n".join(found) or "<none>"


def _conditions(page: Page, status: Obj) -> None:
    found = status.get("conditions") or []
    if not found:
        return
    page.title("Conditions")
    for c in found:
        good = c.get("status") == "True"
        note = " ".join(str(c[k]) for k in ("reason", "message") if c.get(k))
        size = max(len(str(x.get("type"))) for x in found)
        page.spans(
            (f"   {c.get('type')!s:<{size}}  ", "text"),
            (f"{c.get('status')!s:<6} ", "ok" if good else "warn"),
            (note, "dim"),
        )


def _container(page: Page, container: Obj, status: Obj | None) -> None:
    page.spans((f"   {container.get('name')}", "strong"))
    if status is not None and status.get("containerID"):
        page.field("Container ID", status["containerID"], depth=2)
    page.field("Image", container.get("image", ""), depth=2)
    if status is not None and status.get("imageID"):
        page.field("Image ID", status["imageID"], depth=2)
    ports = [
        f"{p.get('containerPort')}/{p.get('protocol', 'TCP')}" + (f" ({p['name']})" if p.get("name") else "")
        for p in container.get("ports") or ()
    ]
    if ports:
        page.field("Ports", ", ".join(ports), depth=2)
    for key in ("command", "args"):
        if container.get(key):
            page.field(key.capitalize(), " ".join(str(a) for a in container[key]), depth=2)
    if status is not None:
        _state(page, "State", status.get("state") or {})
        if status.get("lastState"):
            _state(page, "Last State", status["lastState"])
        page.field(
            "Ready", str(bool(status.get("ready"))), depth=2, style="ok" if status.get("ready") else "warn"
        )
        page.field("Restart Count", status.get("restartCount", 0), depth=2)
    for key in ("limits", "requests"):
        values = dig(container, "resources", key, default={})
        if values:
            page.field(key.capitalize(), "  ".join(f"{k} {v}" for k, v in values.items()), depth=2)
    for key, title in (
        ("livenessProbe", "Liveness"),
        ("readinessProbe", "Readiness"),
        ("startupProbe", "Startup"),
    ):
        if container.get(key):
            page.field(title, probe_text(container[key]), depth=2)
    for source in container.get("envFrom") or ():
        for kind, word in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if source.get(kind):
                optional = str(bool(source[kind].get("optional"))).lower()
                page.field(
                    "Environment From", f"{source[kind].get('name')}  {word}  Optional: {optional}", depth=2
                )
    if container.get("env"):
        page.field("Environment", "", depth=2)
        for variable in container["env"]:
            page.field(str(variable.get("name")), env_text(variable), depth=3)
    for mount in container.get("volumeMounts") or ():
        mode = "ro" if mount.get("readOnly") else "rw"
        page.field("Mount", f"{mount.get('mountPath')} from {mount.get('name')} ({mode})", depth=2)


def _state(page: Page, title: str, state: Obj) -> None:
    for kind, found in state.items():
        found = found or {}
        style = {"running": "ok", "waiting": "warn"}.get(kind, "dim" if not found.get("exitCode") else "bad")
        text = kind.capitalize()
        if found.get("reason"):
            text += f"  {found['reason']}"
        if kind == "terminated":
            text += f"  exit code {found.get('exitCode', 0)}"
        page.field(title, text, depth=2, style=style)
        if found.get("message"):
            page.field("Message", str(found["message"]).strip(), depth=3)
        if found.get("startedAt"):
            page.field("Started", f"{found['startedAt']}  ({age(found['startedAt'], page.now)} ago)", depth=3)
        if found.get("finishedAt"):
            page.field(
                "Finished", f"{found['finishedAt']}  ({age(found['finishedAt'], page.now)} ago)", depth=3
            )


def probe_text(probe: Obj) -> str:
    """One line about a probe, as kubectl writes it."""
    what = "unknown"
    if probe.get("httpGet"):
        get = probe["httpGet"]
        scheme = str(get.get("scheme", "HTTP")).lower()
        what = f"http-get {scheme}://{get.get('host', '')}:{get.get('port')}{get.get('path', '/')}"
    elif probe.get("tcpSocket"):
        what = f"tcp-socket {probe['tcpSocket'].get('host', '')}:{probe['tcpSocket'].get('port')}"
    elif probe.get("exec"):
        what = f"exec [{' '.join(str(a) for a in probe['exec'].get('command') or ())}]"
    elif probe.get("grpc"):
        what = f"grpc :{probe['grpc'].get('port')}"
    return (
        f"{what} delay={probe.get('initialDelaySeconds', 0)}s timeout={probe.get('timeoutSeconds', 1)}s "
        f"period={probe.get('periodSeconds', 10)}s #success={probe.get('successThreshold', 1)} "
        f"#failure={probe.get('failureThreshold', 3)}"
    )


def env_text(variable: Obj) -> str:
    """A variable's value or where it comes from."""
    if "value" in variable:
        return str(variable["value"])
    source = variable.get("valueFrom") or {}
    for kind, words in (("configMapKeyRef", "of config map"), ("secretKeyRef", "in secret")):
        if source.get(kind):
            return f"<set to the key '{source[kind].get('key')}' {words} '{source[kind].get('name')}'>"
    if source.get("fieldRef"):
        return f"({source['fieldRef'].get('fieldPath')})"
    if source.get("resourceFieldRef"):
        return f"({source['resourceFieldRef'].get('resource')})"
    return ""


def _volumes(page: Page, spec: Obj) -> None:
    volumes = spec.get("volumes") or []
    if not volumes:
        return
    page.title("Volumes")
    for volume in volumes:
        kind = next((k for k in volume if k != "name"), "emptyDir")
        details = volume.get(kind) or {}
        note = next(
            (
                str(details[k])
                for k in ("name", "secretName", "claimName", "path", "medium", "server")
                if details.get(k)
            ),
            "",
        )
        page.field(str(volume.get("name")), f"{kind}  {note}", depth=1)


def pod_template(page: Page, template: Obj) -> None:
    """The template of a workload."""
    spec = template.get("spec") or {}
    page.blank()
    page.title("Pod Template")
    page.mapping("Labels", labels_of(template), "=", depth=1)
    if annotations_of(template):
        page.mapping("Annotations", annotations_of(template), ": ", depth=1)
    if spec.get("serviceAccountName"):
        page.field("Service Account", spec["serviceAccountName"], depth=1)
    for key, title in (("initContainers", "Init Containers"), ("containers", "Containers")):
        if spec.get(key):
            page.title(title, 1)
            for container in spec[key]:
                _container(page, container, None)
    _volumes(page, spec)
    page.blank()
