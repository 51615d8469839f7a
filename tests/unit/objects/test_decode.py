# ruff: noqa: E501 -- tables read better than wrapped sentences
"""Decoding: wrong types in Go's sentences, unknown fields by path, and what Go would not keep."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.objects.errors import StatusError
from runtime.objects.kinds import builtin_registry
from runtime.objects.schema import decode, decode_as, strict_error

REGISTRY = builtin_registry()
PODS = REGISTRY.find("pods")
DEPLOYMENTS = REGISTRY.find("deployments.apps")
assert PODS is not None and DEPLOYMENTS is not None


def pod(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "c", "image": "i", "resources": {}}], **spec},
        "status": {},
    }


def with_container(**more: Any) -> dict[str, Any]:
    return pod(containers=[{"name": "c", "image": "i", "resources": {}, **more}])


@pytest.mark.parametrize(
    ("obj", "sentence"),
    [
        (pod(containers="x"), "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container"),
        (pod(terminationGracePeriodSeconds="30"), "json: cannot unmarshal string into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64"),
        (pod(hostNetwork="yes"), "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool"),
        (pod(restartPolicy=1), "json: cannot unmarshal number into Go struct field PodSpec.spec.restartPolicy of type v1.RestartPolicy"),
        (with_container(image=3), "json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string"),
        (with_container(command="sh"), "json: cannot unmarshal string into Go struct field Container.spec.containers.command of type []string"),
        (with_container(args=[1]), "json: cannot unmarshal number into Go struct field Container.spec.containers.args of type string"),
        (with_container(env={"A": "b"}), "json: cannot unmarshal object into Go struct field Container.spec.containers.env of type []v1.EnvVar"),
        (with_container(env=[{"name": "A", "value": 1}]), "json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string"),
        (with_container(env=[{"name": "A", "value": True}]), "json: cannot unmarshal bool into Go struct field EnvVar.spec.containers.env.value of type string"),
        (with_container(ports=[{"containerPort": 2**40}]), "json: cannot unmarshal number 1099511627776 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32"),
        (with_container(ports=[{"containerPort": 1.5}]), "json: cannot unmarshal number 1.5 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32"),
        (with_container(resources=[]), "json: cannot unmarshal array into Go struct field Container.spec.containers.resources of type v1.ResourceRequirements"),
        (with_container(resources={"limits": {"cpu": "lots"}}), "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
        (with_container(livenessProbe={"httpGet": {"port": True}}), "json: cannot unmarshal bool into Go value of type int32"),
    ],
)  # fmt: skip
def test_wrong_types(obj: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StatusError) as caught:
        decode(PODS, obj)
    assert caught.value.code == 400
    assert caught.value.reason == "BadRequest"
    assert caught.value.message == f'Pod in version "v1" cannot be handled as a Pod: {sentence}'


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({"labels": {"a": 1}}, "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"),
        ({"labels": "a"}, "json: cannot unmarshal string into Go struct field ObjectMeta.metadata.labels of type map[string]string"),
        ({"creationTimestamp": "yesterday"}, 'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"'),
        ({"creationTimestamp": 5}, "json: cannot unmarshal number into Go value of type string"),
    ],
)  # fmt: skip
def test_wrong_metadata(metadata: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StatusError) as caught:
        decode(PODS, {**pod(), "metadata": metadata})
    assert caught.value.message.endswith(sentence)


def test_the_brief_example() -> None:
    with pytest.raises(StatusError) as caught:
        decode(DEPLOYMENTS, {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": "two"}})
    assert caught.value.message == (
        'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go '
        "struct field DeploymentSpec.spec.replicas of type int32"
    )


def test_base64_is_checked_and_cleaned() -> None:
    secrets = REGISTRY.find("secrets")
    assert secrets is not None
    good, _ = decode(secrets, {"data": {"a": "aGVs\nbG8=", "b": None}})
    assert good["data"] == {"a": "aGVsbG8=", "b": None}
    with pytest.raises(StatusError, match="illegal base64 data at input byte 3"):
        decode(secrets, {"data": {"a": "abc*"}})


def test_unknown_fields_are_named_and_dropped() -> None:
    obj = with_container(imagePullPolcy="Always", ports=[{"containerPort": 1, "prot": "TCP"}])
    obj["spec"]["foo"] = 1
    obj["metadata"]["Labels"] = {}
    clean, unknown = decode(PODS, obj)
    assert unknown == [
        'unknown field "metadata.Labels"',
        'unknown field "spec.containers[0].imagePullPolcy"',
        'unknown field "spec.containers[0].ports[0].prot"',
        'unknown field "spec.foo"',
    ]
    assert "foo" not in clean["spec"]
    assert clean["spec"]["containers"][0]["ports"] == [{"containerPort": 1}]
    assert obj["spec"]["foo"] == 1, "the argument is not changed"
    assert strict_error(PODS, ", ".join(unknown[:2])).message == (
        'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "metadata.Labels", '
        'unknown field "spec.containers[0].imagePullPolcy"'
    )


@pytest.mark.parametrize(
    ("given_spec", "kept"),
    [
        ({"hostNetwork": False}, {}),
        ({"hostNetwork": None}, {}),
        ({"nodeName": ""}, {}),
        ({"nodeSelector": {}}, {}),
        ({"tolerations": []}, {}),
        ({"automountServiceAccountToken": False}, {"automountServiceAccountToken": False}),
        ({"terminationGracePeriodSeconds": 0}, {"terminationGracePeriodSeconds": 0}),
        ({"securityContext": {}}, {"securityContext": {}}),
        ({"affinity": None}, {}),
    ],
)
def test_zero_values_as_go_keeps_them(given_spec: dict[str, Any], kept: dict[str, Any]) -> None:
    clean, _ = decode(PODS, pod(**given_spec))
    assert {name: value for name, value in clean["spec"].items() if name != "containers"} == kept


def test_nulls_in_lists_and_maps_become_zero_values() -> None:
    obj = with_container(args=[None, "x"], env=[None])
    obj["metadata"]["labels"] = {"a": None}
    clean, _ = decode(PODS, obj)
    container = clean["spec"]["containers"][0]
    assert container["args"] == ["", "x"]
    assert container["env"] == [{"name": ""}]
    assert clean["metadata"]["labels"] == {"a": ""}


def test_an_empty_storage_class_name_means_something() -> None:
    claims = REGISTRY.find("persistentvolumeclaims")
    assert claims is not None
    clean, _ = decode(claims, {"spec": {"storageClassName": "", "volumeName": ""}})
    assert clean["spec"]["storageClassName"] == ""
    assert "volumeName" not in clean["spec"]


def test_canonical_forms() -> None:
    obj = with_container(resources={"limits": {"cpu": 0.5, "memory": "1024Mi"}, "requests": {"cpu": "100m"}})
    obj["metadata"]["creationTimestamp"] = "2026-01-01T02:00:00+02:00"
    clean, _ = decode(PODS, obj)
    resources = clean["spec"]["containers"][0]["resources"]
    assert resources == {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "100m"}}
    assert clean["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
    lease, _ = decode_as(
        "io.k8s.api.coordination.v1.LeaseSpec", {"renewTime": "2026-01-01T00:00:00.5Z"}, "LeaseSpec", "v1"
    )
    assert lease["renewTime"] == "2026-01-01T00:00:00.500000Z"


def test_a_clean_object_is_handed_back_as_it_is() -> None:
    obj = pod()
    assert decode(PODS, obj)[0] is obj
    changed = pod(hostNetwork=None)
    clean, _ = decode(PODS, changed)
    assert clean is not changed
    assert clean["spec"]["containers"] is changed["spec"]["containers"], "what did not change is shared"


def test_always_written_fields_are_filled_in() -> None:
    clean, _ = decode(PODS, {"spec": {"containers": [{}]}})
    assert clean == {"metadata": {}, "spec": {"containers": [{"name": "", "resources": {}}]}, "status": {}}


def test_times_that_are_not_known_are_null() -> None:
    """As every pod and every event of a real cluster shows them; only creationTimestamp is left out."""
    given = pod()
    given["status"] = {
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"}]
    }
    clean, _ = decode(PODS, given)
    assert clean["status"]["conditions"] == [
        {
            "type": "Ready",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": "2026-01-02T03:04:05Z",
        }
    ]
    assert decode(PODS, clean)[0] is clean
    assert "creationTimestamp" not in clean["metadata"] and "startTime" not in clean["status"]
    template = {"metadata": {"labels": {"a": "b"}, "creationTimestamp": None}, "spec": pod()["spec"]}
    clean, _ = decode_as("io.k8s.api.core.v1.PodTemplateSpec", template, "PodTemplateSpec", "v1")
    assert clean["metadata"] == {"labels": {"a": "b"}}
    clean, _ = decode_as(
        "io.k8s.api.core.v1.Event", {"reason": "R", "lastTimestamp": "2026-01-02T03:04:05Z"}, "Event", "v1"
    )
    assert clean["eventTime"] is None and clean["firstTimestamp"] is None
    assert clean["lastTimestamp"] == "2026-01-02T03:04:05Z"


def test_custom_resources_have_typed_metadata_only() -> None:
    clean, unknown = decode_as(
        "", {"metadata": {"name": "x", "labels": None}, "spec": {"any": [None]}}, "Foo", "v1"
    )
    assert clean == {"metadata": {"name": "x"}, "spec": {"any": [None]}}
    assert unknown == []
    with pytest.raises(StatusError, match=r"ObjectMeta\.metadata\.labels of type"):
        decode_as("", {"metadata": {"labels": 1}}, "Foo", "v1")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "spec", "metadata", "containers", "labels", "ports", "limits", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status", "kind", "other"]), JSON, max_size=4))
def test_decoding_never_breaks_and_is_idempotent(obj: dict[str, Any]) -> None:
    before = copy.deepcopy(obj)
    try:
        clean, _ = decode(PODS, obj)
    except StatusError as error:
        assert error.code == 400
        assert "cannot be handled as a Pod: " in error.message
        assert not error.message.endswith("the object"), "the slow walk finds what the fast one refused"
    else:
        again, unknown = decode(PODS, clean)
        assert again == clean
        assert unknown == []
    assert obj == before
