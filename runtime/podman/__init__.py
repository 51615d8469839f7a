"""The only place that knows Podman, and a simulated twin with the same interface."""
