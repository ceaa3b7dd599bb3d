"""Files of other systems -> events: a small parser a format, one runner that can be resumed."""
