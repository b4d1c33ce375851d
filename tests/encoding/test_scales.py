import numpy as np

import bandit
from bandit.encoding.scales import FactScale, fit_scales


def test_scales_are_declared_or_fitted_to_the_values_that_are_not_missing(spring):
    """Of 1, 3 and a missing value: mean 2, deviation 1."""
    catalogue = bandit.Catalogue.from_dict(spring)
    contexts = catalogue.contexts({"recency": np.array([1.0, 3.0, np.nan])})
    assert fit_scales(catalogue, contexts) == {"recency": FactScale(2.0, 1.0)}
    spring["context"]["recency"] |= {"center": 10.0, "scale": 5.0}
    declared = bandit.Catalogue.from_dict(spring)
    assert fit_scales(declared, contexts) == {"recency": FactScale(10.0, 5.0)}
