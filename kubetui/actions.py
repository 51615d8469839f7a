"""The one registry of everything that a key can do.

Help, footer, palette, key rebinding, read-only mode and the test that every action has a test are all generated from
this list. An action says where it applies and what it costs; how it does its work is in ``kubetui.commands``.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from kubetui.context import Context

Confirm = Literal["none", "ask", "name"]
Handler = Callable[["Context"], Awaitable[None]]

SCALABLE = frozenset({"Deployment", "StatefulSet", "ReplicaSet", "ReplicationController"})
ROLLING = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
WITH_PODS = frozenset(
    {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob"}
)
POD = frozenset({"Pod"})
TEMPLATED = ROLLING | frozenset({"ReplicaSet", "ReplicationController", "Job", "CronJob", "Pod"})


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do.

    ``where`` lists the screens and panes that it belongs to (``table``, ``logs``, ``text``, ``page``, ``dashboard``,
    ``browser``, ``rollback``, ``manifests``, ``preview``; ``any`` for all). ``kinds`` are the kinds of object that it
    takes (None: it takes none, ``*``: any). ``mutating`` actions do not exist in read-only mode. ``footer`` is its
    rank there, 0 for not at all. ``kubectl`` shows the equivalent line in help. ``handler`` is ``module:function``
    below ``kubetui.commands``. ``words`` mean it when typed whole into the palette, as k9s' commands do. ``needs`` is
    what the server has to allow, as ``kubectl auth can-i`` takes it: ``VERB[|VERB…] [RESOURCE][/SUBRESOURCE]``, the
    object's own resource where none is named, any one of the verbs.
    """

    id: str
    label: str
    keys: tuple[str, ...]
    handler: str
    group: str
    where: frozenset[str] = frozenset({"any"})
    kinds: frozenset[str] | None = None
    confirm: Confirm = "none"
    mutating: bool = False
    footer: int = 0
    kubectl: str = ""
    help: str = ""
    words: tuple[str, ...] = ()
    needs: str = ""

    def load(self) -> Handler:
        """The function that does it."""
        module, _, function = self.handler.partition(":")
        found: Handler = getattr(importlib.import_module(f"kubetui.commands.{module}"), function)
        return found

    def takes(self, kind: str) -> bool:
        """Whether it works on this kind."""
        return self.kinds is not None and ("*" in self.kinds or kind in self.kinds)


ANY = frozenset({"*"})


def _w(*names: str) -> frozenset[str]:
    return frozenset(names)


_TABLE = _w("table")
_OBJECTS = _w("table", "rollout", "logs")
_ROWS = _w("table", "rollout")
_PAGES = _w("describe", "yaml")
_FILES = _w("manifests", "preview")

