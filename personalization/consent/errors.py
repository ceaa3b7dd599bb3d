"""What can be wrong with a statement of consent."""

from personalization.lib import errors


class IdentityNotProven(errors.Forbidden):
    """Only a user id came along, and the caller cannot prove it."""

    code = "identity_not_proven"


class IdentityUnusable(errors.Unprocessable):
    """The id is one that many people share, such as "null" or "undefined"."""

    code = "identity_unusable"


class PurposeUnknown(errors.Unprocessable):
    """A purpose that the shop does not have."""

    code = "purpose_unknown"


class PurposeInvalid(errors.Unprocessable):
    """A purpose that cannot be written so."""

    code = "purpose_invalid"
