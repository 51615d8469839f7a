"""The dashboard's panes: each turns a part of the session into rows or lines."""
