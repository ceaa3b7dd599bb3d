"""What may go wrong with learning."""

from personalization.lib.errors import Conflict, NotFound, Unprocessable


class NoRule(NotFound):
    """A cluster that no rule tells from the others."""

    code = "no_rule"


class TooFewToLearn(Unprocessable):
    """A segment has too few members to learn what they are like."""

    code = "too_few_members"


class LookalikeKeyTaken(Conflict):
    """Another kind of model goes by the key of the segment."""

    code = "model_key_taken"
