"""Which of the 64 shards an identity's events belong to. The number is for good: rows carry it."""

from hashlib import blake2b

# One lease and one watermark a shard; enough for 64 processors.
SHARDS = 64


def shard_of(kind: int, value: str) -> int:
    """Return the shard, in [0, SHARDS), of the identity (kind, value); equal in every process."""
    digest = blake2b(f"{kind}:{value}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % SHARDS
