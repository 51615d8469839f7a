"""The API over HTTPS: what any Kubernetes client talks to.

:class:`HTTPServer` serves an API; :func:`prepare_pki`, :func:`write_kubeconfig` and :func:`sign_request` let
clients in. Everything else is this package's own business.
"""

from .kubeconfig import CONTEXT, server_url, write_kubeconfig
from .pki import PKI, prepare_pki, sign_request
from .server import AddressUnavailable, HTTPServer, PortTaken

__all__ = [
    "CONTEXT",
    "PKI",
    "AddressUnavailable",
    "HTTPServer",
    "PortTaken",
    "prepare_pki",
    "server_url",
    "sign_request",
    "write_kubeconfig",
]
