"""Benchmarks: each compares a hot path with a ceiling measured in the same run, and prints JSON."""
