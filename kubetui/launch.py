"""Starts the terminal, and the cluster inside it unless one runs already or another is asked for.

The cluster's code loads on the thread that asks for its kubeconfig, after the first frame is on the screen.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from kubetui.app import run
from kubetui.options import AppOptions

if TYPE_CHECKING:
    from runtime import ClusterOptions, ClusterThread

STILL_RUNNING = "Containers keep running. `kubetui` shows them again, `kubetui down` removes them."
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
    options.quit_message = STILL_RUNNING
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
                options.progress.put("it follows its own manifests; PATH is not added to them")
            return str(chosen.state_dir / "kubeconfig")
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
