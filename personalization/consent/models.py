"""Purposes, the ledger of grants and withdrawals, and the state in force."""

from django.db import models


class Purpose(models.Model):
    """One purpose that data may serve. `bit` is its place in every bitmask and never changes.

    The three built-in ones (bits 0 analytics, 1 personalization, 2 marketing) are made by a
    migration.
    """

    key = models.CharField(
        max_length=40,
        unique=True,
        help_text="What the shop's consent banner and the API call it. It cannot be changed later.",
    )
    title = models.CharField(max_length=100, help_text="Its name for people.")
    bit = models.PositiveSmallIntegerField(unique=True)
    # What holds for somebody who has said nothing.
    default_granted = models.BooleanField(
        "allowed by default",
        default=False,
        help_text="What holds for everybody who has not said yes or no yet.",
    )
    # `Sec-GPC: 1` denies it for the call.
    gpc_denies = models.BooleanField(
        "refused by the browser's signal",
        default=True,
        help_text="Browsers can send “do not sell or share my data” (Global Privacy Control)."
        " Ticked: whoever sends it has refused this purpose for that visit.",
    )

    class Meta:
        constraints = [
            # the mask is a 16-bit column of the event log
            models.CheckConstraint(condition=models.Q(bit__lt=15), name="consent_purpose_bit_ck")
        ]

    def __str__(self) -> str:
        return self.key


class ConsentRecord(models.Model):
    """One grant or withdrawal, as said by one identity: the proof that GDPR 7(1) asks for.

    Append-only by a trigger.
    """

    identity = models.ForeignKey(
        "customers.Identity", on_delete=models.PROTECT, related_name="+", verbose_name="who"
    )
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)
    granted = models.BooleanField("allowed")
    # Said by a device without proof of the user whom its customer had then: such a grant does not
    # undo what the user withdrew.
    linked = models.BooleanField(default=False)
    source = models.CharField("said in", max_length=40)
    policy_version = models.CharField("policy version", max_length=40, blank=True, default="")
    at = models.DateTimeField("when")

    class Meta:
        indexes = [
            models.Index(fields=["identity", "purpose", "-at"], name="consent_record_latest_idx")
        ]

    def __str__(self) -> str:
        return f"{'grant' if self.granted else 'withdrawal'} of {self.purpose_id}"


class ConsentState(models.Model):
    """What one customer has said last, per purpose, as two bitmasks.

    Derived from the ledger, rebuilt on merge.

    A bit in neither mask means the purpose's default.
    """

    customer = models.OneToOneField(
        "customers.Customer", primary_key=True, on_delete=models.CASCADE
    )
    granted = models.SmallIntegerField(default=0)
    denied = models.SmallIntegerField(default=0)
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"consent of {self.customer_id}"


class DenyEpoch(models.Model):
    """One row: rises when a withdrawal could not reach Redis.

    Redis is trusted only while it holds this epoch.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    epoch = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="consent_denyepoch_single_ck")
        ]

    def __str__(self) -> str:
        return f"deny epoch {self.epoch}"
