import asyncio
import ipaddress
import tomllib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.podman import machine, names, scripts, streams
from runtime.podman.addresses import AddressPool
from runtime.podman.interface import NoSuchItem, RuntimeEvent, RuntimeFailure, RuntimeUnavailable
from runtime.podman.machine import Machine
from runtime.podman.network import find_clash, host_routes, lease_range
from runtime.podman.pause import pause_archive, pause_program
from runtime.podman.service import PodmanService, parse_version
from runtime.podman.spec import bridge_name
from runtime.podman.subscribers import Subscribers
from runtime.podman.transport import Slots, failure

# -- addresses


def test_addresses_rise_and_are_not_reused_at_once():
    pool = AddressPool("10.1.0.0/29")
    assert pool.gateway == "10.1.0.1"
    assert [pool.allocate() for _ in range(3)] == ["10.1.0.2", "10.1.0.3", "10.1.0.4"]
    pool.release("10.1.0.2")
    assert [pool.allocate() for _ in range(3)] == ["10.1.0.5", "10.1.0.6", "10.1.0.2"]
    with pytest.raises(RuntimeFailure, match="no free address"):
        pool.allocate()


def test_what_is_reserved_is_never_given_out():
    pool = AddressPool("10.1.0.0/24")
    for address in ("10.1.0.9", "", "10.2.0.1", "garbage"):
        pool.reserve(address)
        pool.release("unknown")
    assert pool.allocate() == "10.1.0.10"
    assert "10.1.0.9" not in {pool.allocate() for _ in range(200)}


@given(st.lists(st.one_of(st.none(), st.integers(0, 30)), max_size=80))
def test_no_address_is_given_twice(steps):
    pool, held = AddressPool("10.9.0.0/27"), []
    for step in steps:
        if step is None or not held:
            if len(held) < 29:
                address = pool.allocate()
                assert address not in held
                assert ipaddress.ip_address(address) in ipaddress.ip_network("10.9.0.0/27")
                held.append(address)
        else:
            pool.release(held.pop(step % len(held)))
        assert pool.used == len(held)


# -- names


@pytest.mark.parametrize(
    ("written", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.2", "docker.io/library/nginx:1.2"),
        ("luksa/kubia", "docker.io/luksa/kubia:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx:latest"),
        ("localhost/x:1", "localhost/x:1"),
        ("localhost:5000/x", "localhost:5000/x:latest"),
        ("ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1"),
        ("x:1@sha256:" + "a" * 64, "docker.io/library/x@sha256:" + "a" * 64),
        ("a" * 64, "a" * 64),
    ],
)
def test_full_names(written, full):
    assert names.canonical(written) == full
    assert names.is_valid(written)


@pytest.mark.parametrize(
    "written", ["", "A", "x::y", "x:", "-x", "x/", "/x", "x y", "x@sha256:1", "http://x/y"]
)
def test_what_is_no_image_name(written):
    assert not names.is_valid(written)
    with pytest.raises(ValueError, match="invalid reference"):
        names.canonical(written)


def test_short_names_mean_local_builds_first_and_full_names_only_themselves():
    assert names.candidates("a/b:1") == ["localhost/a/b:1", "docker.io/a/b:1"]
    assert names.candidates("b") == ["localhost/b:latest", "docker.io/library/b:latest"]
    assert names.candidates("docker.io/library/b") == ["docker.io/library/b:latest"]


# -- machine and settings

SMALL = Machine(
    systemd=False,
    journald=False,
    cgroups="hybrid",
    nofile=20_000,
    nproc=90_000,
    pid_max=32_768,
    may_raise_limits=False,
    runtimes=("crun", "runc"),
)


def test_an_ordinary_machine_needs_no_settings():
    assert machine.needed_settings(Machine()) == {}


def test_a_small_machine_gets_what_podman_lacks_there():
    settings = machine.needed_settings(SMALL)
    assert settings["engine"] == {"cgroup_manager": "cgroupfs", "events_logger": "file", "runtime": "runc"}
    assert settings["containers"]["default_ulimits"] == ["nofile=20000:20000", "nproc=32768:32768"]


