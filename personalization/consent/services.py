"""Writes of the consent room: what somebody says, and which purposes there are."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial

import structlog
from django.db import transaction

from personalization.access.audit import audit, state
from personalization.consent import errors, ledger
from personalization.consent.engine.purposes import BITS
from personalization.consent.models import ConsentRecord, Purpose
from personalization.consent.selectors import Resolved, resolved
from personalization.consent.serve import purposes as published
from personalization.customers import documents, merging
from personalization.customers.engine import ids
from personalization.customers.models import Identity
from personalization.customers.selectors import has_user
from personalization.customers.services import create_identities, touch
from personalization.lib.errors import Problem, Unavailable
from personalization.ops.services import publish

log = structlog.get_logger("consent")


def record(
    *,
    identity: tuple[int, str],
    purposes: Mapping[str, bool],
    source: str,
    policy_version: str,
    now: datetime,
) -> tuple[int, int]:
    """Write down what an identity says; return its customer's (granted, denied) from now on.

    One transaction: ledger, state over all identities of the customer, version, dirty row. What
    serving reads is withdrawn from Redis before the commit and written anew after it, so that a
    process that dies in between leaves no document that still allows. Each call adds rows: the
    ledger is the proof of each word. A user identity must be proven; a device that is linked to a
    user may withdraw for both, yet not grant what the user withdrew.

    Raises
    ------
    IdentityUnusable, PurposeUnknown
        The id stands for many people; the shop has no such purpose. Nothing was written.
    """
    kind, value = identity
    if not ids.usable(value):
        msg = "this id cannot stand for one person; send the id of this browser or user"
        raise errors.IdentityUnusable(msg)
    rows = _known(purposes)
    with transaction.atomic():
        create_identities([identity], now=now)
        who = _locked(kind, value)
        linked = kind == Identity.Kind.ANONYMOUS and has_user(who.customer_id)
        ConsentRecord.objects.bulk_create(
            ConsentRecord(
                identity_id=who.identity_id,
                purpose=rows[key],
                granted=granted,
                linked=linked,
                source=source,
                policy_version=policy_version,
                at=now,
            )
            for key, granted in sorted(purposes.items())
        )
        granted, denied = ledger.recompute(who.customer_id)
        changed = (granted, denied) != (who.granted, who.denied)
        touch([who.customer_id], now=now, rebuild="consent" if changed else "")
        withdrawn = documents.forget([who.customer_id])
        if not withdrawn:
            ledger.raise_deny_epoch()
        transaction.on_commit(partial(_refresh, who.customer_id, epoch_raised=not withdrawn))
    log.info("consent.recorded", customer=who.customer_id, granted=granted, denied=denied)
    return granted, denied


def save_purpose(purpose: Purpose, *, actor: str) -> Purpose:
    """Write a new or changed purpose and publish it.

    A new one gets the next bit, which it keeps for ever. Raises PurposeInvalid.
    """
    with transaction.atomic():
        rows = {row.pk: row for row in Purpose.objects.select_for_update().order_by("pk")}
        before = rows.get(purpose.pk)
        if before is not None and (before.bit, before.key) != (purpose.bit, purpose.key):
            msg = "a purpose keeps its key and its bit: stored events refer to them"
            raise errors.PurposeInvalid(msg)
        if before is None:
            purpose.bit = 1 + max((row.bit for row in rows.values()), default=-1)
        if purpose.bit >= BITS:
            msg = f"there are {BITS} purposes at most; each event keeps one bit for each"
            raise errors.PurposeInvalid(msg)
        purpose.save()
        audit(
            actor=actor,
            action="create" if before is None else "update",
            obj=purpose,
            before=None if before is None else state(before),
            after=state(purpose),
        )
        publish(actor=actor, note=f"purpose {purpose.key}")
    return purpose


def _known(purposes: Mapping[str, bool]) -> dict[str, Purpose]:
    # Fifteen at most; a key that PostgreSQL cannot even hold (NUL) must be unknown, not an error.
    rows = {row.key: row for row in Purpose.objects.all() if row.key in purposes}
    unknown = sorted(purposes.keys() - rows.keys())
    if unknown or not rows:
        raise errors.PurposeUnknown(
            "the shop has no such purpose" if unknown else "name at least one purpose",
            details=[
                Problem(
                    f"purposes.{key}", f"is none of {', '.join(p.key for p in published().all)}"
                )
                for key in unknown
            ],
        )
    return rows


def _locked(kind: int, value: str) -> Resolved:
    """Resolve the identity with its customer locked; a merge may move it until then."""
    for _ in range(3):
        before = resolved([(kind, value)])[kind, value]
        merging.lock([before.customer_id])
        who = resolved([(kind, value)])[kind, value]
        if who.customer_id == before.customer_id:
            return who
    msg = "the customer is being merged; send it again"
    raise Unavailable(msg)


def _refresh(customer_id: int, *, epoch_raised: bool) -> None:
    """Write the document before the caller is answered; where that fails, make Redis untrusted."""
    if epoch_raised:
        documents.look_again()
    written = documents.write_now([customer_id])
    if not written and not epoch_raised:
        ledger.raise_deny_epoch()
        documents.look_again()
    if not written:
        log.warning("consent.redis_passed_over", customer=customer_id)
