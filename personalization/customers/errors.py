"""What can go wrong with customers."""

from personalization.lib.errors import Conflict, NotFound, Unprocessable


class CustomerNotFound(NotFound):
    """No such customer, or it was absorbed by another."""

    code = "customer_not_found"


class MergeRefused(Unprocessable):
    """The two must not become one: too many ids, or ids that stand for nobody."""

    code = "merge_refused"


class MergeConflict(Conflict):
    """The state does not allow it now.

    Already merged, already undone, or a later merge stands on it.
    """

    code = "merge_conflict"
