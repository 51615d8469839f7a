from __future__ import annotations

import asyncio

import pytest
from planes import config_map, deployment, pod

from runtime.objects import meta
from runtime.objects.errors import StatusError


def _service(name: str, **spec) -> dict:
    body = {"ports": [{"port": 80}], "selector": {"app": name}, **spec}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": body,
    }


async def _refused(plane, obj, namespace: str = "default") -> StatusError:
    with pytest.raises(StatusError) as caught:
        await plane.client.create(obj, namespace)
    return caught.value


async def test_pods_get_an_identity(plane) -> None:
    made = await plane.client.create(pod("p"), "default")
    spec = made["spec"]
    assert spec["serviceAccountName"] == "default"
    (volume,) = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-") and volume["projected"]["defaultMode"] == 420
    assert [next(iter(source)) for source in volume["projected"]["sources"]] == [
        "serviceAccountToken",
        "configMap",
        "downwardAPI",
    ]
    assert spec["containers"][0]["volumeMounts"] == [
        {
            "name": volume["name"],
            "readOnly": True,
            "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        }
    ]
    error = await _refused(plane, pod("q", serviceAccountName="nobody"))
    assert error.code == 403 and 'serviceaccount "nobody" not found' in error.message
    plain = await plane.client.create(pod("r", automountServiceAccountToken=False), "default")
    assert "volumes" not in plain["spec"]


async def test_a_pod_waits_for_its_new_namespaces_account(plane) -> None:
    await plane.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fresh"}})
    waiting = asyncio.ensure_future(plane.client.create(pod("p"), "fresh"))
    await asyncio.sleep(0)
    await plane.account("fresh")
    await plane.clock.advance(0.2)
    assert (await asyncio.wait_for(waiting, 60))["spec"]["serviceAccountName"] == "default"
    await plane.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "never"}})
    waiting = asyncio.ensure_future(plane.client.create(pod("p"), "never"))
    await asyncio.sleep(0)
    await plane.clock.advance(2)
    with pytest.raises(StatusError) as caught:
        await asyncio.wait_for(waiting, 60)
    assert caught.value.code == 403


async def test_tolerations_priority_and_first_status(plane) -> None:
    own = [
        {
            "key": "node.kubernetes.io/not-ready",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 5,
        }
    ]
    made = await plane.client.create(pod("p", tolerations=own), "default")
    assert [(t["key"], t["tolerationSeconds"]) for t in made["spec"]["tolerations"]] == [
        ("node.kubernetes.io/not-ready", 5),
        ("node.kubernetes.io/unreachable", 300),
    ]
    another = {"key": "a", "operator": "Equal", "value": "b", "effect": "NoSchedule"}
    made["spec"]["tolerations"] = [another, own[0]]
    updated = await plane.client.update(made)
    assert [t["key"].rpartition("/")[2] for t in updated["spec"]["tolerations"]] == [
        "a",
        "not-ready",
        "unreachable",
    ]
    assert made["spec"]["priority"] == 0 and made["status"]["phase"] == "Pending"
    critical = await plane.client.create(pod("c", priorityClassName="system-node-critical"), "default")
    assert critical["spec"]["priority"] == 2_000_001_000
    assert (
        "no PriorityClass with name nope was found"
        in (await _refused(plane, pod("n", priorityClassName="nope"))).message
    )
    default = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "value": 7,
        "globalDefault": True,
    }
    await plane.client.create({**default, "metadata": {"name": "normal"}})
    assert (await plane.client.create(pod("d"), "default"))["spec"]["priorityClassName"] == "normal"
    error = await _refused(plane, {**default, "metadata": {"name": "second"}}, "")
    assert "PriorityClass normal is already marked as default" in error.message


