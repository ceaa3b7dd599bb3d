"""What texts say, as SQL: without case, as versions and as times; and where SQL cannot tell."""

from segments.engine.values import MAX_SUBJECT
from segments.sql.pieces import Truth

# Whole numbers that a version may hold to be compared as such.
MOST_VERSION = 10**15
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
IPV4 = rf"^({_OCTET}\.){{3}}{_OCTET}$"
_NUMBER = "(0|[1-9][0-9]{0,14})"
_RELEASE = rf"^{_NUMBER}\.{_NUMBER}\.{_NUMBER}(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$"
_LIKE_VERSION = r"^[0-9]+\.[0-9]+\.[0-9]+"
_DATE = (
    "[1-9][0-9]{3}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
    "|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
)
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
# PostgreSQL takes offsets up to 15:59, Python up to 23:59.
_OFFSET = "(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])"
# Writings that both read alike. The 29th of February is not among them.
_ISO = f"^{_DATE}([T ]{_CLOCK}{_OFFSET}?)?$"
# Whatever else Python may read as a time begins so (week dates, days without dashes).
_LIKE_TIME = "^[0-9]{4}.{3}"
_DATE_LENGTH = 10
# Beyond every time that a rule may name, and within 64 bits as microseconds.
_FAR_S = 9_000_000_000_000


def folded(text: str, holds: str, *, ascii_only: bool) -> Truth:
    """Return whether `holds`, a template for a text without case, holds of it.

    A text beyond ASCII is not decided. `ascii_only`: what is sought is ASCII, without case too.
    """
    plain = f"octet_length({text}) = char_length({text})"
    if not ascii_only:
        return Truth("FALSE", f"({plain}) IS FALSE")
    found = holds.format(f'lower({text} COLLATE "C")')
    return Truth(f"({plain} AND {found})", f"(NOT {plain} OR {found})")


def version(text: str, is_text: str, comparison: str) -> Truth:
    """Return whether a release's numbers compare so; versions before a release are not decided.

    `comparison`: a template for the array of the three numbers.
    """
    compared = comparison.format(f"string_to_array(split_part({text}, '+', 1), '.')::bigint[]")
    read = f"octet_length({text}) <= {MAX_SUBJECT} AND {is_like(text, _RELEASE)}"
    known = f"CASE WHEN {read} THEN {compared} ELSE FALSE END"
    odd = f"({is_like(text, _LIKE_VERSION)} AND NOT {is_like(text, _RELEASE)})"
    return Truth(f"({is_text} AND {known})", f"({is_text} AND ({known} OR {odd}))")


def moment(subject: str) -> str:
    """Return SQL of a JSON value as a time in microseconds; NULL for what is none or is odd."""
    text = f"({subject} #>> '{{}}')"
    seconds = f"LEAST(GREATEST({subject}::numeric, -{_FAR_S}), {_FAR_S})"
    zoned = (
        f"CASE WHEN char_length({text}) = {_DATE_LENGTH} THEN {text} || ' 00:00+00' "
        f"WHEN {is_like(text, f'{_OFFSET}$')} THEN {text} ELSE {text} || '+00' END"
    )
    return (
        f"(CASE jsonb_typeof({subject}) "
        # as Python multiplies: floats, rounded half even
        f"WHEN 'number' THEN round({seconds}::float8 * 1000000::float8)::bigint "
        f"WHEN 'string' THEN CASE WHEN {is_like(text, _ISO)} "
        f"THEN (extract(epoch FROM ({zoned})::timestamptz) * 1000000)::bigint END END)"
    )


def is_odd_moment(subject: str) -> str:
    """Return SQL that says whether a text may be a time in a writing that SQL does not read."""
    text = f"({subject} #>> '{{}}')"
    return (
        f"(jsonb_typeof({subject}) = 'string' AND {is_like(text, _LIKE_TIME)} "
        f"AND NOT {is_like(text, _ISO)})"
    )


def is_like(text: str, pattern: str) -> str:
    """Return SQL that says whether a text matches one of the patterns written here."""
    return f"{text} COLLATE \"C\" ~ '{pattern}'"
