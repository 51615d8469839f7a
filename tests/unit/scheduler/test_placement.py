from __future__ import annotations

import random
import time
from typing import Any

import pytest

from runtime.objects.errors import Obj
from runtime.scheduler.filters import Unschedulable, ports_conflict, room, summary
from runtime.scheduler.nodeinfo import Cache
from runtime.scheduler.nominations import Nominations
from runtime.scheduler.preemption import Candidate, pick, select_victims
from runtime.scheduler.scheduler import Scheduler
from runtime.scheduler.shape import PodTerm, node_term, pod_requests


class Bench(Scheduler):
    """A scheduler without informers: only its decisions."""

    def __init__(self, *nodes: Obj) -> None:
        self.cache = Cache()
        self._random = random.Random(7)
        self.nominations = Nominations()
        self.labels: dict[str, dict[str, str]] = {}
        for entry in nodes:
            self.cache.set_node(entry)

    def _namespace_labels(self, name: str) -> dict[str, str]:
        return self.labels.get(name, {})

    def place(self, entry: Obj) -> str:
        shape = self.cache.shapes.of(entry)
        where = self.choose(entry, shape)
        self.cache.assume(entry, shape, where)
        return where

    def why(self, entry: Obj) -> str:
        with pytest.raises(Unschedulable) as caught:
            self.choose(entry, self.cache.shapes.of(entry))
        return caught.value.message()


def node(name: str, cpu: str = "4", memory: str = "8Gi", pods: str = "110", **more: Any) -> Obj:
    labels = {"kubernetes.io/hostname": name, **more.pop("labels", {})}
    return {
        "metadata": {"name": name, "resourceVersion": "1", "labels": labels},
        "spec": more,
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods}},
    }


def pod(name: str, cpu: str = "", memory: str = "", owner: str = "", labels: Any = None, **spec: Any) -> Obj:
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    metadata: Obj = {"name": name, "namespace": "default", "uid": f"uid-{name}", "labels": labels or {}}
    if owner:
        metadata["ownerReferences"] = [{"controller": True, "uid": owner}]
    container: Obj = {"name": "main", "image": "app:1", "resources": {"requests": requests}}
    if "ports" in spec:
        container["ports"] = spec.pop("ports")
    return {"metadata": metadata, "spec": {"containers": [container], **spec}}


def test_the_emptier_node_wins() -> None:
    bench = Bench(node("a"), node("b"))
    bench.cache.assume(pod("busy", cpu="2"), bench.cache.shapes.of(pod("busy", cpu="2")), "a")
    assert bench.place(pod("new", cpu="1")) == "b"


def test_replicas_spread() -> None:
    bench = Bench(node("a"), node("b"), node("c"))
    where = [bench.place(pod(f"p{i}", cpu="10m", owner="rs")) for i in range(9)]
    assert sorted(where.count(name) for name in "abc") == [3, 3, 3]


def test_reasons_are_counted_as_upstream_says_them() -> None:
    bench = Bench(
        node("full", cpu="1"),
        node("cordoned", unschedulable=True),
        node("tainted", taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]),
        node("small", memory="1Gi", cpu="1"),
    )
    assert bench.why(pod("big", cpu="2", memory="2Gi")) == (
        "0/4 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint(s), "
        "1 node(s) were unschedulable, 2 Insufficient cpu."
    )
    assert Bench().why(pod("any")) == "no nodes available to schedule pods"


def test_pods_and_ports_run_out() -> None:
    bench = Bench(node("a", pods="1"))
    bench.place(pod("one"))
    assert bench.why(pod("two")) == "0/1 nodes are available: 1 Too many pods."
    bench = Bench(node("a"))
    port = [{"containerPort": 80, "hostPort": 8080}]
    bench.place(pod("one", ports=port))
    assert "didn't have free ports" in bench.why(pod("two", ports=port))
    bench.cache.pod_gone("default/one")
    assert bench.place(pod("two", ports=port)) == "a"


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (("0.0.0.0", "TCP", 80), ("127.0.0.1", "TCP", 80), True),
        (("127.0.0.1", "TCP", 80), ("127.0.0.1", "TCP", 80), True),
        (("127.0.0.1", "TCP", 80), ("127.0.0.2", "TCP", 80), False),
        (("0.0.0.0", "TCP", 80), ("0.0.0.0", "UDP", 80), False),
        (("0.0.0.0", "TCP", 80), ("0.0.0.0", "TCP", 81), False),
    ],
)
def test_ports_conflict(one: Any, other: Any, clash: bool) -> None:
    assert ports_conflict(one, other) is clash


