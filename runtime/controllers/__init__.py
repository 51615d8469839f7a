"""The controllers: each one drives one kind of object from what is asked to what is there."""

from .manager import ControllerManager

__all__ = ["ControllerManager"]
