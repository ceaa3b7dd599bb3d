"""What can be wrong with what somebody asks of segments."""

from personalization.lib.errors import Conflict, NotFound, Unprocessable


class RuleInvalid(Unprocessable):
    """A rule has faults; the details name each with its path."""

    code = "rule_invalid"


class SegmentUnknown(NotFound):
    """There is no such segment."""

    code = "segment_unknown"


class SegmentTaken(Conflict):
    """The key belongs to another segment."""

    code = "segment_taken"


class SegmentUsed(Conflict):
    """Something names the segment; the details list what."""

    code = "segment_used"


class VersionStateWrong(Conflict):
    """The version is not in a state in which that can be done."""

    code = "version_state_wrong"


class DraftChanged(Conflict):
    """The draft is not the one that its writer has seen."""

    code = "draft_changed"


class PreviewTooSlow(Unprocessable):
    """The preview ran into its time limit."""

    code = "preview_too_slow"


class ListInvalid(Unprocessable):
    """A file names nobody, or is too long."""

    code = "list_invalid"
