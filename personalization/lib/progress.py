"""How long work tells how far it is: its stage, steps done, steps in all (0: not known)."""

from collections.abc import Callable

Report = Callable[[str, int, int], None]


def silent(_stage: str, _done: int, _total: int) -> None:
    """Report nothing."""
