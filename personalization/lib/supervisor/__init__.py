"""Runs the processes of one machine and starts again whatever ends, for ever."""
