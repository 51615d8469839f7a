"""Pictures and texts of the terminal's screens."""
