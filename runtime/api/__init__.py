"""The API server's operations; HTTP around them is in :mod:`runtime.api.http`."""
