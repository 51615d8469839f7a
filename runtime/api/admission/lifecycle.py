"""Namespaces that are ending or missing take nothing new; new nodes take no pods before they are ready.

``apiserver/pkg/admission/plugin/namespace/lifecycle`` and ``plugin/pkg/admission/nodetaint``.
"""

from __future__ import annotations

from runtime.objects.errors import forbidden, not_found

from .chain import CREATE, DELETE, Attributes, Plugin

IMMORTAL_NAMESPACES = frozenset({"default", "kube-system", "kube-public"})
NOT_READY_TAINT = "node.kubernetes.io/not-ready"


class NamespaceLifecycle(Plugin):
    """Refuses creates in a missing (404) or Terminating (403) namespace, and the end of the system's own."""

    operations = frozenset({CREATE})

    def admit(self, a: Attributes) -> None:
        """Check the namespace of a new object."""
        if not a.namespace or not a.resource.namespaced:
            return
        namespace = a.view.get("namespaces", "", a.namespace)
        if namespace is None:
            raise not_found("namespaces", a.namespace)
        if "deletionTimestamp" in namespace["metadata"] or _phase(namespace) == "Terminating":
            raise a.deny(
                f"unable to create new content in namespace {a.namespace} because it is being terminated",
                [
                    {
                        "reason": "NamespaceTerminating",
                        "message": f"namespace {a.namespace} is being terminated",
                        "field": "metadata.namespace",
                    }
                ],
            )


def _phase(namespace: dict[str, dict[str, str]]) -> str:
    return (namespace.get("status") or {}).get("phase") or ""


class ImmortalNamespaces(Plugin):
    """The namespaces that a cluster can't be without may not be deleted."""

    resources = frozenset({"namespaces"})
    operations = frozenset({DELETE})

    def validate(self, a: Attributes) -> None:
        """Refuse the deletion."""
        if a.name in IMMORTAL_NAMESPACES:
            raise forbidden("namespaces", a.name, "this namespace may not be deleted")


class TaintNodesByCondition(Plugin):
    """A new node is tainted not-ready until the node life cycle controller sees it ready."""

    resources = frozenset({"nodes"})

    def admit(self, a: Attributes) -> None:
        """Add the taint."""
        spec = a.object.setdefault("spec", {})
        taints = spec.setdefault("taints", [])
        if not any(t.get("key") == NOT_READY_TAINT and t.get("effect") == "NoSchedule" for t in taints):
            taints.append({"key": NOT_READY_TAINT, "effect": "NoSchedule"})
