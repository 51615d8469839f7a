"""Starts the terminal, and the cluster inside it unless one runs already or another is asked for.

The cluster's code loads on the thread that asks for its kubeconfig, after the first frame is on the screen.
"""

from __future__ import annotations

import argparse
import logging
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

from kubetui.app import run
from kubetui.cli import default_state_dir
from kubetui.options import AppOptions

if TYPE_CHECKING:
    from runtime import ClusterOptions, ClusterThread

STILL_RUNNING = (
    "Containers keep running. `kubetui{place}` shows them again, `kubetui down{place}` removes them."
)
STILL_SERVED = "The cluster and its containers keep running (process {pid})."


def launch(make_options: Callable[[], ClusterOptions] | None, chosen: argparse.Namespace) -> int:
    """Open the terminal; returns the exit code.

    ``make_options`` gives the cluster to run inside; None shows the cluster of a kubeconfig.
    """
    options = AppOptions(namespace=chosen.namespace or None, read_only=chosen.read_only)
    logging.getLogger().addHandler(logging.NullHandler())  # stderr is the screen
    if make_options is None:
        options.kubeconfig = chosen.kubeconfig or None
        options.context = chosen.context or None
        return run(options)
    options.own_cluster = True
    place = (
        ""
        if chosen.state_dir == default_state_dir()
        else f" --state-dir {shlex.quote(str(chosen.state_dir))}"
    )
    options.quit_message = STILL_RUNNING.format(place=place)
    embedded: list[ClusterThread] = []

    def start() -> str:
        """The kubeconfig of the cluster, started here or found running."""
        from kubetui.logfile import log_to
        from runtime import ClusterThread, serving_pid

        log_to(chosen.state_dir)
        pid = serving_pid(chosen.state_dir)
        if pid:
            options.quit_message = STILL_SERVED.format(pid=pid)
            options.progress.put(f"attached to the cluster that process {pid} serves")
            if chosen.paths:
                paths = ", ".join(map(str, chosen.paths))
                options.warning = (
                    f"Process {pid} serves this cluster with its own manifests: {paths} is not watched."
                )
            return str(chosen.state_dir / "kubeconfig")
        options.watched = tuple(str(path.resolve()) for path in chosen.paths)
        cluster = ClusterThread(make_options(), options.progress.put)
        embedded.append(cluster)
        cluster.stopped.add_done_callback(lambda why: options.stopped.set_result(why.result()))
        cluster.start()
        return cluster.kubeconfig.result()

    options.kubeconfig = start
    try:
        return run(options)
    finally:
        for cluster in embedded:
            cluster.stop()
