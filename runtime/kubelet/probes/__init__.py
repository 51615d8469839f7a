"""Asking containers how they are, on time, from this process."""
