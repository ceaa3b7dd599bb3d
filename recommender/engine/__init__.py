"""Algorithms on arrays: no database, no clock, no files."""
