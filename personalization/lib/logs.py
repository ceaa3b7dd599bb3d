"""Log lines as JSON: one event a moment someone will ask about, ids as fields, nothing personal."""

import logging.config
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.typing import Processor

from personalization.lib import faults

# What may never reach a log: values of customers, and secrets. Ids of rows, counts and kinds may.
_NEVER = frozenset(
    {
        "email",
        "phone",
        "user_id",
        "anonymous_id",
        "traits",
        "properties",
        "body",
        "key",
        "token",
        "address",
        "ip",
    }
)


def drop_personal(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Take out fields whose names promise personal data or secrets; say that they were there.

    Texts lose what PostgreSQL says of rows: libraries put errors into their messages.
    """
    for name in _NEVER & event.keys():
        event[name] = "[withheld]"
    for name, value in event.items():
        if type(value) is str and ":" in value:
            event[name] = faults.without_rows(value)
    return event


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    drop_personal,
    structlog.processors.ExceptionRenderer(faults.formatted),
]


def configure(config: dict[str, str]) -> None:
    """Have logging and structlog write JSON lines to stderr. Django calls it with LOGGING."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "json": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": _SHARED,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        structlog.processors.JSONRenderer(),
                    ],
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
            "root": {"handlers": ["stderr"], "level": config["level"]},
        }
    )
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(config["level"])),
        cache_logger_on_first_use=True,
    )
