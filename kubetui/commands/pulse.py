"""Opening the page of the whole cluster."""

from __future__ import annotations

from collections.abc import Sequence

from kubetui.context import Context
from kubetui.live.lines import Line, line
from kubetui.live.pulse import pulse_lines
from kubetui.live.session import Session
from kubetui.screens.text import TextScreen


class PulseScreen(TextScreen):
    """A live page; use is measured while it is on top."""

    def shows_usage(self) -> bool:
        """CPU and memory of the nodes."""
        return True


async def pulse(context: Context) -> None:
    """All namespaces; the chosen ones for those who may not see all."""
    app = context.app
    changes: list[str] = []
    sessions = [Session(app.hub, (), changes.append)]

    def produce() -> Sequence[Line]:
        changes.clear()
        session = sessions[0]
        if session.pods.worst.state == "forbidden" and session.namespaces != app.namespaces:
            session.close()
            session = sessions[0] = Session(app.hub, app.namespaces, changes.append)
        if not session.pods.synced:
            return [line("  loading…", "dim")]
        head = [] if not session.namespaces else [line(f" only {', '.join(session.namespaces)}", "warn")]
        return [*head, *pulse_lines(session, app.measuring.book, app.clock(), screen.lines.body_width)]

    screen = PulseScreen("pulse", produce, each_second=True)
    screen.is_stale = lambda: bool(changes)
    screen.on_leave = lambda: sessions[0].close()
    app.log_command("kubectl get deploy,sts,ds,jobs,cj,pods,nodes,events -A")
    app.open_screen(screen)
