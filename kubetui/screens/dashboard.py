"""The first screen: workloads, their pods, the rollout, logs, events, manifests and use, all live."""

from __future__ import annotations

import asyncio

from textual.app import ComposeResult
from textual.containers import Container
from textual.geometry import Offset
from textual.widgets import Static

from kubetui.context import Ref
from kubetui.frame import empty_hint, forbidden_hint
from kubetui.live.discovery import PODS
from kubetui.live.layout import MIN_HEIGHT, MIN_WIDTH, PANES, Place, arrange
from kubetui.live.objects import Obj, name_of, namespace_of, uid_of
from kubetui.live.session import Session
from kubetui.live.text import clean_log
from kubetui.live.usage import PodKey
from kubetui.panes.events import EventsPane
from kubetui.panes.logs import LogsPane, LogStream
from kubetui.panes.manifests import ManifestsPane
from kubetui.panes.pods import PodsPane
from kubetui.panes.rollout import RolloutPane
from kubetui.panes.usage import NOT_MEASURED, UsagePane
from kubetui.panes.workloads import TARGETS, WorkloadsPane
from kubetui.screens.base import KeyScreen
from kubetui.widgets.pane import Pane
from kubetui.widgets.soon import soon
from kubetui.widgets.table import Table

LOG_DELAY = 0.2


