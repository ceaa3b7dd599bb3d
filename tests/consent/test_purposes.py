"""Purposes in force: defaults, words, the browser's signal and the call, each able to take away."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.consent.config import ConsentPart
from personalization.consent.engine.purposes import (
    ANALYTICS,
    MARKETING,
    PERSONALIZATION,
    Purpose,
    Purposes,
    Word,
    latest,
)
from personalization.lib.errors import Unprocessable

SHOP = Purposes(
    (
        Purpose("analytics", "Analytics", ANALYTICS, default_granted=True, gpc_denies=False),
        Purpose("personalization", "P.", PERSONALIZATION, default_granted=True, gpc_denies=True),
        Purpose("marketing", "Marketing", MARKETING, default_granted=False, gpc_denies=True),
    )
)
MASKS = st.integers(min_value=0, max_value=7)
GRANT, WITHDRAW = True, False


@pytest.mark.parametrize(
    ("granted", "denied", "gpc", "restrict", "expected"),
    [
        (0, 0, False, None, ANALYTICS | PERSONALIZATION),
        (MARKETING, 0, False, None, ANALYTICS | PERSONALIZATION | MARKETING),
        (0, PERSONALIZATION, False, None, ANALYTICS),
        (PERSONALIZATION, PERSONALIZATION, False, None, ANALYTICS),
        (0, 0, True, None, ANALYTICS),
        (MARKETING | PERSONALIZATION, 0, True, None, ANALYTICS),
        (0, 0, False, {"personalization": False}, ANALYTICS),
        (0, PERSONALIZATION, False, {"personalization": True}, ANALYTICS),
        (0, 0, False, {"marketing": True}, ANALYTICS | PERSONALIZATION),
        (0, 0, False, {"personalization": "yes"}, ANALYTICS),
        (0, 0, False, {"personalization": None}, ANALYTICS),
        (0, 0, False, {"weather": False}, ANALYTICS | PERSONALIZATION),
    ],
)
def test_in_force__words_signal_and_call__is_what_all_allow(
    granted: int, denied: int, gpc: bool, restrict: dict[str, object] | None, expected: int
) -> None:
    assert SHOP.in_force(granted, denied, gpc=gpc, restrict=restrict) == expected


@given(
    MASKS,
    MASKS,
    st.booleans(),
    st.dictionaries(st.sampled_from(["analytics", "marketing"]), st.booleans()),
)
def test_in_force__signal_or_restriction__never_adds(
    granted: int, denied: int, gpc: bool, restrict: dict[str, bool]
) -> None:
    plain = SHOP.in_force(granted, denied, gpc=False)

    assert SHOP.in_force(granted, denied, gpc=gpc, restrict=restrict) & ~plain == 0
    assert plain & denied == 0


def test_bit__unknown_purpose__is_never_in_force() -> None:
    assert SHOP.bit("weather") == 0
    assert SHOP.bit("marketing") == MARKETING
    assert "weather" not in SHOP
    assert SHOP.names(MARKETING | ANALYTICS) == ("analytics", "marketing")


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([], (0, 0)),
        ([(2, GRANT, 10)], (2, 0)),
        ([(2, GRANT, 10), (2, WITHDRAW, 20)], (0, 2)),
        ([(2, WITHDRAW, 10), (2, GRANT, 20)], (2, 0)),
        ([(2, GRANT, 10), (2, WITHDRAW, 10)], (0, 2)),
        ([(1, GRANT, 10), (2, WITHDRAW, 5), (4, GRANT, 1)], (5, 2)),
    ],
)
def test_latest__ledger__last_word_wins_and_withdrawal_wins_ties(
    records: list[tuple[int, bool, int]], expected: tuple[int, int]
) -> None:
    for order in permutations(records):
        assert latest(Word(*record) for record in order) == expected


@pytest.mark.parametrize(
    ("user", "device", "expected"),
    [
        ((WITHDRAW, 10), (GRANT, 20), (0, 2)),
        ((GRANT, 10), (WITHDRAW, 20), (0, 2)),
        ((GRANT, 20), (WITHDRAW, 10), (2, 0)),
        ((GRANT, 10), (GRANT, 20), (2, 0)),
    ],
)
def test_latest__linked_device_after_its_user__narrows_and_never_widens(
    user: tuple[bool, int], device: tuple[bool, int], expected: tuple[int, int]
) -> None:
    words = [Word(2, *user, by_user=True), Word(2, *device, linked=True)]
    assert latest(words) == latest(reversed(words)) == expected


@given(
    words=st.lists(
        st.builds(
            Word,
            mask=st.sampled_from([1, 2, 4]),
            granted=st.booleans(),
            at_us=st.integers(0, 3),
            by_user=st.booleans(),
            linked=st.booleans(),
        ),
        max_size=8,
    )
)
def test_latest__any_ledger__a_linked_grant_never_lifts_the_users_withdrawal(
    words: list[Word],
) -> None:
    told = [word for word in words if not (word.by_user and word.linked)]
    without = [word for word in told if not (word.linked and word.granted)]
    withdrawn = latest(word for word in told if word.by_user)[1]
    assert latest(told) == latest(reversed(told))
    assert latest(told)[0] & withdrawn == latest(without)[0] & withdrawn


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"purposes": []},
        {
            "purposes": [
                {
                    "key": "personalization",
                    "title": "",
                    "bit": 15,
                    "default_granted": True,
                    "gpc_denies": True,
                }
            ]
        },
        {
            "purposes": [
                {
                    "key": "personalization",
                    "title": "",
                    "bit": 3,
                    "default_granted": True,
                    "gpc_denies": True,
                }
            ]
        },
        {
            "purposes": [
                {
                    "key": "personalization",
                    "title": "",
                    "bit": 1,
                    "default_granted": True,
                    "gpc_denies": True,
                }
            ]
            * 2
        },
        {"purposes": [{"bit": "x"}]},
    ],
)
def test_part__bytes_that_cannot_gate__are_refused(data: object) -> None:
    with pytest.raises(Unprocessable):
        ConsentPart().load(data)
