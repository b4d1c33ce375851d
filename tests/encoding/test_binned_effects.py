import numpy as np
import pytest

import bandit
from bandit.encoding.binned_effects import BinnedEffects, fit, fit_binned_effects
from bandit.encoding.encoder import BINNED_GROUP, Encoder
from bandit.encoding.scales import fit_scales
from bandit.policies.thompson import offer_model, offer_scores


def test_binned_effects_are_orthogonal_to_the_line_and_of_mean_square_one():
    """Over the values they were fitted to, the columns are orthogonal to 1 and x, and their squares sum to 1."""
    x = np.random.default_rng(1).normal(size=400)
    effects = fit({"age": x})["age"]
    columns = effects.columns(x)
    np.testing.assert_allclose(columns.mean(axis=0), 0.0, atol=1e-10)
    np.testing.assert_allclose(x @ columns / 400, 0.0, atol=1e-10)
    assert (columns**2).sum(axis=1).mean() == pytest.approx(1.0)
    assert effects.n_columns == 3


def test_a_fact_of_few_values_or_few_customers_has_no_binned_effects():
    assert not fit({"switch": np.repeat([0.0, 1.0], 100), "rare": np.arange(20.0), "same": np.zeros(100)})


def test_plain_numbers_restore_the_same_effects_and_others_are_refused():
    effects = fit({"age": np.random.default_rng(2).normal(size=300)})["age"]
    same = BinnedEffects.from_plain(effects.to_plain())
    x = np.linspace(-3, 3, 50)
    assert np.array_equal(same.columns(x), effects.columns(x))
    with pytest.raises(ValueError, match="binned effects"):
        BinnedEffects.from_plain([[0.0], [[1.0]], [[1.0], [1.0]]])


def test_one_context_and_a_batch_have_the_same_columns_and_missing_is_zero(catalogue):
    rng = np.random.default_rng(3)
    recency = np.where(rng.random(200) < 0.2, np.nan, rng.normal(size=200))
    contexts = catalogue.contexts({"recency": recency})
    scales = fit_scales(catalogue, contexts)
    encoder = Encoder(catalogue, scales, binned_effects=fit_binned_effects(catalogue, contexts, scales))
    matrix = encoder.context_matrix(contexts)
    binned = encoder.context_group == BINNED_GROUP
    assert binned.sum() == 3
    assert (matrix[np.isnan(recency)][:, binned] == 0.0).all()
    for row in range(50):
        one = encoder.context_matrix(contexts.take(slice(row, row + 1)))
        np.testing.assert_allclose(one, matrix[row : row + 1], atol=1e-12)


def test_a_threshold_is_learned_once_there_is_enough_to_learn_it_from(monkeypatch):
    """Text messages work between the quantiles of .4 and .6 of a fact and nowhere else, which no straight line says:
    with binned effects (from 1,000 outcomes here) the predicted gain there is twice that without (the control). Without
    crosses, which find the threshold, too."""
    plain = {
        "objective": {"kind": "conversion"},
        "context": {"age": {"type": "numeric"}},
        "dimensions": [{"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]}],
    }
    catalogue = bandit.Catalogue.from_dict(plain)
    gains = []
    for start in (1_000, 10**9):
        for module in (offer_model, offer_scores):
            monkeypatch.setattr(module, "BINNED_EFFECTS_FROM", start)
        rng = np.random.default_rng(4)
        policy = bandit.ThompsonSampling(catalogue, methods=[])
        for _ in range(12):
            age, offer = rng.normal(size=1_000), rng.integers(2, size=1_000)
            chance = 0.2 + 0.5 * (offer == 1) * (np.abs(age) < 0.25)
            converted = rng.random(1_000) < chance
            eligible, none = np.ones((1_000, 2), dtype=bool), np.zeros(1_000)
            policy.update(
                bandit.domain.Outcomes.new(
                    catalogue.contexts({"age": age}),
                    offer,
                    eligible,
                    np.full(1_000, 0.5),
                    converted,
                    none,
                    converted.astype(float),
                )
            )
        predicted = policy.predict(catalogue.contexts({"age": np.linspace(-0.2, 0.2, 9)}))
        gains.append((predicted[:, 1] - predicted[:, 0]).mean())
    assert gains[0] > 2 * gains[1]