@pytest.mark.parametrize(
    ("tools", "version", "expected"),
    [
        (("iptables",), "netavark 1.14.0", "iptables"),
        (("iptables",), "netavark 2.0.0-dev", "iptables"),
        (("iptables",), "netavark 1.4.0", ""),
        (("iptables", "nft"), "netavark 1.14.0", ""),
        (("nft",), "netavark 1.14.0", ""),
        ((), "netavark 1.14.0", ""),
        (("iptables",), "nothing", ""),
    ],
)
def test_netavark_is_told_to_take_the_tool_that_is_there(tmp_path, monkeypatch, tools, version, expected):
    program = tmp_path / "netavark"
    program.write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(0o755)
    monkeypatch.setattr(machine, "_HELPERS", (str(tmp_path / "none"), str(tmp_path)))
    monkeypatch.setattr(machine, "find_program", lambda name: name if name in tools else None)
    found = machine.survey()
    assert found.firewall == expected
    settings = machine.needed_settings(Machine(firewall=found.firewall))
    assert settings == ({"network": {"firewall_driver": "iptables"}} if expected else {})


def test_control_groups_are_told_apart():
    v1 = "cgroup /sys/fs/cgroup/memory cgroup rw 0 0\n"
    assert machine._cgroups(v1) == "v1"
    assert machine._cgroups(v1 + "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n") == "hybrid"
    assert machine._cgroups("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n") == "v2"
    assert machine._cgroups("proc /proc proc rw 0 0\n") == "none"


def test_settings_are_laid_over_the_machines_own_and_read_back(tmp_path, monkeypatch):
    own = tmp_path / "containers.conf"
    own.write_text(
        '[engine]\nruntime = "crun"\nnum_locks = 5\n[engine.runtimes]\nx = ["/a b", "c\\"d"]\n[network]\n'
    )
    monkeypatch.setenv("CONTAINERS_CONF", str(own))
    service = PodmanService(tmp_path / "state", root=tmp_path / "root", machine=SMALL)
    service.prepare()
    written = tomllib.loads((tmp_path / "state" / "containers.conf").read_text())
    assert written["engine"]["runtime"] == "runc"
    assert written["engine"]["num_locks"] == 5
    assert written["engine"]["lock_type"] == "file"
    assert written["engine"]["runtimes"] == {"x": ["/a b", 'c"d']}
    assert written["network"]["network_config_dir"] == str(tmp_path / "root" / "networks")
    assert service.environment["CONTAINERS_CONF"].endswith("state/containers.conf")


@given(
    st.recursive(
        st.one_of(st.booleans(), st.integers(), st.text(st.characters(codec="utf-8"), max_size=8)),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=6,
    )
)
def test_any_setting_survives_being_written(value):
    assert tomllib.loads(machine.to_toml({"a": {"b c": value}}))["a"]["b c"] == value


def test_a_long_state_folder_gets_a_short_socket(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    long = PodmanService(tmp_path / ("x" * 120), machine=SMALL)
    assert len(str(long.socket())) < 100
    assert str(long.socket()).startswith("/run/user/7/")
    assert PodmanService(tmp_path / "s", machine=SMALL).socket() == tmp_path / "s" / "podman.sock"


@pytest.mark.parametrize(
    ("text", "version"),
    [("4.3.1", (4, 3)), ("5.0.0-rc1", (5, 0)), ("v4.9", (4, 9)), ("5.1-dev", (5, 1)), ("x", (0, 0))],
)
def test_versions(text, version):
    assert parse_version(text) == version


async def test_an_old_podman_is_refused_by_name(tmp_path, monkeypatch):
    async def old(url, timeout=0):
        return "3.4.4"

    monkeypatch.setattr(streams, "ping", old)
    with pytest.raises(RuntimeFailure, match=r"Podman 3\.4\.4 is too old"):
        await PodmanService(tmp_path, url="unix:///x.sock", machine=SMALL).start()


async def test_a_service_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RuntimeUnavailable, match="no Podman service answers at unix:///nowhere"):
        await PodmanService(tmp_path, url="unix:///nowhere", machine=SMALL).start()
    with pytest.raises(RuntimeFailure, match="ssh -L"):
        await PodmanService(tmp_path, url="ssh://host/run/podman.sock", machine=SMALL).start()


# -- network


