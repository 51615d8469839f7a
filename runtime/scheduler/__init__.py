"""The scheduler: which node a pod runs on."""

from .scheduler import Scheduler

__all__ = ["Scheduler"]
