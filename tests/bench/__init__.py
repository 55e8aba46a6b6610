"""Benchmarks: what the program is worth and what it costs, measured. ``python -m tests.bench NAME``."""
