"""The decision log knows whose a decision was only where analytics is allowed."""

from typing import Any

import pytest

from personalization.customers.models import Identity
from personalization.customers.services import create_identities
from personalization.decisions import record, selectors
from personalization.decisions.models import Decision
from tests.decisions.conftest import NOW, Decide

_PAGE = {
    "anonymousId": "device-1",
    "context": {
        "cart": ["sku2"],
        "recent": [{"event": "Product Viewed", "item": "sku1"}],
    },
    "placements": [{"key": "home.recommended", "item": "sku3"}],
}
_DONE = {"cart", "recent", "items"}


def _logged(decide: Decide, **allowed: bool) -> Decision:
    create_identities([(Identity.Kind.ANONYMOUS, "device-1")], now=NOW)
    context: dict[str, Any] = {**_PAGE["context"], "consent": {"categoryPreferences": allowed}}  # type: ignore[dict-item]
    answer = decide({**_PAGE, "context": context})
    record.flush()
    return Decision.objects.get(id=answer["decisionId"])


@pytest.mark.parametrize("withheld", [(), ("personalization",), ("marketing",)])
def test_log__analytics_allowed__customer_and_doings(
    decide: Decide, withheld: tuple[str, ...]
) -> None:
    row = _logged(decide, **dict.fromkeys(withheld, False))

    assert row.customer_id == Identity.objects.get(value="device-1").customer_id
    assert row.body.keys() >= _DONE
    assert row.body["cart"] == ["sku2"]


@pytest.mark.parametrize("also", [(), ("personalization",), ("personalization", "marketing")])
def test_log__analytics_refused__nobody_and_nothing_done(
    decide: Decide, also: tuple[str, ...]
) -> None:
    row = _logged(decide, analytics=False, **dict.fromkeys(also, False))

    assert row.customer_id is None
    assert not row.body.keys() & _DONE
    assert "sku" not in str(row.body)
    assert row.body["placements"].keys() == {"home.recommended"}
    assert selectors.explanation(str(row.id)) is not None


def test_buffer__decisions_wait__small_rows_and_no_profile(decide: Decide) -> None:
    _ = [decide(_PAGE) for _ in range(3)]

    for row in record._waiting.rows:
        assert len(row[-1]) <= record.MAX_BODY_BYTES
        assert [type(part).__name__ for part in row[:2]] == ["date", "str"]
    assert record._WAITING_MOST * record._ROW_BYTES <= 32 * 1024**2
