"""Measurements against raw parts and peers: every one a ratio of one run on one machine. See docs/benchmarks.md."""
