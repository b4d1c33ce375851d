"""Verdicts on several policies at once, their reasons and the gate's exit codes."""

import numpy as np
import pytest

import bandit
from bandit.domain import LoggedBatch
from bandit.evaluate import evaluate, gate, verdicts
from tests.evaluate.memory_log import MemoryLog


def null_log(catalogue, rng, n=4_000):
    """A log of offers that are all alike, under uniform exploration."""
    offers = catalogue.n_offers
    contexts = catalogue.contexts([{}] * n, [str(row) for row in range(n)])
    reward = (rng.random(n) < 0.1).astype(float)
    offer, eligible = rng.integers(0, offers, n), np.ones((n, offers), dtype=bool)
    batch = LoggedBatch(contexts, offer, eligible, np.full(n, 1 / offers), reward > 0, reward, reward, np.arange(n))
    return MemoryLog(batch, catalogue)


@pytest.mark.slow
def test_the_best_of_many_equal_offers_is_not_announced_as_a_winner():
    """19 equal offers against one, 40 logs: with 5 % allowed, 2 logs are expected to announce anything and more than 7
    have probability .001; read one by one (the control), most logs would announce a winner or a loser."""
    options = [{"name": str(number)} for number in range(20)]
    catalogue = bandit.Catalogue.from_dict({"dimensions": [{"name": "d", "options": options}]})
    policies = {str(offer): bandit.ConstantOffer(catalogue, offer) for offer in range(20)}
    together = apart = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        result = evaluate(null_log(catalogue, rng), policies, "0", catalogue=catalogue, rng=rng, estimators=("snips",))
        found = verdicts(result)
        together += bool({"better", "worse"} & set(found.values()))
        differences = [row.against_baseline("snips") for row in result.rows[1:]]
        apart += any(each.low > 0 or each.high < 0 for each in differences)
    assert together <= 7
    assert apart >= 15


def test_without_a_baseline_there_is_no_verdict():
    catalogue = bandit.Catalogue.from_dict({"dimensions": [{"name": "d", "options": [{"name": "a"}, {"name": "b"}]}]})
    rng = np.random.default_rng(1)
    policies = [bandit.Uniform(catalogue)]
    assert verdicts(evaluate(null_log(catalogue, rng), policies, catalogue=catalogue, rng=rng)) == {}
    against_itself = evaluate(null_log(catalogue, rng), policies, "logged", catalogue=catalogue, rng=rng)
    assert verdicts(against_itself) == {"uniform": "no difference found"}


def test_gate_is_the_exit_code_of_the_worst_verdict():
    """Against offer 0, which earns .1: 1 earns .5, 2 earns 0, 3 the same as 0, and 4 is never shown."""
    options = [{"name": str(number)} for number in range(5)]
    catalogue = bandit.Catalogue.from_dict({"dimensions": [{"name": "d", "options": options}]})
    rng, n = np.random.default_rng(0), 4_000
    offer = rng.integers(0, 4, n)
    reward = (rng.random(n) < np.array([0.1, 0.5, 0.0, 0.1])[offer]).astype(float)
    eligible = np.ones((n, 5), dtype=bool)
    batch = LoggedBatch(
        catalogue.contexts([{}] * n, None), offer, eligible, np.full(n, 0.25), reward > 0, reward, reward, np.arange(n)
    )

    log = MemoryLog(batch, catalogue)

    def evaluated(*offers):
        policies = {str(each): bandit.ConstantOffer(catalogue, each) for each in (0, *offers)}
        return evaluate(log, policies, "0", estimators=("snips",), rng=rng)

    found = verdicts(evaluated(1, 2, 3, 4))
    assert found == {
        "0": "the baseline",
        "1": "better",
        "2": "worse",
        "3": "no difference found",
        "4": "cannot tell",
    }
    assert [gate(evaluated(*offers)) for offers in [(1,), (1, 2), (1, 2, 3), (1, 3, 4)]] == [0, 3, 4, 5]
    reason = evaluated(4).row("4").reason
    assert reason.startswith("cannot tell: ")
    assert evaluated(1).row("1").reason.startswith("it earns 0.")
    assert verdicts(evaluate(log, {"1": bandit.ConstantOffer(catalogue, 1)}, estimators=("snips",))) == {}


def test_no_policy_can_be_judged_against_a_baseline_that_the_log_does_not_support():
    options = [{"name": str(number)} for number in range(20)]
    catalogue = bandit.Catalogue.from_dict({"dimensions": [{"name": "d", "options": [*options, {"name": "new"}]}]})
    log = null_log(catalogue, np.random.default_rng(1))
    policies = {"old": bandit.ConstantOffer(catalogue, 0), "new": bandit.ConstantOffer(catalogue, 20)}
    log = MemoryLog(log.whole.take(log.whole.offer < 20), catalogue)
    result = evaluate(log, policies, "new", estimators=("snips",))
    assert verdicts(result) == {"old": "cannot tell", "new": "cannot tell"}
    assert "baseline, new" in result.row("old").reason


def test_nothing_is_better_by_a_handful_of_conversions():
    """Only "b" sells, 5 times or 60 times of 2,000: by 5 the interval would exclude 0, and knows nothing."""
    options = [{"name": "a"}, {"name": "b"}]
    objective = {"kind": "conversion", "event": "buy"}
    catalogue = bandit.Catalogue.from_dict({"dimensions": [{"name": "d", "options": options}], "objective": objective})
    n = 4_000
    for sold, verdict in ((5, "cannot tell"), (60, "better")):
        offer = np.arange(n) % 2
        converted = (offer == 1) & (np.arange(n) < 2 * sold)
        reward = converted.astype(float)
        mask, half = np.ones((n, 2), dtype=bool), np.full(n, 0.5)
        contexts = catalogue.contexts([{}] * n, None)

        batch = LoggedBatch(contexts, offer, mask, half, converted, reward, reward, np.arange(n))
        log = MemoryLog(batch, catalogue)
        policies = {name: bandit.ConstantOffer(catalogue, place) for place, name in enumerate("ab")}
        row = evaluate(log, policies, "a", estimators=("snips",), interval="normal").row("b")
        assert row.verdict == verdict
    assert evaluate(log, policies, "b", estimators=("snips",)).row("a").verdict == "worse"
