import numpy as np

from bandit.encoding.encoder import Encoder
from bandit.encoding.scales import CLIP, FactScale, fit_scales
from tests.conftest import draw_contexts


def test_context_columns_are_what_their_names_say(catalogue):
    """recency (3 - 1) / 2 = 1; loyal false = -1; gender x is the bucket "other"."""
    encoder = Encoder(catalogue, {"recency": FactScale(1.0, 2.0)})
    rows = [{"gender": "m", "recency": 3.0, "loyal": False}, {"gender": "x"}]
    matrix = encoder.context_matrix(catalogue.contexts(rows))
    first, second = (dict(zip(encoder.context_names, row, strict=True)) for row in matrix.tolist())
    assert first == {
        "intercept": 1,
        "gender=f": 0,
        "gender=m": 1,
        "gender=other": 0,
        "gender=missing": 0,
        "recency": 1,
        "recency=missing": 0,
        "loyal": -1,
        "loyal=missing": 0,
    }
    assert second["gender=other"] == second["recency=missing"] == second["loyal=missing"] == 1
    assert second["recency"] == second["loyal"] == 0


def test_numeric_facts_are_kept_within_the_clip(catalogue):
    matrix = Encoder(catalogue, {"recency": FactScale(0.0, 1.0)}).context_matrix(
        catalogue.contexts({"recency": np.array([1e9, -1e9])})
    )
    assert matrix.max() == CLIP
    assert matrix.min() == -CLIP


def test_a_batch_is_encoded_as_its_rows(catalogue):
    contexts = draw_contexts(catalogue, 40, np.random.default_rng(3))
    encoder = Encoder(catalogue, fit_scales(catalogue, contexts))
    together = encoder.context_matrix(contexts)
    apart = np.concatenate([encoder.context_matrix(contexts.take(slice(row, row + 1))) for row in range(40)])
    np.testing.assert_array_equal(together, apart)
