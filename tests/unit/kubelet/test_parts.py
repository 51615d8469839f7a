"""The small parts: alarms, back-off, images and logins, samples, the specs the runtime is given."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from node_rig import Rig, one_container

from runtime.kubelet.backoff import Backoff, go_duration
from runtime.kubelet.env import ConfigFailure
from runtime.kubelet.options import KubeletOptions
from runtime.kubelet.pods.hosts import hosts_file, resolver_file, wants_file
from runtime.kubelet.pods.images import (
    ImageManager,
    pull_credentials,
    read_docker_config,
    registry_matches,
)
from runtime.kubelet.pods.spec import (
    ContainerPlace,
    HostDNS,
    container_spec,
    identity_of,
    pod_dns,
    sandbox_spec,
)
from runtime.kubelet.stats import usage_between
from runtime.kubelet.timers import Timers
from runtime.objects.clock import ManualClock
from runtime.podman.accounts import Accounts
from runtime.podman.interface import ContainerStats, Image, RuntimeUnavailable
from runtime.podman.simulated import SimulatedRuntime

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def test_alarms_ring_in_order_and_can_be_cancelled() -> None:
    clock = ManualClock()
    timers = Timers(clock)
    rung: list[str] = []
    timers.call_later(5, lambda: rung.append("late"))
    timers.call_later(1, lambda: rung.append("early"))
    timers.call_later(2, lambda: rung.append("never")).cancel()
    timers.call_later(3, lambda: 1 / 0)
    await clock.advance(2)
    assert rung == ["early"]
    await clock.advance(4)
    assert rung == ["early", "late"]
    timers.call_later(1, lambda: rung.append("closed"))
    timers.close()
    await clock.advance(5)
    assert rung == ["early", "late"]


async def test_back_off_counts_as_client_go() -> None:
    clock = ManualClock()
    backoff = Backoff(clock)
    assert backoff.remaining_since("u", "c", clock.now()) == 0
    waits = []
    for _ in range(7):
        waits.append(backoff.next("u", "c", clock.now()))
        await clock.advance(waits[-1])
    assert waits == [10, 20, 40, 80, 160, 300, 300]
    finished = clock.now()
    await clock.advance(100)
    assert backoff.remaining_since("u", "c", finished) == 200
    await clock.advance(601)
    assert backoff.remaining_since("u", "c", clock.now()) == 0
    assert backoff.next("u", "c", clock.now()) == 10
    backoff.forget("u")
    assert backoff.get("u", "c") == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.31, "310ms"),
        (1.25, "1.25s"),
        (10, "10s"),
        (80, "1m20s"),
        (300, "5m0s"),
        (3661, "1h1m1s"),
    ],
)
def test_durations_read_like_gos(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text


@pytest.mark.parametrize(
    ("pattern", "image", "expected"),
    [
        ("https://index.docker.io/v1/", "nginx", True),
        ("docker.io", "library/nginx:1", True),
        ("quay.io", "quay.io/a/b", True),
        ("quay.io", "nginx", False),
        ("quay.io/team", "quay.io/team/app:1", True),
        ("quay.io/team", "quay.io/other/app:1", False),
        ("*.example.com", "reg.example.com/x", True),
        ("*.example.com", "a.b.example.com/x", False),
        ("localhost:5000", "localhost:5000/x", True),
        ("localhost:5000", "localhost:5001/x", False),
    ],
)
def test_logins_are_for_their_registry(pattern: str, image: str, expected: bool) -> None:
    assert registry_matches(pattern, image) is expected


async def test_pull_secrets() -> None:
    auths = {
        "quay.io": {"auth": base64.b64encode(b"me:pa:ss").decode()},
        "quay.io/team": {"username": "t", "password": "p"},
    }
    config = base64.b64encode(json.dumps({"auths": auths}).encode()).decode()

    class Secrets:
        async def secret(self, namespace: str, name: str) -> Any:
            return {"data": {".dockerconfigjson": config}} if name == "reg" else None

    pod = {"metadata": {"namespace": "ns"}, "spec": {"imagePullSecrets": [{"name": "none"}, {"name": "reg"}]}}
    found = await pull_credentials(pod, "quay.io/team/app", Secrets())
    assert [entry["username"] for entry in found] == ["t", "me"]
    assert found[1]["password"] == "pa:ss"
    assert await pull_credentials(pod, "nginx", Secrets()) == []
    assert read_docker_config({"data": {".dockerconfigjson": "bm90IGpzb24="}}) == {}


def sample(seconds: float, cpu: int) -> ContainerStats:
    return ContainerStats("c", NOW + timedelta(seconds=seconds), cpu, 1000)


def test_cpu_is_a_rate_between_samples() -> None:
    found = usage_between(sample(0, 10**9), sample(10, 6 * 10**9))
    assert found is not None and found.cpu == pytest.approx(0.5) and found.window == 10
    assert usage_between(sample(0, 5), sample(10, 4)) is None
    assert usage_between(sample(0, 5), sample(0, 6)) is None


async def test_samples_are_taken_only_while_somebody_asks(node: Rig) -> None:
    annotations = {"simulated.kubetui.io/cpu": "0.25", "simulated.kubetui.io/memory": "5000000"}
    await node.make(one_container(metadata={"annotations": annotations}))
    uid = (await node.phase("a", "Running"))["metadata"]["uid"]
    taken = 0
    real = node.runtime.stats

    async def counted() -> Any:
        nonlocal taken
        taken += 1
        return await real()

    node.runtime.stats = counted
    stats = node.kubelets[0].stats
    await node.advance(120)
    assert taken == 0
    assert stats.pod(uid) == []
    await node.advance(2)
    [found] = stats.pod(uid)
    assert (found.name, found.usage.memory) == ("c", 5_000_000)
    assert found.usage.cpu == pytest.approx(0.25, rel=0.01)
    whole = stats.node("n1")
    assert whole is not None and whole.cpu == pytest.approx(0.25, rel=0.01)
    await node.advance(300)
    before = taken
    await node.advance(120)
    assert taken == before and before < 12


POD: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "ns", "uid": "u"},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}
IMAGE = Image("id", ("i",), (), 1, user="app")


def place(**more: Any) -> ContainerPlace:
    given: dict[str, Any] = {
        "attempt": 2,
        "image": IMAGE,
        "env": {"A": "1"},
        "mounts": (),
        "log_path": "/l",
        "quality": "Burstable",
        "memory_capacity": 1 << 30,
        "rootless": True,
        "seccomp_root": Path("/none"),
        **more,
    }
    return ContainerPlace(**given)


def pod_and_container(container: dict[str, Any], **spec: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    full = {"name": "c", "image": "i", **container}
    return {**POD, "spec": {"containers": [full], **spec}}, full


def test_a_containers_spec() -> None:
    pod, container = pod_and_container(
        {
            "command": ["run", "$(A)"],
            "args": ["$(B)", "$$(A)"],
            "resources": {"limits": {"cpu": "1500m", "memory": "64Mi"}, "requests": {"cpu": "100m"}},
            "securityContext": {
                "runAsUser": 5,
                "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False,
                "seccompProfile": {"type": "Unconfined"},
            },
            "tty": True,
        },
        securityContext={"runAsGroup": 6, "supplementalGroups": [7], "fsGroup": 8},
    )
    found = container_spec(pod, container, place())
    assert found.command == ("run", "1") and found.args == ("$(B)", "$(A)")
    assert (found.cpu_limit, found.cpu_request, found.memory_limit) == (1.5, 0.1, 64 << 20)
    assert (found.user, found.groups) == ("5:6", (7, 8))
    assert (
        found.read_only_root
        and not found.allow_privilege_escalation
        and found.seccomp_profile == "unconfined"
    )
    assert (found.cap_add, found.cap_drop) == (("NET_ADMIN",), ("ALL",))
    assert found.tty and found.attempt == 2 and found.oom_score_adj is not None
    assert container_spec(pod, container, place(target="abc")).process_target == "abc"
    shared = {**pod, "spec": {**pod["spec"], "shareProcessNamespace": True}}
    assert container_spec(shared, container, place(target="abc")).process_target == ""


@pytest.mark.parametrize(
    ("tty", "sets", "expected"),
    [
        (False, (), ("container", "TERM")),
        (True, (), ("container",)),
        (False, ("container", "TERM", "PATH"), ()),
    ],
)
def test_no_variables_but_the_images_and_the_pods(
    tty: bool, sets: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    pod, container = pod_and_container({"tty": tty})
    image = replace(IMAGE, env=frozenset(sets))
    assert container_spec(pod, container, place(image=image)).unset_env == expected


@pytest.mark.parametrize(
    ("pods", "own", "expected"),
    [
        ("", "", "unconfined"),
        ("RuntimeDefault", "", ""),
        ("Unconfined", "RuntimeDefault", ""),
        ("RuntimeDefault", "Unconfined", "unconfined"),
    ],
)
def test_calls_are_filtered_only_where_a_profile_asks_for_it(pods: str, own: str, expected: str) -> None:
    def context(kind: str) -> dict[str, Any]:
        return {"seccompProfile": {"type": kind}} if kind else {}

    pod, container = pod_and_container({"securityContext": context(own)}, securityContext=context(pods))
    assert container_spec(pod, container, place()).seccomp_profile == expected


@pytest.mark.parametrize(
    ("context", "user", "message"),
    [
        ({"runAsNonRoot": True, "runAsUser": 0}, "1", "container's runAsUser breaks non-root policy"),
        ({"runAsNonRoot": True}, "", "container has runAsNonRoot and image will run as root"),
        ({"runAsNonRoot": True}, "app", "container has runAsNonRoot and image has non-numeric user (app)"),
        ({"runAsNonRoot": True}, "1000", None),
        ({"runAsNonRoot": True, "runAsUser": 3}, "", None),
        (
            {"seccompProfile": {"type": "Localhost", "localhostProfile": "x.json"}},
            "",
            "cannot load seccomp profile",
        ),
    ],
)
def test_what_may_not_run(context: dict[str, Any], user: str, message: str | None) -> None:
    pod, container = pod_and_container({"securityContext": context})
    image = Image("id", ("i",), (), 1, user=user)
    if message is None:
        container_spec(pod, container, place(image=image))
        return
    with pytest.raises(ConfigFailure) as failure:
        container_spec(pod, container, place(image=image))
    assert message in str(failure.value)


@pytest.mark.parametrize(
    ("context", "user", "groups"),
    [
        ({}, "", (5,)),
        ({"runAsUser": 1000}, "1000", (5,)),  # Podman adds the groups of the image by itself
        ({"runAsUser": 1000, "runAsGroup": 3}, "1000:3", (9, 5)),
        ({"runAsUser": 1000, "supplementalGroupsPolicy": "Strict"}, "1000:1001", (5,)),
        ({"supplementalGroupsPolicy": "Strict"}, "1000:1001", (5,)),
        ({"runAsUser": 1, "runAsGroup": 3, "supplementalGroupsPolicy": "Strict"}, "1:3", (5,)),
    ],
)
def test_users_and_groups(context: dict[str, Any], user: str, groups: tuple[int, ...]) -> None:
    accounts = Accounts((("app", 1000, 1001),), (("more", 9, ("app",)),))
    image = Image("id", ("i",), (), 1, user="app", accounts=accounts)
    pod, container = pod_and_container({}, securityContext={**context, "supplementalGroups": [5]})
    found = container_spec(pod, container, place(image=image))
    assert (found.user, found.groups) == (user, groups)
    who = identity_of(pod, container, image)
    assert who is not None and (5 in who.groups, 9 in who.groups) == (
        True,
        context.get("supplementalGroupsPolicy") != "Strict" and who.uid == 1000,
    )
    without = Image("id", ("i",), (), 1, user="app")
    assert identity_of(pod, container, without) is None
    assert container_spec(pod, container, place(image=without)).groups == (5,)


DNS = KubeletOptions(cluster_dns=("10.96.0.10",))
HOST = HostDNS(("corp.example",), ("127.0.0.53", "192.0.2.9"))


@pytest.mark.parametrize(
    ("spec", "options", "expected"),
    [
        (
            {},
            DNS,
            (
                ("10.96.0.10",),
                ("ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.example"),
                ("ndots:5",),
            ),
        ),
        ({}, KubeletOptions(), ((), (), ())),
        ({"dnsPolicy": "Default"}, DNS, ((), (), ())),
        ({"hostNetwork": True}, DNS, ((), (), ())),
        (
            {"dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["x.y"]}},
            KubeletOptions(),
            (("192.0.2.9", "1.1.1.1"), ("corp.example", "x.y"), ()),
        ),
        (
            {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"], "options": [{"name": "edns0"}]}},
            DNS,
            (("1.1.1.1",), (), ("edns0",)),
        ),
        (
            {"dnsConfig": {"searches": ["x.y"], "options": [{"name": "ndots", "value": "2"}]}},
            DNS,
            (
                ("10.96.0.10",),
                ("ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.example", "x.y"),
                ("ndots:2",),
            ),
        ),
    ],
)
def test_dns(spec: dict[str, Any], options: KubeletOptions, expected: Any) -> None:
    assert pod_dns({**POD, "spec": {**POD["spec"], **spec}}, options, HOST) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, None),
        ({"hostNetwork": True}, None),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"]}}, None),  # the runtime does it
        (
            {
                "hostNetwork": True,
                "dnsPolicy": "None",
                "dnsConfig": {
                    "nameservers": ["1.1.1.1"],
                    "searches": ["a.b"],
                    "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
                },
            },
            "search a.b\nnameserver 1.1.1.1\noptions ndots:2 edns0\n",
        ),
        (
            {"hostNetwork": True, "dnsConfig": {"nameservers": ["1.1.1.1"]}},
            "search corp.example\nnameserver 127.0.0.53\nnameserver 192.0.2.9\nnameserver 1.1.1.1\n",
        ),
        (
            {"hostNetwork": True, "dnsConfig": {"searches": ["a.b"]}},
            "search corp.example a.b\nnameserver 127.0.0.53\nnameserver 192.0.2.9\n",
        ),
    ],
)
def test_resolver_settings_on_the_machines_network(spec: dict[str, Any], expected: str | None) -> None:
    pod = {**POD, "spec": {**POD["spec"], **spec}}
    assert resolver_file(pod, KubeletOptions(), HOST) == expected


def test_the_machines_resolver_settings(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("# comment\nsearch a.b. c.d\nnameserver 127.0.0.53\nnameserver ::1\nnameserver\n")
    assert HostDNS.read(file) == HostDNS(("a.b", "c.d"), ("127.0.0.53", "::1"))
    assert HostDNS.read(tmp_path / "none") == HostDNS()


def test_a_sandboxs_spec() -> None:
    ports = [{"containerPort": 80, "hostPort": 8080, "protocol": "TCP"}, {"containerPort": 81}]
    pod, _ = pod_and_container(
        {"ports": ports},
        hostname="h",
        hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "b"]}],
        securityContext={"sysctls": [{"name": "net/core/somaxconn", "value": "5"}]},
        terminationGracePeriodSeconds=7,
    )
    found = sandbox_spec(pod, "n1", KubeletOptions(), HostDNS())
    assert (found.uid, found.namespace, found.name, found.node, found.hostname) == (
        "u",
        "ns",
        "web",
        "n1",
        "h",
    )
    assert [(port.container_port, port.host_port) for port in found.ports] == [(80, 8080)]
    assert found.host_aliases == (("1.2.3.4", ("a", "b")),)
    assert found.sysctls == {"net.core.somaxconn": "5"} and found.labels["io.kubetui.pod.grace"] == "7"
    assert not sandbox_spec(
        {**pod, "spec": {**pod["spec"], "hostNetwork": True}}, "n1", KubeletOptions(), HostDNS()
    ).ports


async def test_a_pull_that_breaks_when_nobody_waits_any_more_is_nobodys_concern() -> None:
    class Breaking(SimulatedRuntime):
        async def pull_image(self, name: str, credentials: Any = ()) -> Image:
            begun.set()
            await broken.wait()
            raise RuntimeUnavailable("the connection to Podman broke")

    class NoSecrets:
        async def secret(self, namespace: str, name: str) -> None:
            return None

    begun, broken = asyncio.Event(), asyncio.Event()
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    clock = ManualClock()
    images = ImageManager(Breaking(clock=clock), clock)
    pod = one_container("p", image="absent:1", imagePullPolicy="Always")
    pod["metadata"]["uid"] = "u"
    container = pod["spec"]["containers"][0]
    waiting = asyncio.create_task(images.ensure(pod, container, NoSecrets(), lambda *_: None))
    await begun.wait()
    waiting.cancel()
    await asyncio.wait([waiting])
    del waiting  # its traceback holds the pull
    broken.set()
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    assert complaints == []


def test_the_hosts_file_is_kubernetes_own(tmp_path: Path) -> None:
    pod: dict[str, Any] = {
        "metadata": {"name": "web-0", "namespace": "shop"},
        "spec": {
            "subdomain": "web",
            "containers": [],
            "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a.x", "b.x"]}, {"ip": "1.2.3.5"}],
        },
    }
    options = KubeletOptions()
    assert hosts_file(pod, (), options) is None
    text = hosts_file(pod, ("10.0.0.7",), options)
    assert text is not None and text.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert text.endswith(
        "10.0.0.7\tweb-0.web.shop.svc.cluster.local\tweb-0\n"
        "\n# Entries added by HostAliases.\n1.2.3.4\ta.x\tb.x\n1.2.3.5\n"
    )
    pod["spec"]["setHostnameAsFQDN"] = True  # the file still says both
    assert hosts_file(pod, ("10.0.0.7",), options) == text
    del pod["spec"]["subdomain"], pod["spec"]["hostAliases"]
    assert (hosts_file(pod, ("10.0.0.7",), options) or "").endswith("\n10.0.0.7\tweb-0\n")
    machine = tmp_path / "hosts"
    machine.write_text("127.0.0.1 here")
    shared = hosts_file({**pod, "spec": {"hostNetwork": True}}, (), options, machine)
    assert shared == "# Kubernetes-managed hosts file (host network).\n127.0.0.1 here\n"


def test_a_mount_of_ones_own_over_the_hosts_file_stays() -> None:
    assert wants_file({"name": "c", "volumeMounts": [{"mountPath": "/etc"}]}, "/etc/hosts")
    assert not wants_file({"name": "c", "volumeMounts": [{"mountPath": "/etc/hosts"}]}, "/etc/hosts")


async def test_a_deleted_object_is_a_changed_one(node: Rig) -> None:
    told: list[tuple[str, str, str]] = []
    objects = node.kubelets[0].workers._services.objects
    objects.subscribe(lambda *what: told.append(what))
    await node.client.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {}}, "default"
    )
    assert await objects.config_map("default", "cm")
    await node.until(lambda: ("configmaps", "default", "cm") in told)
    told.clear()
    await node.client.delete("configmaps", "cm", "default")
    await node.until(lambda: ("configmaps", "default", "cm") in told)


async def test_the_use_of_a_new_pod_is_known_soon_though_others_are_measured_already(node: Rig) -> None:
    await node.make(one_container())
    await node.phase("a", "Running")
    stats = node.kubelets[0].stats
    stats.ask()
    await node.advance(3)
    assert stats.pod((await node.pod("a"))["metadata"]["uid"])
    await node.make(one_container("b"))
    uid = (await node.phase("b", "Running"))["metadata"]["uid"]
    assert not stats.pod(uid)
    stats.hurry()
    await node.quiet()
    await node.advance(2)
    assert stats.pod(uid), "the next regular sample is due in a quarter of a minute"
