"""From a pod's spec to what the runtime is asked for: one sandbox, and one container at a time.

Follows ``pkg/kubelet/kuberuntime/{kuberuntime_sandbox,kuberuntime_container,security_context}.go`` and
``pkg/kubelet/network/dns``. Pure functions; every reference has been resolved before.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.kubelet.env import ConfigFailure, expand
from runtime.kubelet.options import KubeletOptions
from runtime.kubelet.pods.admission import dotted
from runtime.kubelet.resources import bytes_of, cores, oom_score_adj
from runtime.objects.errors import Obj
from runtime.podman.accounts import Identity
from runtime.podman.interface import Container, ContainerSpec, Image, Mount, PortMapping, SandboxSpec

HASH_LABEL = "io.kubetui.container.hash"
GRACE_LABEL = "io.kubetui.pod.grace"
_HOSTNAME_LIMIT = 64
"""What the kernel keeps of a host name."""


@dataclass(frozen=True, slots=True)
class HostDNS:
    """The machine's own resolver settings."""

    searches: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()

    @staticmethod
    def read(path: Path = Path("/etc/resolv.conf")) -> HostDNS:
        """From resolv.conf; empty when it can't be read."""
        searches: tuple[str, ...] = ()
        servers: list[str] = []
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return HostDNS()
        for line in text.splitlines():
            words = line.split()
            if words and words[0] == "search":
                searches = tuple(word.rstrip(".") for word in words[1:] if word != ".")
            elif len(words) > 1 and words[0] == "nameserver":
                servers.append(words[1])
        return HostDNS(searches, tuple(servers))


def short_hostname_of(pod: Obj) -> str:
    """The pod's host name without a domain (GeneratePodHostNameAndDomain)."""
    spec = pod["spec"]
    if spec.get("hostnameOverride"):
        return str(spec["hostnameOverride"])
    return str(spec.get("hostname") or pod["metadata"]["name"])[:63].rstrip("-.")


def hostname_of(pod: Obj, options: KubeletOptions) -> str:
    """What ``hostname`` prints in the pod (GetNodenameForKernel).

    Raises:
        ConfigFailure: it is longer than the kernel takes.
    """
    spec, name = pod["spec"], short_hostname_of(pod)
    if spec.get("hostnameOverride") or not (spec.get("setHostnameAsFQDN") and spec.get("subdomain")):
        return name
    namespace = pod["metadata"].get("namespace", "")
    full = f"{name}.{spec['subdomain']}.{namespace}.svc.{options.cluster_domain}"
    if len(full) > _HOSTNAME_LIMIT:
        raise ConfigFailure(
            f"failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long "
            f"({_HOSTNAME_LIMIT} is the max, {len(full)} characters requested)"
        )
    return full


def dns_policy(pod: Obj, options: KubeletOptions) -> str:
    """What the pod's ``dnsPolicy`` comes to here (getPodDNSType)."""
    spec = pod["spec"]
    policy = str(spec.get("dnsPolicy") or "ClusterFirst")
    if policy == "ClusterFirst" and spec.get("hostNetwork"):
        return "Default"
    return policy if options.cluster_dns or not policy.startswith("ClusterFirst") else "Default"


