from __future__ import annotations

import pytest
from planes import pod

from runtime.api.connect import choose_container, parse_log_options
from runtime.objects.errors import StatusError


def _pod(*names: str, inits: tuple[str, ...] = ()) -> dict:
    spec = {"containers": [{"name": n} for n in names], "initContainers": [{"name": n} for n in inits]}
    return {"metadata": {"name": "web"}, "spec": spec}


def test_the_container_that_is_meant() -> None:
    assert choose_container(_pod("only"), "") == "only"
    assert choose_container(_pod("a", "b", inits=("i",)), "i") == "i"
    with pytest.raises(StatusError) as caught:
        choose_container(_pod("a", "b"), "")
    assert caught.value.message == "a container name must be specified for pod web, choose one of: [a b]"
    with pytest.raises(StatusError) as caught:
        choose_container(_pod("a", "b", inits=("i", "j")), "")
    assert caught.value.message.endswith("choose one of: [a b] or one of the init containers: [i j]")
    with pytest.raises(StatusError) as caught:
        choose_container(_pod("a"), "x")
    assert caught.value.code == 400 and caught.value.message == "container x is not valid for pod web"


def test_log_options() -> None:
    options = parse_log_options(
        {
            "container": ["c"],
            "follow": ["true"],
            "tailLines": ["5"],
            "timestamps": [""],
            "sinceSeconds": ["3"],
        }
    )
    assert options.container == "c" and options.follow and options.tail_lines == 5
    assert options.timestamps and options.since_seconds == 3 and not options.previous
    at = parse_log_options({"sinceTime": "2026-01-01T00:00:00Z", "previous": "false"})
    assert at.since_time is not None and not at.previous


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"tailLines": "x"}, 400),
        ({"tailLines": "-1"}, 422),
        ({"limitBytes": "0"}, 422),
        ({"sinceSeconds": "0"}, 422),
        ({"sinceSeconds": "1", "sinceTime": "2026-01-01T00:00:00Z"}, 422),
        ({"sinceTime": "yesterday"}, 400),
        ({"stream": "Middle"}, 422),
        ({"stream": "Stdout", "tailLines": "1"}, 422),
    ],
)
def test_log_options_that_are_refused(query, code) -> None:
    with pytest.raises(StatusError) as caught:
        parse_log_options(query)
    assert caught.value.code == code


async def test_node_connections(plane) -> None:
    made = await plane.client.create(pod("p"), "default")
    with pytest.raises(StatusError) as caught:
        plane.api.node_connection(made)
    assert caught.value.code == 400 and caught.value.message == "pod p does not have a host assigned"
    on_node = {**made, "spec": {**made["spec"], "nodeName": "n1"}}
    with pytest.raises(StatusError) as caught:
        plane.api.node_connection(on_node)
    assert caught.value.code == 503
    kubelet = object()
    plane.api.nodes["n1"] = kubelet
    assert plane.api.node_connection(on_node) is kubelet
