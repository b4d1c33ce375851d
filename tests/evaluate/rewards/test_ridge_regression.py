"""The ridge regression of rewards, compared with a direct solution from the rows."""

from dataclasses import replace

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.domain import LoggedBatch
from bandit.encoding.encoder import Encoder
from bandit.evaluate import RidgeReward
from bandit.evaluate.rewards import ridge_regression
from bandit.evaluate.rewards.ridge_regression import ridge
from tests.evaluate.additive_market import CATALOGUE as ADDITIVE
from tests.evaluate.additive_market import draw as draw_log

CATALOGUE = Catalogue.from_dict(
    {
        "name": "tiny",
        "objective": {"kind": "reward"},
        "context": {"kind": {"type": "categorical", "values": ["a", "b"]}, "age": {"type": "numeric"}},
        "dimensions": [
            {
                "name": "discount",
                "options": [{"name": "0", "depth": 0}, {"name": "10", "depth": 10}, {"name": "20", "depth": 20}],
            },
            {"name": "channel", "options": [{"name": "mail"}, {"name": "sms"}]},
        ],
    }
)


def draw(rng, n, noise=0.3):
    """A batch whose mean reward the regression can represent: kind times discount, and a pair."""
    kind = np.array(["a", "b"], dtype=object)[rng.integers(0, 2, n)]
    contexts = CATALOGUE.contexts({"kind": kind, "age": rng.normal(size=n)})
    offer = rng.integers(0, CATALOGUE.n_offers, n)
    reward = truth(contexts)[np.arange(n), offer] + rng.normal(0.0, noise, n)
    yes, zero = np.ones((n, CATALOGUE.n_offers), dtype=bool), np.zeros(n)
    return LoggedBatch(contexts, offer, yes, np.full(n, 1 / 6), yes[:, 0], zero, reward, np.arange(n))


def truth(contexts):
    b = (contexts.columns["kind"] == 1)[:, None]
    age = contexts.columns["age"][:, None]
    discount, sms = CATALOGUE.options[:, 0][None, :], CATALOGUE.options[:, 1][None, :]
    return 5.0 + discount * (1.0 - 0.5 * b) + 0.3 * age * sms + 1.5 * (discount == 2) * sms


def design(batch, model):
    """The columns of the regression, row by row."""
    x = model.encoder.context_matrix(batch.contexts)
    crossed = model._crossed[batch.offer]
    return np.hstack([(x[:, :, None] * crossed[:, None, :]).reshape(len(batch), -1), model._alone[batch.offer]])


@pytest.mark.parametrize("limit", [1_500, 48, 40, 2])
def test_streamed_cross_products_are_those_of_the_rows(limit, monkeypatch):
    """The layout shrinks with the limit; whatever it is, solving from the rows gives the same predictions."""
    monkeypatch.setattr(ridge_regression, "MAX_REGRESSION_COLUMNS", limit)
    monkeypatch.setattr(ridge_regression, "_PRODUCT_CELLS", 36 * 50)
    rng = np.random.default_rng(1)
    batch, new = draw(rng, 700), draw(rng, 20)
    model = RidgeReward(Encoder(CATALOGUE))
    for start in range(0, 700, 300):
        model.learn(batch.take(slice(start, start + 300)))
    z = design(batch, model)
    coefficients, constant = ridge(z.T @ z, z.T @ batch.reward, float(batch.reward @ batch.reward), 700)
    want = design(new, model) @ coefficients + constant
    got = model.predict(new.contexts)[np.arange(20), new.offer]
    assert got == pytest.approx(want, abs=1e-8)


def test_layout_drops_pairs_first_and_crossed_terms_then(monkeypatch):
    """d = 7 context columns, K = 6 option columns, P = 6 pairs: 7 x 7 + 6 = 55, 49, 7 + 6 + 6 = 19, 13."""
    encoder = Encoder(CATALOGUE)
    assert (encoder.n_context, encoder.offers.main.shape[1], encoder.offers.pairs.shape[1]) == (7, 6, 6)
    for limit, columns in ((55, 55), (54, 49), (48, 19), (18, 13), (1, 13)):
        monkeypatch.setattr(ridge_regression, "MAX_REGRESSION_COLUMNS", limit)
        model = RidgeReward(encoder)
        assert 7 * model._crossed.shape[1] + model._alone.shape[1] == columns


