"""What may go wrong with learning."""

from personalization.lib.errors import AppError


class FittingError(AppError):
    """The fitting process ended without a result."""

    code = "fitting_failed"
