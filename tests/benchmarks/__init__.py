"""Measurements: `make bench`. Every figure stands beside what it is compared with, from the same run."""
