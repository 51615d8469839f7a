import pytest

from runtime.podman import spec
from runtime.podman.interface import ContainerSpec, Mount, PortMapping, RuntimeFailure, SandboxSpec

POD = SandboxSpec(uid="uid-1", namespace="ns", name="web", node="n1")
LABELS = spec.pod_labels("c1", POD, "10.0.0.5")


def container(**more):
    more.setdefault("image", "nginx")
    return ContainerSpec(name="app", attempt=2, **more)


def body(**more):
    return spec.container_body("pod-id", LABELS, container(**more), "image-id", None)


def test_a_pod_has_its_address_its_network_and_our_labels():
    made = spec.pod_body("c1", POD, "10.0.0.5", "localhost/pause:1")
    assert made["Networks"] == {"kubetui-c1": {"static_ips": ["10.0.0.5"]}}
    assert made["netns"] == {"nsmode": "bridge"}
    assert made["exit_policy"] == "continue"
    assert made["infra_command"] == ["/pause"]
    assert "restart_policy" not in made  # unknown to 4.3
    labels = made["labels"]
    assert labels["io.kubetui.cluster"] == "c1"
    assert labels["io.kubetui.pod.uid"] == "uid-1"
    assert labels["io.kubetui.pod.ip"] == "10.0.0.5"


@pytest.mark.parametrize(
    ("name", "hostname", "expected"), [("web", "", "web"), ("web", "h", "h"), ("a" * 62 + ".b", "", "a" * 62)]
)
def test_the_host_name_is_one_that_linux_takes(name, hostname, expected):
    made = spec.pod_body(
        "c1", SandboxSpec(uid="u", namespace="n", name=name, hostname=hostname), "10.0.0.5", ""
    )
    assert made["hostname"] == expected


def test_nobody_can_forge_our_labels():
    forged = SandboxSpec(uid="u", namespace="n", name="p", labels={"io.kubetui.cluster": "other", "app": "x"})
    labels = spec.pod_labels("c1", forged, "")
    assert labels["io.kubetui.cluster"] == "c1"
    assert labels["app"] == "x"
    made = spec.container_labels(labels, container(labels={"io.kubetui.pod.uid": "forged"}))
    assert made["io.kubetui.pod.uid"] == "u"


def test_what_the_kubelet_has_to_find_again_is_kept():
    grace = SandboxSpec(uid="u", namespace="n", name="p", labels={"io.kubetui.pod.grace": "30"})
    labels = spec.pod_labels("c1", grace, "")
    assert labels["io.kubetui.pod.grace"] == "30"
    made = spec.container_labels(
        labels, container(labels={"io.kubetui.container.hash": "12ab", "io.kubetui.container.log": "/forged"})
    )
    assert made["io.kubetui.container.hash"] == "12ab"
    assert made.get("io.kubetui.container.log") != "/forged"


def test_the_hosts_namespaces():
    host = SandboxSpec(
        uid="u",
        namespace="n",
        name="p",
        host_network=True,
        host_ipc=True,
        host_pid=True,
        share_process_namespace=True,
    )
    made = spec.pod_body("c1", host, "", "")
    assert made["netns"] == {"nsmode": "host"}
    assert "Networks" not in made
    assert made["shared_namespaces"] == ["net", "uts"]
    assert "infra_image" not in made
    inside = spec.container_body("x", made["labels"], container(), "i", None)
    assert inside["pidns"] == inside["ipcns"] == {"nsmode": "host"}
    assert "pidns" not in body() and "ipcns" not in body()
    assert body(process_target="abc")["pidns"] == {"nsmode": "container", "value": "abc"}


def test_ports_names_and_hosts():
    made = spec.pod_body(
        "c1",
        SandboxSpec(
            uid="u",
            namespace="n",
            name="p",
            hostname="h",
            dns_servers=("1.1.1.1",),
            dns_searches=("a.b",),
            dns_options=("ndots:5",),
            host_aliases=(("1.2.3.4", ("x", "y")),),
            ports=(PortMapping(80, 8080, "127.0.0.1", "TCP"),),
            sysctls={"net.core.somaxconn": "9"},
            share_process_namespace=True,
        ),
        "10.0.0.6",
        "",
    )
    assert made["portmappings"] == [
        {"container_port": 80, "host_port": 8080, "host_ip": "127.0.0.1", "protocol": "tcp"}
    ]
    assert made["hostadd"] == ["x:1.2.3.4", "y:1.2.3.4"]
    assert (made["dns_server"], made["dns_search"], made["dns_option"]) == (["1.1.1.1"], ["a.b"], ["ndots:5"])
    assert made["shared_namespaces"] == ["net", "ipc", "uts", "pid"]
    assert made["sysctl"] == {"net.core.somaxconn": "9"}


