import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bandit
from bandit.domain import LoggedBatch
from bandit.evaluate import evaluate, holm, verdicts


def test_holm_multiplies_by_how_many_are_left():
    """Of .01, .04, .03: .01 x 3 = .03; .03 x 2 = .06; .04 x 1 = .04, raised to .06."""
    assert holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])


@given(st.lists(st.floats(0.0, 1.0), max_size=8))
def test_adjusted_p_values_are_no_smaller_and_keep_their_order(p):
    adjusted = holm(np.array(p))
    assert (adjusted >= np.array(p)).all()
    assert (adjusted <= 1.0).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


class NullLog:
    """A log of 20 offers that are all alike, under uniform exploration."""

    n = 4_000

    def __init__(self, catalogue, rng):
        self.catalogue, offers = catalogue, catalogue.n_offers
        contexts = catalogue.contexts([{}] * self.n, [str(row) for row in range(self.n)])
        reward = (rng.random(self.n) < 0.1).astype(float)
        self.batch = LoggedBatch(
            contexts,
            rng.integers(0, offers, self.n),
            np.ones((self.n, offers), dtype=bool),
            np.full(self.n, 1 / offers),
            reward > 0,
            reward,
            reward,
            np.arange(self.n),
        )

    def batches(self, size=65_536):
        yield self.batch


def test_the_best_of_many_equal_offers_is_not_announced_as_a_winner():
    """19 equal offers against one, 40 logs: with 5 % allowed, 2 logs are expected to announce anything and more than 7
    have probability .001; read one by one (the control), most logs would announce a winner or a loser."""
    options = [{"name": str(number)} for number in range(20)]
    catalogue = bandit.Catalogue.from_dict({"dimensions": [{"name": "d", "options": options}]})
    policies = {str(offer): bandit.ConstantOffer(catalogue, offer) for offer in range(20)}
    together = apart = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        result = evaluate(NullLog(catalogue, rng), policies, "0", catalogue=catalogue, rng=rng, estimators=("snips",))
        said = verdicts(result)
        together += bool({"better", "worse"} & set(said.values()))
        differences = [row.against_baseline("snips") for row in result.rows[1:]]
        apart += any(each.low > 0 or each.high < 0 for each in differences)
    assert together <= 7
    assert apart >= 15


def test_without_a_baseline_there_is_no_verdict():
    catalogue = bandit.Catalogue.from_dict({"dimensions": [{"name": "d", "options": [{"name": "a"}, {"name": "b"}]}]})
    rng = np.random.default_rng(1)
    policies = [bandit.Uniform(catalogue)]
    assert verdicts(evaluate(NullLog(catalogue, rng), policies, catalogue=catalogue, rng=rng)) == {}
    against_itself = evaluate(NullLog(catalogue, rng), policies, "logged", catalogue=catalogue, rng=rng)
    assert verdicts(against_itself) == {"uniform": "no difference shown"}