def test_clashes_are_named():
    routes = [
        (ipaddress.IPv4Network("10.244.1.0/24"), "tun0"),
        (ipaddress.IPv4Network("10.0.0.0/8"), bridge_name("c1")),
    ]
    assert "tun0" in find_clash("10.244.0.0/16", "c1", [], routes)
    assert find_clash("10.245.0.0/16", "c1", [], routes) == ""
    others = [
        {"name": "kubetui-c1", "subnets": [{"subnet": "10.244.0.0/16"}]},
        {"name": "podman", "subnets": [{"subnet": "10.88.0.0/16"}, {"subnet": "fd00::/64"}]},
    ]
    assert find_clash("10.244.0.0/16", "c1", others, []) == ""
    assert "podman (10.88.0.0/16)" in find_clash("10.88.128.0/17", "c1", others, [])
    assert "kubetui-c1" in find_clash("10.244.0.0/24", "c2", others, [])


def test_routes_are_read_and_podmans_own_addresses_are_apart_from_ours():
    text = "Iface Destination Gateway Flags RefCnt Use Metric Mask\neth0 00000000 0101A8C0 3 0 0 0 00000000 0 0 0\n"
    text += "eth0 0001A8C0 00000000 1 0 0 0 00FFFFFF 0 0 0\n"
    assert host_routes(text) == [(ipaddress.IPv4Network("192.168.1.0/24"), "eth0")]
    assert lease_range("10.244.0.0/16") == ("10.244.255.1", "10.244.255.254")
    assert lease_range("10.1.0.0/28") == ("10.1.0.11", "10.1.0.14")


# -- transport


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (404, b'{"cause":"no such pod","message":"no pod with\\nname x"}', NoSuchItem, "no pod with name x"),
        (
            500,
            b'{"cause":"image not known","message":"x: image not known"}',
            NoSuchItem,
            "x: image not known",
        ),
        (409, b'{"Errs":["one","two"],"Id":"x"}', RuntimeFailure, "one; two"),
        (500, b"", RuntimeFailure, "Podman answered with status 500"),
        (500, b"plain\n text", RuntimeFailure, "plain text"),
    ],
)
def test_failures_are_one_line(status, body, kind, message):
    found = failure(status, body)
    assert type(found) is kind
    assert found.message == message
    assert found.code == (404 if kind is NoSuchItem else status)


async def test_places_go_to_the_most_urgent():
    slots, order = Slots(1), []
    await slots.take(9)

    async def work(urgency):
        await slots.take(urgency)
        order.append(urgency)
        slots.give()

    waiting = [asyncio.ensure_future(work(urgency)) for urgency in (3, 1, 2, 0)]
    await asyncio.sleep(0)
    waiting[2].cancel()
    await asyncio.sleep(0)
    slots.give()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert order == [0, 1, 3]
    await asyncio.wait_for(work(5), 60)


def test_query_strings():
    assert (
        streams.encode_params({"a": True, "f": {"x": ["y"]}, "l": ["1", 2]})
        == "?a=true&f=%7B%22x%22%3A%5B%22y%22%5D%7D&l=1&l=2"
    )
    assert streams.encode_params(None) == ""
    assert streams.socket_path("unix:///run/x.sock") == "/run/x.sock"
    assert streams.socket_path("tcp://h:1") is None


@given(st.lists(st.binary(max_size=20), max_size=6), st.integers(1, 7))
async def test_chunked_bodies_come_back_whatever_the_pieces(parts, size):
    reader = asyncio.StreamReader()
    wire = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"
    for start in range(0, len(wire), size):
        reader.feed_data(wire[start : start + size])
    reader.feed_eof()
    answer = streams.Response(200, {"transfer-encoding": "chunked"}, reader, None)
    assert await answer.body() == b"".join(parts)


async def test_lines_that_are_no_objects_are_skipped():
    reader = asyncio.StreamReader()
    reader.feed_data(b'{"a":1}\nnull\nnonsense\n{"b":2}')
    reader.feed_eof()
    answer = streams.Response(200, {}, reader, None)
    assert [found async for found in answer.objects()] == [{"a": 1}, {"b": 2}]


async def test_an_answer_that_breaks_off_is_told():
    reader = asyncio.StreamReader()
    reader.feed_data(b"5\r\nab")
    reader.feed_eof()
    with pytest.raises(RuntimeUnavailable):
        await streams.Response(200, {"transfer-encoding": "chunked"}, reader, None).body()


