"""Scales of numeric facts: declared by the catalogue, or fitted to a batch of contexts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import Contexts

CLIP = 5.0
"""Standardised numeric facts are clipped to +-CLIP, so that one outlier cannot dominate a belief."""


@dataclass(frozen=True, slots=True)
class FactScale:
    """How a numeric fact is standardised: (value - center) / scale."""

    center: float
    scale: float

    @staticmethod
    def from_plain(numbers: object) -> FactScale:
        """Return the scale of a list of two numbers; ValueError or TypeError for anything else."""
        center, scale = map(float, numbers)  # type: ignore[call-overload]  # TypeError where it is not a list
        if not (math.isfinite(center) and math.isfinite(scale) and scale > 0.0):
            raise ValueError("a fact's scale is not finite and above 0")
        return FactScale(center, scale)


def declared_scales(catalogue: Catalogue) -> dict[str, FactScale]:
    """Return the scales that the catalogue declares."""
    return {
        name: FactScale(fact.center, fact.scale)
        for name, fact in catalogue.facts.items()
        if fact.center is not None and fact.scale is not None
    }


def fit_scales(catalogue: Catalogue, contexts: Contexts) -> dict[str, FactScale]:
    """Return a scale for every numeric fact: as declared, else mean and standard deviation over these contexts."""
    scales = declared_scales(catalogue)
    for name, fact in catalogue.facts.items():
        if fact.kind == "numeric" and name not in scales:
            column = contexts.columns[name]
            observed = column[~np.isnan(column)]
            spread = float(observed.std()) if len(observed) else 0.0
            scales[name] = FactScale(float(observed.mean()) if len(observed) else 0.0, spread if spread > 0 else 1.0)
    return scales
