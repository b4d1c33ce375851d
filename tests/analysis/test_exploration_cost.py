"""The estimated cost of exploration: by hand, by period, and against the exact regret of simulated markets."""

import numpy as np
import pytest

import bandit
from bandit.analysis.exploration_cost import exploration
from bandit.domain import MICROSECONDS, LoggedBatch
from bandit.errors import InputError
from simulator import FactsClairvoyant, Market, Population, RunLog, RunOptions, run, scenario
from simulator.market.ceilings import chosen_values
from tests.analysis.memory import MemoryLog

DAY = 86_400 * MICROSECONDS


class Known:
    """Predicts the same reward of each offer for every context."""

    floor = 0.3

    def __init__(self, values):
        self.values = np.array(values)

    def predict(self, contexts):
        return np.tile(self.values, (contexts.n, 1))


def log_of(offers, eligible, time):
    catalogue = bandit.Catalogue.from_dict(
        {"dimensions": [{"name": "gift", "options": [{"name": name} for name in "abc"]}]}
    )
    n = len(offers)
    contexts = catalogue.contexts({}, [f"c{number}" for number in range(n)])
    zero = np.zeros(n)
    return MemoryLog(
        LoggedBatch(
            contexts,
            np.array(offers),
            np.array(eligible, dtype=bool),
            np.ones(n),
            zero > 0,
            zero,
            zero,
            np.array(time, dtype=np.int64),
        )
    )


def test_the_cost_is_the_best_eligible_offer_minus_the_chosen_one():
    """Values 1, 2, 4. Offered a, b, c with all eligible cost 3, 2, 0; b with only a and b eligible costs 0.

    The floor: .3 x (4 - 7/3) = .5 three times, .3 x (2 - 3/2) = .15 once.
    """
    log = log_of([0, 1, 2, 1], [[1, 1, 1]] * 3 + [[1, 1, 0]], [0, 1, 2, 3])
    found = exploration(log, Known([1.0, 2.0, 4.0]))
    assert found.total.cost == pytest.approx(5.0)
    assert found.total.best == pytest.approx(14.0)
    assert found.total.floor_cost == pytest.approx(1.65)
    assert found.total.per_decision == pytest.approx(1.25)
    assert (found.total.n, found.total.chose_best) == (4, 2)
    assert (found.total.start, found.total.end) == (0, 3)
    assert sum(period.cost for period in found.periods) == pytest.approx(5.0)


def test_a_log_is_cut_into_tenths_of_decisions_or_at_mondays():
    """20 decisions, one a day from Thursday 1970-01-01: 2 a tenth; Mondays come after 4, 11 and 18 days."""
    log = log_of([0] * 20, [[1, 1, 1]] * 20, np.arange(20) * DAY)
    tenths = exploration(log, Known([1.0, 2.0, 4.0]))
    assert [period.n for period in tenths.periods] == [2] * 10
    assert [period.start for period in tenths.periods] == [2 * DAY * number for number in range(10)]
    weeks = exploration(log, Known([1.0, 2.0, 4.0]), by="week")
    assert [period.n for period in weeks.periods] == [4, 7, 7, 2]
    assert weeks.total == tenths.total


def test_batches_change_nothing():
    rng = np.random.default_rng(1)
    n = 9_000  # more than two batches
    log = log_of(rng.integers(0, 3, n), np.ones((n, 3)), rng.integers(0, 100, n) * DAY)
    found = exploration(log, Known([1.0, 2.0, 4.0]))
    assert [period.n for period in found.periods] == [900] * 10
    assert found.total.cost == pytest.approx(float(np.array([3.0, 2.0, 0.0])[log.rows.offer].sum()))


def test_no_decisions_are_rejected():
    with pytest.raises(InputError, match="no decisions"):
        exploration(log_of([], np.ones((0, 3)), []), Known([1.0, 2.0, 4.0]))


def play(name, seed, n, customers):
    world, visits, chance = (np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(3))
    market = Market.draw(scenario(name), world)
    population = Population.draw(market, customers, world)
    policy = bandit.ThompsonSampling(market.catalogue)
    arriving = population.visits(n, visits)
    played = run(policy, population, arriving, chance, RunOptions(batch=500))
    best = chosen_values(population, FactsClairvoyant(population, arriving.times), arriving.customers, arriving.times)
    return exploration(RunLog(population, played), policy), best - played.expected


@pytest.mark.slow
def test_the_estimate_falls_with_the_truth_and_is_of_its_size_where_something_can_be_gained():
    """Relative to the exact regret to the best policy that sees the facts: within a factor of 2.5; both decrease."""
    for seed in (31, 32):
        found, regret = play("retail", seed, 10_000, 2_000)
        true = regret.sum()
        assert true / 2.5 < found.total.cost < 2.5 * true
        costs = [period.per_decision for period in found.periods]
        assert costs[-1] < costs[0] / 3
        assert regret[-1_000:].mean() < regret[:1_000].mean() / 1.5
        assert 0 < found.total.floor_cost < found.total.cost


@pytest.mark.slow
def test_the_estimate_is_positive_where_all_offers_are_equal():
    """The winner's curse: where all offers are worth the same, the regret is 0 and its estimate is not."""
    found, regret = play("null", 33, 5_000, 1_000)
    assert regret.sum() == pytest.approx(0.0, abs=1e-6)
    assert found.total.cost > 0.0