# -- the rest


async def test_each_listener_gets_every_event():
    subscribers = Subscribers()
    one, two = subscribers.events(), subscribers.events()
    subscribers.publish(RuntimeEvent("container", "died", "x"))
    assert (await anext(one)).container_id == (await anext(two)).container_id == "x"
    await one.aclose()
    subscribers.publish(RuntimeEvent("container", "start", "y"))
    assert (await anext(two)).container_id == "y"


def test_the_pause_program_is_a_static_elf_for_both_architectures():
    for architecture, number in (("amd64", 62), ("arm64", 183)):
        program = pause_program(architecture)
        assert program[:4] == b"\x7fELF"
        assert int.from_bytes(program[18:20], "little") == number
        assert len(program) < 300
    assert pause_program("riscv64") is None
    assert pause_archive("riscv64") is None
    assert len(pause_archive("amd64")) % 512 == 0


@pytest.mark.parametrize(
    ("command", "ends", "code", "lines"),
    [
        (["true"], 0, 0, []),
        (["false"], 0, 1, []),
        (["echo", "a", "b"], 0, 0, ["a b"]),
        (["sh", "-c", "sleep 5; exit 3"], 5, 3, []),
        (["sh", "-c", "false && echo no; echo $A || echo no"], 0, 0, ["x"]),
        (["sh", "-c", "echo one; while true; do sleep 1; done"], scripts.FOREVER, 0, ["one"]),
        (["/bin/sh", "-ec", "sleep infinity"], scripts.FOREVER, 0, []),
        (["nginx", "-g", "daemon off;"], scripts.FOREVER, 0, []),
        (["sh", "-c", "echo hi; exec server"], scripts.FOREVER, 0, ["hi"]),
        (
            ["sh", "-c", "touch /a; test -e /a && echo yes; rm /a; cat /a"],
            0,
            1,
            ["yes", "cat: can't open '/a': No such file or directory"],
        ),
    ],
)
def test_scripts_are_played(command, ends, code, lines):
    outcome = scripts.play(command, env={"A": "x"}, service=True)
    assert (outcome.ends, outcome.exit_code) == (ends, code)
    assert [text for _, text in outcome.lines] == lines


@pytest.mark.parametrize(
    ("script", "printed", "errors", "files"),
    [
        ("echo a; echo b >&2; echo c 1>&2", ["a", "b", "c"], {1, 2}, {}),
        ("cat /none; ls /none 2>&1", ["cat: can't open '/none': No such file or directory",
                                      "ls: /none: No such file or directory"], {0}, {}),
        ("cat /none 2>/dev/null; echo a >/dev/null; echo b > /dev/stderr", ["b"], {0}, {}),
        ("echo a >/f; echo b >> /f; cat /none 2>/g; cat /f", ["a", "b"], set(),
         {"/f": "a\nb\n", "/g": "cat: can't open '/none': No such file or directory\n"}),
        ("echo a &>/f", [], set(), {"/f": "a\n"}),
        ("for i in $(seq 1 3); do echo $i; done", ["1", "2", "3"], set(), {}),
        ("for i in x y\ndo\n  for j in 1 2; do echo $i$j; done\ndone", ["x1", "x2", "y1", "y2"], set(), {}),
        ("seq 2 2 6; seq 3", ["2", "4", "6", "1", "2", "3"], set(), {}),
        ("date; sleep 60; date -u +%Y-%m-%dT%H:%M; echo at $(date +%s)",
         ["Fri Jan  2 03:04:05 UTC 2026", "2026-01-02T03:05", "at 1767323105"], set(), {}),
    ],
)  # fmt: skip
def test_what_scripts_print_goes_where_they_send_it(script, printed, errors, files):
    start = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    outcome = scripts.play(["sh", "-c", script], start=start)
    assert [text for _, text in outcome.lines] == printed
    assert (outcome.errors, outcome.files) == (errors, files)


def test_a_loop_is_played_up_to_the_instant_asked_for():
    outcome = scripts.play(["sh", "-c", "while true; do echo tick; sleep 2; done"], until=7, service=True)
    assert [seconds for seconds, _ in outcome.lines] == [0, 2, 4, 6]
