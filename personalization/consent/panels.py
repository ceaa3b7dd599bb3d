"""What the consent app shows of a customer: on the customer page and in the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from personalization.consent.models import ConsentRecord, ConsentState, Purpose


@dataclass(frozen=True, slots=True)
class PurposeLine:
    """One purpose: whether it is in force without a signal of the call, and who said so last."""

    key: str
    title: str
    granted: bool
    said: ConsentRecord | None


def customer_consent(customer_id: int | None) -> Mapping[str, Any]:
    """Return each purpose with what the customer has said about it last. Three queries."""
    if customer_id is None:
        state, records = ConsentState(), ConsentRecord.objects.none()
    else:
        state = ConsentState.objects.filter(pk=customer_id).first() or ConsentState()
        records = ConsentRecord.objects.filter(identity__customer_id=customer_id)
    latest = {row.purpose_id: row for row in records.order_by("at", "pk")}
    lines = tuple(
        PurposeLine(purpose.key, purpose.title, _in_force(purpose, state), latest.get(purpose.pk))
        for purpose in Purpose.objects.order_by("bit")
    )
    return {"lines": lines, "side": True}


def customer_detail(customer_id: int) -> dict[str, Any]:
    """Return {purpose: whether it is in force, and what was said of it last or None}."""
    lines: tuple[PurposeLine, ...] = customer_consent(customer_id)["lines"]
    return {line.key: {"in_force": line.granted, "said": _said(line.said)} for line in lines}


def _said(record: ConsentRecord | None) -> dict[str, Any] | None:
    if record is None:
        return None
    return {
        "granted": record.granted,
        "source": record.source,
        "policy_version": record.policy_version,
        "at": record.at,
    }


def _in_force(purpose: Purpose, state: ConsentState) -> bool:
    mask = 1 << purpose.bit
    if state.denied & mask:
        return False
    return bool(state.granted & mask) or purpose.default_granted