def pod_dns(
    pod: Obj, options: KubeletOptions, host: HostDNS
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Name servers, search domains and options for resolv.conf; all empty leaves the machine's own."""
    spec = pod["spec"]
    policy = dns_policy(pod, options)
    servers: list[str] = []
    searches: list[str] = []
    settings: dict[str, str | None] = {}
    if policy.startswith("ClusterFirst"):
        domain = options.cluster_domain
        servers = list(options.cluster_dns)
        searches = [
            f"{pod['metadata'].get('namespace', '')}.svc.{domain}",
            f"svc.{domain}",
            domain,
            *host.searches,
        ]
        settings["ndots"] = "5"
    config = spec.get("dnsConfig") or {}
    if config:
        if policy == "Default" and config.get("searches"):
            searches = list(host.searches)
        if policy == "Default" and config.get("nameservers"):
            # Nobody answers on a pod's own loopback.
            servers = [one for one in host.servers if spec.get("hostNetwork") or not one.startswith("127.")]
        servers.extend(entry for entry in config.get("nameservers") or () if entry not in servers)
        searches.extend(entry for entry in config.get("searches") or () if entry not in searches)
        for option in config.get("options") or ():
            settings[option["name"]] = option.get("value")
    rendered = tuple(name if value is None else f"{name}:{value}" for name, value in settings.items())
    return tuple(servers), tuple(dict.fromkeys(searches)), rendered


def sandbox_spec(pod: Obj, node: str, options: KubeletOptions, host: HostDNS) -> SandboxSpec:
    """What ``create_sandbox`` is given.

    Raises:
        ConfigFailure: there can't be such a sandbox.
    """
    meta, spec = pod["metadata"], pod["spec"]
    servers, searches, settings = pod_dns(pod, options, host)
    context = spec.get("securityContext") or {}
    host_network = bool(spec.get("hostNetwork"))
    ports: tuple[PortMapping, ...] = ()
    if not host_network:
        ports = tuple(
            PortMapping(
                port["containerPort"],
                port["hostPort"],
                port.get("hostIP") or "",
                (port.get("protocol") or "TCP").lower(),
            )
            for container in (*(spec.get("initContainers") or ()), *spec["containers"])
            for port in container.get("ports") or ()
            if port.get("hostPort")
        )
    sysctls = context.get("sysctls")
    grace = spec.get("terminationGracePeriodSeconds")
    return SandboxSpec(
        uid=meta["uid"],
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        node=node,
        hostname="" if host_network else hostname_of(pod, options),
        labels={GRACE_LABEL: str(30 if grace is None else grace)},
        annotations=meta.get("annotations") or {},
        host_network=host_network,
        host_pid=bool(spec.get("hostPID")),
        host_ipc=bool(spec.get("hostIPC")),
        share_process_namespace=bool(spec.get("shareProcessNamespace")),
        dns_servers=servers,
        dns_searches=searches,
        dns_options=settings,
        host_aliases=tuple(
            (entry["ip"], tuple(entry.get("hostnames") or ())) for entry in spec.get("hostAliases") or ()
        ),
        ports=ports,
        sysctls={dotted(entry["name"]): entry["value"] for entry in sysctls} if sysctls else {},
    )


def container_hash(container: Obj) -> str:
    """Changes when the container must be replaced: only the image of a running pod's container may be changed."""
    return f"{zlib.crc32((container['name'] + chr(0) + container.get('image', '')).encode()):08x}"


def definition_changed(container: Obj, current: Container) -> bool:
    """Whether a running container was made from another definition."""
    made_from = current.labels.get(HASH_LABEL)
    return bool(made_from) and made_from != container_hash(container)


def verify_non_root(pod: Obj, container: Obj, image: Image) -> None:
    """runAsNonRoot, before anything is started.

    Raises:
        ConfigFailure: it would run as root, or nobody can tell; upstream's words.
    """
    pod_context = pod["spec"].get("securityContext") or {}
    own = container.get("securityContext") or {}
    if not own.get("runAsNonRoot", pod_context.get("runAsNonRoot")):
        return
    meta = pod["metadata"]
    where = (
        f'pod: "{meta["name"]}_{meta.get("namespace", "")}({meta["uid"]})", container: {container["name"]}'
    )
    user = own.get("runAsUser", pod_context.get("runAsUser"))
    if user is not None:
        if user == 0:
            raise ConfigFailure(f"container's runAsUser breaks non-root policy ({where})")
        return
    name = image.user.partition(":")[0]
    if name in ("", "0", "root"):
        raise ConfigFailure(f"container has runAsNonRoot and image will run as root ({where})")
    if not name.isdigit():
        raise ConfigFailure(
            f"container has runAsNonRoot and image has non-numeric user ({name}), "
            f"cannot verify user is non-root ({where})"
        )


@dataclass(frozen=True, slots=True)
class ContainerPlace:
    """What a container's spec needs beside its pod."""

    attempt: int
    image: Image
    env: Mapping[str, str]
    mounts: Sequence[Mount]
    log_path: str
    quality: str
    memory_capacity: int
    rootless: bool
    seccomp_root: Path
    target: str = ""
    """The id of the container that an ephemeral container was aimed at."""


def container_spec(pod: Obj, container: Obj, place: ContainerPlace) -> ContainerSpec:
    """What ``create_container`` is given.

    Raises:
        ConfigFailure: the spec asks for what can't be (CreateContainerConfigError).
    """
    pod_context: Obj = pod["spec"].get("securityContext") or {}
    own: Obj = container.get("securityContext") or {}
    if own or pod_context:
        verify_non_root(pod, container, place.image)
    resources = container.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    pod_limits = (pod["spec"].get("resources") or {}).get("limits") or {}
    cpu_limit = limits.get("cpu", pod_limits.get("cpu"))
    memory_limit = limits.get("memory", pod_limits.get("memory"))
    capabilities = own.get("capabilities") or {}
    seccomp = own.get("seccompProfile") or pod_context.get("seccompProfile") or {}
    user, groups = _user_and_groups(pod, container, place.image)
    score = oom_score_adj(pod, container, place.quality, place.memory_capacity)
    env = place.env
    command, args = container.get("command"), container.get("args")
    lifecycle = container.get("lifecycle") or {}
    return ContainerSpec(
        name=container["name"],
        attempt=place.attempt,
        image=container["image"],
        command=tuple([expand(word, env) for word in command]) if command else None,
        args=tuple([expand(word, env) for word in args]) if args else None,
        env=env,
        unset_env=_not_ours(bool(container.get("tty")), place.image),
        working_dir=container.get("workingDir") or "",
        mounts=tuple(place.mounts),
        tty=bool(container.get("tty")),
        stdin=bool(container.get("stdin")),
        stdin_once=bool(container.get("stdinOnce")),
        cpu_limit=cores(cpu_limit) if cpu_limit is not None else 0.0,
        cpu_request=cores(requests["cpu"]) if "cpu" in requests else 0.0,
        memory_limit=bytes_of(memory_limit) if memory_limit is not None else 0,
        memory_request=bytes_of(requests["memory"]) if "memory" in requests else 0,
        # Lowering the score needs a privilege that a rootless runtime does not have.
        oom_score_adj=None if place.rootless and score < 0 else score,
        user=user,
        groups=tuple(groups),
        privileged=bool(own.get("privileged")),
        read_only_root=bool(own.get("readOnlyRootFilesystem")),
        allow_privilege_escalation=own.get("allowPrivilegeEscalation", True) is not False,
        cap_add=tuple(capabilities.get("add") or ()),
        cap_drop=tuple(capabilities.get("drop") or ()),
        selinux=own.get("seLinuxOptions") or pod_context.get("seLinuxOptions") or {},
        seccomp_profile=_seccomp(seccomp, place.seccomp_root),
        unmask_proc=own.get("procMount") == "Unmasked",
        stop_signal=lifecycle.get("stopSignal") or "",
        log_path=place.log_path,
        process_target="" if pod["spec"].get("shareProcessNamespace") else place.target,
        labels={HASH_LABEL: container_hash(container)},
    )


def _not_ours(tty: bool, image: Image) -> tuple[str, ...]:
    """What Podman adds to every container's environment, and no other runtime of Kubernetes does."""
    names = ("container",) if tty else ("container", "TERM")
    return tuple(name for name in names if name not in image.env)


def _user(own: Obj, pod_context: Obj, image: Image) -> str:
    user = own.get("runAsUser", pod_context.get("runAsUser"))
    group = own.get("runAsGroup", pod_context.get("runAsGroup"))
    if user is None and group is None:
        return ""
    name = str(user) if user is not None else image.user.partition(":")[0] or "0"
    return name if group is None else f"{name}:{group}"


def identity_of(pod: Obj, container: Obj, image: Image) -> Identity | None:
    """Who the container's first process is; None when the image does not tell.

    The user's groups in the image come first unless the pod's ``supplementalGroupsPolicy`` is ``Strict``.
    """
    pod_context: Obj = pod["spec"].get("securityContext") or {}
    own: Obj = container.get("securityContext") or {}
    if image.accounts is None:
        return None
    found = image.accounts.identity(_user(own, pod_context, image) or image.user)
    if found is None:
        return None
    merged = () if pod_context.get("supplementalGroupsPolicy") == "Strict" else found.groups
    return Identity(found.uid, found.gid, tuple(dict.fromkeys((*merged, *_groups(pod_context)))))


def _groups(pod_context: Obj) -> list[int]:
    groups: list[int] = list(pod_context.get("supplementalGroups") or ())
    if pod_context.get("fsGroup") is not None:
        groups.append(pod_context["fsGroup"])
    return groups


def _user_and_groups(pod: Obj, container: Obj, image: Image) -> tuple[str, Sequence[int]]:
    """What the runtime is told of both: it adds the user's groups in the image unless it is given the primary one."""
    pod_context: Obj = pod["spec"].get("securityContext") or {}
    user, groups = _user(container.get("securityContext") or {}, pod_context, image), _groups(pod_context)
    strict = pod_context.get("supplementalGroupsPolicy") == "Strict"
    who = identity_of(pod, container, image) if strict or ":" in user else None
    return (user, groups) if who is None else (f"{who.uid}:{who.gid}", who.groups)


def _seccomp(profile: Obj, root: Path) -> str:
    """Empty: the runtime's own filter. As with a kubelet whose ``seccompDefault`` is off, nobody gets it unasked."""
    match profile.get("type"):
        case "RuntimeDefault":
            return ""
        case "Localhost":
            path = root / str(profile.get("localhostProfile", ""))
            if not path.is_file():
                raise ConfigFailure(f"cannot load seccomp profile {str(path)!r}: no such file")
            return str(path)
        case _:
            return "unconfined"


def not_honoured(pod: Obj) -> list[str]:
    """Fields of this pod that this node accepts and does not act upon, one sentence each."""
    spec = pod["spec"]
    found: list[str] = []
    for field in ("resourceClaims",):
        if spec.get(field):
            found.append(f"spec.{field} has no effect on this node")
    if spec.get("hostUsers") is False:
        found.append("spec.hostUsers: pods share the user namespace of the container runtime")
    contexts = [("spec.securityContext", spec.get("securityContext") or {})]
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            where = f"spec.{field}{{{container['name']}}}"
            contexts.append((f"{where}.securityContext", container.get("securityContext") or {}))
            if container.get("volumeDevices"):
                found.append(f"{where}.volumeDevices: raw block volumes have no effect on this node")
            for name in (container.get("resources") or {}).get("limits") or ():
                if name not in ("cpu", "memory", "ephemeral-storage") and not name.startswith("hugepages-"):
                    found.append(f"{where}.resources: this node has no device plugin for {name}")
    for where, context in contexts:
        for field in ("appArmorProfile", "windowsOptions"):
            if context.get(field) and (context[field] or {}).get("type") != "RuntimeDefault":
                found.append(f"{where}.{field} has no effect on this node")
    return found
