"""Bits of `Event.flags`: what ingestion noticed. Stored for good, so never renumbered."""

# The user agent is on the list of crawlers: logged, never folded, exposed or trained on.
BOT = 1
# A number far outside what this event type usually carries: a mark for people, no consequence.
OUTLIER = 2
# Stored without personal parts, for lack of consent.
MINIMISED = 4
# Came with a user id that the caller did not prove.
CLAIMED = 8
# Brought by an importer, not by a visitor's call.
IMPORTED = 16
# Neither message id nor timestamp: a retry would be a second row.
UNDEDUPLICABLE = 32

NAMES = {
    BOT: "bot",
    OUTLIER: "outlier",
    MINIMISED: "minimised",
    CLAIMED: "claimed user id",
    IMPORTED: "imported",
    UNDEDUPLICABLE: "could be a repeat",
}


def names(flags: int) -> list[str]:
    """Words for the bits that are set, lowest first."""
    return [name for bit, name in NAMES.items() if flags & bit]
