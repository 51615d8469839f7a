"""Calling out: the webhooks that admission and conversion ask, at a URL or behind a Service."""

from .client import CallFailed, WebhookClient

__all__ = ["CallFailed", "WebhookClient"]