def test_ridge_is_the_textbook_formula_at_the_penalty_with_the_best_cross_validation():
    """Leave-one-out by the hat matrix, over the same grid, on standardised columns: the slow oracle."""
    rng = np.random.default_rng(2)
    z = np.hstack([np.ones((60, 1)), rng.normal(2.0, [1.0, 5.0, 0.1, 1.0], (60, 4))])
    y = z @ [3.0, 1.0, 0.0, 0.0, -1.0] + rng.normal(0, 2.0, 60)
    coefficients, constant = ridge(z.T @ z, z.T @ y, float(y @ y), 60)
    s = (z[:, 1:] - z[:, 1:].mean(axis=0)) / z[:, 1:].std(axis=0)
    scores, fits = [], []
    for penalty in ridge_regression._PENALTIES:
        solve = np.linalg.solve(s.T @ s / 60 + penalty * np.eye(4), s.T / 60)
        hat = s @ solve + 1 / 60
        scores.append(np.mean((y - hat @ y) ** 2) / (1 - np.trace(hat) / 60) ** 2)
        fits.append(hat @ y)
    assert z @ coefficients + constant == pytest.approx(fits[int(np.argmin(scores))], abs=1e-9)


def test_predictions_come_close_to_a_truth_that_the_columns_can_express():
    rng = np.random.default_rng(3)
    model = RidgeReward(Encoder(CATALOGUE))
    model.learn(draw(rng, 20_000))
    contexts = draw(rng, 500).contexts
    error = model.predict(contexts) - truth(contexts)
    # About 40 coefficients from 20,000 rows with noise .3: .3 x sqrt(40 / 20,000) = .013; ages beyond are clipped.
    assert np.sqrt(np.mean(error**2)) < 0.03


def test_noise_is_predicted_by_its_mean():
    rng = np.random.default_rng(4)
    batch = draw(rng, 2_000)
    noise = rng.normal(7.0, 1.0, 2_000)
    model = RidgeReward(Encoder(CATALOGUE))
    model.learn(replace(batch, revenue=noise, reward=noise))
    assert np.abs(model.predict(batch.contexts) - 7.0).max() < 0.5


def test_before_anything_is_learned_the_prediction_is_zero_and_after_one_row_that_row():
    rng = np.random.default_rng(5)
    model, batch = RidgeReward(Encoder(CATALOGUE)), draw(rng, 1)
    assert (model.predict(batch.contexts) == 0.0).all()
    model.learn(batch.take(slice(0, 0)))
    model.learn(batch)
    assert model.predict(batch.contexts) == pytest.approx(np.full((1, 6), batch.reward[0]))


def test_weight_of_two_counts_like_two_rows():
    batch = draw_log(np.random.default_rng(6), 400).whole
    twice = np.arange(400) < 150
    weighted, repeated = RidgeReward(Encoder(ADDITIVE)), RidgeReward(Encoder(ADDITIVE))
    weighted.learn(batch, np.where(twice, 2.0, 1.0))
    repeated.learn(batch)
    repeated.learn(batch.take(twice))
    # The number of rows decides on the penalty, and repeating says there are more.
    weighted._n = repeated._n
    np.testing.assert_allclose(weighted.predict(batch.contexts), repeated.predict(batch.contexts), atol=1e-9)


def test_weights_matter_by_their_ratios_alone():
    batch = draw_log(np.random.default_rng(7), 400).whole
    weight = np.random.default_rng(8).uniform(0.0, 3.0, 400)
    models = []
    for scale in (1.0, 1_000.0):
        model = RidgeReward(Encoder(ADDITIVE))
        model.learn(batch, weight * scale)
        models.append(model.predict(batch.contexts))
    np.testing.assert_allclose(*models, atol=1e-9)
