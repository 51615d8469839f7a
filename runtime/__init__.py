"""The cluster: a Kubernetes control plane in one process, with pods on the user's own Podman.

The terminal imports one thing from here, ``runtime.Cluster``, and gets a kubeconfig back; everything else
is reached through the Kubernetes API.
"""
