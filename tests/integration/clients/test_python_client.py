"""The official Python client (``kubernetes`` on PyPI), unmodified: create, watch, patch, exec, forward, delete.

Its models refuse an object that lacks a field that Kubernetes always sends, so reading one of each kind is a test
of its own.
"""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.rest import ApiException
from kubernetes.stream import portforward, stream

from tests.support.serving import Serving, eventually


@pytest.fixture(scope="module")
def api(serving: Serving) -> Iterator[client.ApiClient]:
    with config.new_client_from_config(str(serving.kubeconfig)) as made:
        yield made


@pytest.fixture
def space(api: client.ApiClient, request: pytest.FixtureRequest) -> str:
    name = "py-" + request.node.name.replace("_", "-").replace("test-", "")[:40].strip("-")
    core = client.CoreV1Api(api)
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    return name


def pod(name: str, *command: str, labels: dict[str, str] | None = None) -> client.V1Pod:
    return client.V1Pod(
        metadata=client.V1ObjectMeta(name=name, labels=labels),
        spec=client.V1PodSpec(
            termination_grace_period_seconds=1,
            containers=[
                client.V1Container(
                    name="c",
                    image="busybox",
                    command=list(command) or None,
                    ports=[client.V1ContainerPort(container_port=80)],
                )
            ],
        ),
    )


def wait_running(core: client.CoreV1Api, space: str, name: str) -> client.V1Pod:
    for event in watch.Watch().stream(
        core.list_namespaced_pod, space, field_selector=f"metadata.name={name}", timeout_seconds=30
    ):
        if event["object"].status.phase == "Running":
            return event["object"]
    raise AssertionError("the pod does not run")


def test_create_patch_replace_delete(api: client.ApiClient, space: str) -> None:
    core = client.CoreV1Api(api)
    made = core.create_namespaced_config_map(
        space, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="c"), data={"a": "1"})
    )
    assert made.metadata.uid and made.metadata.creation_timestamp.tzinfo
    core.patch_namespaced_config_map("c", space, {"data": {"b": "2"}})
    core.patch_namespaced_config_map("c", space, [{"op": "remove", "path": "/data/a"}])
    got = core.read_namespaced_config_map("c", space)
    assert got.data == {"b": "2"}
    got.data["d"] = "4"
    replaced = core.replace_namespaced_config_map("c", space, got)
    assert replaced.data == {"b": "2", "d": "4"}
    with pytest.raises(ApiException) as refused:
        core.replace_namespaced_config_map("c", space, made)
    assert refused.value.status == 409 and "the object has been modified" in refused.value.body
    core.delete_namespaced_config_map("c", space)
    with pytest.raises(ApiException) as refused:
        core.read_namespaced_config_map("c", space)
    assert refused.value.status == 404


def test_workloads_and_watches(api: client.ApiClient, space: str) -> None:
    apps, core = client.AppsV1Api(api), client.CoreV1Api(api)
    template = client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels={"app": "w"}), spec=pod("x").spec)
    spec = client.V1DeploymentSpec(
        replicas=2, selector=client.V1LabelSelector(match_labels={"app": "w"}), template=template
    )
    apps.create_namespaced_deployment(
        space, client.V1Deployment(metadata=client.V1ObjectMeta(name="w"), spec=spec)
    )
    for event in watch.Watch().stream(apps.list_namespaced_deployment, space, timeout_seconds=30):
        if event["object"].status.ready_replicas == 2:
            break
    else:
        raise AssertionError("not ready")
    pods = core.list_namespaced_pod(space, label_selector="app=w", limit=1)
    assert len(pods.items) == 1 and pods.metadata._continue and pods.metadata.remaining_item_count is None
    rest = core.list_namespaced_pod(space, label_selector="app=w", limit=1, _continue=pods.metadata._continue)
    assert rest.items[0].metadata.name != pods.items[0].metadata.name
    scale = apps.read_namespaced_deployment_scale("w", space)
    assert scale.spec.replicas == 2
    apps.patch_namespaced_deployment_scale("w", space, {"spec": {"replicas": 1}})
    eventually("one pod", lambda: len(core.list_namespaced_pod(space).items) == 1, 20)
    apps.delete_namespaced_deployment("w", space, propagation_policy="Foreground")
    eventually("all is gone", lambda: not core.list_namespaced_pod(space).items, 20)


