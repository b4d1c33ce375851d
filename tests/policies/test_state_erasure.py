import numpy as np
import pytest

import bandit
from bandit.policies.state import unpack
from bandit.policies.state_erasure import anonymise_customers, has_customers, has_warmup_outcomes, remove_customers
from tests.conftest import draw_outcomes

GONE = {"customer-3", "customer-5"}


@pytest.fixture
def state(catalogue):
    """A state after the warm-up, with effects of 600 customers."""
    policy = bandit.ThompsonSampling(catalogue)
    policy.update(draw_outcomes(catalogue, 600, np.random.default_rng(1)))
    return policy.dumps()


def test_removed_customers_have_no_row_and_all_else_stays(catalogue, state):
    rest = remove_customers(state, GONE)
    assert has_customers(state, GONE)
    assert not has_customers(rest, GONE)
    before, after = unpack(state)[1], unpack(rest)[1]
    assert len(after["own/natural"]) == len(before["own/natural"]) - 2
    for name in before.keys() - {"own/customers", "own/natural", "own/precision"}:
        np.testing.assert_array_equal(after[name], before[name])
    bandit.ThompsonSampling(catalogue).loads(rest)


def test_anonymised_customers_keep_their_row_without_a_name(catalogue, state):
    rest = anonymise_customers(state, GONE)
    assert not has_customers(rest, GONE)
    np.testing.assert_array_equal(unpack(rest)[1]["own/natural"], unpack(state)[1]["own/natural"])
    bandit.ThompsonSampling(catalogue).loads(rest)


def test_a_state_without_these_customers_stays_byte_for_byte(state):
    assert remove_customers(state, {"nobody"}) is state
    assert anonymise_customers(state, {"nobody"}) is state


@pytest.mark.parametrize("make", [bandit.ThompsonSampling, bandit.VowpalWabbit])
def test_the_outcomes_of_a_warm_up_name_their_customers(catalogue, make):
    policy = make(catalogue)
    policy.update(draw_outcomes(catalogue, 20, np.random.default_rng(1)))
    assert has_warmup_outcomes(policy.dumps())
    assert has_customers(policy.dumps(), GONE)
    policy.update(draw_outcomes(catalogue, 600, np.random.default_rng(1)))
    assert not has_warmup_outcomes(policy.dumps())


def test_an_unreadable_state_names_no_customer_but_counts_as_holding_outcomes():
    assert not has_customers(b"rubbish", GONE)
    assert has_warmup_outcomes(b"rubbish")