async def test_an_update_that_leaves_out_what_admission_added_means_the_same(plane) -> None:
    urgent = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 9}
    await plane.client.create({**urgent, "metadata": {"name": "urgent"}})
    made = await plane.client.create(pod("p", priorityClassName="urgent"), "default")
    bare = meta.copy(made)
    for name in ("priority", "preemptionPolicy", "tolerations"):
        bare["spec"].pop(name)
    bare["metadata"]["labels"] = {"a": "b"}
    kept = await plane.client.update(bare)
    assert kept["spec"] == made["spec"]
    assert kept["metadata"]["labels"] == {"a": "b"}
    other = meta.copy(kept)
    other["spec"]["priority"] = 8
    with pytest.raises(StatusError) as caught:
        await plane.client.update(other)
    assert "pod updates may not change fields" in caught.value.message


async def test_cluster_addresses_are_given_once(plane) -> None:
    made = [await plane.client.create(_service(f"s{i}")) for i in range(20)]
    addresses = {s["spec"]["clusterIP"] for s in made}
    assert len(addresses) == 20 and not addresses & {"10.96.0.1", "10.96.0.10"}
    assert made[0]["spec"]["clusterIPs"] == [made[0]["spec"]["clusterIP"]]
    assert made[0]["spec"]["ipFamilies"] == ["IPv4"] and made[0]["spec"]["ipFamilyPolicy"] == "SingleStack"
    taken = made[0]["spec"]["clusterIP"]
    error = await _refused(plane, _service("again", clusterIP=taken))
    assert (
        error.code == 422
        and f"failed to allocate IP {taken}: provided IP is already allocated" in error.message
    )
    await plane.client.delete("services", "s0", "default")
    assert (await plane.client.create(_service("again", clusterIP=taken)))["spec"]["clusterIP"] == taken
    far = await _refused(plane, _service("far", clusterIP="10.97.0.1"))
    assert "the provided network does not match the current range" in far.message
    assert "not in the valid range" in (await _refused(plane, _service("net", clusterIP="10.96.0.0"))).message
    assert (await plane.client.create(_service("dns", clusterIP="10.96.0.10")))["spec"][
        "clusterIP"
    ] == "10.96.0.10"
    headless = await plane.client.create(_service("headless", clusterIP="None"))
    assert headless["spec"]["clusterIPs"] == ["None"]
    named = await plane.client.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "ext", "namespace": "default"},
            "spec": {"type": "ExternalName", "externalName": "example.com"},
        }
    )
    assert "clusterIP" not in named["spec"]


async def test_an_address_that_was_given_is_not_exchanged(plane) -> None:
    headless = await plane.client.create(_service("headless", clusterIP="None"))
    changed = meta.copy(headless)
    changed["spec"]["clusterIP"] = "192.168.1.1"  # outside of the range, which nobody asks
    with pytest.raises(StatusError) as caught:
        await plane.client.update(changed)
    assert caught.value.message == (
        'Service "headless" is invalid: spec.clusterIPs[0]: Invalid value: ["192.168.1.1"]: may not change once set'
    )
    changed = meta.copy(headless)
    changed["spec"]["clusterIPs"] = ["10.96.7.7"]
    with pytest.raises(StatusError) as caught:
        await plane.client.update(changed)
    assert "first value must match `clusterIP`" in caught.value.message
    assert "may not change once set" in caught.value.message
    error = await _refused(plane, _service("plural", clusterIPs=["10.96.7.7"]))
    assert "must be empty when `clusterIP` is not specified" in error.message
    outside = _service("outside", type="ExternalName", externalName="a.b", clusterIP="10.96.7.7")
    assert "may not be set for ExternalName services" in (await _refused(plane, outside)).message
    assert (await plane.client.create(_service("free", clusterIP="10.96.7.7")))["spec"]["clusterIPs"] == [
        "10.96.7.7"
    ]
    named = meta.copy(await plane.client.create(_service("ext", type="ExternalName", externalName="a.b")))
    named["spec"].update(type="ClusterIP", clusterIP="10.96.7.8")
    assert (await plane.client.update(named))["spec"]["clusterIPs"] == ["10.96.7.8"]


