"""Token buckets as arithmetic: how full a bucket is, what may be taken, how long to wait.

Time comes in as seconds; nothing here knows where buckets are kept.
"""

from dataclasses import dataclass

# A bucket holds two seconds' worth: a page that starts with a burst of calls is no attack.
BURST_S = 2.0
# What a worker takes from the shared bucket at once: at most 1/20 s of the rate, so that four idle
# workers hold back a fifth of a second at worst, and a busy one asks Redis 20 times a second.
_LEASE_S = 0.05
# A lease that was not used up is worthless after this, so that idle workers hold nothing back.
LEASE_TTL_S = 1.0


@dataclass(frozen=True, slots=True)
class Rate:
    """So many tokens a second."""

    per_s: float

    @property
    def capacity(self) -> float:
        """Tokens of a full bucket."""
        return max(1.0, self.per_s * BURST_S)

    @property
    def lease(self) -> int:
        """Tokens taken from the shared bucket at once."""
        return max(1, int(self.per_s * _LEASE_S))


@dataclass(slots=True)
class Bucket:
    """One bucket of this process; starts full."""

    rate: Rate
    tokens: float
    at_s: float

    def take(self, now_s: float) -> float:
        """Take one token; return 0.0, or the seconds until there is one."""
        elapsed_s = max(0.0, now_s - self.at_s)
        self.tokens = min(self.rate.capacity, self.tokens + elapsed_s * self.rate.per_s)
        self.at_s = max(self.at_s, now_s)
        if self.tokens >= 1.0:
            self.tokens -= 1.0
            return 0.0
        return (1.0 - self.tokens) / self.rate.per_s


def full(rate: Rate, now_s: float) -> Bucket:
    """Return a full bucket."""
    return Bucket(rate, rate.capacity, now_s)
