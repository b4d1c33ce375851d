"""Marginal and slate weights: closed forms, and exact expectations over all logs of a small problem."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.errors import InputError, NumberError
from bandit.ope import Feedback, estimate
from bandit.ope import slate_weights as module
from bandit.ope.slate_weights import marginal_weights, slate_weights

SIZES = (2, 3, 2)
OPTIONS = np.array(list(product(*map(range, SIZES))))
COLUMNS = np.concatenate([np.eye(size)[OPTIONS[:, place]] for place, size in enumerate(SIZES)], axis=1)
N = len(OPTIONS)


def spread(rng, n, n_offers=N):
    """(n, n_offers) probabilities."""
    return rng.dirichlet(np.ones(n_offers), n)


def independent(rng, n):
    """(n, N) probabilities that draw each dimension for itself, and the (n, options) of each dimension."""
    shares = [rng.dirichlet(np.full(size, 2.0), n) for size in SIZES]
    return np.prod([share[:, OPTIONS[:, place]] for place, share in enumerate(shares)], axis=0), shares


def test_two_rows_give_the_marginal_weights_done_by_hand():
    """Labels 0, 0, 1: the first row's 0 has (.5 + .25) / (.25 + .25), the second's 1 has .5 / .25."""
    logging = np.array([[0.25, 0.25, 0.5], [0.5, 0.25, 0.25]])
    target = np.array([[0.5, 0.25, 0.25], [0.0, 0.5, 0.5]])
    weights = marginal_weights(logging, target, np.array([1, 2]), np.array([0, 0, 1]))
    assert weights == pytest.approx([1.5, 2.0], rel=1e-15)


def test_a_row_gives_the_slate_weight_done_by_hand():
    """Two dimensions of two, drawn evenly; the target takes the first offer: 1 / .5 + 1 / .5 - 1 = 3, or 1, or -1."""
    columns = np.array([[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]])
    target = np.tile([1.0, 0.0, 0.0, 0.0], (4, 1))
    weights = slate_weights(np.full((4, 4), 0.25), target, np.arange(4), columns)
    assert weights == pytest.approx([3, 1, 1, -1], abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_independent_dimensions_have_the_closed_form(seed):
    """The sum over dimensions of target's share / logging's share of the logged option, less dimensions - 1."""
    rng = np.random.default_rng(seed)
    logging, shares = independent(rng, 20)
    target, offer = spread(rng, 20), rng.integers(0, N, 20)
    want = 1.0 - len(SIZES)
    for place, share in enumerate(shares):
        option = OPTIONS[offer, place]
        wanted = (target * (OPTIONS[:, place] == option[:, None])).sum(axis=1)
        want = want + wanted / share[np.arange(20), option]
    assert slate_weights(logging, target, offer, COLUMNS) == pytest.approx(want, rel=1e-7, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_one_option_per_offer_and_one_label_per_offer_give_the_importance_weight(seed):
    rng = np.random.default_rng(seed)
    logging, target, offer = spread(rng, 30, 5), spread(rng, 30, 5), rng.integers(0, 5, 30)
    usual = target[np.arange(30), offer] / logging[np.arange(30), offer]
    assert marginal_weights(logging, target, offer, rng.permutation(5)) == pytest.approx(usual, rel=1e-14)
    assert slate_weights(logging, target, offer, np.eye(5)) == pytest.approx(usual, rel=1e-9)
    assert marginal_weights(logging, target, offer, np.zeros(5, dtype=int)) == pytest.approx(1.0, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), forbidden=st.integers(0, N - 2))
def test_the_logging_policy_itself_has_weight_one(seed, forbidden):
    """Also where some offers, and with them perhaps whole options, are not to be had."""
    rng = np.random.default_rng(seed)
    logging = spread(rng, 25)
    logging[:, rng.permutation(N)[:forbidden]] = 0.0
    logging /= logging.sum(axis=1, keepdims=True)
    offer = logging.argmax(axis=1)
    assert slate_weights(logging, logging, offer, COLUMNS) == pytest.approx(1.0, abs=1e-7)
    assert marginal_weights(logging, logging, offer, OPTIONS[:, 1]) == pytest.approx(1.0, abs=1e-12)


def test_rows_together_are_rows_one_by_one_in_chunks_of_any_size(monkeypatch):
    rng = np.random.default_rng(1)
    logging = spread(rng, 7)[rng.integers(0, 7, 200)]
    target, offer = spread(rng, 200), rng.integers(0, N, 200)
    slate, marginal = [], []
    for row in range(200):
        one = slice(row, row + 1)
        slate.append(slate_weights(logging[one], target[one], offer[one], COLUMNS)[0])
        marginal.append(marginal_weights(logging[one], target[one], offer[one], OPTIONS[:, 0])[0])
    for cells in (1, 777, 2_000_000):
        monkeypatch.setattr(module, "_CELLS", cells)
        assert slate_weights(logging, target, offer, COLUMNS) == pytest.approx(slate, rel=1e-9, abs=1e-12)
        assert marginal_weights(logging, target, offer, OPTIONS[:, 0]) == pytest.approx(marginal, rel=1e-14)


def expectation(name, logging, target, reward, **columns):
    """The mean of an estimator over every (context, offer) that can be logged, contexts as probable as each other."""
    total = 0.0
    for x, a in zip(*np.nonzero(logging), strict=True):
        weights = {key: [value[x, a]] for key, value in columns.items()}
        one = Feedback([reward[x, a]], [logging[x, a]], [target[x, a]], **weights)
        total += logging[x, a] / len(logging) * estimate(one, (name,))[0].value
    return total


def every_row(of, logging, target, how):
    """(contexts, N) weights of every context and offer; NaN where it is never logged."""
    table = np.full(logging.shape, np.nan)
    x, a = np.nonzero(logging)
    table[x, a] = of(logging[x], target[x], a, how)
    return table


def tiny_world(seed):
    """Three contexts with offers that never go together, and any probabilities."""
    rng = np.random.default_rng(seed)
    tables = np.stack([spread(rng, 3), spread(rng, 3)])
    tables[:, :, [4, 11]] = 0.0
    logging, target = tables / tables.sum(axis=2, keepdims=True)
    return rng, logging, target


@pytest.mark.parametrize("seed", range(5))
def test_expectation_of_mips_is_the_truth_where_only_the_chosen_dimensions_count(seed):
    """The negative control: where the dimension left out counts as well, it is not."""
    rng, logging, target = tiny_world(seed)
    labels = OPTIONS[:, 0] * SIZES[1] + OPTIONS[:, 1]
    weights = every_row(marginal_weights, logging, target, labels)
    reward = rng.normal(3.0, 2.0, (3, labels.max() + 1))[:, labels]
    got = expectation("mips", logging, target, reward, marginal_weight=weights)
    assert got == pytest.approx((target * reward).sum(axis=1).mean(), abs=1e-12)
    reward = reward + 4.0 * OPTIONS[:, 2]
    got = expectation("mips", logging, target, reward, marginal_weight=weights)
    assert abs(got - (target * reward).sum(axis=1).mean()) > 0.01


@pytest.mark.parametrize("seed", range(5))
def test_expectation_of_pi_is_the_truth_where_rewards_are_sums_over_options(seed):
    """The negative control: where two options together bring something more, it is not."""
    rng, logging, target = tiny_world(seed)
    weights = every_row(slate_weights, logging, target, COLUMNS)
    reward = rng.normal(1.0, 2.0, (3, COLUMNS.shape[1])) @ COLUMNS.T
    got = expectation("pi", logging, target, reward, slate_weight=weights)
    assert got == pytest.approx((target * reward).sum(axis=1).mean(), abs=1e-9)
    reward = reward + 8.0 * (OPTIONS[:, 0] == 1) * (OPTIONS[:, 1] == 2)
    got = expectation("pi", logging, target, reward, slate_weight=weights)
    assert abs(got - (target * reward).sum(axis=1).mean()) > 0.01


def test_structure_makes_weights_smaller():
    """12 offers and a target that is sure: ips has weights of 12, the mean square of those of mips and pi is less."""
    rng = np.random.default_rng(3)
    logging, target = np.full((500, N), 1 / N), np.eye(N)[rng.integers(0, N, 500)]
    offer = rng.integers(0, N, 500)
    usual = (target / logging)[np.arange(500), offer]
    for weights in (
        marginal_weights(logging, target, offer, OPTIONS[:, 0]),
        slate_weights(logging, target, offer, COLUMNS),
    ):
        assert np.mean(weights**2) < 0.6 * np.mean(usual**2)


GOOD = {"logging": [[0.5, 0.5]], "target": [[0.1, 0.9]], "offer": [0]}


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ({"logging": [[0.0, 1.0]]}, NumberError, "logging gives the offer logged in row 0 probability 0"),
        ({"logging": [[0.5, 0.6]]}, NumberError, "logging has rows that are no probabilities"),
        ({"target": [[-0.1, 1.1]]}, NumberError, "target has rows that are no probabilities"),
        ({"target": [[np.nan, 1.0]]}, NumberError, "target has rows that are no probabilities"),
        ({"target": [[0.1, 0.4, 0.5]]}, InputError, r"logging has shape \(1, 2\) and target \(1, 3\)"),
        ({"logging": [0.5, 0.5]}, InputError, "logging has shape"),
        ({"offer": [2]}, InputError, "offer has numbers from 2 to 2; there are 2 offers"),
        ({"offer": [-1]}, InputError, "offer has numbers from -1"),
        ({"offer": [0, 1]}, InputError, r"offer has shape \(2,\)"),
        ({"offer": [0.0]}, InputError, "dtype float64"),
    ],
)
def test_invalid_probabilities_and_offers_are_rejected(fault, error, words):
    given_ = [np.array(each) for each in {**GOOD, **fault}.values()]
    with pytest.raises(error, match=words):
        marginal_weights(*given_, np.array([0, 1]))
    with pytest.raises(error, match=words):
        slate_weights(*given_, np.eye(2))


def test_labels_and_columns_of_wrong_shape_are_rejected():
    given_ = [np.array(each) for each in GOOD.values()]
    for labels in (np.array([0]), np.array([0.0, 1.0])):
        with pytest.raises(InputError, match="labels has shape"):
            marginal_weights(*given_, labels)
    for columns, words in (
        (np.eye(3), "columns has shape"),
        (np.array([[1, 0.5], [0, 1]]), "one option a dimension"),
        (np.array([[1, 1], [0, 1]]), "one option a dimension"),
    ):
        with pytest.raises(InputError, match=words):
            slate_weights(*given_, columns)


def test_no_rows_have_no_weights():
    none = np.zeros((0, 2))
    assert marginal_weights(none, none, np.zeros(0, dtype=int), np.array([0, 1])).shape == (0,)
    assert slate_weights(none, none, np.zeros(0, dtype=int), np.eye(2)).shape == (0,)
