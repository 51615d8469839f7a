"""``/healthz``, ``/livez`` and ``/readyz``: named checks, together or one by one.

The format is that of apiserver's ``server/healthz``: tools read its ``[+]name ok`` lines. Why a check fails goes to
the server's log, not to whoever asks without credentials.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

Check = Callable[[], str | None]
"""None when all is well, else what is wrong. Must not wait."""

ENDPOINTS = ("healthz", "livez", "readyz")


class Health:
    """The checks of a server. Each belongs to readiness; those of ``live`` to liveness too."""

    def __init__(self) -> None:
        self._checks: dict[str, tuple[Check, bool]] = {"ping": (lambda: None, True)}

    def add(self, name: str, check: Check, *, live: bool = False) -> None:
        """Add a check under a name that becomes a path; ``live``: its failure means that a restart is needed."""
        self._checks[name] = (check, live)

    def _of(self, endpoint: str) -> dict[str, Check]:
        return {name: check for name, (check, live) in self._checks.items() if live or endpoint != "livez"}

    def paths(self) -> list[str]:
        """Every path that answers."""
        return [
            path
            for endpoint in ENDPOINTS
            for path in (f"/{endpoint}", *(f"/{endpoint}/{name}" for name in self._of(endpoint)))
        ]

    def answer(self, path: str, exclude: Sequence[str], verbose: bool) -> tuple[int, str] | None:
        """The code and text for ``/readyz`` or ``/readyz/NAME``; None when there is no such check."""
        endpoint, _, name = path.strip("/").partition("/")
        checks = self._of(endpoint)
        if name:
            check = checks.get(name)
            if check is None:
                return None
            failure = _run(check)
            return (200, "ok") if failure is None else (500, f"internal server error: {failure}\n")
        lines, failed = [], []
        for key, check in checks.items():
            if key in exclude:
                lines.append(f"[+]{key} excluded: ok")
                continue
            failure = _run(check)
            if failure is None:
                lines.append(f"[+]{key} ok")
            else:
                lines.append(f"[-]{key} failed: reason withheld")
                failed.append(key)
                logger.warning("%s check %s failed: %s", endpoint, key, failure)
        unknown = [f'"{key}"' for key in exclude if key not in checks]
        if unknown:
            lines.append(f"warn: some health checks cannot be excluded: no matches for {', '.join(unknown)}")
        text = "\n".join(lines) + "\n"
        if failed:
            return 500, f"{text}{endpoint} check failed\n"
        return 200, f"{text}{endpoint} check passed\n" if verbose else "ok"


def _run(check: Check) -> str | None:
    try:
        return check()
    except Exception as error:
        return str(error) or type(error).__name__