class Dashboard(KeyScreen):
    """Seven panes about one selection of namespaces."""

    PLACES = ("dashboard",)

    def __init__(self) -> None:
        super().__init__()
        self.workloads = WorkloadsPane()
        self.pods = PodsPane()
        self.rollout = RolloutPane()
        self.logs = LogsPane()
        self.events_pane = EventsPane()
        self.manifests = ManifestsPane()
        self.usage = UsagePane()
        self.panes: dict[str, Pane] = {
            "workloads": self.workloads,
            "pods": self.pods,
            "rollout": self.rollout,
            "logs": self.logs,
            "events": self.events_pane,
            "manifests": self.manifests,
            "usage": self.usage,
        }
        self.notice = Static("", id="notice", markup=False)
        self.too_small = Static("", id="too-small", markup=False)
        self.session: Session | None = None
        self.all_pods = False
        self._dirty: set[str] = set()
        self._log_timer: asyncio.TimerHandle | None = None
        self._trouble_log: tuple[str, list[str]] = ("", [])
        self._drawn_at = 0.0
        self._measured: list[str] = []
        self._first_rows = True

    def compose_body(self) -> ComposeResult:
        """Panes are placed by :meth:`lay_out`; until then there are none, not all of them over each other."""
        for pane in self.panes.values():
            pane.display = False
        with Container(id="panes"):
            yield from self.panes.values()
        yield self.notice
        yield self.too_small

    def on_mount(self) -> None:
        """The first frame."""
        self.logs.stream = LogStream(self.logs.view, self.app.start_background, self.app.call_soon)
        self.workloads.table.focus()

    def on_resize(self) -> None:
        """Place the panes."""
        self.lay_out()

    def lay_out(self) -> None:
        """Give every visible pane its rectangle."""
        width, height = self.size.width, self.size.height
        small = width < MIN_WIDTH or height < MIN_HEIGHT
        self.too_small.display = small
        if small:
            self.too_small.update(
                f"This terminal has {width}×{height} cells.\nkubetui needs {MIN_WIDTH}×{MIN_HEIGHT} and likes 80×24."
            )
        places = self._arranged()
        visible = {p.pane for p in places}
        for place in places:
            pane = self.panes[place.pane]
            pane.styles.width, pane.styles.height = place.width, place.height
            pane.styles.offset = Offset(place.x, place.y)
            pane.display = not small
        for name, pane in self.panes.items():
            if name not in visible:
                pane.display = False
        focused = self.pane_of_focus()
        if (
            (focused is None or focused.id not in visible)
            and places
            and not self.input_line.has_class("-open")
        ):
            self.panes[places[0].pane].body.focus()
        self.app.call_later(self._redraw_rollout)
        self._draw_usage()

    def _arranged(self) -> list[Place]:
        """Where the panes go at this size."""
        width, height = self.size.width, self.size.height - 2
        served = self.app.measuring.served
        return arrange(width, height, self.app.layout_state, self.manifests_shown, served)

    @property
    def manifests_shown(self) -> bool:
        """Our own cluster has the pane from the start, another one when it publishes sources."""
        return self.app.options.own_cluster or bool(self.manifests.sources)

    # -- where the user is ---------------------------------------------------------------------------------------

    def pane_of_focus(self) -> Pane | None:
        """The pane that has the focus."""
        node = self.focused
        while node is not None and not isinstance(node, Pane):
            node = node.parent  # type: ignore[assignment]
        return node

    def places(self) -> list[str]:
        """The pane's places."""
        pane = self.pane_of_focus()
        return list(pane.PLACES) if pane is not None else ["dashboard"]

    def refs(self) -> list[Ref]:
        """The pane's objects."""
        pane = self.pane_of_focus()
        return pane.refs() if pane is not None else []

    def focus_pane(self, name: str) -> None:
        """Focus a pane, bringing it to the screen where it is hidden."""
        state = self.app.layout_state
        if name == "manifests" and not self.manifests_shown:
            self.app.say("This cluster has no manifests that kubetui watches.")
            return
        if name == "usage" and not self.app.measuring.served:
            self.app.say("This cluster does not measure use: it has no metrics.k8s.io.")
            return
        state.hidden.discard(name)
        if state.maximised is not None:
            state.maximised = name
        elif name not in {p.pane for p in self._arranged()}:
            state.slot = name
        self.lay_out()
        self.panes[name].body.focus()
        self.app.refresh_chrome()

    def step_focus(self, step: int) -> None:
        """The next visible pane."""
        visible = [p for p in PANES if self.panes[p].display]
        pane = self.pane_of_focus()
        index = visible.index(str(pane.id)) if pane is not None and pane.id in visible else 0
        if visible:
            self.panes[visible[(index + step) % len(visible)]].body.focus()
            self.app.refresh_chrome()

    # -- data ----------------------------------------------------------------------------------------------------

    def open_session(self, namespaces: tuple[str, ...]) -> None:
        """Look at other namespaces."""
        if self.session is not None:
            self.session.close()
        for table in (self.workloads.table, self.pods.table, self.events_pane.table, self.usage.table):
            table.clear_rows()
            table.marks.clear()
        self.hide_columns()
        self.pods.owner = None
        self.pods.owner_name = ""
        self.events_pane.about = None
        self.events_pane.table.scope = None
        self._first_rows = True
        self._dirty.clear()
        self.session = Session(self.app.hub, namespaces, self._dirty.add)
        self.session.watch_manifests()
        for pane in (self.workloads, self.pods, self.events_pane):
            pane.show_counts()
        self.after_pump()

    def hide_columns(self) -> None:
        """Columns that would say the same in every row, or nothing at all."""
        hidden = frozenset({"namespace"}) if len(self.app.namespaces) == 1 else frozenset()
        unmeasured = frozenset() if self.app.measuring.served else frozenset({"cpu", "memory"})
        self.workloads.table.hidden, self.pods.table.hidden = hidden, hidden | unmeasured
        for table in (self.workloads.table, self.pods.table):
            table.refresh()

    def after_pump(self) -> None:
        """Bring every pane up to date with what changed."""
        session = self.session
        if session is None:
            return
        if session.changed_workloads:
            changed, session.changed_workloads = session.changed_workloads, set()
            self.workloads.refresh_rows(session, changed)
        if session.changed_pods:
            changed, session.changed_pods = session.changed_pods, set()
            self.pods.refresh_rows(session, changed)
        if session.changed_events:
            changed, session.changed_events = session.changed_events, set()
            self.events_pane.refresh_rows(session, changed)
        if "manifests" in self._dirty:
            shown = self.manifests_shown
            self.manifests.draw(session)
            if shown != self.manifests_shown:
                self.lay_out()
        if self._dirty & {"pods", "workloads", "revisions"}:
            self._select()
            self._redraw_rollout()
            self._follow_logs()
        if self._dirty & {"pods", "nodes"}:
            self._draw_usage()
        self._dirty.clear()
        self._show_states()

    def _show_states(self) -> None:
        session = self.session
        if session is None:
            return
        self.workloads.table.filling = any(kind.loading for kind in session.workloads.values())
        self.pods.table.filling = session.pods.loading
        for pane, watched in (
            (self.pods, session.pods),
            (self.events_pane, session.events),
            (self.workloads, session.workloads[TARGETS["Deployment"]]),
        ):
            mirror = watched.worst
            table = pane.body
            assert isinstance(table, Table)
            stale = mirror.state == "reconnecting"
            if table.stale != stale:
                table.stale = stale
                table.refresh()
            text = {
                "loading": "loading…",
                "forbidden": f"forbidden: {mirror.detail}",
                "missing": "this cluster does not have this kind",
                "reconnecting": f"reconnecting: {mirror.detail}",
            }.get(mirror.state, f"no {pane.id} in {self.app.namespace_text}")
            table.say_when_empty(text)
        nothing = not len(session.pods) and not self.workloads.table.rows
        if self.app.startup_lines:
            self.show_notice("\n".join(self.app.startup_lines[-8:]))
        elif nothing and session.pods.worst.state == "forbidden":
            self.show_notice(forbidden_hint(self.app, session.pods.worst.detail))
        elif nothing and session.pods.synced and session.workloads[TARGETS["Deployment"]].synced:
            self.show_notice(empty_hint(self.app))
        else:
            self.notice.display = False

    def show_notice(self, text: str) -> None:
        """Say something in the middle of the screen."""
        self.notice.display = True
        self.notice.update(text)

    def selected_workload(self) -> Obj | None:
        """The workload under the cursor, or that of the pod under the cursor."""
        row = self.workloads.table.current
        return row.data if row is not None else None

    def _select(self) -> None:
        """Follow the cursor of the workloads pane."""
        session = self.session
        if session is None:
            return
        workload = self.selected_workload()
        uid = uid_of(workload) if workload is not None and not self.all_pods else None
        name = name_of(workload) if uid is not None and workload is not None else ""
        if uid != self.pods.owner or self._first_rows:
            self._first_rows = False
            self.pods.show_owner(session, uid, name)
            self._draw_usage()
        self.events_pane.show_about(session.uids_below(uid) if uid is not None else None)

    def refresh_selection(self) -> None:
        """The scope of the pods pane changed."""
        self._select()
        self._redraw_rollout()
        self._follow_logs()
        self.app.refresh_chrome()

    def _redraw_rollout(self) -> None:
        session, workload = self.session, self.selected_workload()
        if session is None or not self.rollout.display:
            return
        if workload is None:
            self.rollout.draw(None, [], [], 0.0, ())
            return
        pods = session.pods_of(uid_of(workload))
        now = self.app.clock()
        if len(pods) > 300 and self.rollout.workload is workload and now - self._drawn_at < 0.5:
            return
        self._drawn_at = now
        revisions = session.revisions_of(workload)
        self.rollout.draw(workload, revisions, pods, now, self._trouble_lines(), session.blind)

    def _trouble_lines(self) -> list[str]:
        """The last log lines of the pod that is in the way, fetched once for each pod and restart."""
        rollout = self.rollout.rollout
        crash = next((t for t in rollout.troubles if t.kind == "crash"), None) if rollout else None
        if crash is None or self.session is None:
            return []
        pod = self.session.pods.get(crash.pod_uid)
        if pod is None:
            return []
        key = f"{crash.pod_uid}/{pod['metadata'].get('resourceVersion')}"
        if self._trouble_log[0] != key:
            self._trouble_log = (key, self._trouble_log[1] if self._trouble_log[0][:36] == key[:36] else [])
            self.app.run_soon(self._fetch_trouble(key, Ref.of(PODS, pod)))
        return self._trouble_log[1]

    async def _fetch_trouble(self, key: str, ref: Ref) -> None:
        statuses = (ref.obj or {}).get("status", {}).get("containerStatuses") or []
        bad = next((s for s in statuses if not s.get("ready")), None)
        if bad is None:
            return
        params = {"tailLines": "4", "container": str(bad.get("name"))}
        try:
            text = await self.app.call(
                lambda client: client.request("GET", ref.sub("log"), params=params, timeout=5)
            )
        except Exception:
            return  # it is an extra: the reason is shown already
        if self._trouble_log[0] == key:
            lines = [clean_log(line) for line in str(text or "").splitlines()[-4:]]
            self._trouble_log = (key, [line for line in lines if line.strip()])
            self._redraw_rollout()

    # -- the cursor moved ----------------------------------------------------------------------------------------

    def on_table_moved(self, event: Table.Moved) -> None:
        """Another workload or pod."""
        event.stop()
        if event.table is self.workloads.table:
            self._select()
            self.call_later(self._redraw_rollout)
        if event.table in (self.workloads.table, self.pods.table):
            self._follow_logs()
        if event.table.has_focus:
            self.app.refresh_chrome()

    def on_table_opened(self, event: Table.Opened) -> None:
        """A double click is enter."""
        event.stop()
        self.app.run_action_soon("open")

    def on_descendant_focus(self) -> None:
        """Other keys."""
        self.app.refresh_chrome()
        self._follow_logs()

    def _follow_logs(self) -> None:
        if self._log_timer is not None:
            self._log_timer.cancel()
        self._log_timer = soon(self, LOG_DELAY, self._follow_logs_now)

    def _follow_logs_now(self) -> None:
        """The logs pane shows the pod under the cursor when the pods pane has the focus, else the workload's."""
        self._log_timer = None
        session = self.session
        if session is None or not self.logs.display:
            return
        pane = self.pane_of_focus()
        row = self.pods.table.current
        if pane is self.pods and row is not None:
            self.logs.show(("pod", row.uid), name_of(row.data), Ref.of(PODS, row.data), [row.data])
            return
        if (
            pane is not None
            and pane is not self.workloads
            and self.logs.key is not None
            and self.logs.key[0] == "pod"
        ):
            pod = session.pods.get(self.logs.key[1])
            if pod is not None:
                self.logs.show(self.logs.key, name_of(pod), Ref.of(PODS, pod), [pod])
                return
        workload = self.selected_workload()
        if workload is None:
            pods = [r.data for r in self.pods.table.order[:20]]
            self.logs.show(("all", *self.app.namespaces), "", None, pods)
            return
        uid = uid_of(workload)
        ref = Ref.of(TARGETS[str(workload.get("kind"))], workload)
        self.logs.show(("workload", uid), name_of(workload), ref, session.pods_of(uid))

    def tick(self) -> None:
        """Ages and countdowns."""
        for pane in (self.workloads, self.pods, self.events_pane, self.manifests, self.usage):
            if pane.display:
                table = pane.body
                assert isinstance(table, Table)
                table.tick()
        if self.rollout.display:
            self._redraw_rollout()
        self.logs.connected = self.app.connection_state.kind == "live"
        self.logs.show_counts()

    @property
    def sees_pods(self) -> bool:
        """Whether what is known of the pods is all there is and up to date."""
        return self.session is not None and self.session.pods.worst.state == "live"

    def broken(self) -> tuple[int, int]:
        """(stuck workloads, broken pods) of the namespaces."""
        session = self.session
        if session is None:
            return 0, 0
        stuck = sum(1 for r in self.workloads.table.rows.values() if r.health == "bad")
        return stuck, len(session.broken)

    def restart(self) -> None:
        """Another cluster: nothing of the old one stays."""
        for pane in (self.workloads, self.pods, self.events_pane, self.manifests, self.usage):
            pane.table.clear_rows()
        self.manifests.sources.clear()
        self.logs.key = None
        self.logs.stream = LogStream(self.logs.view, self.app.start_background, self.app.call_soon)
        self.rollout.draw(None, [], [], 0.0, ())
        self.lay_out()

    def shows_usage(self) -> bool:
        """Whether the usage pane or the pods' CPU and memory columns are visible."""
        return self.usage.display or (self.pods.display and self.pods.table.shows("cpu"))

    def show_usage(self, changed: set[PodKey], refused: str = "") -> None:
        """CPU and memory have been measured anew for these pods; ``refused``: why they could not be."""
        self.usage.table.say_when_empty(f"forbidden: {refused}" if refused else NOT_MEASURED)
        self.pods.usage = self.app.measuring.book.rows
        if changed:
            rows = self.pods.table.rows.values()
            self._measured = [r.uid for r in rows if (namespace_of(r.data), name_of(r.data)) in changed]
            self._show_some_usage()
        self._draw_usage()

    def _draw_usage(self) -> None:
        if self.session is not None and self.usage.display:
            self.usage.draw(self.session, self.app.measuring.book, self.pods.owner, self.pods.owner_name)

    def _show_some_usage(self) -> None:
        """A slice at a time: thousands of rows at once would be felt."""
        some, self._measured = self._measured[:300], self._measured[300:]
        if some and self.session is not None:
            self.pods.refresh_rows(self.session, set(some))
        if self._measured:
            soon(self, 0.05, self._show_some_usage)

    def leave(self) -> None:
        """The program ends."""
        if self.session is not None:
            self.session.close()
        if self.logs.stream is not None:
            self.logs.stream.close()
