"""The terminal's own widgets: each paints only the lines that are visible."""
