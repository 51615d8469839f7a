"""One pod at a time: what to do next, and doing it."""