@pytest.mark.parametrize(
    ("command", "args", "expected"),
    [
        (None, None, {}),
        (("a",), None, {"entrypoint": ["a"]}),
        (None, ("b",), {"command": ["b"]}),
        (("a",), ("b",), {"entrypoint": ["a"], "command": ["b"]}),
    ],
)
def test_command_and_args_replace_what_the_image_says(command, args, expected):
    made = body(command=command, args=args)
    assert {key: made[key] for key in ("entrypoint", "command") if key in made} == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {"cpu": {"shares": 2}}),
        ({"cpu_request": 0.25}, {"cpu": {"shares": 256}}),
        ({"cpu_limit": 0.5}, {"cpu": {"shares": 512, "period": 100_000, "quota": 50_000}}),
        ({"cpu_limit": 0.001}, {"cpu": {"shares": 2, "period": 100_000, "quota": 1000}}),
        ({"memory_limit": 1 << 20}, {"cpu": {"shares": 2}, "memory": {"limit": 1 << 20, "swap": 1 << 20}}),
        ({"memory_request": 1 << 20}, {"cpu": {"shares": 2}}),
    ],
)
def test_limits_are_the_kubelets(more, expected):
    assert spec.resources(container(**more)) == {**expected, "pids": {"limit": -1}}, "no limit of processes"


def test_podman_never_restarts_checks_or_leaks_a_proxy():
    made = body()
    assert made["restart_policy"] == "no"
    assert made["healthconfig"] == {"Test": ["NONE"]}
    assert made["httpproxy"] is False


def test_an_image_is_mounted_read_only_and_in_part():
    mounts = (
        Mount("/all", "abc", "image", read_only=True),
        Mount("/part", "abc", "image", read_only=True, sub_path="usr/share"),
    )
    body = spec.container_body("sb", {}, container(mounts=mounts), "i")
    assert body["image_volumes"] == [
        {"Source": "abc", "Destination": "/all", "ReadWrite": False},
        {"Source": "abc", "Destination": "/part", "ReadWrite": False, "subPath": "usr/share"},
    ]
    assert "mounts" not in body


def test_mounts():
    made = body(
        mounts=(
            Mount("/a", "/host/a", read_only=True),
            Mount("/b", "/host/b", propagation="Bidirectional"),
            Mount("/c", type="tmpfs", options=("size=1m",)),
            Mount("/d", "vol", type="volume"),
        )
    )
    assert [mount["options"] for mount in made["mounts"]] == [
        ["rbind", "ro", "rprivate"],
        ["rbind", "rw", "rshared"],
        ["rw", "size=1m"],
    ]
    assert made["volumes"] == [{"Name": "vol", "Dest": "/d", "Options": ["rw"]}]


def test_variables_that_are_not_wanted():
    assert body(unset_env=("container",))["unsetenv"] == ["container"]
    assert "unsetenv" not in body()


def test_security():
    made = body(
        user="1:2",
        groups=(3, 4),
        cap_add=("net_admin", "ALL"),
        cap_drop=("CAP_KILL",),
        allow_privilege_escalation=False,
        read_only_root=True,
        seccomp_profile="unconfined",
        selinux={"type": "t", "level": ""},
        unmask_proc=True,
        devices=("/dev/fuse",),
        stop_signal="SIGQUIT",
    )
    assert made["user"] == "1:2"
    assert made["groups"] == ["3", "4"]
    assert made["cap_add"] == ["CAP_NET_ADMIN", "ALL"]
    assert made["cap_drop"] == ["CAP_KILL"]
    assert made["no_new_privileges"] is True
    assert made["read_only_filesystem"] is True
    assert made["seccomp_profile_path"] == "unconfined"
    assert made["selinux_opts"] == ["type:t"]
    assert made["unmask"] == ["ALL"]
    assert made["devices"] == [{"path": "/dev/fuse"}]
    assert made["stop_signal"] == 3
    assert "no_new_privileges" not in body(privileged=True, allow_privilege_escalation=False)


def test_oom_score_is_not_lower_than_this_process_may_give():
    made = spec.container_body("x", LABELS, container(oom_score_adj=-998), "i", -100)
    assert made["oom_score_adj"] == -100
    assert body(oom_score_adj=-998)["oom_score_adj"] == -998


@pytest.mark.parametrize(
    ("name", "number"),
    [("SIGTERM", 15), ("kill", 9), ("2", 2), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("rtmin", 34)],
)
def test_signals(name, number):
    assert spec.signal_number(name) == number


@pytest.mark.parametrize("name", ["SIGNOPE", "0", "999", "", "RTMIN+x"])
def test_what_is_no_signal_is_refused(name):
    with pytest.raises(RuntimeFailure, match="no such signal"):
        spec.signal_number(name)


def test_names_fit_linux_and_differ_between_clusters():
    assert len(spec.bridge_name("a" * 60)) <= 15
    assert spec.bridge_name("a") != spec.bridge_name("b")
    other = SandboxSpec(uid="uid-2", namespace="ns", name="web")
    assert len({spec.pod_name("c1", POD), spec.pod_name("c2", POD), spec.pod_name("c1", other)}) == 3
