import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bandit
from bandit.decide import checked, choose, draw, generator_for
from bandit.errors import NoEligibleOfferError, PolicyError
from tests.conftest import draw_contexts


class Faulty:
    """A policy whose probabilities are what a test wants them to be."""

    name = "faulty"
    learns = False

    def __init__(self, answer):
        self.answer = answer

    def probabilities(self, contexts, eligible, rng):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer(eligible)


def _with_ends(eligible, first, last):
    """The two numbers on the first and the last eligible offer of each row, 0 elsewhere."""
    table = np.zeros(eligible.shape)
    rows = np.arange(len(eligible))
    table[rows, eligible.argmax(axis=1)] = first
    table[rows, eligible.shape[1] - 1 - eligible[:, ::-1].argmax(axis=1)] = last
    return table


def test_offers_are_drawn_as_often_as_their_probabilities_say():
    """60,000 draws: each share within 5 standard errors of its probability; of another vector (the control) not."""
    p = np.array([0.5, 0.3, 0.0, 0.15, 0.05])
    n = 60_000
    drawn = draw(np.tile(p, (n, 1)), np.random.default_rng(1))
    shares = np.bincount(drawn, minlength=5) / n
    error = np.sqrt(np.maximum(p * (1 - p), 1e-12) / n)
    assert (np.abs(shares - p) <= 5 * error).all()
    assert (np.abs(shares - p[::-1]) > 5 * error).any()


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12).filter(lambda p: sum(p) > 1e-6), st.integers(0, 2**32))
def test_an_offer_without_probability_is_never_drawn(weights, seed):
    p = np.array(weights) / np.sum(weights)
    drawn = draw(np.tile(p, (20, 1)), np.random.default_rng(seed))
    assert (p[drawn] > 0).all()


@pytest.mark.parametrize("n_offers", [1, 2, 3, 7, 144, 1_500])
@pytest.mark.parametrize("n", [1, 40])
def test_drawing_in_blocks_is_adding_up_offer_by_offer(n, n_offers):
    """The first offer whose running sum passes u x total, with the same u; with another u (the control) it is not."""
    rng = np.random.default_rng(n_offers)
    p = rng.exponential(size=(n, n_offers)) * (rng.random((n, n_offers)) < 0.7)
    p[:, -1] += 1e-3
    p /= p.sum(axis=1, keepdims=True)

    def one_by_one(seed):
        levels = np.random.default_rng(seed).random(n)
        return [int((np.cumsum(row) <= level * np.cumsum(row)[-1]).sum()) for row, level in zip(p, levels, strict=True)]

    assert draw(p, np.random.default_rng(5)).tolist() == one_by_one(5)
    if n_offers >= 7 and n > 1:
        assert draw(p, np.random.default_rng(5)).tolist() != one_by_one(6)


class Level:
    """A generator that gives one number over and over."""

    def __init__(self, level):
        self.level = level

    def random(self, n=None):
        return self.level if n is None else np.full(n, self.level)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0 - 2.0**-53, 1.0])
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("n_offers", [9, 1_200])
def test_at_the_ends_of_the_unit_interval_an_offer_with_probability_is_drawn(level, n, n_offers):
    """Two offers at 0.1 and 0.9 amid zeros; 1.0, which a generator never gives, stands for a level rounded up."""
    p = np.zeros((n, n_offers))
    p[:, 3], p[:, 6] = 0.1, 0.9
    assert draw(p, Level(level)).tolist() == [3 if level == 0.0 else 6] * n


def test_the_logged_propensity_is_the_entry_of_the_vector_drawn_from(catalogue):
    contexts = draw_contexts(catalogue, 300, np.random.default_rng(2))
    choice = choose(bandit.ThompsonSampling(catalogue), catalogue, contexts, np.random.default_rng(3))
    rows = np.arange(300)
    np.testing.assert_array_equal(choice.propensity, choice.probabilities[rows, choice.offer])
    assert choice.eligible[rows, choice.offer].all()
    assert choice.fault is None


