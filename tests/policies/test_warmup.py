import numpy as np
import pytest

from bandit.policies.warmup import Warmup
from tests.conftest import amended, draw_outcomes


def test_a_restored_warm_up_has_the_same_outcomes_in_the_same_batches(catalogue):
    warmup = Warmup(50)
    for n, seed in ((7, 1), (5, 2)):
        outcomes = draw_outcomes(catalogue, n, np.random.default_rng(seed))
        warmup.add(amended(outcomes, time=np.arange(n), weight=np.full(n, 0.5), previous_weight=np.zeros(n)))
    sizes, arrays = warmup.state()
    again = Warmup.restore(50, catalogue, sizes, arrays)
    assert (sizes, again.room) == ([7, 5], 38)
    same_sizes, same = again.state()
    assert same_sizes == sizes
    for name, array in arrays.items():
        np.testing.assert_array_equal(same[name], array)


def test_an_empty_batch_is_not_kept(catalogue):
    warmup = Warmup(5)
    warmup.add(draw_outcomes(catalogue, 0, np.random.default_rng(1)))
    assert warmup.state() == ([], {})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sizes": [3, 4]}, "impossible sizes"),
        ({"sizes": [0, 2]}, "impossible sizes"),
        ({"offer": np.array([0, 10])}, "other offers"),
        ({"eligible": np.zeros((2, 9), dtype=np.uint8)}, "other eligible offers"),
        ({"revenue": np.zeros(3)}, "another kind"),
        ({"context/gender": np.array([0, 7])}, "not declared"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(catalogue, change, words):
    warmup = Warmup(5)
    warmup.add(draw_outcomes(catalogue, 2, np.random.default_rng(1)))
    sizes, arrays = warmup.state()
    Warmup.restore(5, catalogue, sizes, arrays)
    with pytest.raises(ValueError, match=words):
        Warmup.restore(5, catalogue, change.pop("sizes", sizes), {**arrays, **change})
