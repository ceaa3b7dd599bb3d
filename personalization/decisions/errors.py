"""What can be wrong with a request for a decision."""

from personalization.lib import errors


class RequestInvalid(errors.Malformed):
    """The request cannot be read; every fault is named."""

    code = "request_invalid"


class FilterUnsupported(errors.Unprocessable):
    """`filter` is part of the contract, and this version cannot evaluate rules."""

    code = "filter_unsupported"


class ExplainForbidden(errors.Forbidden):
    """Explanations show inner workings: a secret key or staff may ask for them."""

    code = "explain_forbidden"


class StrategyUnknown(errors.NotFound):
    """No published strategy has this key."""

    code = "strategy_unknown"


class PlacementUnknown(errors.NotFound):
    """No published placement has this key."""

    code = "placement_unknown"


class FlagUnknown(errors.NotFound):
    """No flag has this key."""

    code = "flag_unknown"
