"""Admin pages of the recommender."""

from recommender.admin import models, outcomes, strategies

__all__ = ["models", "outcomes", "strategies"]
