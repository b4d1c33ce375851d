"""After an erasure, the other customers' decisions are computed again as far as that can be done."""

import numpy as np
import pytest

import bandit
from bandit.catalogue import Catalogue
from bandit.governance.erasure import erase
from tests.conftest import SPRING
from tests.engine.conftest import context
from tests.governance.conftest import KEY
from tests.governance.test_verify import alter


@pytest.fixture
def batch_without_one(tmp_path):
    """Makes a database in which ten decisions were made in one call, one of whose customers is erased."""

    def make(policy_of):
        catalogue = Catalogue.from_dict(SPRING)
        path = tmp_path / "offers.db"
        with bandit.Engine.open(
            path, catalogue, policy_of(catalogue), seed=7, customer_key=KEY, durability="process"
        ) as engine:
            names = [f"c{row}" for row in range(10)]
            engine.decide_batch(
                names, [context(row) for row in range(10)], decision_ids=[f"d{row}" for row in range(10)]
            )
            engine.decide("alone", context(3), decision_id="alone")
            erase(engine.store, "c4")
        return path, lambda: bandit.Engine.open(
            path, catalogue, policy_of(catalogue), customer_key=KEY, durability="process"
        )

    return make


def verified(opened):
    with opened() as engine:
        return engine.verify()


def test_the_propensities_of_the_rest_of_a_call_are_computed_again(batch_without_one):
    """Those of an even draw depend on no generator: nine decisions of the call and one alone."""
    path, opened = batch_without_one(bandit.Uniform)
    found = verified(opened)
    assert (found.problems, found.notes, found.n_recomputed) == ((), (), 10)
    alter(path, "UPDATE decisions SET propensity = 0.77 WHERE decision_id = 'd5'")
    assert any('"d5"' in each and "propensity" in each for each in verified(opened).problems)


def test_of_a_policy_that_draws_what_was_eligible_is_compared_and_the_rest_is_noted(batch_without_one):
    """Ten less one decisions of the call; the one alone has a generator of its own."""
    path, opened = batch_without_one(bandit.ThompsonSampling)
    found = verified(opened)
    assert found.problems == ()
    assert found.n_recomputed in {1, 10}  # ten where the probabilities need no draws
    assert np.all([("9 decisions were made in one call" in each) for each in found.notes])
    alter(path, 'UPDATE decisions SET context = \'{"gender":"m","recency":400.0,"loyal":false}\'')
    assert any("other offers are eligible" in each for each in verified(opened).problems)
