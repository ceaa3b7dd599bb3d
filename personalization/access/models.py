"""API keys, log-in links, answered writes, and the audit trail."""

from django.conf import settings
from django.db import models


class ApiKey(models.Model):
    """One key of one caller.

    The key itself is never stored: only its SHA-256 and its last four characters. Rows are
    revoked, not deleted, so that the audit trail keeps its subject.
    """

    class Kind(models.TextChoices):
        """Who may hold the key."""

        PUBLIC = "public", "Public (browsers)"
        SECRET = "secret", "Secret (servers)"

    name = models.CharField(max_length=100, help_text="Who uses it, such as Shop front.")
    kind = models.CharField(
        max_length=6,
        choices=Kind.choices,
        help_text="Public: stands in the shop's pages, sends events and asks for decisions. Secret:"
        " stays on your servers.",
    )
    sha256 = models.CharField(max_length=64)
    last4 = models.CharField(max_length=4)
    # Empty: everything that the kind may do.
    scopes = models.JSONField(default=list, blank=True)
    # Empty: any origin may use a public key.
    origins = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(
        "works until", null=True, blank=True, help_text="Empty: until it is revoked."
    )
    revoked_at = models.DateTimeField("revoked", null=True, blank=True)

    class Meta:
        verbose_name = "API key"
        constraints = [models.UniqueConstraint(fields=["sha256"], name="access_apikey_sha256_uniq")]

    def __str__(self) -> str:
        return f"{self.name} (…{self.last4})"


class AuditEvent(models.Model):
    """One back-office write: who did what to which object, before and after.

    Append-only by a trigger.
    """

    at = models.DateTimeField("when")
    actor = models.CharField("by", max_length=150)
    action = models.CharField("did what", max_length=60)
    object_type = models.CharField("kind", max_length=60)
    object_id = models.CharField("id", max_length=100)
    object_label = models.CharField("object", max_length=200, blank=True, default="")
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    request_id = models.CharField(max_length=36, blank=True, default="")

    class Meta:
        ordering = ["-id"]
        indexes = [
            # the history page of one object
            models.Index(
                fields=["object_type", "object_id", "-id"], name="access_audit_object_idx"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.object_type} {self.object_id}"


class OneTimeLogin(models.Model):
    """One log-in link for one member of staff. The token itself is never stored.

    Works once and for half an hour; the row stays as a trace of who was let in when.
    """

    sha256 = models.CharField(max_length=64)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            # also the look-up of the one who follows the link
            models.UniqueConstraint(fields=["sha256"], name="access_onetimelogin_sha256_uniq")
        ]

    def __str__(self) -> str:
        return f"log-in link {self.pk}"


class IdempotentWrite(models.Model):
    """One write of `/api` that came with an Idempotency-Key, and what was answered.

    Written in the transaction of the write; forgotten after a day (`idempotency.KEPT`).
    """

    actor = models.CharField(max_length=150)
    key = models.CharField(max_length=200)
    # SHA-256 of method, path and body: the same key with another request is a mistake.
    digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.TextField(blank=True, default="")
    at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["actor", "key"], name="access_idempotentwrite_key_uniq")
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.key}"
