"""Exec, attach and port-forward: the protocols that turn one HTTP request into several byte streams."""
