"""Which keys an action is offered with, where several want the same one."""

from __future__ import annotations

from kubetui.keys import Registry

WORKLOADS = ("workloads", "table", "dashboard")


def offered(registry: Registry, kind: str, read_only: bool = False) -> dict[str, tuple[str, ...]]:
    found = registry.available(WORKLOADS, frozenset({kind}), read_only)
    return {action.id: keys for action, keys in found.items()}


def test_a_key_that_means_something_else_here_is_not_offered() -> None:
    assert offered(Registry(), "Deployment")["scale"] == ("s",)
    assert offered(Registry(), "Deployment")["shell"] == ("x",)


def test_a_key_that_is_free_here_is_offered() -> None:
    pod = offered(Registry(), "Pod")
    assert "scale" not in pod
    assert pod["shell"] == ("s", "x")


def test_an_action_whose_keys_all_mean_something_else_is_left_out() -> None:
    assert "shell" not in offered(Registry(keys={"shell": ("s",)}), "Deployment")
    assert offered(Registry(keys={"shell": ()}), "Deployment")["shell"] == ()
