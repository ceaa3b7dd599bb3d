"""Python's garbage collector in processes that stay: what they import is not looked through."""

import gc


def calm() -> None:
    """Let it leave alone what is loaded, and look seldom at what is young.

    A batch of events is thousands of objects and an answer hundreds, nearly all freed without it.
    For the whole process: call it once, when everything is imported.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
