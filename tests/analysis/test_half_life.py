"""Half-lives compared by predictive loss: stationary and changing markets, weights, and logs in any order."""

import math

import numpy as np
import pytest

import bandit
from bandit.analysis.half_life import HalfLifeOptions, choose_half_life
from bandit.analysis.time_order import TimeOrdered
from bandit.domain import MICROSECONDS, LoggedBatch
from bandit.errors import InputError
from tests.analysis.memory import MemoryLog

DAY = 86_400 * MICROSECONDS
N, DAYS = 3_000, 60


def market(kind="conversion"):
    options = [{"name": name} for name in ("a", "b", "c")]
    return bandit.Catalogue.from_dict(
        {
            "objective": {"kind": kind},
            "context": {"loyal": {"type": "boolean"}},
            "dimensions": [{"name": "gift", "options": options}],
        }
    )


def draw_log(catalogue, rng, *, turns, n=N, customers=2_000):
    """Even exploration over DAYS days; the best gift changes from a to b to c where the market turns."""
    time = np.sort(rng.integers(0, DAYS * DAY, n))
    offer = rng.integers(0, 3, n)
    best = time * 3 // (DAYS * DAY) if turns else np.zeros(n, dtype=np.int64)
    converted = rng.random(n) < np.where(offer == best, 0.6, 0.2)
    loyal = (rng.random(n) < 0.5).tolist()
    keys = [f"customer-{number}" for number in rng.integers(0, customers, n).tolist()]
    reward = converted.astype(float)
    contexts = catalogue.contexts({"loyal": loyal}, keys)
    return LoggedBatch(
        contexts, offer, np.ones((n, 3), dtype=bool), np.full(n, 1 / 3), converted, np.zeros(n), reward, time
    )


@pytest.mark.parametrize("kind", ["conversion", pytest.param("reward", marks=pytest.mark.slow)])
def test_a_changing_market_selects_a_half_life_and_a_stationary_one_never(kind):
    """The best gift changes every 20 days: to remember all of 60 days is to be wrong for most of two thirds."""
    catalogue = market(kind)
    moving = draw_log(catalogue, np.random.default_rng(1), turns=True)
    still = draw_log(catalogue, np.random.default_rng(1), turns=False)
    found = choose_half_life(MemoryLog(moving), catalogue, ("7d", "14d"))
    assert found.choice in {"7d", "14d"}
    assert found.half_life == found.choice
    assert found.candidate(found.choice).verdict == "better"
    control = choose_half_life(MemoryLog(still), catalogue, ("7d", "14d"))
    assert (control.choice, control.half_life) == ("never", None)
    assert (control.n, control.customers) == (N, len(set(still.contexts.customers)))


def test_before_anything_is_learned_the_loss_is_that_of_the_prior():
    """One block holds all rows: each candidate predicts with its prior, P = 1/2, so every loss is log 2."""
    catalogue = market()
    log = draw_log(catalogue, np.random.default_rng(2), turns=True, n=100)
    found = choose_half_life(MemoryLog(log), catalogue, ("7d",), HalfLifeOptions(block=100))
    chance = bandit.ThompsonSampling(catalogue).predict(log.contexts)[np.arange(100), log.offer]
    by_hand = -np.log(np.where(log.converted, chance, 1 - chance)).mean()
    assert found.candidate("7d").loss.value == pytest.approx(by_hand)
    assert found.candidate("7d").difference.value == 0.0
    assert found.choice == "never"


def test_weights_count_every_offer_alike():
    """Offer a logged in 80 of 100 with p = .8 weighs 1/2.4, the others 1/.3: a third of the weight each."""
    catalogue = market()
    log = draw_log(catalogue, np.random.default_rng(3), turns=False, n=1_000)
    offer = np.repeat([0, 1, 2], [800, 100, 100])
    log = LoggedBatch(
        log.contexts,
        offer,
        log.eligible,
        np.where(offer == 0, 0.8, 0.1),
        log.converted,
        log.revenue,
        log.reward,
        log.time,
    )
    chance = bandit.ThompsonSampling(catalogue).predict(log.contexts)[np.arange(1_000), offer]
    losses = -np.log(np.where(log.converted, chance, 1 - chance))
    by_offer = [losses[offer == each].mean() for each in range(3)]
    even = choose_half_life(MemoryLog(log), catalogue, ("7d",), HalfLifeOptions(block=1_000))
    assert even.candidate("7d").loss.value == pytest.approx(np.mean(by_offer))
    logged = choose_half_life(MemoryLog(log), catalogue, ("7d",), HalfLifeOptions(block=1_000, even=False))
    assert logged.candidate("7d").loss.value == pytest.approx(losses.mean())
    assert even.candidate("7d").loss.effective_sample_size < logged.candidate("7d").loss.effective_sample_size == 1_000