def test_a_seed_and_an_id_make_one_generator_and_others_make_others():
    def first(seed, ids):
        return generator_for(seed, ids).random()

    assert first("7", ["a"]) == first("7", ["a"])
    assert (
        len({first("7", ["a"]), first("7", ["b"]), first("8", ["a"]), first("7", ["a", "b"]), first("7a", [""])}) == 5
    )


def test_the_generator_of_a_decision_never_changes():
    """Logs are verified by it: blake2b-256 of seed and ids is the state of a PCG64."""
    assert generator_for("7", ["a"]).random() == 0.5291166935642824


@pytest.mark.parametrize(
    "answer",
    [
        RuntimeError("the model broke"),
        lambda eligible: np.full(eligible.shape, np.nan),
        lambda eligible: np.full(eligible.shape, 1.0 / eligible.shape[1]),  # gives to offers that are not eligible
        lambda eligible: np.where(eligible, 2.0 / eligible.sum(axis=1, keepdims=True), 0.0),
        lambda eligible: np.where(eligible, -1.0, 0.0),
        lambda eligible: _with_ends(eligible, 1.5, -0.5),
        lambda eligible: _with_ends(eligible, np.inf, -np.inf),
        lambda eligible: _with_ends(eligible, np.inf, 0.0),
        lambda eligible: np.ones((1, 3)),
    ],
    ids=["raises", "NaN", "not eligible", "sums to 2", "negative", "negative in 1", "infinities", "infinite", "shape"],
)
@pytest.mark.parametrize("n", [1, 3])
def test_a_policys_fault_ends_in_the_fallback_with_its_reason(catalogue, answer, n):
    contexts = catalogue.contexts([{"loyal": False}] * n)
    choice = choose(Faulty(answer), catalogue, contexts, np.random.default_rng(1))
    assert choice.fault
    assert choice.offer.tolist() == [catalogue.fallback] * n
    assert choice.propensity.tolist() == [1.0] * n


def test_without_a_fallback_a_fault_ends_in_an_even_draw(spring):
    del spring["fallback"]
    catalogue = bandit.Catalogue.from_dict(spring)
    contexts = catalogue.contexts([{"loyal": True}])
    choice = choose(Faulty(RuntimeError("broke")), catalogue, contexts, np.random.default_rng(1))
    assert choice.propensity.tolist() == [0.1]
    assert "broke" in choice.fault


def test_where_the_rules_leave_nothing_the_fallback_is_the_one_offer(spring):
    spring["rules"].append({"when": 'gender == "m"', "forbid": {"channel": ["email", "sms"]}, "reason": "opted out"})
    catalogue = bandit.Catalogue.from_dict(spring)
    contexts = catalogue.contexts([{"gender": "m"}, {"gender": "f"}], ["m-1", "f-1"])
    choice = choose(bandit.Uniform(catalogue), catalogue, contexts, np.random.default_rng(1))
    assert choice.eligible[0].sum() == 1
    assert choice.offer[0] == catalogue.fallback
    assert choice.propensity[0] == 1.0
    del spring["fallback"]
    without = bandit.Catalogue.from_dict(spring)
    with pytest.raises(NoEligibleOfferError, match=r"context 1 .*opted out"):
        choose(bandit.Uniform(without), without, contexts, np.random.default_rng(1))


def test_probabilities_within_rounding_of_1_pass_and_others_do_not():
    eligible = np.ones((1, 2), dtype=bool)
    checked(np.array([[0.5, 0.5 + 1e-12]]), eligible)
    with pytest.raises(PolicyError, match="sum to 1"):
        checked(np.array([[0.5, 0.5 + 1e-6]]), eligible)


def test_choices_are_frozen_records(catalogue):
    choice = choose(bandit.Uniform(catalogue), catalogue, catalogue.contexts([{}]), np.random.default_rng(1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        choice.fault = "none"