def test_selector_affinity_and_preference() -> None:
    bench = Bench(node("a", labels={"disk": "ssd"}), node("b", labels={"disk": "hdd", "cores": "32"}))
    assert bench.place(pod("p1", nodeSelector={"disk": "ssd"})) == "a"
    assert bench.why(pod("p2", nodeSelector={"disk": "nvme"})) == (
        "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."
    )
    terms = [{"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["16"]}]}]
    required = {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    }
    assert bench.place(pod("p3", affinity=required)) == "b"
    soft = [
        {
            "weight": 100,
            "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["hdd"]}]},
        }
    ]
    preferred = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": soft}}
    assert bench.place(pod("p4", affinity=preferred)) == "b"


def test_a_node_change_is_noticed() -> None:
    bench = Bench(node("a"))
    bench.place(pod("p1"))
    cordoned = node("a", unschedulable=True)
    cordoned["metadata"]["resourceVersion"] = "2"
    bench.cache.set_node(cordoned)
    assert "unschedulable" in bench.why(pod("p2"))


@pytest.mark.parametrize(
    ("expression", "labels", "matches"),
    [
        ({"key": "a", "operator": "In", "values": ["1"]}, {"a": "1"}, True),
        ({"key": "a", "operator": "NotIn", "values": ["1"]}, {}, True),
        ({"key": "a", "operator": "Exists"}, {}, False),
        ({"key": "a", "operator": "DoesNotExist"}, {}, True),
        ({"key": "a", "operator": "Lt", "values": ["5"]}, {"a": "3"}, True),
        ({"key": "a", "operator": "Lt", "values": ["5"]}, {"a": "x"}, False),
    ],
)
def test_node_terms(expression: Obj, labels: dict[str, str], matches: bool) -> None:
    assert node_term({"matchExpressions": [expression]})("n", labels) is matches


def test_empty_node_term_matches_nothing() -> None:
    assert node_term({})("n", {}) is False
    fields = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}
    assert node_term(fields)("n", {}) is True
    assert node_term(fields)("m", {}) is False


def test_anti_affinity_both_ways() -> None:
    term = {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "kubernetes.io/hostname"}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    bench = Bench(node("a"), node("b"))
    where = {bench.place(pod(f"db{i}", labels={"app": "db"}, affinity=apart)) for i in range(2)}
    assert where == {"a", "b"}
    assert bench.why(pod("db2", labels={"app": "db"}, affinity=apart)) == (
        "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules."
    )
    # a pod without rules of its own still may not break those of others
    assert bench.why(pod("plain", labels={"app": "db"})) == (
        "0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity rules."
    )


def test_affinity_follows_and_the_first_of_its_kind_may_start() -> None:
    term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"}
    near = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    bench = Bench(
        node("a", labels={"zone": "1"}), node("b", labels={"zone": "2"}), node("c", labels={"zone": "2"})
    )
    assert "didn't match pod affinity rules" in bench.why(pod("other", affinity=near))
    first = bench.place(pod("w0", labels={"app": "web"}, affinity=near))
    zone = {"a": "1", "b": "2", "c": "2"}
    for number in range(1, 5):
        placed = bench.place(pod(f"w{number}", labels={"app": "web"}, affinity=near))
        assert zone[placed] == zone[first]


def test_spread_constraint() -> None:
    constraint = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    bench = Bench(node("a", labels={"zone": "1"}, cpu="1"), node("b", labels={"zone": "2"}, cpu="64"))
    spec = {"topologySpreadConstraints": [constraint]}
    where = [bench.place(pod(f"p{i}", cpu="100m", labels={"app": "web"}, **spec)) for i in range(6)]
    assert where.count("a") == where.count("b") == 3
    assert bench.place(pod("free", cpu="100m", labels={"app": "api"})) == "b"
    bench.cache.set_node(
        {
            **node("b", labels={"zone": "2"}, unschedulable=True),
            "metadata": {"name": "b", "resourceVersion": "2", "labels": {"zone": "2"}},
        }
    )
    bench.place(pod("p6", cpu="100m", labels={"app": "web"}, **spec))
    assert "didn't match pod topology spread constraints" in bench.why(
        pod("p7", cpu="100m", labels={"app": "web"}, **spec)
    )


def test_init_containers_and_sidecars_count_at_their_peak() -> None:
    def c(cpu: str, **more: Any) -> Obj:
        return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "containers": [c("100m"), c("200m")],
        "initContainers": [c("50m", restartPolicy="Always"), c("400m")],
    }
    assert pod_requests(spec).cpu == 450
    spec["initContainers"][1] = c("100m")
    assert pod_requests(spec).cpu == 350
    assert pod_requests({"containers": [{"name": "c"}]}, floor=True).cpu == 100


def _fits(bench: Bench, entry: Obj) -> Any:
    shape = bench.cache.shapes.of(entry)
    return lambda info: room(shape, info) is None


