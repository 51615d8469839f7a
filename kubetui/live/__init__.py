"""What the terminal knows about a cluster, without a screen.

Everything in this package is free of Textual: caches that list and watch, and pure functions that turn Kubernetes
objects into what a person wants to see (pod health, rollout progress, revision history, events, logs, manifests).
It can be tested, and used by another front end, without a terminal.
"""
