"""What the distilled schema says of well-known fields, and how it says it."""

import pytest

from runtime.objects.schema import (
    definition_of,
    definitions,
    description_of,
    kinds_of,
    type_of,
    zero_of,
)

CORE = "io.k8s.api.core.v1."
META = "io.k8s.apimachinery.pkg.apis.meta.v1."


def field(definition: str, name: str):
    return type_of(definition).fields[name]


def test_lookup_by_kind() -> None:
    assert definition_of("apps", "v1", "Deployment") == "io.k8s.api.apps.v1.Deployment"
    assert definition_of("apps", "v1", "Nothing") == ""
    assert kinds_of("io.k8s.api.apps.v1.Deployment") == (("apps", "v1", "Deployment"),)
    assert not [name for name in definitions() if "alpha" in name]


@pytest.mark.parametrize(
    ("definition", "name", "strategy", "merge_key", "list_type", "map_keys"),
    [
        ("PodSpec", "containers", "merge", "name", "map", ("name",)),
        ("PodSpec", "volumes", "merge,retainKeys", "name", "map", ("name",)),
        ("PodSpec", "tolerations", "", "", "atomic", ()),
        ("PodSpec", "hostAliases", "merge", "ip", "map", ("ip",)),
        ("PodSpec", "imagePullSecrets", "merge", "name", "map", ("name",)),
        ("Container", "ports", "merge", "containerPort", "map", ("containerPort", "protocol")),
        ("Container", "env", "merge", "name", "map", ("name",)),
        ("Container", "volumeMounts", "merge", "mountPath", "map", ("mountPath",)),
        ("Container", "args", "", "", "atomic", ()),
        ("ServiceSpec", "ports", "merge", "port", "map", ("port", "protocol")),
        ("ServiceSpec", "externalIPs", "", "", "atomic", ()),
        ("PodStatus", "conditions", "merge", "type", "map", ("type",)),
    ],
)
def test_how_lists_merge(
    definition: str, name: str, strategy: str, merge_key: str, list_type: str, map_keys: tuple[str, ...]
) -> None:
    info = field(CORE + definition, name)
    assert info.kind == "list"
    assert (info.patch_strategy, info.merge_key) == (strategy, merge_key)
    assert (info.list_type, info.map_keys) == (list_type, map_keys)
    assert info.atomic == (list_type in ("", "atomic"))


def test_ports_without_a_protocol_are_tcp_ports() -> None:
    assert field(CORE + "Container", "ports").key_defaults == {"protocol": "TCP"}
    assert field(CORE + "ServiceSpec", "ports").key_defaults == {"protocol": "TCP"}
    assert field(CORE + "PodSpec", "containers").key_defaults == {}


def test_sets_and_atomic_maps() -> None:
    finalizers = field(META + "ObjectMeta", "finalizers")
    assert (finalizers.list_type, finalizers.patch_strategy) == ("set", "merge")
    assert type_of(META + "LabelSelector").atomic
    assert field("io.k8s.api.apps.v1.DeploymentSpec", "selector").atomic
    assert not type_of(CORE + "PodSpec").atomic
    assert field(CORE + "PodSpec", "nodeSelector").atomic
    assert not field(META + "ObjectMeta", "labels").atomic


def test_scalars() -> None:
    replicas = field("io.k8s.api.apps.v1.DeploymentSpec", "replicas")
    assert (replicas.kind, replicas.scalar, replicas.format, replicas.pointer) == (
        "scalar",
        "integer",
        "int32",
        True,
    )
    assert field(CORE + "PodSpec", "terminationGracePeriodSeconds").format == "int64"
    assert field(CORE + "ServicePort", "targetPort").scalar == "int-or-string"
    assert field(CORE + "Container", "imagePullPolicy").enum == ("Always", "IfNotPresent", "Never")
    limits = field(CORE + "ResourceRequirements", "limits")
    assert (limits.kind, limits.element.scalar) == ("map", "quantity")
    assert field(META + "ObjectMeta", "creationTimestamp").scalar == "date-time"
    assert field("io.k8s.api.coordination.v1.LeaseSpec", "renewTime").scalar == "micro-time"
    assert field(CORE + "Secret", "data").element.scalar == "byte"
    assert field("io.k8s.api.apps.v1.ControllerRevision", "data").kind == "any"


def test_recursion_is_lazy() -> None:
    props = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
    inner = type_of(props).fields["properties"].element
    assert inner.definition == props
    assert inner.fields["not"].definition == props


def test_required() -> None:
    assert type_of(CORE + "Container").required == {"name"}
    assert "selector" in type_of("io.k8s.api.apps.v1.DeploymentSpec").required


def test_unknown_definition_is_any() -> None:
    assert type_of("io.example.Nothing").kind == "any"
    assert type_of("io.example.Nothing").fields == {}


def test_descriptions() -> None:
    assert description_of(CORE + "Pod").startswith("Pod is a collection of containers")
    assert "image" in description_of(CORE + "Container", "image").lower()
    assert description_of(CORE + "Container", "nothing") == ""
    assert description_of("io.example.Nothing") == ""


def test_what_is_written_even_when_zero() -> None:
    assert zero_of("io.k8s.api.apps.v1.DaemonSetStatus") == {
        "currentNumberScheduled": 0,
        "desiredNumberScheduled": 0,
        "numberMisscheduled": 0,
        "numberReady": 0,
    }
    assert zero_of(CORE + "ServiceStatus") == {"loadBalancer": {}}
    assert zero_of(CORE + "ContainerStatus") == {
        "image": "",
        "imageID": "",
        "lastState": {},
        "name": "",
        "ready": False,
        "restartCount": 0,
        "state": {},
    }
