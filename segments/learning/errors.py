"""What may go wrong with learning."""

from personalization.lib.errors import NotFound


class NoRule(NotFound):
    """A cluster that no rule tells from the others."""

    code = "no_rule"