def test_victims_are_as_few_and_as_humble_as_possible() -> None:
    bench = Bench(node("a", cpu="4"))
    for name, priority in (("low1", 1), ("low2", 2), ("mid", 5), ("high", 100)):
        entry = pod(name, cpu="1", priority=priority)
        bench.cache.assume(entry, bench.cache.shapes.of(entry), "a")
    info = bench.cache.nodes["a"]
    vip = pod("vip", cpu="2", priority=50)
    found = select_victims(bench.cache.shapes.of(vip), info, _fits(bench, vip), [])
    assert found is not None
    assert [placed.key for placed in found.victims] == ["default/low2", "default/low1"]
    assert len(info.pods) == 4
    assert info.used.cpu == 4000
    huge = pod("huge", cpu="4", priority=50)
    assert select_victims(bench.cache.shapes.of(huge), info, _fits(bench, huge), []) is None


def test_budgets_are_spared_and_the_cheapest_node_chosen() -> None:
    bench = Bench(node("a", cpu="1"), node("b", cpu="1"))
    for name, where, priority in (("x", "a", 1), ("y", "b", 1)):
        entry = pod(name, cpu="1", priority=priority, labels={"app": name})
        bench.cache.assume(entry, bench.cache.shapes.of(entry), where)
    vip = pod("vip", cpu="1", priority=50)
    budget = {
        "metadata": {"namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "x"}}},
        "status": {"disruptionsAllowed": 0},
    }
    shape = bench.cache.shapes.of(vip)
    candidates: list[Candidate] = []
    for info in bench.cache:
        found = select_victims(shape, info, _fits(bench, vip), [budget])
        assert found is not None
        candidates.append(found)
    best = pick(candidates)
    assert best is not None
    assert best.node.name == "b"


def test_summary_without_reasons() -> None:
    assert summary({}, 3) == "0/3 nodes are available."


def test_a_finished_binding_and_a_failed_one() -> None:
    bench = Bench(node("a", cpu="1"))
    entry = pod("p", cpu="1")
    bench.place(entry)
    assert bench.cache.is_assumed("default/p")
    bound = {**entry, "spec": {**entry["spec"], "nodeName": "a"}}
    bench.cache.pod_bound(bound)
    assert not bench.cache.is_assumed("default/p")
    bench.cache.forget("default/p")  # too late: it is bound
    assert bench.cache.nodes["a"].used.cpu == 1000
    bench.cache.pod_gone("default/p")
    assert bench.cache.nodes["a"].used.cpu == 0
    bench.place(pod("q", cpu="1"))
    bench.cache.forget("default/q")
    assert bench.cache.nodes["a"].used.cpu == 0


def test_decisions_are_fast() -> None:
    bench = Bench(*(node(f"n{i}", cpu="640", pods="10000") for i in range(3)))
    pods = [pod(f"p{i}", cpu="10m", owner="rs", labels={"app": "web"}) for i in range(2000)]
    started = time.process_time()
    for entry in pods:
        bench.place(entry)
    assert 2000 / (time.process_time() - started) > 5000


def test_a_thousand_alike_are_looked_at_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0
    matches = PodTerm.matches

    def counted(term: PodTerm, *args: Any) -> bool:
        nonlocal looked
        looked += 1
        return matches(term, *args)

    monkeypatch.setattr(PodTerm, "matches", counted)
    bench = Bench(node("a", pods="1000"), node("b", pods="1000"))
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}
    soft = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}]}
    for number in range(300):
        bench.place(pod(f"p{number}", labels={"app": "web"}, affinity={"podAntiAffinity": soft}))
    assert looked < 300 * 10


def test_pods_on_their_way_out_do_not_count_for_spreading() -> None:
    bench = Bench(node("a"), node("b"))
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }

    def replica(name: str, **metadata: Any) -> Obj:
        made = pod(name, labels={"app": "web"}, topologySpreadConstraints=[spread])
        made["metadata"].update(metadata)
        return made

    def bound(name: str, where: str, **metadata: Any) -> Obj:
        made = replica(name, **metadata)
        made["spec"]["nodeName"] = where
        return made

    for name, where in (("one", "a"), ("two", "a"), ("three", "b")):
        bench.cache.pod_bound(bound(name, where))
    assert bench.place(replica("four")) == "b"
    bench.cache.pod_gone("default/four")
    going = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    for name in ("one", "two"):
        bench.cache.pod_bound(bound(name, "a", **going))
    assert bench.place(replica("five")) == "a", "nobody who stays is there any more"
    for name in ("one", "two"):
        bench.cache.pod_gone(f"default/{name}")
    assert bench.cache.nodes["a"].leaving == {}
    assert sum(bench.cache.nodes["a"].shapes.values()) == 1
