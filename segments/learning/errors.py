"""What may go wrong with learning."""

from personalization.lib.errors import AppError, NotFound


class FittingError(AppError):
    """The fitting process ended without a result."""

    code = "fitting_failed"


class NoRule(NotFound):
    """A cluster that no rule tells from the others."""

    code = "no_rule"
