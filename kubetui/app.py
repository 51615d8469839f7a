"""The application: owns the connection, the picture of the cluster and the screens, and runs actions.

The first frame is painted before anything of the network is imported; then the connection starts on its own thread
and hands changes over through :meth:`KubetuiApp.pump`, at most some fifteen times a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import queue
import re
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from textual.driver import Driver
from textual.screen import ModalScreen, Screen

from kubetui.acting import ActingApp
from kubetui.commands.scaler import Scaler
from kubetui.config import Config, config_path, load_config
from kubetui.connection import Access, Connection, ConnectionState
from kubetui.context import Context
from kubetui.frame import draw_header, draw_keys, hints, unreachable
from kubetui.journal import Logged, UndoStack
from kubetui.keys import Registry
from kubetui.live.layout import LayoutState
from kubetui.live.text import clean
from kubetui.measure import Measuring
from kubetui.memory import Housekeeper
from kubetui.options import AppOptions, Kubeconfig
from kubetui.remember import load_state, save_state
from kubetui.screens.base import KeyScreen, Question
from kubetui.screens.dashboard import Dashboard
from kubetui.themes import THEMES, theme_from
from kubetui.widgets.soon import soon

if TYPE_CHECKING:
    from kubetui.live.forwards import Forwards
    from kubetui.live.hub import Hub

T = TypeVar("T")
PUMP_SECONDS = 0.066
MANY_FAILURES = 4
FAILURE_SECONDS = 10.0
_TROUBLE = re.compile(r"\b(error|fail(ed|s)?|can't|cannot|invalid|refused|lost|gone|unable)\b", re.I)

_AT_LINE = re.compile(r"\S.*?:\d+: ")  # what the manifest watcher says of a file: the pane shows it as well


class KubetuiApp(ActingApp):
    """The terminal."""

    CSS_PATH = Path(__file__).parent / "styles" / "kubetui.tcss"
    ENABLE_COMMAND_PALETTE = False
    TITLE = "kubetui"

    def __init__(self, options: AppOptions) -> None:
        super().__init__()
        self.options = self.home = options
        path = Path(options.config_path) if options.config_path else config_path()
        self.config: Config = load_config(path)
        self.config_file = path
        self.registry = Registry(keys=self.config.keys)
        self.layout_state = LayoutState()
        self.saved_views: dict[str, Any] = {}
        self.namespaces: tuple[str, ...] = (options.namespace,) if options.namespace else ()
        self.command_log: deque[Logged] = deque(maxlen=1000)
        self.undo_stack = UndoStack()
        self.startup_lines: list[str] = []
        self._failures: dict[str, float] = {}  # what is being said, and until when
        self.failure = ""  # why the cluster that was asked for can't be shown: the program's last word
        self.measuring = Measuring(self)
        self.connection_state = ConnectionState("starting")
        self.connection: Connection = self._new_connection(options.kubeconfig, options.context)
        self.hub: Hub = self._new_hub()
        self.dashboard = Dashboard()
        self.forwarding: Forwards | None = None
        self.clock: Callable[[], float] = self.server_time
        self.scaler = Scaler(self)
        self._unloaded = list(
            {a.handler.partition(":")[0]: a for a in self.registry.actions.values()}.values()
        )
        self.housekeeper = Housekeeper()
        self._pump_timer: asyncio.TimerHandle | None = None
        self._pumped_at = 0.0
        self._ahead: list[Callable[[], KeyScreen]] = []
        self.previous_namespaces: tuple[str, ...] = ()
        self._config_stamp = self._stamp()
        self._first_cluster = True
        self._asyncio_loop: asyncio.AbstractEventLoop | None = None

    # -- start and end -------------------------------------------------------------------------------------------

    def _new_connection(self, kubeconfig: Any, context: str | None) -> Connection:
        return Connection(Access(kubeconfig, context), self._on_state, self._wake)

    def _new_hub(self) -> Hub:
        from kubetui.live.hub import Hub

        return Hub(self.connection, self.connection.feed)

    def get_driver_class(self) -> type[Driver]:
        """The driver that outlives its terminal, where Textual would take the one for terminals."""
        found = super().get_driver_class()
        if found.__name__ != "LinuxDriver":
            return found
        from kubetui.driver import TerminalDriver

        return TerminalDriver

    def get_default_screen(self) -> Screen[None]:
        """The dashboard."""
        return self.dashboard

    def on_mount(self) -> None:
        """Themes and remembered layout; the network only after the first frame."""
        self._asyncio_loop = asyncio.get_running_loop()
        for theme in THEMES:
            self.register_theme(theme)
        self._register_themes()
        self.saved_views = load_state(self.layout_state)
        for number in (signal.SIGTERM, signal.SIGHUP):
            self._asyncio_loop.add_signal_handler(number, self.exit, 0)  # the terminal is given back as by q
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))  # back in the foreground
        self.theme = self._wanted_theme() or "kubetui-dark"
        self._tell_problems()
        self.refresh_chrome()
        self.set_interval(1.0, self._tick)
        self.call_after_refresh(self._start_network)

    def _register_themes(self) -> None:
        for name, colors in self.config.themes.items():
            self.register_theme(theme_from(name, colors))

    def _wanted_theme(self) -> str:
        """The configuration's theme, empty where it names none that there is."""
        wanted = self.config.theme
        if wanted and wanted not in self.available_themes:
            self.config.problems.append(f"{self.config_file}: there is no theme {wanted!r}")
            return ""
        return wanted

    def _start_network(self) -> None:
        self.options.stopped.add_done_callback(
            lambda why: self.call_soon(lambda: self.end_with(why.result()))
        )
        self.connection.start()
        soon(self, 0.3, self._load_actions)

    async def on_unmount(self) -> None:
        """Close everything that runs."""
        self.dashboard.leave()
        save_state(self.layout_state, self.saved_views)
        if self.forwarding is not None:
            self.forwarding.stop_all()
        self.forget_permissions()
        self.connection.stop()

    # -- the network's side --------------------------------------------------------------------------------------

    def call_soon(self, function: Callable[[], None]) -> None:
        """Run a function on the screen's thread (called on any)."""
        loop = self._asyncio_loop
        if loop is not None and not loop.is_closed():
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._in_context, function)

    def _in_context(self, function: Callable[[], None]) -> None:
        if self.is_running and self.screen_stack:
            with self._context():
                function()

    def _wake(self) -> None:
        self.call_soon(self._pump_soon)

    def _on_state(self, state: ConnectionState) -> None:
        self.call_soon(lambda: self._connection_changed(state))

    def _pump_soon(self) -> None:
        if self._pump_timer is None:
            wait = max(0.001, self._pumped_at + PUMP_SECONDS - time.monotonic())
            self._pump_timer = soon(self, wait, self.pump)

    def pump(self) -> None:
        """Take in what the network brought, in slices, and tell every screen."""
        self._pump_timer = None
        more = self.hub.pump()
        for screen in self.screen_stack:
            if isinstance(screen, KeyScreen):
                screen.after_pump()
        self.refresh_chrome()
        self._pumped_at = time.monotonic()
        if more:
            self._pumped_at -= PUMP_SECONDS - 0.012
            self._pump_soon()

    def _connection_changed(self, state: ConnectionState) -> None:
        before = self.connection_state
        self.connection_state = state
        if state.kind == "failed" and not state.server and self._first_cluster:
            self.end_with(state.detail)
            return
        if state.kind == "failed" or (state.kind == "reconnecting" and self.dashboard.session is None):
            self.startup_lines = [unreachable(self)]
            self.dashboard.after_pump()
            self.dashboard.show_notice("\n".join(self.startup_lines))
        if state.kind == "live" and before.kind != "live":
            self.startup_lines = []
            self._first_cluster = False
            if self.dashboard.session is None:
                self._connected()
            self.dashboard.after_pump()
        if state.discovered and not before.discovered:
            self.kinds_known()
        self.refresh_chrome()

    def kinds_known(self) -> None:
        """Discovery has answered, perhaps otherwise than before: what depends on the server's kinds follows."""
        self.dashboard.hide_columns()
        self.dashboard.lay_out()
        self.measuring.tick()
        self.refresh_chrome()

    def end_with(self, why: str) -> None:
        """There is no cluster to show: leave, and say why in one line."""
        self.failure = " ".join(clean(why).split())
        self.exit(1)

    def _load_actions(self) -> None:
        """Load what the keys do, a piece at a time, so that no first press has to wait for an import."""
        if self._unloaded:
            self._unloaded.pop().load()
            soon(self, 0.02, self._load_actions)

    def _connected(self) -> None:
        client = self.connection.client
        if not self.namespaces and client is not None and self.options.namespace is None:
            self.namespaces = (client.credentials.namespace,)
        if self.options.warning:
            self.notify(clean(self.options.warning), severity="warning", timeout=15, markup=False)
            self.options.warning = ""
        self.dashboard.open_session(self.namespaces)
        self.dashboard.lay_out()
        self.measuring.tick()

    def show_cluster(self, kubeconfig: Kubeconfig, context: str | None, own_cluster: bool) -> None:
        """Leave this cluster for another one; nothing of the old one stays."""
        self._first_cluster = False
        self.reset_screens()
        self.dashboard.leave()
        self.dashboard.session = None
        self.hub.clear()
        self.connection.stop(0.5)
        self.undo_stack.clear()
        self.measuring.forget()
        self.namespaces = ()
        self.options = replace(
            self.options, kubeconfig=kubeconfig, context=context, own_cluster=own_cluster, namespace=None
        )
        self.connection = self._new_connection(kubeconfig, context)
        self._discovery = None
        self.forget_permissions()
        self.hub = self._new_hub()
        self.connection_state = ConnectionState("starting")
        self.dashboard.restart()
        self.connection.start()

    def reset_screens(self) -> None:
        """Back to the dashboard."""
        while len(self.screen_stack) > 1:
            screen = self.screen_stack[-1]
            if isinstance(screen, KeyScreen):
                screen.leave()
            self.pop_screen()

    def use_namespaces(self, namespaces: tuple[str, ...]) -> None:
        """Look at other namespaces (none: all)."""
        self.namespaces = namespaces
        self.dashboard.open_session(namespaces)
        for screen in self.screen_stack:
            if isinstance(screen, KeyScreen) and screen is not self.dashboard:
                screen.namespaces_changed()
        self.refresh_chrome()

    @property
    def namespace_text(self) -> str:
        """The chosen namespaces in words."""
        return ", ".join(self.namespaces) if self.namespaces else "all namespaces"

    def _tick(self) -> None:
        if (look := getattr(self._driver, "look", None)) is not None:
            look()
        with contextlib.suppress(queue.Empty):
            while True:
                self._hear(clean(self.options.progress.get_nowait()))
        if self.startup_lines and self.connection_state.kind in ("starting", "connecting"):
            self.dashboard.show_notice("\n".join(self.startup_lines[-8:]))
        self.hub.sweep()
        self.housekeeper.tick()
        self.measuring.tick()
        screen = self._seen_screen()
        if screen is not None:
            screen.tick()
        stamp = self._stamp()
        if stamp != self._config_stamp:
            self._config_stamp = stamp
            self.reload_config()
        self.refresh_chrome()

    def _hear(self, text: str) -> None:
        """A line from the cluster inside: shown while it starts, kept in the command log afterwards."""
        if self.connection_state.kind in ("starting", "connecting", "failed"):
            self.startup_lines.append(text)
            return
        trouble = _TROUBLE.search(text) is not None
        self.log_command(text, ok=not trouble and _AT_LINE.match(text) is None)
        if trouble:
            self.fail(text)

    def _stamp(self) -> float:
        try:
            return self.config_file.stat().st_mtime
        except OSError:
            return 0.0

    def reload_config(self) -> None:
        """The file was changed: keys, themes and the rest without a restart."""
        self.config = load_config(self.config_file)
        self.registry = Registry(keys=self.config.keys)
        self._register_themes()
        if wanted := self._wanted_theme():
            self.theme = wanted
            self.refresh_css()
        self._tell_problems()

    def _tell_problems(self) -> None:
        """What is wrong with the configuration: the first of it here, all of it in the command log."""
        problems = self.config.problems
        for problem in problems:
            self.log_command(problem, ok=False)
        shown = problems[:4]
        if len(problems) > len(shown):
            more = len(problems) - len(shown)
            shown = [*shown, f"{more} more: {hints(self, ('command-log', 'shows all of it'))}"]
        for problem in shown:
            self.notify(clean(problem), title="Configuration", severity="warning", timeout=12, markup=False)

    # -- keys and actions ----------------------------------------------------------------------------------------

    @property
    def key_screen(self) -> KeyScreen | None:
        """The top screen when it is one of ours; none any more once the program ends."""
        stack = self.screen_stack
        return stack[-1] if stack and isinstance(stack[-1], KeyScreen) else None

    def _seen_screen(self) -> KeyScreen | None:
        return next((s for s in reversed(self.screen_stack) if isinstance(s, KeyScreen)), None)

    def context(self, *, below_dialogs: bool = False) -> Context | None:
        """What an action would work on right now; with ``below_dialogs`` once the dialogs on top are gone."""
        screen = self._seen_screen() if below_dialogs else self.key_screen
        if screen is None:
            return None
        return Context(self, screen.places(), screen.refs(), screen.view())

    # -- what the frame says -------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """A passing word."""
        self.notify(clean(text), timeout=4, markup=False)

    def fail(self, text: str) -> None:
        """Something went wrong. Nothing is said twice at a time; hundreds of failures leave room on the screen."""
        text, now = clean(text), time.monotonic()
        self._failures = {said: until for said, until in self._failures.items() if until > now}
        if len(self._failures) >= MANY_FAILURES:
            text = f"More has failed: {hints(self, ('command-log', 'shows all of it'))}."
        if text not in self._failures:
            self._failures[text] = now + FAILURE_SECONDS
            self.notify(text, severity="error", timeout=FAILURE_SECONDS, markup=False)

    def log_command(self, line: str, result: str = "", ok: bool = True) -> None:
        """Add to the command log."""
        self.command_log.append(Logged(time.time(), line, result, ok))

    def refresh_chrome(self) -> None:
        """Header and key bar of the topmost screen of ours, which a dialog may cover in part; the dialog as well."""
        screen = self._seen_screen()
        if screen is not None and screen.is_mounted:
            draw_header(self, screen)
            draw_keys(self, screen)
            self.learn_permissions()
        dialog = self.screen_stack[-1] if self.screen_stack else None
        if isinstance(dialog, Question):
            dialog.look_again()

    async def action_quit(self) -> None:
        """Leave."""
        self.exit(0)

    def action_help_quit(self) -> None:
        """Ctrl+c leaves too, as everywhere else, unless there is marked text for it to copy."""
        self.exit(0)

    def open_screen(self, screen: KeyScreen) -> None:
        """Put a screen on top; what lay ahead is forgotten."""
        self._ahead.clear()
        self.push_screen(screen)

    def remember_forward(self, screen: KeyScreen) -> None:
        """``back`` leaves this screen: remember how to open it again."""
        again = screen.again()
        if again is not None:
            self._ahead.append(again)

    def go_forward(self) -> None:
        """Open again what ``back`` left last."""
        if self._ahead:
            self.push_screen(self._ahead.pop()())

    async def ask(self, dialog: ModalScreen[T]) -> T | None:
        """Show a dialog and wait for its answer."""
        answer: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()

        def done(value: T | None) -> None:
            if not answer.done():
                answer.set_result(value)

        self.push_screen(dialog, done)
        return await answer


def run(options: AppOptions) -> int:
    """Run the terminal until it is left; return the exit code."""
    # the network's thread (and a cluster's inside) must not keep the interpreter for long when a key is pressed
    sys.setswitchinterval(0.002)
    if isinstance(
        sys.__stderr__, io.TextIOWrapper
    ):  # Textual draws there; terminals are UTF-8, locales not always
        sys.__stderr__.reconfigure(encoding="utf-8", errors="replace")
    app = KubetuiApp(options)
    code = app.run()
    if code is None:
        code = app.return_code or 0
    if app.failure:
        print(f"kubetui: {app.failure}", file=sys.stderr)
    elif options.quit_message and code == 0:
        print(options.quit_message)
    return code
