"""Pods from birth to death on a node whose runtime runs nothing and whose time stands still."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from node_rig import NODE, Rig, config_map, one_container

from runtime.objects.errors import Obj

ANNOTATION = "simulated.kubetui.io/"


def says(events: list[tuple[str, str, str]], reason: str) -> list[str]:
    return [message for _, found, message in events if found == reason]


def only_status(pod: dict[str, Any]) -> dict[str, Any]:
    return pod["status"]["containerStatuses"][0]


async def test_a_pod_starts_with_one_status_write_and_upstreams_events(node: Rig) -> None:
    made = await node.make(one_container())
    pod = await node.phase("a", "Running")
    status = pod["status"]
    assert {entry["type"]: entry["status"] for entry in status["conditions"]} == {
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "Ready": "True",
        "ContainersReady": "True",
        "PodScheduled": "True",
    }
    container = only_status(pod)
    assert container["ready"] and container["started"] and container["restartCount"] == 0
    assert container["containerID"].startswith("podman://")
    assert status["podIP"].startswith("10.244.") and status["podIPs"] == [{"ip": status["podIP"]}]
    assert status["hostIP"] and status["qosClass"] == "BestEffort" and status["observedGeneration"] == 1
    writes = node.store.watch("pods", since=int(made["metadata"]["resourceVersion"]))
    batch = await writes.next()
    writes.close()
    assert len(batch) == 1
    assert await node.events("a") == [
        ("Normal", "Pulling", 'Pulling image "web:1"'),
        (
            "Normal",
            "Pulled",
            'Successfully pulled image "web:1" in 0s (0s including waiting). Image size: 10485760 bytes.',
        ),
        ("Normal", "Created", "Container created"),
        ("Normal", "Started", "Container started"),
    ]


async def test_a_slow_start_shows_container_creating(node: Rig) -> None:
    await node.make(one_container(metadata={"annotations": {ANNOTATION + "start-delay": "5"}}))
    await node.quiet()
    await node.advance(0.1)
    entry = await node.waiting("a", "ContainerCreating")
    assert entry["restartCount"] == 0
    assert (await node.status("a"))["phase"] == "Pending"
    await node.advance(6)
    await node.phase("a", "Running")


async def test_crash_loop_backs_off_as_upstream_counts(node: Rig) -> None:
    await node.make(one_container(image="sim/exit:1"))

    async def restarts() -> int:
        status = await node.status("a")
        return int((status.get("containerStatuses") or [{"restartCount": -1}])[0]["restartCount"])

    entry = await node.waiting("a", "CrashLoopBackOff")
    uid = (await node.pod("a"))["metadata"]["uid"]
    # the first restart is immediate, the second waits 10 s
    assert entry["restartCount"] == 1
    assert entry["state"]["waiting"]["message"] == (
        f"back-off 10s restarting failed container=c pod=a_default({uid})"
    )
    assert entry["lastState"]["terminated"]["exitCode"] == 1
    assert entry["lastState"]["terminated"]["reason"] == "Error"
    assert (await node.status("a"))["phase"] == "Running"
    waits = []
    for expected in (2, 3, 4):
        for _ in range(200):
            await node.advance(1)
            if await restarts() == expected:
                break
        attempts = {one.attempt: one for one in (await node.runtime.sandbox(uid)).containers}
        began, before = attempts[expected].started_at, attempts[expected - 1].finished_at
        waits.append((began - before).total_seconds())
    # never earlier; a little later when this machine is busy, because the clock does not wait for it
    assert all(0 <= wait - least <= 3 for wait, least in zip(waits, (10, 20, 40), strict=True)), waits
    messages = says(await node.events("a"), "BackOff")
    assert messages[0] == f"Back-off restarting failed container c in pod a_default({uid})"
    sandbox = await node.runtime.sandbox(uid)
    assert sandbox is not None and sorted(one.attempt for one in sandbox.containers) == [3, 4]


async def test_a_killed_container_is_restarted_at_once(node: Rig) -> None:
    await node.make(one_container())
    pod = await node.phase("a", "Running")
    first = only_status(pod)["containerID"]
    node.runtime.crash(first.removeprefix("podman://"), 137)

    async def again() -> Any:
        status = only_status(await node.pod("a"))
        return status if status["restartCount"] == 1 and status["state"].get("running") else None

    status = await node.until(again)
    assert status["lastState"]["terminated"]["containerID"] == first
    assert status["ready"]


async def test_oom_is_named(node: Rig) -> None:
    await node.make(one_container())
    first = only_status(await node.phase("a", "Running"))["containerID"]
    node.runtime.crash(first.removeprefix("podman://"), oom_killed=True)

    async def again() -> Any:
        return only_status(await node.pod("a"))["lastState"].get("terminated")

    ended = await node.until(again)
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


async def test_never_and_on_failure_end_in_their_phases(node: Rig) -> None:
    await node.make(one_container("done", image="sim/exit:0", spec={"restartPolicy": "Never"}))
    await node.make(one_container("broken", image="sim/exit:3", spec={"restartPolicy": "Never"}))
    await node.make(one_container("tried", image="sim/exit:0", spec={"restartPolicy": "OnFailure"}))
    done = await node.phase("done", "Succeeded")
    ready = next(entry for entry in done["status"]["conditions"] if entry["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "PodCompleted")
    assert only_status(done)["state"]["terminated"]["reason"] == "Completed"
    assert done["status"]["podIP"]
    broken = await node.phase("broken", "Failed")
    assert only_status(broken)["state"]["terminated"]["exitCode"] == 3
    await node.phase("tried", "Succeeded")

    async def freed() -> bool:
        return not await node.runtime.sandboxes()

    await node.until(freed, "sandboxes of ended pods are given back")
    for name in ("done", "broken"):
        await node.client.delete("pods", name, "default")
        await node.gone(name)


async def test_init_containers_run_in_order_and_sidecars_stay(node: Rig) -> None:
    await node.make(
        {
            "metadata": {"name": "a"},
            "spec": {
                "initContainers": [
                    {"name": "one", "image": "sim/run:5"},
                    {"name": "side", "image": "web:1", "restartPolicy": "Always"},
                    {"name": "two", "image": "sim/run:5"},
                ],
                "containers": [{"name": "c", "image": "web:1"}],
            },
        }
    )

    async def state_of(name: str) -> str:
        status = await node.status("a")
        for entry in status.get("initContainerStatuses") or ():
            if entry["name"] == name:
                return next(iter(entry["state"]))
        return ""

    async def first_runs() -> bool:
        return await state_of("one") == "running"

    async def second_runs() -> bool:
        return await state_of("two") == "running"

    await node.until(first_runs)
    assert await state_of("side") == "waiting"
    initialized = next(
        entry for entry in (await node.status("a"))["conditions"] if entry["type"] == "Initialized"
    )
    assert initialized["reason"] == "ContainersNotInitialized"
    assert initialized["message"] == "containers with incomplete status: [one side two]"
    await node.advance(6)
    await node.until(second_runs)
    assert await state_of("side") == "running"
    assert (await node.status("a"))["phase"] == "Pending"
    await node.advance(6)
    pod = await node.phase("a", "Running")
    assert [entry["ready"] for entry in pod["status"]["initContainerStatuses"]] == [True, True, True]


async def test_a_job_with_a_sidecar_completes(node: Rig) -> None:
    await node.make(
        {
            "metadata": {"name": "a"},
            "spec": {
                "restartPolicy": "Never",
                "initContainers": [{"name": "side", "image": "web:1", "restartPolicy": "Always"}],
                "containers": [{"name": "c", "image": "sim/run:5"}],
            },
        }
    )
    await node.phase("a", "Running")
    await node.advance(6)
    pod = await node.phase("a", "Succeeded")
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]


async def test_sidecars_are_signalled_last_but_their_hooks_run_with_all_others(
    node: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(name: str, seconds: int, **more: Any) -> Obj:
        hook = {"preStop": {"sleep": {"seconds": seconds}}}
        return {"name": name, "image": "web:1", "lifecycle": hook, **more}

    await node.make(
        {
            "metadata": {"name": "a"},
            "spec": {
                "initContainers": [slow(name, 5, restartPolicy="Always") for name in ("first", "second")],
                "containers": [slow("app", 8)],
            },
        }
    )
    pod = await node.phase("a", "Running")
    fields = ("initContainerStatuses", "containerStatuses")
    names = {
        entry["containerID"].rpartition("/")[2]: entry["name"]
        for field in fields
        for entry in pod["status"][field]
    }
    stop, stopped, start = node.runtime.stop_container, [], node.clock.monotonic()

    async def recorded(container_id: str, grace: float) -> None:
        stopped.append((names[container_id], round(node.clock.monotonic() - start)))
        await stop(container_id, grace)

    monkeypatch.setattr(node.runtime, "stop_container", recorded)
    await node.client.delete("pods", "a", "default")
    await node.until(lambda: len(node.kubelets[0].workers.states[pod["metadata"]["uid"]].stopping) == 3)
    await node.quiet()
    await node.advance(7)
    assert stopped == []
    await node.advance(1)
    await node.gone("a")
    assert stopped == [("app", 8), ("second", 8), ("first", 8)]


async def test_a_failed_init_container_fails_a_pod_that_never_restarts(node: Rig) -> None:
    await node.make(
        {
            "metadata": {"name": "a"},
            "spec": {
                "restartPolicy": "Never",
                "initContainers": [{"name": "one", "image": "sim/exit:2"}],
                "containers": [{"name": "c", "image": "web:1"}],
            },
        }
    )
    pod = await node.phase("a", "Failed")
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 2


async def test_an_image_that_is_not_there(node: Rig) -> None:
    await node.make(one_container(image="missing:1"))
    entry = await node.waiting("a", "ErrImagePull")
    assert "not found" in entry["state"]["waiting"]["message"]
    await node.advance(2)
    entry = await node.waiting("a", "ImagePullBackOff")
    assert entry["state"]["waiting"]["message"].startswith(
        'Back-off pulling image "missing:1": ErrImagePull: '
    )
    events = await node.events("a")
    assert [reason for _, reason, _ in events][:3] == ["Pulling", "Failed", "Failed"]
    assert says(events, "Failed")[0].startswith('Failed to pull image "missing:1": ')
    assert "Error: ErrImagePull" in says(events, "Failed")
    assert "Error: ImagePullBackOff" in says(events, "Failed")
    assert says(events, "BackOff") == ['Back-off pulling image "missing:1"']
    assert (await node.status("a"))["phase"] == "Pending"


async def test_image_policies_and_names(node: Rig) -> None:
    await node.make(one_container("never", image="web:1", imagePullPolicy="Never"))
    entry = await node.waiting("never", "ErrImageNeverPull")
    assert entry["state"]["waiting"]["message"] == (
        'Container image "web:1" is not present with pull policy of Never'
    )
    await node.make(one_container("bad", image="UPPER:1:2"))
    await node.waiting("bad", "InvalidImageName")
    await node.make(one_container("good"))
    await node.phase("good", "Running")
    await node.make(one_container("second"))
    await node.phase("second", "Running")
    assert says(await node.events("second"), "Pulled") == [
        'Container image "web:1" already present on machine and can be accessed by the pod'
    ]
    await node.advance(11)
    await node.phase("never", "Running")


async def test_a_missing_config_map_is_named_and_waited_for(node: Rig) -> None:
    env = [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "x"}}}]
    await node.make(one_container(env=env))
    entry = await node.waiting("a", "CreateContainerConfigError")
    assert entry["state"]["waiting"]["message"] == 'configmap "settings" not found'
    assert 'Error: configmap "settings" not found' in says(await node.events("a"), "Failed")
    await node.client.create(config_map("settings", {"y": "1"}), "default")

    async def second_reason() -> Any:
        status = only_status(await node.pod("a"))
        return "couldn't find key" in status["state"]["waiting"]["message"]

    await node.until(second_reason)
    found = await node.client.get("configmaps", "settings", "default")
    await node.client.update({**found, "data": {"x": "7"}})
    await node.phase("a", "Running")  # without time going on: the change itself wakes it


async def test_a_missing_volume_source_is_a_failed_mount(node: Rig) -> None:
    await node.make(
        one_container(
            volumeMounts=[{"name": "v", "mountPath": "/v"}],
            spec={"volumes": [{"name": "v", "configMap": {"name": "files"}}]},
        )
    )
    await node.waiting("a", "ContainerCreating")
    assert says(await node.events("a"), "FailedMount") == [
        'MountVolume.SetUp failed for volume "v" : configmap "files" not found'
    ]
    await node.client.create(config_map("files", {"x": "7"}), "default")
    await node.phase("a", "Running")


async def test_a_container_that_cannot_be_started(node: Rig) -> None:
    await node.make(one_container(image="sim/fail:nope"))
    entry = await node.waiting("a", "RunContainerError")
    assert "executable file not found" in entry["state"]["waiting"]["message"]
    await node.advance(2)
    entry = await node.waiting("a", "CrashLoopBackOff")
    assert entry["lastState"]["terminated"]["exitCode"] == 128
    assert entry["lastState"]["terminated"]["reason"] == "StartError"
    failed = says(await node.events("a"), "Failed")
    assert failed and "executable file not found" in failed[0]


async def test_why_a_container_never_started_stays_in_the_status_of_a_pod_that_is_over(node: Rig) -> None:
    await node.make(one_container(image="sim/fail:nope", spec={"restartPolicy": "Never"}))
    await node.phase("a", "Failed")
    await node.advance(2)
    await node.quiet()
    ended = only_status(await node.pod("a"))["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert ended["startedAt"] == "1970-01-01T00:00:00Z" and ended["finishedAt"] > ended["startedAt"]
    assert "executable file not found" in ended["message"]


async def test_deletion_stops_reports_and_forgets(node: Rig) -> None:
    await node.make(one_container(metadata={"finalizers": ["example.com/held"]}))
    pod = await node.phase("a", "Running")
    await node.client.delete("pods", "a", "default")

    async def ended() -> Any:
        found = await node.pod("a")
        return found if found["status"]["phase"] == "Succeeded" else None

    held = await node.until(ended)
    assert only_status(held)["state"]["terminated"]["exitCode"] == 0

    async def removed() -> bool:
        return not await node.runtime.sandboxes()

    await node.until(removed)
    await node.client.patch("pods", "a", "default", {"metadata": {"finalizers": None}})
    await node.gone("a")
    await node.until(lambda: not node.kubelets[0].workers.states)
    assert says(await node.events("a"), "Killing") == ["Stopping container c"]
    assert pod["metadata"]["uid"] not in {entry.name for entry in (node.folder / "pods").glob("*")}


async def test_grace_period_then_sigkill_and_a_second_delete_shortens_it(node: Rig) -> None:
    stubborn = {"annotations": {ANNOTATION + "ignore-term": "true"}}
    await node.make(one_container("slow", metadata=stubborn, spec={"terminationGracePeriodSeconds": 20}))
    await node.make(one_container("hurried", metadata=stubborn, spec={"terminationGracePeriodSeconds": 300}))
    await node.phase("slow", "Running")
    await node.phase("hurried", "Running")
    await node.client.delete("pods", "slow", "default")
    await node.client.delete("pods", "hurried", "default")
    await node.advance(15)
    assert (await node.pod("slow"))["metadata"]["deletionTimestamp"]
    await node.advance(6)
    await node.gone("slow")
    assert (await node.pod("hurried"))["status"]["phase"] == "Running"
    await node.client.delete("pods", "hurried", "default", grace_period_seconds=3)
    await node.advance(4)
    await node.gone("hurried")


async def test_a_forced_deletion_leaves_nothing_running(node: Rig) -> None:
    await node.make(one_container())
    await node.phase("a", "Running")
    await node.client.delete("pods", "a", "default", grace_period_seconds=0)
    await node.gone("a")

    async def empty() -> bool:
        return not await node.runtime.sandboxes() and not node.kubelets[0].workers.states

    await node.until(empty)


async def test_a_pod_that_never_started_can_be_deleted(node: Rig) -> None:
    await node.make(one_container(image="missing:1"))
    await node.waiting("a", "ErrImagePull")
    await node.client.delete("pods", "a", "default")
    await node.gone("a")


async def test_active_deadline(node: Rig) -> None:
    await node.make(one_container(spec={"activeDeadlineSeconds": 30}))
    await node.phase("a", "Running")
    await node.advance(29)
    assert (await node.status("a"))["phase"] == "Running"
    await node.advance(2)
    status = (await node.phase("a", "Failed"))["status"]
    assert status["reason"] == "DeadlineExceeded"
    assert status["message"] == "Pod was active on the node longer than the specified deadline"
    assert says(await node.events("a"), "DeadlineExceeded")


async def test_hooks(node: Rig) -> None:
    hook = {"exec": {"command": ["sh", "-c", "exit 1"]}}
    await node.make(one_container("post", lifecycle={"postStart": hook}))
    await node.waiting("post", "CrashLoopBackOff")
    events = await node.events("post")
    assert set(says(events, "FailedPostStartHook")) == {"PostStartHook failed"}
    assert set(says(events, "Killing")) == {"FailedPostStartHook"}
    await node.make(one_container("pre", lifecycle={"preStop": {"sleep": {"seconds": 8}}}))
    await node.phase("pre", "Running")
    await node.client.delete("pods", "pre", "default")
    await node.advance(6)
    assert (await node.pod("pre"))["status"]["phase"] == "Running"
    await node.advance(4)
    await node.gone("pre")


async def test_a_changed_image_replaces_the_container(node: Rig) -> None:
    await node.make(one_container())
    await node.phase("a", "Running")
    patch = {"spec": {"containers": [{"name": "c", "image": "web:2"}]}}
    await node.client.patch("pods", "a", "default", patch, type="strategic")

    async def replaced() -> Any:
        status = only_status(await node.pod("a"))
        return status if status["image"] == "web:2" and status["state"].get("running") else None

    assert (await node.until(replaced))["restartCount"] == 1
    assert says(await node.events("a"), "Killing") == ["Container c definition changed, will be restarted"]


@pytest.mark.parametrize("policy", ["Never", "OnFailure"])
async def test_a_changed_image_replaces_even_what_is_not_restarted(node: Rig, policy: str) -> None:
    slow = {"simulated.kubetui.io/start-delay": "5"}
    await node.make(one_container(metadata={"annotations": slow}, spec={"restartPolicy": policy}))
    await node.advance(6)
    await node.phase("a", "Running")
    patch = {"spec": {"containers": [{"name": "c", "image": "web:2"}]}}
    await node.client.patch("pods", "a", "default", patch, type="strategic")

    async def killed() -> bool:
        return bool(says(await node.events("a"), "Killing"))

    await node.until(killed)
    await node.advance(1)  # the successor takes its time, and an end for good would be told by now
    await node.quiet()
    assert only_status(await node.pod("a"))["state"].get("running")
    await node.advance(5)

    async def replaced() -> Any:
        status = only_status(await node.pod("a"))
        return status if status["image"] == "web:2" and status["state"].get("running") else None

    status = await node.until(replaced)
    assert status["restartCount"] == 1
    assert status["lastState"]["terminated"]["exitCode"] == 0
    assert (await node.pod("a"))["status"]["phase"] == "Running"


async def test_readiness_gates_of_others_are_kept_and_counted(node: Rig) -> None:
    await node.make(one_container(spec={"readinessGates": [{"conditionType": "example.com/lb"}]}))
    pod = await node.phase("a", "Running")
    ready = next(entry for entry in pod["status"]["conditions"] if entry["type"] == "Ready")
    assert ready["reason"] == "ReadinessGatesNotReady"
    conditions = [*pod["status"]["conditions"], {"type": "example.com/lb", "status": "True"}]
    await node.client.update_status({**pod, "status": {**pod["status"], "conditions": conditions}})

    async def is_ready() -> bool:
        found = (await node.status("a"))["conditions"]
        return {entry["type"]: entry["status"] for entry in found}.get("Ready") == "True"

    await node.until(is_ready)


async def test_a_runtime_class_that_this_node_does_not_have_makes_no_sandbox(node: Rig) -> None:
    services = node.kubelets[0].workers._services
    assert services.info is not None
    services.info = replace(services.info, handlers=("runc",))
    for name, handler in (("known", "runc"), ("strange", "kata")):
        body = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "handler": handler}
        await node.client.create({**body, "metadata": {"name": name}}, "")
        await node.make(one_container(name, spec={"runtimeClassName": name}))
    await node.phase("known", "Running")
    await node.quiet()
    (message,) = says(await node.events("strange"), "FailedCreatePodSandBox")
    assert 'no runtime for "kata" is configured' in message
    assert (await node.status("strange"))["phase"] == "Pending"


async def test_a_host_name_that_is_too_long_makes_no_sandbox(node: Rig) -> None:
    names = {"hostname": "h" * 20, "subdomain": "d" * 40, "setHostnameAsFQDN": True}
    await node.make(one_container(spec=names))

    async def refused() -> Any:
        return says(await node.events("a"), "FailedCreatePodSandBox")

    full = f"{'h' * 20}.{'d' * 40}.default.svc.cluster.local"
    assert await node.until(refused) == [
        "Failed to create pod sandbox: failed to construct FQDN from pod hostname and cluster domain, "
        f"FQDN {full} is too long (64 is the max, {len(full)} characters requested)"
    ]
    assert (await node.pod("a"))["status"]["phase"] == "Pending"
    assert await node.runtime.sandboxes() == []


async def test_what_is_not_honoured_is_said(node: Rig) -> None:
    await node.make(
        one_container(
            spec={
                "hostUsers": False,
                "securityContext": {"appArmorProfile": {"type": "Unconfined"}},
            },
        )
    )
    await node.phase("a", "Running")
    sentences = says(await node.events("a"), "NotHonoured")
    assert len(sentences) == 2
    for word in ("hostUsers", "appArmorProfile"):
        assert any(word in sentence for sentence in sentences)


async def test_ephemeral_containers_start_in_a_running_pod(node: Rig) -> None:
    await node.make(one_container())
    pod = await node.phase("a", "Running")
    debug = {
        "name": "debug",
        "image": "shell:1",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "Always",
        "targetContainerName": pod["spec"]["containers"][0]["name"],
    }
    await node.client.update_subresource(
        "ephemeralcontainers", {**pod, "spec": {**pod["spec"], "ephemeralContainers": [debug]}}
    )

    async def runs() -> Any:
        entries = (await node.status("a")).get("ephemeralContainerStatuses")
        return entries and entries[0]["state"].get("running")

    await node.until(runs)


async def test_the_node_is_registered_as_upstreams_is(node: Rig) -> None:
    found = await node.client.get("nodes", NODE)
    assert found["metadata"]["labels"]["kubernetes.io/hostname"] == NODE
    assert len(found["status"]["nodeInfo"]) == 10
    conditions = {entry["type"]: entry for entry in found["status"]["conditions"]}
    assert conditions["Ready"]["status"] == "True"
    assert conditions["Ready"]["message"] == "kubelet is posting ready status"
    assert conditions["MemoryPressure"]["reason"] == "KubeletHasSufficientMemory"
    lease = await node.client.get("leases.coordination.k8s.io", NODE, "kube-node-lease")
    assert lease["spec"]["leaseDurationSeconds"] == 40
    before = lease["spec"]["renewTime"]
    version = found["metadata"]["resourceVersion"]
    await node.advance(25)
    lease = await node.client.get("leases.coordination.k8s.io", NODE, "kube-node-lease")
    assert lease["spec"]["renewTime"] > before
    # nothing changed, so the Node itself was not written; after five minutes it is
    assert (await node.client.get("nodes", NODE))["metadata"]["resourceVersion"] == version
    await node.advance(300)
    assert (await node.client.get("nodes", NODE))["metadata"]["resourceVersion"] != version


async def test_a_deleted_node_registers_again(node: Rig) -> None:
    await node.client.delete("nodes", NODE)
    await node.advance(11)
    await node.advance(2)

    async def reported() -> bool:
        return bool((await node.client.get("nodes", NODE))["status"].get("conditions"))

    await node.until(reported)


async def test_what_others_write_into_our_status_is_put_right(node: Rig) -> None:
    await node.make(one_container())
    pod = await node.phase("a", "Running")
    conditions = [
        {**entry, "status": "False", "reason": "NodeNotReady"} if entry["type"] == "Ready" else entry
        for entry in pod["status"]["conditions"]
    ]
    await node.client.update_status({**pod, "status": {**pod["status"], "conditions": conditions}})

    async def right_again() -> bool:
        found = (await node.status("a"))["conditions"]
        return {entry["type"]: entry["status"] for entry in found}["Ready"] == "True"

    await node.until(right_again)


async def test_a_deadline_may_be_brought_forward(node: Rig) -> None:
    await node.make(one_container(spec={"activeDeadlineSeconds": 1000}))
    pod = await node.phase("a", "Running")
    await node.client.update({**pod, "spec": {**pod["spec"], "activeDeadlineSeconds": 5}})
    await node.quiet()
    await node.advance(3)
    assert (await node.status("a"))["phase"] == "Running"
    await node.advance(4)
    assert (await node.phase("a", "Failed"))["status"]["reason"] == "DeadlineExceeded"
