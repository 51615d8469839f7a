"""What a Kubernetes server answers when it does not do as asked."""

from __future__ import annotations

import json

from kubetui.live.objects import Obj


class ApiError(Exception):
    """An answer that is a ``v1.Status``: code, reason, message and causes (field, message) as the server has it."""

    def __init__(self, code: int, reason: str, message: str, details: Obj | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}

    @property
    def causes(self) -> list[tuple[str, str]]:
        """(field, message) of every cause."""
        return [
            (str(c.get("field") or ""), str(c.get("message") or "")) for c in self.details.get("causes") or ()
        ]

    @classmethod
    def from_body(cls, code: int, body: bytes) -> ApiError:
        """Build from an HTTP answer, whatever it is."""
        try:
            status = json.loads(body)
        except ValueError:
            status = None
        if isinstance(status, dict) and status.get("kind") == "Status":
            return cls(
                int(status.get("code") or code),
                str(status.get("reason") or ""),
                str(status.get("message") or f"HTTP {code}"),
                status.get("details"),
            )
        text = body[:300].decode("utf-8", "replace").strip()
        return cls(code, "", text or f"the server answered HTTP {code}")