def test_every_model_can_be_read(api: client.ApiClient, space: str) -> None:
    core = client.CoreV1Api(api)
    core.create_namespaced_pod(space, pod("p"))
    wait_running(core, space, "p")
    found = core.read_namespaced_pod("p", space)
    status = found.status.container_statuses[0]
    assert status.ready and status.restart_count == 0 and status.image and status.image_id
    apps, batch = client.AppsV1Api(api), client.BatchV1Api(api)
    daemon = {
        "metadata": {"name": "d"},
        "spec": {
            "selector": {"matchLabels": {"a": "d"}},
            "template": {
                "metadata": {"labels": {"a": "d"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    }
    apps.create_namespaced_daemon_set(space, daemon)
    apps.create_namespaced_stateful_set(
        space, {**daemon, "metadata": {"name": "s"}, "spec": {**daemon["spec"], "serviceName": "s"}}
    )
    batch.create_namespaced_job(
        space,
        {
            "metadata": {"name": "j"},
            "spec": {
                "template": {
                    "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "sim/run:0"}]}
                }
            },
        },
    )
    core.create_namespaced_service(
        space, {"metadata": {"name": "s"}, "spec": {"selector": {"a": "d"}, "ports": [{"port": 80}]}}
    )
    policy = client.PolicyV1Api(api)
    policy.create_namespaced_pod_disruption_budget(
        space,
        {"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "d"}}}},
    )
    client.NetworkingV1Api(api).create_namespaced_ingress(
        space,
        {
            "metadata": {"name": "i"},
            "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}},
        },
    )
    client.AutoscalingV2Api(api).create_namespaced_horizontal_pod_autoscaler(
        space,
        {
            "metadata": {"name": "h"},
            "spec": {
                "maxReplicas": 3,
                "scaleTargetRef": {"kind": "Deployment", "name": "x", "apiVersion": "apps/v1"},
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {"type": "Utilization", "averageUtilization": 50},
                        },
                    }
                ],
            },
        },
    )
    core.create_namespaced_resource_quota(
        space, {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "10"}}}
    )
    core.create_namespaced_persistent_volume_claim(
        space,
        {
            "metadata": {"name": "c"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        },
    )
    time.sleep(1.0)  # so that the controllers have written what they write
    assert apps.list_namespaced_daemon_set(space).items[0].status.desired_number_scheduled is not None
    assert apps.list_namespaced_stateful_set(space).items[0].status.replicas is not None
    assert batch.list_namespaced_job(space).items
    for read in (
        core.list_node, core.list_event_for_all_namespaces, core.list_endpoints_for_all_namespaces,
        core.list_service_for_all_namespaces, core.list_service_account_for_all_namespaces,
        core.list_secret_for_all_namespaces, core.list_resource_quota_for_all_namespaces,
        core.list_persistent_volume_claim_for_all_namespaces, core.list_namespace,
        client.DiscoveryV1Api(api).list_endpoint_slice_for_all_namespaces,
        client.RbacAuthorizationV1Api(api).list_cluster_role,
        client.RbacAuthorizationV1Api(api).list_cluster_role_binding,
        client.CoordinationV1Api(api).list_lease_for_all_namespaces,
        client.SchedulingV1Api(api).list_priority_class, client.StorageV1Api(api).list_storage_class,
        policy.list_pod_disruption_budget_for_all_namespaces,
        client.NetworkingV1Api(api).list_ingress_for_all_namespaces,
        client.AutoscalingV2Api(api).list_horizontal_pod_autoscaler_for_all_namespaces,
        client.AppsV1Api(api).list_controller_revision_for_all_namespaces,
    ):  # fmt: skip
        read()
    node = core.list_node().items[0]
    assert node.status.node_info.kubelet_version.startswith("v1.36.")
    assert client.VersionApi(api).get_code().minor == "36"
    assert "deployments" in {one.name for one in client.AppsV1Api(api).get_api_resources().resources}
    assert client.ApisApi(api).get_api_versions().groups


def test_logs_and_exec(api: client.ApiClient, space: str) -> None:
    core = client.CoreV1Api(api)
    core.create_namespaced_pod(space, pod("p", "sh", "-c", "echo one; echo two; sleep 1000"))
    wait_running(core, space, "p")
    eventually("two lines", lambda: core.read_namespaced_pod_log("p", space) == "one\ntwo\n", 10)
    assert core.read_namespaced_pod_log("p", space, tail_lines=1) == "two\n"
    out = stream(
        core.connect_get_namespaced_pod_exec, "p", space, command=["echo", "hi"], stdout=True, stderr=True
    )
    assert out == "hi\n"
    session = stream(
        core.connect_get_namespaced_pod_exec, "p", space, command=["sh"], stdin=True, stdout=True,
        stderr=True, _preload_content=False,
    )  # fmt: skip
    session.write_stdin("echo from stdin\n")
    assert session.readline_stdout(timeout=60) == "from stdin"
    session.write_stdin("exit 3\n")
    session.run_forever(timeout=60)
    assert session.returncode == 3
    session.close()


def test_port_forward(api: client.ApiClient, space: str) -> None:
    core = client.CoreV1Api(api)
    core.create_namespaced_pod(space, pod("p"))
    wait_running(core, space, "p")
    forward = portforward(core.connect_get_namespaced_pod_portforward, "p", space, ports="80")
    with contextlib.closing(forward.socket(80)) as socket:
        socket.setblocking(True)
        socket.settimeout(10)
        socket.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while chunk := socket.recv(4096):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert forward.error(80) is None


def test_dynamic_client_and_apply(api: client.ApiClient, space: str, tmp_path: Path) -> None:
    found = dynamic.DynamicClient(api)
    maps = found.resources.get(api_version="v1", kind="ConfigMap")
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c"},
        "data": {"a": "1"},
    }
    made = maps.server_side_apply(body=body, namespace=space, field_manager="python")
    assert made.data.a == "1"
    seen: list[str] = []

    def follow() -> None:
        for event in maps.watch(namespace=space, name="c", timeout=10):
            seen.append(event["type"])
            if event["type"] == "DELETED":
                return

    thread = threading.Thread(target=follow)
    thread.start()
    eventually("the first event", lambda: seen, 10)
    maps.patch(
        body={"data": {"b": "2"}}, name="c", namespace=space, content_type="application/merge-patch+json"
    )
    maps.delete(name="c", namespace=space)
    thread.join(60)
    assert seen == ["ADDED", "MODIFIED", "DELETED"]
    with pytest.raises(dynamic.exceptions.NotFoundError):
        maps.get(name="c", namespace=space)
    file = tmp_path / "two.yaml"
    file.write_text(f"""
apiVersion: v1
kind: Secret
metadata: {{name: s, namespace: {space}}}
stringData: {{a: b}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: robot, namespace: {space}}}
""")
    utils.create_from_yaml(api, str(file))
    core = client.CoreV1Api(api)
    assert base64.b64decode(core.read_namespaced_secret("s", space).data["a"]) == b"b"
    token = core.create_namespaced_service_account_token(
        "robot",
        space,
        client.AuthenticationV1TokenRequest(
            spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=600)
        ),
    )
    robot = client.Configuration()
    robot.host, robot.ssl_ca_cert = api.configuration.host, api.configuration.ssl_ca_cert
    robot.api_key = {"authorization": token.status.token}
    robot.api_key_prefix = {"authorization": "Bearer"}
    with client.ApiClient(robot) as other, pytest.raises(ApiException) as refused:
        client.CoreV1Api(other).list_namespaced_pod(space)
    assert refused.value.status == 403 and f"system:serviceaccount:{space}:robot" in refused.value.body


def test_eviction_and_deletion_of_many(api: client.ApiClient, space: str) -> None:
    core = client.CoreV1Api(api)
    for number in range(3):
        core.create_namespaced_pod(space, pod(f"p{number}", labels={"many": "yes"}))
    wait_running(core, space, "p0")
    core.create_namespaced_pod_eviction(
        "p0", space, client.V1Eviction(metadata=client.V1ObjectMeta(name="p0"))
    )
    core.delete_collection_namespaced_pod(space, label_selector="many=yes", grace_period_seconds=0)
    eventually("no pods", lambda: not core.list_namespaced_pod(space).items, 20)
