"""What one call to ingestion knows besides its events, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from personalization.access.serve import Caller
from personalization.lib.errors import Problem


@dataclass(frozen=True, slots=True)
class Sending:
    """One call: who sends, when, from where. `address` and `user_agent` describe the visitor.

    For a secret key the peer is the shop's server: there each event's own `context.ip` and
    `context.userAgent` count, and `address`, `user_agent`, `country` and `region` stay empty.
    """

    caller: Caller
    received_at: datetime
    # What the path says the events are; "" lets each event's own `type` decide.
    kind: str = ""
    sent_at: datetime | None = None
    sent_text: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    user_token: str | None = None
    gpc: bool = False
    address: str = ""
    user_agent: str = ""
    country: str = ""
    region: str = ""
    # The pixel may come without any id: none may be set before consent.
    ids_required: bool = True
    imported: bool = False
    # Replay of a rejected event: what was found when it came, about its user id and of its user
    # agent (bot or not, device type), which is not kept. None: look now.
    proven: bool | None = None
    classified: tuple[bool, str] | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """One event that could not be accepted, with every fault."""

    index: int
    message_id: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a call. Each event is counted once: the first four add up to what was sent."""

    accepted: int = 0
    duplicates: int = 0
    # Stored without personal parts, or dropped, as consent demands.
    withheld: int = 0
    rejected: tuple[Rejected, ...] = ()
    # Of those that were kept: by the user agent from a robot, and so never folded.
    bots: int = 0
