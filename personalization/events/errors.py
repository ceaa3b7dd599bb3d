"""Errors of the events app."""

from personalization.lib.errors import Unprocessable


class EventTypeInvalid(Unprocessable):
    """A description of an event type that makes no sense."""

    code = "event_type_invalid"
