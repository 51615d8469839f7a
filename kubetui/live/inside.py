"""What a pod is in the container runtime: ids, digests, mounts, and the lines that look closer on the node."""

from __future__ import annotations

from kubetui.live.describe_pod import Page
from kubetui.live.lines import Line, line
from kubetui.live.objects import Obj, annotations_of, dig, name_of, uid_of
from kubetui.live.text import age

PODMAN = "podman"
_GROUPS = (
    ("initContainers", "initContainerStatuses", "Init container"),
    ("containers", "containerStatuses", "Container"),
    ("ephemeralContainers", "ephemeralContainerStatuses", "Ephemeral container"),
)


def runtime_id(status: Obj) -> tuple[str, str]:
    """(runtime, id) of a container status: ``podman://0123…`` → ``("podman", "0123…")``; empty before it exists."""
    scheme, separator, found = str(status.get("containerID") or "").partition("://")
    return (scheme, found) if separator else ("", "")


def digest_of(status: Obj) -> str:
    """The image's digest, where the runtime tells one."""
    text = str(status.get("imageID") or "")
    _, separator, digest = text.rpartition("sha256:")
    return f"sha256:{digest}" if separator else ""


def mounted(pod: Obj, container: Obj) -> list[tuple[str, str, str]]:
    """(path in the container, what is mounted, ro or rw)."""
    volumes = {v.get("name"): v for v in dig(pod, "spec", "volumes", default=[])}
    found = []
    for mount in container.get("volumeMounts") or ():
        volume = volumes.get(mount.get("name")) or {}
        kind = next((k for k in volume if k != "name"), "emptyDir")
        details = volume.get(kind) or {}
        keys = ("name", "secretName", "claimName", "path", "medium", "server")
        note = next((str(details[k]) for k in keys if details.get(k)), "")
        what = f"{kind} {note}".strip() + f" ({mount.get('name')})"
        if mount.get("subPath") or mount.get("subPathExpr"):
            what += f", below {mount.get('subPath') or mount.get('subPathExpr')}"
        mode = "ro" if mount.get("readOnly") else "rw"
        found.append((str(mount.get("mountPath")), what, mode))
    return found


def inside_page(pod: Obj, now: float) -> list[Line]:
    """The page about one pod."""
    page = Page(now)
    status = pod.get("status") or {}
    page.blank()
    page.spans((f" {name_of(pod)}", "strong"), (f"  {uid_of(pod)}", "dim"))
    page.field("Node", f"{dig(pod, 'spec', 'nodeName', default='<none>')}  {status.get('hostIP', '')}")
    page.field(
        "Addresses", "  ".join(str(a.get("ip")) for a in status.get("podIPs") or ()) or status.get("podIP")
    )
    for key in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        if dig(pod, "spec", key):
            page.field(key, "true", style="warn")
    if dig(pod, "spec", "runtimeClassName"):
        page.field("Runtime class", dig(pod, "spec", "runtimeClassName"))
    runtimes = set()
    for specs, statuses, title in _GROUPS:
        states = {s.get("name"): s for s in status.get(statuses) or ()}
        for container in dig(pod, "spec", specs, default=[]):
            found = states.get(container.get("name")) or {}
            runtime, identity = runtime_id(found)
            runtimes.add(runtime)
            page.blank()
            page.title(f"{title} {container.get('name')}")
            page.field("Runtime", runtime or "not created yet", depth=1)
            if identity:
                page.field("Container id", identity, depth=1)
            page.field("Image", container.get("image", ""), depth=1)
            if found.get("imageID"):
                digest = digest_of(found)
                page.field("Digest" if digest else "Image id", digest or found["imageID"], depth=1)
            state = next(iter((found.get("state") or {"waiting": {}}).items()))
            started = (state[1] or {}).get("startedAt")
            page.field("State", state[0] + (f" for {age(started, now)}" if started else ""), depth=1)
            page.field("Attempt", found.get("restartCount", 0), depth=1)
            before = dig(found, "lastState", "terminated")
            if before:
                last = runtime_id(before)[1][:12]
                page.field("Before", f"{last or '?'}  exit code {before.get('exitCode', '?')}", depth=1)
            for path, what, mode in mounted(pod, container):
                page.field("Mount", f"{path}  {mode}  {what}", depth=1)
            if runtime == PODMAN and identity:
                page.field("Look closer", f"podman inspect {identity[:12]}", depth=1, style="dim")
                page.field("Process", f"podman top {identity[:12]} hpid pid user comm", depth=1, style="dim")
    own = {k: v for k, v in annotations_of(pod).items() if "kubetui.io/" in k}
    if own:
        page.blank()
        page.mapping("Annotations", own, ": ")
    if PODMAN in runtimes:
        page.blank()
        label = f"label=io.kubetui.pod.uid={uid_of(pod)}"
        page.spans((" All of it: ", "dim"), (f"podman ps --all --pod --filter {label}", "text"))
    return page.lines or [line()]
