"""The visitor's latest actions: what the page says now, then what the profile remembers."""

from collections.abc import Sequence

Action = tuple[str, str, float]

# As many as models read of them.
MAX_RECENT = 50


def merged(page: Sequence[Action], remembered: Sequence[Action]) -> list[Action]:
    """Return both lists as one, newest first: (fact kind, item, seconds since the epoch).

    The page's events are sent to ingestion, too; what both name (kind and item) counts once, as
    the page has it. `page` comes newest first, and so does `remembered`.
    """
    if not page:
        return list(remembered[:MAX_RECENT])
    named = {(kind, item) for kind, item, _ in page}
    rest = [action for action in remembered if (action[0], action[1]) not in named]
    joined = [*page, *rest]
    # stable: of equally late actions the page's come first
    joined.sort(key=_newest_first)
    return joined[:MAX_RECENT]


def _newest_first(action: Action) -> float:
    return -action[2]
