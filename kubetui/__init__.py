"""kubetui: Kubernetes on one workstation, in one terminal."""
