"""What can be wrong with a caller."""

from personalization.lib import errors


class KeyMissing(errors.Unauthorized):
    """No key came along."""

    code = "key_missing"


class KeyInvalid(errors.Unauthorized):
    """The key is unknown, revoked or expired; which of these is not told."""

    code = "key_invalid"


class SecretKeyInBrowser(errors.Forbidden):
    """A secret key came with an Origin header: a browser holds it, so it leaked."""

    code = "secret_key_in_browser"


class OriginNotAllowed(errors.Forbidden):
    """The public key is not meant for this site."""

    code = "origin_not_allowed"


class ScopeMissing(errors.Forbidden):
    """The key may not do this."""

    code = "scope_missing"


class RoleMissing(errors.Forbidden):
    """The member of staff may not do this."""

    code = "role_missing"


class IdempotencyInFlight(errors.Conflict):
    """A request with this Idempotency-Key is being worked on."""

    code = "idempotency_in_flight"


class IdempotencyMismatch(errors.Unprocessable):
    """The Idempotency-Key was used for a different request."""

    code = "idempotency_mismatch"
