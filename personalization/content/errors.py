"""What can be wrong with content."""

from personalization.lib import errors


class ContentInvalid(errors.Unprocessable):
    """A placement, campaign or block that cannot be kept; every fault is named."""

    code = "content_invalid"


class ContentUnknown(errors.NotFound):
    """No such placement or campaign."""

    code = "content_unknown"


class StatusWrong(errors.Conflict):
    """The campaign is not in a state that allows this."""

    code = "campaign_status_wrong"


class KeyTaken(errors.Conflict):
    """Another row has this key."""

    code = "key_taken"
