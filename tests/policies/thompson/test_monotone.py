import copy

import numpy as np
import pytest

import bandit
from bandit.errors import CatalogueError
from bandit.policies.thompson.monotone import monotone_constraints
from tests.conftest import SPRING
from tests.policies.tools import (
    outcomes_of,
)

ATTRIBUTES = {"depth": {"monotone": "increasing"}}


PREFERRED = np.array([0.2, 0.5, 0.1])


class TestMonotone:
    def catalogue(self, *, declared):
        plain = copy.deepcopy(SPRING)
        plain["objective"] = {"kind": "conversion", "event": "purchase"}
        plain["dimensions"][0]["options"][0]["depth"] = 0
        if declared:
            plain["dimensions"][0]["attributes"] = ATTRIBUTES
        return bandit.Catalogue.from_dict(plain)

    @staticmethod
    def falls(catalogue, values):
        """Whether the value falls somewhere from one depth to the next, all else equal."""
        fallen = False
        for one in range(catalogue.n_offers):
            for other in range(catalogue.n_offers):
                a, b = catalogue.options[one], catalogue.options[other]
                if a[0] < b[0] and (a[1:] == b[1:]).all():
                    fallen |= bool((values[..., one] > values[..., other] + 1e-6).any())
        return fallen

    def test_response_never_falls_with_depth_where_that_is_declared(self):
        """Customers here respond best to a depth of 10; the control learns that, the constrained policy must not."""
        for declared in (True, False):
            catalogue = self.catalogue(declared=declared)
            policy = bandit.ThompsonSampling(catalogue)
            rng = np.random.default_rng(1)
            policy.update(outcomes_of(catalogue, lambda _, options: PREFERRED[options[:, 0]], 2_000, rng))
            contexts = catalogue.contexts([{"gender": "f", "loyal": True}, {"recency": 2.0}])
            assert self.falls(catalogue, policy.predict(contexts)) is not declared

    def test_scores_rise_along_every_sequence_and_equal_values_are_not_ordered(self):
        """Scores 3, 1, 2 at values 0, 1, 1: the first may be no higher than either of the others, and these need
        not rise. Lifted to (3, 3, 3), lowered to (1, 1, 2), halfway (2, 2, 2.5)."""
        plain = {
            "objective": {"kind": "conversion"},
            "dimensions": [
                {
                    "name": "discount",
                    "options": [{"name": "a", "depth": 0}, {"name": "b", "depth": 5}, {"name": "c", "depth": 5}],
                    "attributes": ATTRIBUTES,
                }
            ],
        }
        (constraint,) = monotone_constraints(bandit.Catalogue.from_dict(plain))
        scores = np.array([[3.0, 1.0, 2.0], [0.0, 2.0, 1.0]])
        constraint.apply(scores)
        assert scores.tolist() == [[2.0, 2.0, 2.5], [0.0, 2.0, 1.0]]

    def test_an_attribute_that_no_option_has_is_refused(self):
        plain = copy.deepcopy(SPRING)
        plain["dimensions"][1]["attributes"] = {"depth": {"monotone": "increasing"}}
        with pytest.raises(CatalogueError, match='no option has the attribute "depth"'):
            bandit.Catalogue.from_dict(plain)

    def test_a_declaration_survives_being_written(self):
        catalogue = self.catalogue(declared=True)
        assert bandit.Catalogue.from_dict(catalogue.to_dict()).version == catalogue.version
        assert catalogue.version != self.catalogue(declared=False).version
