"""The order in which kinds are applied, and removed in reverse: what others need comes first."""

from __future__ import annotations

from .documents import Obj

_ORDER = (
    "Namespace",
    "CustomResourceDefinition",
    "PriorityClass",
    "RuntimeClass",
    "StorageClass",
    "IngressClass",
    "ResourceQuota",
    "LimitRange",
    "NetworkPolicy",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "PodDisruptionBudget",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "Ingress",
    "APIService",
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
)
_RANK = {kind: rank for rank, kind in enumerate(_ORDER)}
_OTHER = _RANK["PodDisruptionBudget"]
"""Kinds that are not named (custom resources) come after configuration and before workloads."""


def rank(obj: Obj) -> int:
    """The place of an object's kind in the order."""
    return _RANK.get(obj["kind"], _OTHER)