async def test_a_node_port_belongs_to_the_ports_name(plane) -> None:
    ports = [{"name": "web", "port": 80}, {"name": "api", "port": 81}]
    made = await plane.client.create(_service("s", type="NodePort", ports=ports))
    web, api = (port["nodePort"] for port in made["spec"]["ports"])
    changed = meta.copy(made)
    changed["spec"]["ports"] = [{"name": "api", "port": 80}, {"name": "web", "port": 8080}]
    changed = meta.copy(await plane.client.update(changed))
    assert [port["nodePort"] for port in changed["spec"]["ports"]] == [api, web]
    changed["spec"]["type"] = "ClusterIP"
    changed["spec"]["ports"][0]["nodePort"] = 32001
    with pytest.raises(StatusError) as caught:
        await plane.client.update(changed)
    assert (
        "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"
        in caught.value.message
    )


async def test_node_ports(plane) -> None:
    both = [{"name": "t", "port": 53, "protocol": "TCP"}, {"name": "u", "port": 53, "protocol": "UDP"}]
    made = await plane.client.create(_service("dns", type="NodePort", ports=both))
    first, second = (port["nodePort"] for port in made["spec"]["ports"])
    assert first == second and 30000 <= first <= 32767
    error = await _refused(plane, _service("same", type="NodePort", ports=[{"port": 80, "nodePort": first}]))
    assert "spec.ports[0].nodePort: Invalid value" in error.message and "already allocated" in error.message
    assert (
        "not in the valid range"
        in (
            await _refused(plane, _service("low", type="NodePort", ports=[{"port": 80, "nodePort": 80}]))
        ).message
    )
    changed = meta.copy(made)
    changed["spec"]["type"] = "ClusterIP"
    changed = await plane.client.update(changed)
    assert all("nodePort" not in port for port in changed["spec"]["ports"])
    again = await plane.client.create(
        _service("same", type="NodePort", ports=[{"port": 80, "nodePort": first}])
    )
    kept = meta.copy(again)
    for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        kept["spec"].pop(name)
    kept["spec"]["ports"] = [{"port": 80, "targetPort": 81}]
    kept = await plane.client.update(kept)
    assert (
        kept["spec"]["clusterIP"] == again["spec"]["clusterIP"]
        and kept["spec"]["ports"][0]["nodePort"] == first
    )


async def test_what_a_refused_service_took_is_given_back(plane) -> None:
    ports = [{"name": "a", "port": 1, "nodePort": 31000}, {"name": "b", "port": 2, "nodePort": 5}]
    await _refused(plane, _service("bad", type="NodePort", clusterIP="10.96.9.9", ports=ports))
    good = [{"port": 1, "nodePort": 31000}]
    made = await plane.client.create(_service("good", type="NodePort", clusterIP="10.96.9.9", ports=good))
    assert made["spec"]["clusterIP"] == "10.96.9.9"
    error = await _refused(plane, _service("good", clusterIP="10.96.9.10"))
    assert error.reason == "AlreadyExists"
    assert (await plane.client.create(_service("next", clusterIP="10.96.9.10")))["spec"][
        "clusterIP"
    ] == "10.96.9.10"


async def test_limit_ranges(plane) -> None:
    await plane.client.create(
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "l", "namespace": "default"},
            "spec": {
                "limits": [
                    {
                        "type": "Container",
                        "default": {"cpu": "500m"},
                        "defaultRequest": {"cpu": "100m"},
                        "max": {"cpu": "1"},
                    }
                ]
            },
        }
    )
    made = await plane.client.create(pod("p"), "default")
    assert made["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "100m"},
        "limits": {"cpu": "500m"},
    }
    assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu request for container main; cpu limit for container main"
    )
    assert made["status"]["qosClass"] == "Burstable"
    big = pod("big")
    big["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "2"}}
    error = await _refused(plane, big)
    assert error.code == 403 and "maximum cpu usage per Container is 1, but limit is 2" in error.message


async def test_resource_quota(plane) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "q", "namespace": "default"},
        "spec": {"hard": {"pods": "2", "requests.cpu": "300m", "count/deployments.apps": "1"}},
    }
    await plane.client.create(quota)
    assert (
        "failed quota: q: must specify requests.cpu for: main" in (await _refused(plane, pod("none"))).message
    )

    def sized(name: str, cpu: str) -> dict:
        obj = pod(name)
        obj["spec"]["containers"][0]["resources"] = {"requests": {"cpu": cpu}}
        return obj

    made = await asyncio.gather(
        *(plane.client.create(sized(f"p{i}", "100m"), "default") for i in range(4)), return_exceptions=True
    )
    assert sum(isinstance(one, dict) for one in made) == 2
    errors = [one for one in made if isinstance(one, StatusError)]
    assert errors[0].message.endswith("exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2")
    used = (await plane.client.get("resourcequotas", "q", "default"))["status"]["used"]
    assert used["pods"] == "2" and used["requests.cpu"] == "200m"
    await plane.client.create(deployment("one"), "default")
    assert "count/deployments.apps=1" in (await _refused(plane, deployment("two"))).message
    await plane.client.create(config_map("free"), "default")


