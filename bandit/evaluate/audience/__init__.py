"""Audience surprises: whom today's rules assume for each option, who truly responds, and what moving it would earn.

`audience` searches on one half of the customers and confirms on the other, by intervals that hold together.
"""

from bandit.evaluate.audience.analysis import ANNOUNCED_LEVEL, audience
from bandit.evaluate.audience.results import (
    Audience,
    AudienceFinding,
    AudienceSearch,
    AudienceVerdict,
    OtherDimensions,
)

__all__ = [
    "ANNOUNCED_LEVEL",
    "Audience",
    "AudienceFinding",
    "AudienceSearch",
    "AudienceVerdict",
    "OtherDimensions",
    "audience",
]
