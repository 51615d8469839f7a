"""A pod's ``/etc/hosts``, which the kubelet writes: the runtime's own says more than a pod should know, and less.

Follows managedHostsFileContent in ``pkg/kubelet/kubelet_pods.go``. On the machine's network the runtime leaves a
pod's resolver settings alone, so that ``/etc/resolv.conf`` is written here too where the pod has some.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runtime.kubelet.options import KubeletOptions
from runtime.kubelet.pods.spec import HostDNS, dns_policy, pod_dns, short_hostname_of
from runtime.objects.errors import Obj

ETC_HOSTS = "/etc/hosts"
RESOLV_CONF = "/etc/resolv.conf"

_LOCAL = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""


def wants_file(container: Obj, path: str) -> bool:
    """A container that mounts something of its own there keeps it."""
    return all(mount.get("mountPath") != path for mount in container.get("volumeMounts") or ())


def resolver_file(pod: Obj, options: KubeletOptions, host: HostDNS) -> str | None:
    """``/etc/resolv.conf`` of a pod on the machine's network; None leaves the machine's own, or the runtime's."""
    spec = pod["spec"]
    servers, searches, settings = pod_dns(pod, options, host)
    if not spec.get("hostNetwork") or not (servers or searches or settings):
        return None
    if dns_policy(pod, options) == "Default":
        servers, searches = servers or host.servers, searches or host.searches
    lines = [f"search {' '.join(searches)}"] if searches else []
    lines += [f"nameserver {server}" for server in servers]
    lines += [f"options {' '.join(settings)}"] if settings else []
    return "".join(f"{line}\n" for line in lines)


def hosts_file(
    pod: Obj, ips: Sequence[str], options: KubeletOptions, machine: Path = Path(ETC_HOSTS)
) -> str | None:
    """What the file says; None while the pod has no address.

    Args:
        pod: its hostname, subdomain and hostAliases count.
        ips: the pod's own addresses.
        options: for the cluster's domain.
        machine: this machine's file, which a pod on the machine's network sees.
    """
    spec = pod["spec"]
    if spec.get("hostNetwork"):
        try:
            own = machine.read_text(encoding="utf-8", errors="replace")
        except OSError:
            own = _LOCAL
        text = f"# Kubernetes-managed hosts file (host network).\n{own}"
        if not text.endswith("\n"):
            text += "\n"
    elif not ips:
        return None
    else:
        names = host = short_hostname_of(pod)
        if spec.get("subdomain") and not spec.get("hostnameOverride"):
            namespace = pod["metadata"].get("namespace", "")
            names = f"{host}.{spec['subdomain']}.{namespace}.svc.{options.cluster_domain}\t{host}"
        text = f"# Kubernetes-managed hosts file.\n{_LOCAL}" + "".join(f"{ip}\t{names}\n" for ip in ips)
    aliases = spec.get("hostAliases") or ()
    if aliases:
        text += "\n# Entries added by HostAliases.\n"
        text += "".join("\t".join((entry["ip"], *(entry.get("hostnames") or ()))) + "\n" for entry in aliases)
    return text
