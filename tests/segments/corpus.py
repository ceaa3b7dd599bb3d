"""`python -m tests.segments.corpus`: write the corpus under `cases/` anew, the same every time."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from tests.segments import (
    corpus_consent,
    corpus_grid,
    corpus_hand,
    corpus_many,
    corpus_operators,
    corpus_worlds,
    corpus_zones,
)
from tests.segments.casefiles import Case, write

FAMILIES: Mapping[str, Sequence[Callable[[], Iterable[Case]]]] = {
    "aggregate": [corpus_grid.aggregate],
    "composition": [corpus_hand.composition, corpus_grid.shared],
    "consent": [corpus_consent.consent],
    "count": [corpus_grid.count],
    "figures": [corpus_hand.figures],
    "identity": [corpus_worlds.identity],
    "lifecycle": [corpus_hand.lifecycle, corpus_grid.lifecycle],
    "many": [corpus_many.many],
    "operators": [corpus_operators.operators],
    "order": [corpus_worlds.order],
    "retention": [corpus_worlds.retention],
    "sequence": [corpus_hand.sequence, corpus_grid.sequence],
    "then_not": [corpus_hand.then_not, corpus_grid.then_not],
    "time_zones": [corpus_zones.time_zones],
    "windows": [corpus_hand.windows],
}


def family(name: str) -> list[Case]:
    return [told for part in FAMILIES[name] for told in part()]


if __name__ == "__main__":
    for name in FAMILIES:
        write(name, family(name))
