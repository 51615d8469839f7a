"""OpenAPI, generated from the registry: v3 per group version, v2 as JSON and as gnostic's protobuf."""

from .documents import OpenAPI

__all__ = ["OpenAPI"]
