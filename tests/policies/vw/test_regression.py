import numpy as np
import pytest
from scipy.special import expit

from bandit.policies.vw import Regression, signed_labels


def test_what_numpy_reads_is_what_vw_predicts():
    """The score from the weights read back, and VW's own answer to the same features."""
    rng = np.random.default_rng(19)
    main, pairs = np.eye(4), np.eye(4)[:, :2]
    regression = Regression(main, pairs, 3, loss="squared", rate=0.01)
    x, offer = rng.normal(size=(200, 3)), rng.integers(0, 4, 200)
    regression.learn(x, offer, rng.normal(size=200))
    scores = regression.scores(x)
    for row in range(5):
        columns = regression._columns(x[row : row + 1], offer[row : row + 1])[0]
        said = regression._vw.predict("| " + " ".join(f"{k}:{value:.9g}" for k, value in enumerate(columns)))
        assert scores[row, offer[row]] == pytest.approx(said, abs=1e-5)


@pytest.mark.slow
def test_it_finds_a_logit_that_it_can_represent():
    """Two offers, one fact, logit 0.5 - (offer 1) + 0.8 x (offer 1). A constant step leaves each weight a variance
    of about rate / 2; four features of size 1 are active, so that a score has the deviation
    sqrt(4 x 0.001 / 2) = 0.045: within four of it. Without the fact, which is the control, offer 1 has no two
    scores, and 0.8 lies to either side."""
    rng, n = np.random.default_rng(20), 60_000
    x = np.column_stack([np.ones(n), rng.choice([-1.0, 1.0], n)])
    offer = rng.integers(0, 2, n)
    won = signed_labels(rng.random(n) < expit(0.5 - offer + 0.8 * x[:, 1] * offer))
    truth, corners = np.array([[0.5, -1.3], [0.5, 0.3]]), np.array([[1.0, -1.0], [1.0, 1.0]])
    off = []
    for seen in (x, x[:, :1]):
        regression = Regression(np.eye(2), np.zeros((2, 0)), seen.shape[1], loss="logistic", rate=0.001)
        regression.learn(seen, offer, won)
        off.append(np.abs(regression.scores(corners[:, : seen.shape[1]]) - truth).max())
    assert off[0] < 0.18 < off[1]


def test_a_reloaded_model_learns_on_as_the_one_that_was_never_saved():
    rng = np.random.default_rng(21)
    x, offer, label = rng.normal(size=(60, 3)), rng.integers(0, 4, 60), signed_labels(rng.random(60) < 0.5)
    one = Regression(np.eye(4), np.zeros((4, 0)), 3, loss="logistic", rate=0.05)
    one.learn(x[:30], offer[:30], label[:30])
    other = Regression(np.eye(4), np.zeros((4, 0)), 3, loss="logistic", rate=0.05, model=one.model())
    for each in (one, other):
        each.learn(x[30:], offer[30:], label[30:])
    np.testing.assert_array_equal(one.scores(x), other.scores(x))
    other.close()
