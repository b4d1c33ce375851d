"""Transforms of numeric facts: which one is chosen from the values, what it does to them, and extreme numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

import bandit
from bandit.encoding.binned_effects import fit_binned_effects
from bandit.encoding.encoder import Encoder
from bandit.encoding.scales import CLIP, fit_scales, scale_of
from bandit.encoding.shapes import LogShape, RankShape, choose_shape, fit_shapes, shape_from_plain

LARGEST = float(np.finfo(np.float64).max)
RNG = np.random.default_rng(1)
NORMAL = RNG.normal(size=500)
VALUES = {
    "normal": (NORMAL, None),
    "uniform": (RNG.random(500), None),
    "age in years": (np.clip(np.round(44 + 15 * NORMAL), 18, 85), None),
    "two peaks": (np.where(NORMAL > 0, 3.0, -3.0) + RNG.normal(size=500), None),
    "one of ten": (np.repeat([0.0, 1.0], [450, 50]), None),
    "a small count": (RNG.poisson(0.5, 500).astype(float), None),
    "waiting time": (RNG.exponential(size=500), LogShape),
    "spend": (120.0 * np.exp(1.1 * NORMAL), LogShape),
    "days since": (np.round(30.0 * np.exp(0.8 * NORMAL)), LogShape),
    "a share of a millionth": (1e-9 * np.exp(NORMAL), LogShape),
    "gains and losses": (NORMAL * np.exp(RNG.normal(size=500)), LogShape),
    "mostly nothing": (np.where(NORMAL < 0.5, 0.0, 50.0 * np.exp(RNG.normal(size=500))), LogShape),
    "skewed to the left": (100.0 - np.exp(NORMAL), RankShape),
    "one absurd value": (np.append(NORMAL[1:], 1e155), RankShape),
    "missing as the largest number": (np.where(NORMAL > 1.3, LARGEST, 50.0 + 10.0 * NORMAL), RankShape),
    "missing as -999": (np.where(NORMAL > 1.3, -999.0, 50.0 + RNG.normal(size=500)), RankShape),
}


@pytest.mark.parametrize("name", VALUES)
def test_skewed_values_get_the_logarithm_odd_ones_their_ranks_and_others_stay(name):
    x, kind = VALUES[name]
    shape = choose_shape(x)
    assert (shape is None) if kind is None else isinstance(shape, kind)


@pytest.mark.parametrize(
    "name", sorted(VALUES.keys() - {"one of ten"})
)  # two values are a line whatever is done to them
@pytest.mark.parametrize("transform", ["log", "rank"])
def test_a_transform_rises_with_the_value_and_single_values_are_those_of_the_batch(name, transform):
    x, _ = VALUES[name]
    shape = choose_shape(x, transform)
    values = np.unique(np.concatenate([x, [0.0, -LARGEST, LARGEST]]))
    transformed = shape.values(values)
    assert np.isfinite(transformed).all()
    assert (np.diff(transformed) >= 0.0).all()
    np.testing.assert_allclose([shape.value(value) for value in values.tolist()], transformed, atol=1e-10)
    again = shape_from_plain(shape.to_plain())
    assert np.array_equal(again.values(values), transformed)


def test_the_signed_logarithm_is_what_its_formula_says():
    """Unit 2: log(1 + 6 / 2) = log 4, -log 4 for -6, and 0 for 0; the largest number gives log of it, not infinity."""
    shape = LogShape(2.0)
    found = shape.values(np.array([6.0, -6.0, 0.0, LARGEST, np.nan]))
    np.testing.assert_allclose(found[:4], [np.log(4.0), -np.log(4.0), 0.0, np.log(LARGEST) - np.log(2.0)])
    assert np.isnan(found[4])


def test_ranks_become_normal_scores_and_ties_share_theirs():
    """Of 40 values 10 are 0, 20 are 1 and 10 are 5: middle ranks 5, 20 and 35 of 40, so scores of 1/8, 1/2 and 7/8."""
    shape = choose_shape(np.repeat([0.0, 1.0, 5.0], [10, 20, 10]), "rank")
    np.testing.assert_allclose(shape.values(np.array([0.0, 1.0, 5.0])), ndtri([0.125, 0.5, 0.875]), atol=1e-12)
    between = (np.log(4.0) - np.log(2.0)) / (np.log(6.0) - np.log(2.0))  # linear in log(1 + x) between 1 and 5
    assert shape.value(3.0) == pytest.approx(between * ndtri(0.875))
    assert shape.value(1e9) == pytest.approx(ndtri(0.875))


def test_few_values_stay_as_they_are_unless_a_logarithm_is_declared():
    """29 values do not show a shape, 30 do; a declared logarithm has the unit 1 until then."""
    x = np.exp(2.0 * NORMAL)
    assert choose_shape(x[:29]) is None
    assert choose_shape(x[:29], "rank") is None
    assert choose_shape(x[:29], "log") == LogShape(1.0)
    assert isinstance(choose_shape(x[:30]), LogShape)
    assert choose_shape(x, "none") is None
    assert choose_shape(np.full(100, 3.0)) is None


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=0, max_size=60))
def test_any_finite_values_have_a_finite_transform_and_scale(values):
    x = np.array(values * 2, dtype=np.float64)
    for transform in ("auto", "log", "rank", "none"):
        shape = choose_shape(x, transform)
        found = x if shape is None else shape.values(x)
        scale = scale_of(found)
        assert np.isfinite([scale.center, scale.scale]).all()
        assert scale.scale > 0.0
        assert (np.abs(scale.standardised(found)) <= CLIP).all()


def test_a_fact_is_encoded_by_its_transform_and_then_its_scale():
    """A lognormal fact: its logarithm is standard normal, so that a value of e^2 times the median is encoded as 2."""
    plain = {
        "context": {"spend": {"type": "numeric"}, "age": {"type": "numeric"}, "income": {"type": "numeric"}},
        "dimensions": [{"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]}],
    }
    plain["context"]["income"]["transform"] = "none"
    catalogue = bandit.Catalogue.from_dict(plain)
    normal = ndtri((np.arange(1_000) + 0.5) / 1_000)
    skewed = 5e4 * np.exp(normal)
    contexts = catalogue.contexts({"spend": skewed, "age": 40.0 + normal, "income": skewed})
    shapes = fit_shapes(catalogue, contexts, "auto")
    assert set(shapes) == {"spend"}
    scales = fit_scales(catalogue, contexts, shapes)
    encoder = Encoder(catalogue, scales, True, fit_binned_effects(catalogue, contexts, scales, shapes), shapes)
    some = catalogue.contexts([{"spend": 5e4 * np.exp(2.0), "age": 42.0, "income": 5e4}])
    row = dict(zip(encoder.context_names, encoder.context_matrix(some)[0].tolist(), strict=True))
    assert row["spend"] == pytest.approx(2.0, abs=0.02)
    assert row["age"] == pytest.approx(2.0, abs=0.02)
    assert row["income"] < 0.0  # the median lies below the mean
    batch = encoder.context_matrix(contexts)
    assert batch[:, 1].mean() == pytest.approx(0.0, abs=1e-9)
    one = np.concatenate([encoder.context_matrix(contexts.take(slice(at, at + 1))) for at in range(0, 1_000, 50)])
    np.testing.assert_allclose(one, batch[::50], atol=1e-12)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (["log", -1.0], "unit"),
        (["log", float("inf")], "unit"),
        (["rank", [1.0, 2.0], [0.0]], "shapes"),
        (["rank", [2.0, 1.0], [0.0, 1.0]], "increase"),
        (["root"], "root"),
    ],
)
def test_plain_parts_that_are_no_transform_are_refused(parts, words):
    with pytest.raises(ValueError, match=words):
        shape_from_plain(parts)
