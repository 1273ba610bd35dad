"""Procedural scenes with exact ground truth, for demo, tests and benchmarks."""
