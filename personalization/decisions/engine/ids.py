"""Ids of decisions: UUID version 7 (RFC 9562), so that an id tells its day, thus its partition."""

from uuid import UUID

_RANDOM_BYTES = 10


def decision_id(now_ms: int, random: bytes) -> UUID:
    """Return the id made of a time (ms since the epoch) and ten random bytes."""
    bits = int.from_bytes(random[:_RANDOM_BYTES], "big")
    number = (now_ms & (1 << 48) - 1) << 80 | bits
    number = number & ~(0xF << 76) | 0x7 << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)


def sampled(decision: UUID, share: float) -> bool:
    """Whether a decision belongs to the logged share; the random part of its id decides."""
    return (decision.int & 0xFFFFFFFF) < share * (1 << 32)
