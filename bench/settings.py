"""The project's settings plus the bare views that set the ceilings."""

from personalization.settings import *  # noqa: F403

ROOT_URLCONF = "bench.urls"
# The load comes from one address with one key: limits are measured by their own tests.
RATE_PUBLIC_KEY_PER_S = 10_000_000
RATE_SECRET_KEY_PER_S = 10_000_000
RATE_ADDRESS_PER_S = 10_000_000