# fmt: off
ACTIONS: tuple[Action, ...] = (
    Action("up", "Up", ("up", "k"), "move:up", "Move"),
    Action("down", "Down", ("down", "j"), "move:down", "Move"),
    Action("page-up", "Page up", ("pageup", "ctrl+b"), "move:page_up", "Move"),
    Action("page-down", "Page down", ("pagedown", "ctrl+f"), "move:page_down", "Move"),
    Action("first", "First line", ("home", "g"), "move:first", "Move"),
    Action("last", "Last line", ("end", "G"), "move:last", "Move", help="in logs: follow again"),
    Action("left", "Left", ("left",), "move:left", "Move"),
    Action("right", "Right", ("right",), "move:right", "Move"),
    Action("open", "Open", ("enter",), "move:open_row", "Move", _TABLE | {"manifests", "rollout"},
           footer=10, help="drill down: workload → pods → logs; any other object: describe"),
    Action("back", "Back", ("escape", "left_square_bracket"), "move:back", "Move", footer=11),
    Action("forward", "Forward", ("right_square_bracket",), "move:forward", "Move",
           help="again where back came from"),
    Action("next-pane", "Next pane", ("tab",), "move:next_pane", "Move", _w("dashboard")),
    Action("previous-pane", "Previous pane", ("shift+tab",), "move:previous_pane", "Move", _w("dashboard")),
    *(
        Action(f"pane-{n}", f"Pane {n}: {name}", (str(n),), f"move:pane_{n}", "Move", _w("dashboard"), words=words)
        for n, (name, words) in enumerate(
            (("workloads", ("wk", "workload", "workloads")), ("pods", ()), ("rollout", ("rollout",)), ("logs", ()),
             ("events", ()), ("manifests", ("dir", "manifests")), ("usage", ("usage", "top"))), 1)
    ),
    Action("maximise", "Maximise", ("z",), "move:maximise", "Move", _w("dashboard"), footer=60),
    Action("hide-pane", "Hide pane", ("H",), "move:hide_pane", "Move", _w("dashboard"),
           help="a number brings it back"),
    Action("wider", "Wider", ("ctrl+right",), "move:wider", "Move", _w("dashboard")),
    Action("narrower", "Narrower", ("ctrl+left",), "move:narrower", "Move", _w("dashboard")),
    Action("taller", "Taller", ("ctrl+down",), "move:taller", "Move", _w("dashboard")),
    Action("shorter", "Shorter", ("ctrl+up",), "move:shorter", "Move", _w("dashboard")),
    Action("filter", "Filter", ("slash",), "choose:filter_rows", "Choose", _TABLE | {"manifests"},
           footer=20, help="text or regex, !inverse, ~fuzzy, -l label=selector"),
    Action("search", "Search", ("slash",), "logs:search", "Choose", _w("logs", "text"), footer=20,
           help="highlights with the context left in place; n and N go on"),
    Action("mark", "Mark", ("m", "ctrl+@"), "choose:mark", "Choose", _TABLE),
    Action("mark-range", "Mark range", ("M",), "choose:mark_range", "Choose", _TABLE),
    Action("mark-all", "Mark all", ("ctrl+a",), "choose:mark_all", "Choose", _TABLE),
    Action("broken", "Only broken", ("b", "ctrl+z"), "choose:broken", "Choose", _TABLE, footer=58),
    Action("first-error", "First error", ("exclamation_mark",), "choose:first_error", "Choose",
           _w("dashboard")),
    Action("all-pods", "All pods", ("a",), "choose:all_pods", "Choose", _w("dashboard"), footer=57,
           help="pods of the selected workload, or of the namespace"),
    Action("sort", "Sort by…", ("o",), "choose:sort", "Choose", _TABLE),
    Action("sort-age", "Sort by age", ("A",), "choose:sort_age", "Choose", _TABLE),
    Action("sort-name", "Sort by name", ("N",), "choose:sort_name", "Choose", _TABLE),
    Action("sort-status", "Sort by status", ("S",), "choose:sort_status", "Choose", _TABLE),
    Action("wide", "Wide columns", ("w", "ctrl+w"), "choose:wide", "Choose", _TABLE),
    Action("columns", "Columns", ("K",), "choose:columns", "Choose", _w("browser"),
           help="which columns this kind has; remembered"),
    Action("namespace", "Namespace", ("n",), "choose:namespace", "Choose",
           _w("table", "rollout", "manifests", "dashboard"), footer=50, help="mark several with space"),
    Action("all-namespaces", "All namespaces", ("0",), "choose:all_namespaces", "Choose",
           _w("table", "dashboard")),
    Action("context", "Context", ("ctrl+k",), "contexts:context", "Choose", _w("table", "dashboard"),
           words=("ctx", "context", "contexts")),
    Action("palette", "Commands", ("colon",), "palette:palette", "Choose", footer=52,
           help="any kind by name, any action, ns NAME, ctx NAME"),
    Action("logs", "Logs", ("l",), "view:logs", "Look", _ROWS | _PAGES | {"dashboard"}, POD | WITH_PODS, footer=40,
           kubectl="kubectl logs -f", needs="get pods/log"),
    Action("previous-logs", "Previous logs", ("p",), "view:previous_logs", "Look", _ROWS | _PAGES, POD | WITH_PODS,
           kubectl="kubectl logs -p", needs="get pods/log"),
    Action("describe", "Describe", ("d",), "view:describe", "Look", _OBJECTS | {"yaml"}, ANY, footer=42,
           kubectl="kubectl describe"),
    Action("yaml", "YAML", ("y",), "view:yaml", "Look", _OBJECTS | {"describe"}, ANY, footer=43,
           kubectl="kubectl get -o yaml"),
    Action("tree", "Owner tree", ("t",), "trees:tree", "Look", _ROWS | _PAGES, ANY),
    Action("forest", "All owner trees", ("X",), "trees:forest", "Look", _w("table", "rollout", "dashboard"),
           help="every workload of the chosen namespaces down to its containers", words=("xray",)),
    Action("inside", "In the runtime", ("I",), "view:inside", "Look", _OBJECTS, POD | WITH_PODS,
           help="container ids, image digests, mounts; on Podman the lines that look closer"),
    Action("object-events", "Events of it", ("E",), "view:object_events", "Look", _ROWS | _PAGES, ANY,
           kubectl="kubectl events --for"),
    Action("goto-owner", "Go to owner", ("J",), "view:owner", "Look", _TABLE, ANY),
    Action("goto-node", "Go to node", ("O",), "view:node", "Look", _TABLE, POD),
    Action("decode", "Decode", ("x",), "view:decode", "Look", _w("table"), frozenset({"Secret"}), needs="get"),
    Action("copy-name", "Copy name", ("c",), "view:copy_name", "Look", _TABLE, ANY),
    Action("copy-text", "Copy", ("c",), "view:copy_text", "Look", _w("logs", "page"),
           help="what is marked with the mouse, else the page, or of a log what is on the screen"),
    Action("save-table", "Save table", ("ctrl+s",), "view:save", "Look", _w("table", "logs", "text"),
           help="writes what the view holds to a file"),
    Action("pulse", "Pulse", ("v",), "pulse:pulse", "Look", _w("table", "rollout", "manifests", "dashboard"),
           help="the whole cluster at a glance: health of workloads, pods and nodes, warnings, use",
           words=("pulse", "pulses", "pu")),
    Action("command-log", "Command log", ("L",), "view:command_log", "Look",
           help="the kubectl line of everything done here",
           words=("commands", "history")),
    Action("scale-up", "Scale up", ("plus",), "change:scale_up", "Change", _OBJECTS, SCALABLE,
           mutating=True, footer=30, kubectl="kubectl scale --replicas=N", needs="patch /scale"),
    Action("scale-down", "Scale down", ("minus",), "change:scale_down", "Change", _OBJECTS, SCALABLE,
           mutating=True, footer=31, kubectl="kubectl scale --replicas=N", needs="patch /scale"),
    Action("scale", "Scale", ("s",), "change:scale", "Change", _OBJECTS, SCALABLE, mutating=True, footer=32,
           kubectl="kubectl scale --replicas=N", needs="patch /scale"),
    Action("rollback", "Roll back", ("r",), "change:rollback", "Change", _OBJECTS, ROLLING, "ask", True, 33,
           "kubectl rollout undo --to-revision=N",
           "choose a revision, see the difference, go back; works in the middle of a failing rollout", needs="patch"),
    Action("restart", "Restart", ("R",), "change:restart", "Change", _OBJECTS, ROLLING, "ask", True, 34,
           "kubectl rollout restart", needs="patch"),
    Action("pause", "Pause/resume", ("space",), "change:pause", "Change", _OBJECTS,
           frozenset({"Deployment"}), mutating=True, footer=35, kubectl="kubectl rollout pause | resume",
           needs="patch"),
    Action("set-image", "Set image", ("i",), "change:set_image", "Change", _OBJECTS, TEMPLATED,
           mutating=True, kubectl="kubectl set image", needs="patch"),
    Action("label", "Label", ("ctrl+l",), "change:label", "Change", _TABLE, ANY, mutating=True,
           kubectl="kubectl label", needs="patch"),
    Action("edit", "Edit", ("e",), "edit:edit", "Change", _OBJECTS | _PAGES, ANY, mutating=True, footer=44,
           kubectl="kubectl edit", needs="update"),
    Action("delete", "Delete", ("ctrl+d",), "change:delete", "Change", _TABLE, ANY, "ask", True, 45,
           "kubectl delete",
           "asks, with the choice of propagation; in protected namespaces asks for the name", needs="delete"),
    Action("undo", "Undo", ("u",), "undo:undo", "Change", mutating=True, confirm="ask",
           help="takes back the last change made here, shown before it happens"),
    Action("suspend", "Suspend/resume", ("S",), "change:suspend", "Change", _TABLE,
           frozenset({"CronJob", "Job"}), mutating=True,
           kubectl='kubectl patch cronjob -p \'{"spec":{"suspend":true}}\'', needs="patch"),
    Action("trigger", "Trigger now", ("T",), "change:trigger", "Change", _TABLE, frozenset({"CronJob"}),
           mutating=True, kubectl="kubectl create job --from=cronjob/NAME", needs="create jobs.batch"),
    Action("cordon", "Cordon", ("C",), "nodes:cordon", "Change", _TABLE, frozenset({"Node"}), mutating=True,
           kubectl="kubectl cordon", needs="patch"),
    Action("uncordon", "Uncordon", ("U",), "nodes:uncordon", "Change", _TABLE, frozenset({"Node"}),
           mutating=True, kubectl="kubectl uncordon", needs="patch"),
    Action("drain", "Drain", ("D",), "drain:drain", "Change", _TABLE, frozenset({"Node"}), "ask", True,
           kubectl="kubectl drain --ignore-daemonsets --delete-emptydir-data", needs="patch"),
    Action("drain-stop", "Stop the drain", ("x",), "drain:stop_drain", "Change", _w("drain"), footer=24),
    Action("shell", "Shell", ("s", "x"), "connect:shell", "Connect", _w("table", "logs"), POD | WITH_PODS,
           mutating=True, footer=46, kubectl="kubectl exec -it", needs="create|get pods/exec"),
    Action("attach", "Attach", ("ctrl+t",), "connect:attach", "Connect", _TABLE, POD, mutating=True,
           kubectl="kubectl attach -it", needs="create|get pods/attach"),
    Action("forward-port", "Port-forward", ("F",), "connect:forward", "Connect", _TABLE,
           POD | WITH_PODS | {"Service"}, mutating=True, kubectl="kubectl port-forward",
           needs="create|get pods/portforward"),
    Action("forwards", "Port-forwards", ("P",), "connect:forwards", "Connect",
           words=("pf", "portforwards", "port-forwards")),
    Action("copy-files", "Copy files", ("f",), "copy:copy_files", "Connect", _TABLE, POD | WITH_PODS,
           mutating=True, kubectl="kubectl cp", help="to and from a container, files and folders; needs tar in it",
           needs="create|get pods/exec"),
    Action("copy-stop", "Stop the copy", ("x",), "copy:stop_copy", "Connect", _w("copy"), footer=24),
    Action("log-wrap", "Wrap", ("w",), "logs:wrap", "Logs", _w("logs", "page"), footer=24),
    Action("log-stamps", "Times", ("t",), "logs:stamps", "Logs", _w("logs"), footer=27),
    Action("log-names", "Pod names", ("o",), "logs:names", "Logs", _w("logs"), help="where each line is from"),
    Action("log-json", "JSON fields", ("J",), "logs:json", "Logs", _w("logs"), footer=28),
    Action("log-follow", "Follow", ("f",), "logs:follow", "Logs", _w("logs"), footer=23),
    Action("log-filter", "Only lines", ("ampersand",), "logs:filter_lines", "Logs", _w("logs"), footer=21,
           help="show only lines that match, !text those that do not"),
    Action("log-events", "Events between", ("E",), "logs:events", "Logs", _w("logs"), footer=29,
           help="weaves the events of the same pods in"),
    Action("log-range", "Time range", ("h",), "logs:time_range", "Logs", _w("logs"), footer=25),
    Action("log-previous", "Previous", ("p",), "logs:previous", "Logs", _w("logs"), footer=26),
    Action("next-hit", "Next match", ("n",), "logs:next_hit", "Logs", _w("logs", "text"), footer=22),
    Action("previous-hit", "Previous match", ("N",), "logs:previous_hit", "Logs", _w("logs", "text")),
    Action("managed-fields", "Managed fields", ("M",), "view:managed_fields", "Text", _w("yaml"),
           footer=25),
    Action("manifest-preview", "Preview", ("p",), "manifests:preview", "Manifests", _w("manifests"), footer=25,
           kubectl="kubectl diff -f FILE", help="what applying would change and delete, before it does"),
    Action("manifest-apply", "Apply now", ("A",), "manifests:apply", "Manifests", _FILES,
           mutating=True, footer=26, kubectl="kubectl apply -f FILE",
           help="the document under the cursor, or on a file's row the file; asks before it deletes"),
    Action("manifest-apply-file", "Apply the file", ("F",), "manifests:apply_file", "Manifests", _FILES,
           mutating=True, footer=27, kubectl="kubectl apply --prune -f FILE"),
    Action("manifest-diff", "Drift", ("d",), "manifests:diff", "Manifests", _w("manifests"), footer=27,
           kubectl="kubectl diff -f FILE"),
    Action("manifest-accept", "Accept live", ("c",), "manifests:accept", "Manifests", _FILES,
           mutating=True, footer=28),
    Action("manifest-mode", "Auto/manual", ("o",), "manifests:mode", "Manifests", _FILES,
           mutating=True, footer=29),
    Action("manifest-pause", "Pause all files", ("space",), "manifests:pause", "Manifests", _FILES,
           mutating=True, footer=30),
    Action("rollback-now", "Roll back to it", ("enter", "r"), "change:rollback_now", "Roll back",
           _w("rollback"), confirm="ask", mutating=True, footer=12, needs="patch"),
    Action("rollback-base", "Compare from", ("c",), "change:rollback_base", "Roll back", _w("rollback"),
           footer=13, help="compare the marked revision instead of the current one"),
    Action("theme", "Theme", ("ctrl+y",), "choose:theme", "Program",
           words=("theme", "themes", "skin")),
    Action("help", "Help", ("question_mark", "f1"), "view:help_screen", "Program", footer=90,
           words=("h", "help")),
    Action("quit", "Quit", ("q", "ctrl+q"), "choose:quit_app", "Program", footer=91,
           words=("q", "q!", "qa", "quit", "exit")),
)
# fmt: on
