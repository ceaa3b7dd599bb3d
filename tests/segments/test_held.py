"""First times that a state lets go: rules say the same as if all of them were kept."""

from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from segments.engine.held import MOST_FIRST, Held
from segments.engine.program import Person, Program, Setting, Source

DAY = 86_400
NAMES = {f"{letter}{number}": number * 3 + place for place, letter in enumerate("abc")
         for number in range(50)}  # fmt: skip
WINDOW = {"type": "last", "seconds": DAY}
ASKED = ("a7", "b49", {"prefix": "c"}, {"prefix": "b4"}, {"prefix": "none"})
PROGRAM = Program(
    [
        Source(f"r{place}", {"kind": "first_time", "event": event, "window": WINDOW})
        for place, event in enumerate(ASKED)
    ],
    Setting(ZoneInfo("UTC"), 400 * DAY * 1_000_000),
)
NOW = 10 * DAY * 1_000_000


def take(held: Held, name: str, at: int) -> None:
    """Note a time as the fold does, and store the state."""
    key = str(NAMES[name])
    held.first[key] = min(at, held.first.get(key, at))
    held.forget_first(PROGRAM.firsts(NAMES))


def said(first: dict[str, int]) -> dict[int, list[int]]:
    names = {str(its_id): name for name, its_id in NAMES.items()}
    person = Person(first_seen={names[key]: at for key, at in first.items()})
    return PROGRAM.told(person, NOW, range(len(ASKED)))


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(NAMES)), st.integers(0, 12 * DAY * 1_000_000)),
        max_size=400,
    ),
    st.randoms(use_true_random=False),
)
def test_forget_first__any_names_in_any_order__rules_say_the_same(
    events: list[tuple[str, int]], random: object
) -> None:
    every: dict[str, int] = {}
    held, other = Held(), Held()
    for name, at in events:
        key = str(NAMES[name])
        every[key] = min(at, every.get(key, at))
        take(held, name, at)
    random.shuffle(events)  # type: ignore[attr-defined]  # a random.Random
    for name, at in events:
        take(other, name, at)

    assert held.first == other.first
    assert held.first.items() <= every.items()
    assert len(held.first) <= MOST_FIRST + len(ASKED)
    assert said(held.first) == said(every)


def test_forget_first__fewer_than_may_be_kept__all_stay() -> None:
    held = Held(first={str(number): -number for number in range(MOST_FIRST)})

    held.forget_first([])

    assert len(held.first) == MOST_FIRST
