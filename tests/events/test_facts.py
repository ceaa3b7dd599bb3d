"""Amounts of events that nobody described: what cannot be money is not known."""

import math
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.customers.engine import profile
from personalization.customers.engine.facts import Fact
from personalization.events.engine.facts import minor, parse
from personalization.lib.money import MAX_MINOR, to_minor


@pytest.mark.parametrize("amount", [1e308, -1e308, math.inf, math.nan, 10**30, 1e11, True])
def test_minor__absurd_amount__not_known(amount: Any) -> None:
    assert minor(amount, "EUR") is None


@pytest.mark.parametrize("kind", ["view", "add", "order", "refund"])
@pytest.mark.parametrize("amount", [1e308, 10**30])
def test_parse__absurd_numbers__fact_without_them(kind: str, amount: float) -> None:
    line = {"product_id": "x", "price": amount, "quantity": amount}
    said = {**line, "revenue": amount, "order_id": "o", "products": [line]}

    _, items, value, _, _ = parse(kind, "Bought", said, "EUR")

    assert items == (("x", 1, None),)
    assert not value


@pytest.mark.parametrize(
    ("quantity", "pieces"), [(2, 2), (1.5, 1), (0.5, 1), (0, 0), (-1, -1), (None, 1), ("3", 1)]
)
def test_parse__quantity__whole_pieces(quantity: object, pieces: int) -> None:
    line = {"product_id": "x", "quantity": quantity}

    assert parse("order", "Bought", {"products": [line]}, "EUR")[1] == (("x", pieces, None),)


def test_parse__lines_beyond_any_order__worth_not_known() -> None:
    lines = [{"product_id": f"x{n}", "quantity": 10**6, "price": 1e9} for n in range(65)]

    _, items, value, _, _ = parse("order", "Order Completed", {"products": lines}, "EUR")

    assert (len(items), value) == (65, None)


@given(st.floats(-1e10, 1e10))
def test_to_minor__any_float__as_its_decimal_form(amount: float) -> None:
    exact = Decimal(str(amount)).scaleb(2).to_integral_value(ROUND_HALF_EVEN)
    assert to_minor(amount, "EUR") == (int(exact) if abs(exact) <= MAX_MINOR else None)


@pytest.mark.parametrize("text", ["1e999999", "1e-9999999", "nan", "sNaN", "inf", "x", ""])
def test_to_minor__text_out_of_bounds__no_amount(text: str) -> None:
    assert to_minor(text, "EUR") in (None, 0)


def test_orders__sums_beyond_a_column__stop_short_of_it() -> None:
    known = Fact(
        1, 1, "m", 1, "Order Completed", "order", (), MAX_MINOR, "EUR", "o1", None,
        "", "", "", "", "", "", 7, 0,
    )  # fmt: skip
    state = profile.folded([known], currency="EUR")
    state["oc"] = [9, 2**63 - 1, 1]
    assert profile.orders(state)[1] == profile.MAX_REVENUE_MINOR
    state["oc"] = [9, -(2**63), 1]
    assert profile.orders(state)[1] == -profile.MAX_REVENUE_MINOR
