"""What a container's environment is made of."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from runtime.kubelet.env import ConfigFailure, EnvContext, expand, make_environment, service_variables
from runtime.kubelet.fields import format_map

POD: dict[str, Any] = {
    "metadata": {
        "name": "p",
        "namespace": "ns",
        "uid": "u",
        "labels": {"app": "web", "a": 'q"x'},
        "annotations": {"n/k": "v"},
    },
    "spec": {"nodeName": "n1", "serviceAccountName": "sa", "containers": [{"name": "c"}]},
}
CONTEXT = EnvContext(
    "n1",
    ("192.0.2.1",),
    ("10.244.0.2", "fd00::2"),
    {"cpu": 8.0, "memory": float(1 << 30)},
    {"WEB_SERVICE_HOST": "10.96.0.9"},
)


class Objects:
    """A ConfigMap ``cm`` and a Secret ``se``."""

    async def config_map(self, namespace: str, name: str) -> Any:
        data = {"key": "value", "bad name": "x", "1st": "y", "WEB_SERVICE_HOST": "mine"}
        return {"data": data} if (namespace, name) == ("ns", "cm") else None

    async def secret(self, namespace: str, name: str) -> Any:
        data = {"pass": base64.b64encode(b"s3cret").decode()}
        return {"data": data} if (namespace, name) == ("ns", "se") else None


async def env(container: dict[str, Any], context: EnvContext = CONTEXT) -> dict[str, str]:
    return (await make_environment(POD, {"name": "c", **container}, Objects(), context))[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$(A)", "1"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(B)-$(A)", "$(B)-1"),
        ("$(A", "$(A"),
        ("$A $", "$A $"),
        ("$()", "$()"),
        ("a$(A)b$$c", "a1b$c"),
    ],
)
def test_expansion(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}) == expected


async def test_precedence_and_order() -> None:
    found = await env(
        {
            "envFrom": [{"configMapRef": {"name": "cm"}}],
            "env": [
                {"name": "FIRST", "value": "$(LATER) $(key) $(WEB_SERVICE_HOST)"},
                {"name": "LATER", "value": "x"},
                {"name": "key", "value": "over"},
            ],
        }
    )
    assert found["FIRST"] == "$(LATER) value mine"
    assert found["key"] == "over" and found["WEB_SERVICE_HOST"] == "mine"
    assert "bad name" not in found and "1st" not in found


async def test_prefix_and_skipped_names() -> None:
    found, skipped = await make_environment(
        POD, {"name": "c", "envFrom": [{"prefix": "P_", "configMapRef": {"name": "cm"}}]}, Objects(), CONTEXT
    )
    assert found["P_key"] == "value" and found["P_1st"] == "y"
    assert skipped == ["P_bad name"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"fieldRef": {"fieldPath": "metadata.name"}}, "p"),
        ({"fieldRef": {"fieldPath": "metadata.namespace"}}, "ns"),
        ({"fieldRef": {"fieldPath": "metadata.uid"}}, "u"),
        ({"fieldRef": {"fieldPath": "metadata.labels['app']"}}, "web"),
        ({"fieldRef": {"fieldPath": "metadata.annotations['n/k']"}}, "v"),
        ({"fieldRef": {"fieldPath": "metadata.labels['none']"}}, ""),
        ({"fieldRef": {"fieldPath": "spec.nodeName"}}, "n1"),
        ({"fieldRef": {"fieldPath": "spec.serviceAccountName"}}, "sa"),
        ({"fieldRef": {"fieldPath": "status.hostIP"}}, "192.0.2.1"),
        ({"fieldRef": {"fieldPath": "status.podIP"}}, "10.244.0.2"),
        ({"fieldRef": {"fieldPath": "status.podIPs"}}, "10.244.0.2,fd00::2"),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "2"),
        ({"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}, "1500"),
        ({"resourceFieldRef": {"resource": "requests.memory", "divisor": "1Mi"}}, "64"),
        ({"resourceFieldRef": {"resource": "limits.memory"}}, str(1 << 30)),
        ({"resourceFieldRef": {"resource": "requests.cpu"}}, "0"),
        ({"configMapKeyRef": {"name": "cm", "key": "key"}}, "value"),
        ({"secretKeyRef": {"name": "se", "key": "pass"}}, "s3cret"),
    ],
)
async def test_references(source: dict[str, Any], expected: str) -> None:
    resources = {"limits": {"cpu": "1500m"}, "requests": {"memory": "64Mi"}}
    found = await env({"resources": resources, "env": [{"name": "X", "valueFrom": source}]})
    assert found["X"] == expected


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"envFrom": [{"configMapRef": {"name": "no"}}]}, 'configmap "no" not found'),
        ({"envFrom": [{"secretRef": {"name": "no"}}]}, 'secret "no" not found'),
        (
            {"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "no", "key": "k"}}}]},
            'secret "no" not found',
        ),
        (
            {"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}}]},
            "couldn't find key k in ConfigMap ns/cm",
        ),
        (
            {"env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}]},
            "unsupported fieldPath: status.phase",
        ),
    ],
)
async def test_what_is_missing_is_named(container: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigFailure) as failure:
        await env(container)
    assert str(failure.value) == message


async def test_optional_references_leave_nothing() -> None:
    found = await env(
        {
            "envFrom": [{"configMapRef": {"name": "no", "optional": True}}],
            "env": [
                {"name": "X", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k", "optional": True}}},
                {"name": "Y", "valueFrom": {"secretKeyRef": {"name": "no", "key": "k", "optional": True}}},
            ],
        }
    )
    assert found == {"WEB_SERVICE_HOST": "10.96.0.9"}


async def test_file_keys(tmp_path: Path) -> None:
    (tmp_path / "e.env").write_text("# A=0\nA=1\nB='two'\n")
    context = EnvContext("n1", volume_paths={"v": tmp_path})
    source = {"fileKeyRef": {"volumeName": "v", "path": "e.env", "key": "B"}}
    assert await env({"env": [{"name": "X", "valueFrom": source}]}, context) == {"X": "two"}
    source = {"fileKeyRef": {"volumeName": "v", "path": "../e.env", "key": "B"}}
    with pytest.raises(ConfigFailure):
        await env({"env": [{"name": "X", "valueFrom": source}]}, context)


def test_service_variables() -> None:
    services = [
        {
            "metadata": {"name": "my-web", "namespace": "ns"},
            "spec": {
                "clusterIP": "10.96.0.5",
                "ports": [{"name": "http", "port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}],
            },
        },
        {
            "metadata": {"name": "headless", "namespace": "ns"},
            "spec": {"clusterIP": "None", "ports": [{"port": 1}]},
        },
        {
            "metadata": {"name": "other", "namespace": "x"},
            "spec": {"clusterIP": "10.96.0.6", "ports": [{"port": 1}]},
        },
    ]
    assert service_variables(services, "ns") == {
        "MY_WEB_SERVICE_HOST": "10.96.0.5",
        "MY_WEB_SERVICE_PORT": "80",
        "MY_WEB_SERVICE_PORT_HTTP": "80",
        "MY_WEB_PORT": "tcp://10.96.0.5:80",
        "MY_WEB_PORT_80_TCP": "tcp://10.96.0.5:80",
        "MY_WEB_PORT_80_TCP_PROTO": "tcp",
        "MY_WEB_PORT_80_TCP_PORT": "80",
        "MY_WEB_PORT_80_TCP_ADDR": "10.96.0.5",
        "MY_WEB_PORT_53_UDP": "udp://10.96.0.5:53",
        "MY_WEB_PORT_53_UDP_PROTO": "udp",
        "MY_WEB_PORT_53_UDP_PORT": "53",
        "MY_WEB_PORT_53_UDP_ADDR": "10.96.0.5",
    }


def test_maps_are_written_as_upstream_writes_them() -> None:
    assert format_map({"b": 'x"y', "a": "1\n2"}) == 'a="1\\n2"\nb="x\\"y"'
