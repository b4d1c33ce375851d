"""A policy inside the declared groups and roll-out, as a replay runs it."""

import numpy as np
import pytest

import bandit
from bandit.errors import InputError
from bandit.rollout.declared_policy import DeclaredPolicy
from tests.catalogue.test_groups import NOTHING, RULES
from tests.conftest import draw_contexts, draw_outcomes


@pytest.fixture
def declared(spring):
    """40 % random; of the others the rules serve half."""
    return bandit.Catalogue.from_dict(
        spring
        | {
            "groups": {"policy": 0.6, "random": 0.4, "teach": ["policy"]},
            "rollout": {"mode": "ramp", "share": 0.5, "rules": RULES},
        }
    )


def test_each_customer_is_served_by_its_group_and_its_arm(declared):
    """Even over the eligible in the group random, one offer by the rules, the policy's own vector elsewhere."""
    policy = bandit.ThompsonSampling(declared)
    contexts = draw_contexts(declared, 400, np.random.default_rng(1))
    eligible = declared.eligible(contexts)
    served = DeclaredPolicy(declared, policy).probabilities(contexts, eligible, np.random.default_rng(2))
    alone = policy.probabilities(contexts, eligible, np.random.default_rng(2))
    even, certain = eligible / eligible.sum(axis=1, keepdims=True), served.max(axis=1) == 1.0
    random = np.isclose(served, even).all(axis=1)
    own = np.isclose(served, alone).all(axis=1)
    assert (random | certain | own).all()
    for rows, share in ((random, 0.4), (certain, 0.3)):
        assert abs(rows.mean() - share) < 4 * np.sqrt(share * (1 - share) / 400)
    assert set(served[certain].argmax(axis=1)) <= {
        declared.offer_index(NOTHING),
        declared.offer_index(NOTHING | {"discount": "10"}),
    }


def test_it_learns_from_the_groups_that_teach(declared):
    outcomes = draw_outcomes(declared, 300, np.random.default_rng(3))
    teaches = declared.groups.assign(outcomes.contexts.customers) == declared.groups.names.index("policy")
    inside, alone = bandit.ThompsonSampling(declared), bandit.ThompsonSampling(declared)
    DeclaredPolicy(declared, inside).update(outcomes)
    alone.update(outcomes.take(teaches))
    assert inside.dumps() == alone.dumps()


def test_contexts_without_customers_are_refused(declared):
    contexts = declared.contexts([{"loyal": True}])
    with pytest.raises(InputError, match="names no customers"):
        DeclaredPolicy(declared, bandit.Uniform(declared)).probabilities(
            contexts, declared.eligible(contexts), np.random.default_rng(1)
        )
