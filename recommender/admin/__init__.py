"""Admin pages of the recommender."""

from recommender.admin import models, strategies

__all__ = ["models", "strategies"]
