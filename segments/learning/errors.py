"""What may go wrong with learning."""

from personalization.lib.errors import Conflict, NotFound, Unprocessable


class NoRule(NotFound):
    """A cluster that no rule tells from the others."""

    code = "no_rule"


class TooFewToLearn(Unprocessable):
    """A segment has too few members to learn what they are like."""

    code = "too_few_members"


class ModelKeyTaken(Conflict):
    """Another kind of model goes by the key."""

    code = "model_key_taken"


class ModelUnfit(Unprocessable):
    """No model can be made so."""

    code = "model_unfit"


class ModelUnknown(NotFound):
    """There is no such model, or none of it serves."""

    code = "model_unknown"


class FitUnderway(Conflict):
    """A job is learning this model already."""

    code = "fit_underway"


class ModelUsed(Conflict):
    """Rules read what the model says."""

    code = "model_used"


class StandardModel(Conflict):
    """Every shop has this model; it cannot be stopped."""

    code = "standard_model"
