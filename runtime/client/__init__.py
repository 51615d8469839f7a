"""How parts in this process call the API, and the tools that controllers are made of (client-go's, in small)."""

from .client import Client, ClientWatch, ObjList
from .controller import Controller
from .informer import BY_CONTROLLER, BY_NODE, Delta, Informer, InformerFactory
from .recorder import EventRecorder
from .workqueue import RateLimiter, ShutDown, TokenBucket, WorkQueue

__all__ = [
    "BY_CONTROLLER",
    "BY_NODE",
    "Client",
    "ClientWatch",
    "Controller",
    "Delta",
    "EventRecorder",
    "Informer",
    "InformerFactory",
    "ObjList",
    "RateLimiter",
    "ShutDown",
    "TokenBucket",
    "WorkQueue",
]
