"""What Kubernetes fills in where a manifest says nothing (upstream's apis/*/v1/defaults.go).

Each function changes the object it is given, which must be a private copy that was decoded before: types are right
and what may not be null is not null.
"""