async def test_pod_security_only_warns(plane) -> None:
    await plane.namespace("strict")
    labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    await plane.client.patch("namespaces", "strict", "", labels)
    ctx = plane.ctx()
    obj = pod("p", hostNetwork=True)
    obj["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    await plane.api.create(ctx, plane.resource("pods"), "strict", obj)
    (warning,) = [w for w in ctx.warnings if "PodSecurity" in w]
    assert warning.startswith(
        'would violate PodSecurity "restricted:latest": host namespaces (hostNetwork=true)'
    )
    assert 'privileged (container "main" must not set securityContext.privileged=true)' in warning
    quiet = plane.ctx()
    await plane.api.create(quiet, plane.resource("pods"), "default", pod("p", hostNetwork=True))
    assert not any("PodSecurity" in w for w in quiet.warnings)


async def test_default_classes(plane) -> None:
    for name, kind, group, annotation, spec in (
        ("fast", "StorageClass", "storage.k8s.io/v1", "storageclass.kubernetes.io", {"provisioner": "p"}),
        (
            "web",
            "IngressClass",
            "networking.k8s.io/v1",
            "ingressclass.kubernetes.io",
            {"spec": {"controller": "c/c"}},
        ),
    ):
        metadata = {"name": name, "annotations": {f"{annotation}/is-default-class": "true"}}
        await plane.client.create({"apiVersion": group, "kind": kind, "metadata": metadata, **spec})
    claim = await plane.client.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "c", "namespace": "default"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
    )
    assert claim["spec"]["storageClassName"] == "fast"
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    ingress = await plane.client.create(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": "i", "namespace": "default"},
            "spec": {"defaultBackend": backend},
        }
    )
    assert ingress["spec"]["ingressClassName"] == "web"


async def test_new_nodes_are_tainted_until_they_are_ready(plane) -> None:
    node = await plane.client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})
    assert node["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]


async def test_runtime_classes(plane) -> None:
    await plane.client.create(
        {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": {"name": "vm"},
            "handler": "vm",
            "overhead": {"podFixed": {"cpu": "250m"}},
            "scheduling": {"nodeSelector": {"vm": "yes"}},
        }
    )
    made = await plane.client.create(pod("p", runtimeClassName="vm"), "default")
    assert made["spec"]["overhead"] == {"cpu": "250m"} and made["spec"]["nodeSelector"] == {"vm": "yes"}
    assert (
        'RuntimeClass "nope" not found' in (await _refused(plane, pod("q", runtimeClassName="nope"))).message
    )


async def test_certificate_requests_name_their_author(plane) -> None:
    import base64

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "jane")])
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(name)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    request = base64.b64encode(csr.public_bytes(serialization.Encoding.PEM)).decode()
    made = await plane.client.create(
        {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": "jane"},
            "spec": {
                "request": request,
                "signerName": "kubernetes.io/kube-apiserver-client",
                "usages": ["client auth"],
                "username": "somebody-else",
            },
        }
    )
    assert made["spec"]["username"] == "system:tests"
    await plane.clock.advance(5)
    approved = meta.copy(made)
    approved["status"] = {"conditions": [{"type": "Approved", "status": "True", "reason": "Fine"}]}
    approved = await plane.client.update_subresource("approval", approved)
    (condition,) = approved["status"]["conditions"]
    assert condition["lastUpdateTime"] == condition["lastTransitionTime"] == "2026-01-01T00:00:05Z"
