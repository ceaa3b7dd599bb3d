"""The processor: reads the log in commit order and lets projections fold it.

`loop` is its main door.
"""
