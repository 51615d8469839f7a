"""Classes that are the cluster's default fill themselves in.

``plugin/pkg/admission/storage/storageclass/setdefault`` and ``plugin/pkg/admission/network/defaultingressclass``.
"""

from __future__ import annotations

from runtime.objects.errors import Obj

from .chain import Attributes, Plugin

STORAGE_CLASSES = "storageclasses.storage.k8s.io"
INGRESS_CLASSES = "ingressclasses.networking.k8s.io"
DEFAULT_STORAGE_CLASS = "storageclass.kubernetes.io/is-default-class"
BETA_DEFAULT_STORAGE_CLASS = "storageclass.beta.kubernetes.io/is-default-class"
BETA_STORAGE_CLASS = "volume.beta.kubernetes.io/storage-class"
DEFAULT_INGRESS_CLASS = "ingressclass.kubernetes.io/is-default-class"
INGRESS_CLASS_ANNOTATION = "kubernetes.io/ingress.class"


def _marked(obj: Obj, *annotations: str) -> bool:
    given = obj["metadata"].get("annotations") or {}
    return any(given.get(annotation) == "true" for annotation in annotations)


def _newest(candidates: list[Obj]) -> Obj | None:
    """The newest one; of several made in the same second the first by name."""
    candidates = sorted(candidates, key=lambda c: str(c["metadata"]["name"]))
    candidates.sort(key=lambda c: str(c["metadata"].get("creationTimestamp") or ""), reverse=True)
    return candidates[0] if candidates else None


class DefaultStorageClass(Plugin):
    """A claim that names no class gets the default one, the newest if there are several."""

    resources = frozenset({"persistentvolumeclaims"})

    def admit(self, a: Attributes) -> None:
        """Set ``spec.storageClassName``."""
        spec = a.object.setdefault("spec", {})
        annotations = a.object["metadata"].get("annotations") or {}
        if spec.get("storageClassName") is not None or BETA_STORAGE_CLASS in annotations:
            return
        marked = [
            candidate
            for candidate in a.view.list(STORAGE_CLASSES)
            if _marked(candidate, DEFAULT_STORAGE_CLASS, BETA_DEFAULT_STORAGE_CLASS)
        ]
        chosen = _newest(marked)
        if chosen:
            spec["storageClassName"] = chosen["metadata"]["name"]


class DefaultIngressClass(Plugin):
    """An Ingress that names no class gets the default one."""

    resources = frozenset({"ingresses.networking.k8s.io"})

    def admit(self, a: Attributes) -> None:
        """Set ``spec.ingressClassName``."""
        spec = a.object.setdefault("spec", {})
        annotations = a.object["metadata"].get("annotations") or {}
        if spec.get("ingressClassName") is not None or INGRESS_CLASS_ANNOTATION in annotations:
            return
        chosen = _newest([c for c in a.view.list(INGRESS_CLASSES) if _marked(c, DEFAULT_INGRESS_CLASS)])
        if chosen:
            spec["ingressClassName"] = chosen["metadata"]["name"]
