"""Objects and keys for the store's tests."""

from __future__ import annotations

from typing import Any

from runtime.store import Change, Key


def pod_key(name: str, namespace: str = "default") -> Key:
    return Key("pods", namespace, name)


def pod(name: str, value: Any = 0, namespace: str = "default") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "value": value,
    }


def put(name: str, value: Any = 0, expected: int | None = None, namespace: str = "default") -> Change:
    return Change(pod_key(name, namespace), pod(name, value, namespace), expected)


def drop(name: str, expected: int | None = None, namespace: str = "default") -> Change:
    return Change(pod_key(name, namespace), None, expected)