def test_the_order_of_the_log_does_not_matter():
    """Exported customer by customer, as campaigns often are; the times are all different, so the order is one."""
    catalogue = market()
    log = draw_log(catalogue, np.random.default_rng(4), turns=True, n=800)
    shuffled = log.take(np.argsort(log.contexts.customers, kind="stable"))
    one, other = (choose_half_life(MemoryLog(each), catalogue, ("7d",)) for each in (log, shuffled))
    assert one.candidate("7d").difference.value == pytest.approx(other.candidate("7d").difference.value, rel=1e-9)
    assert (one.first_time, one.last_time) == (other.first_time, other.last_time)


def test_a_log_is_sorted_interval_by_interval_without_loss():
    catalogue = market()
    log = draw_log(catalogue, np.random.default_rng(5), turns=True, n=1_000)
    mixed = log.take(np.random.default_rng(6).permutation(1_000))
    ordered = TimeOrdered(MemoryLog(mixed), rows=64)
    parts = list(ordered.batches(50))
    assert max(map(len, parts)) <= 50
    assert np.array_equal(np.concatenate([part.time for part in parts]), log.time)
    assert np.array_equal(np.concatenate([part.offer for part in parts]), log.offer)
    assert np.concatenate([part.contexts.customers for part in parts]).tolist() == log.contexts.customers.tolist()


def test_decisions_of_equal_time_keep_their_order():
    """Two waves, told customer by customer: all of the first come before all of the second."""
    catalogue = market()
    log = draw_log(catalogue, np.random.default_rng(7), turns=False, n=400)
    waves = np.arange(400) % 2 * DAY
    mixed = LoggedBatch(
        log.contexts, log.offer, log.eligible, log.propensity, log.converted, log.revenue, log.reward, waves
    )
    read = list(TimeOrdered(MemoryLog(mixed), rows=32).batches())
    offers = np.concatenate([part.offer for part in read])
    assert np.array_equal(offers, np.concatenate([log.offer[::2], log.offer[1::2]]))


def test_few_customers_give_the_warning_cannot_tell():
    catalogue = market()
    log = draw_log(catalogue, np.random.default_rng(8), turns=True, n=600, customers=20)
    found = choose_half_life(MemoryLog(log), catalogue, ("7d",))
    assert found.choice == "never"
    assert found.warning.startswith("cannot tell")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"candidates": ("soon",)}, '"soon" is not a half-life'),
        ({"candidates": ("0d",)}, '"0d" is not a half-life'),
        ({"candidates": ("never",)}, "nothing to compare"),
    ],
)
def test_invalid_candidates_are_rejected(settings, words):
    catalogue = market()
    log = draw_log(catalogue, np.random.default_rng(9), turns=False, n=10)
    with pytest.raises(InputError, match=words):
        choose_half_life(MemoryLog(log), catalogue, **settings)


@pytest.mark.parametrize(("settings", "words"), [({"block": 0}, "block is 0"), ({"level": 1.0}, "level is 1.0")])
def test_options_out_of_range_are_rejected(settings, words):
    with pytest.raises(InputError, match=words):
        HalfLifeOptions(**settings)


def test_a_log_without_decisions_or_without_time_is_rejected():
    catalogue = market()
    log = draw_log(catalogue, np.random.default_rng(9), turns=False, n=10)
    with pytest.raises(InputError, match="no decisions"):
        choose_half_life(MemoryLog(log.take(slice(0, 0))), catalogue)
    with pytest.raises(InputError, match="the same time"):
        choose_half_life(MemoryLog(log.take(slice(0, 1))), catalogue)


def test_the_answer_is_plain_json():
    catalogue = market()
    log = draw_log(catalogue, np.random.default_rng(10), turns=True, n=200)
    plain = choose_half_life(MemoryLog(log), catalogue, ("7d",)).to_dict()
    assert [each["half_life"] for each in plain["candidates"]] == ["7d", "never"]
    assert all(math.isfinite(each["loss"]["value"]) for each in plain["candidates"])
