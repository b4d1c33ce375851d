"""Open Bandit Pipeline's feedback, there and back."""

import numpy as np
import pytest

import bandit
from bandit.errors import InputError, NumberError
from bandit.evaluate import evaluate
from bandit.logfiles import ArrayLog, from_obp, to_obp
from tests.conftest import draw_outcomes


def feedback(n=200, n_actions=3, **changed):
    """What OBP's data sets give: uniform actions, a reward that rises with the action's number."""
    rng = np.random.default_rng(4)
    action = rng.integers(0, n_actions, n)
    return {
        "n_rounds": n,
        "n_actions": n_actions,
        "context": rng.normal(size=(n, 2)),
        "action_context": np.eye(n_actions, dtype=np.int64),
        "action": action,
        "position": None,
        "reward": (rng.random(n) < 0.2 + 0.2 * action).astype(np.int64),
        "expected_reward": np.zeros((n, n_actions)),
        "pi_b": np.full((n, n_actions, 1), 1 / n_actions),
        "pscore": np.full(n, 1 / n_actions),
    } | changed


def spring_log(catalogue, n=500):
    drawn = draw_outcomes(catalogue, n, np.random.default_rng(1))
    names = ("contexts", "offer", "eligible", "propensity", "converted", "revenue", "reward")
    times = np.arange(n, dtype=np.int64)
    decisions = bandit.domain.LoggedBatch(**{name: getattr(drawn, name) for name in names}, time=times)
    return ArrayLog(decisions, catalogue)


def test_the_feedback_has_the_keys_and_shapes_that_obp_documents(catalogue):
    """10 offers with 7 one-hot option columns and `depth`; 2 values of gender, 2 other facts, 3 that may be missing."""
    log = spring_log(catalogue)
    given = to_obp(log)
    assert (given["n_rounds"], given["n_actions"], given["position"]) == (500, 10, None)
    shapes = {name: given[name].shape for name in ("context", "action_context", "action", "reward", "pscore")}
    assert shapes == {
        "context": (500, 7),
        "action_context": (10, 8),
        "action": (500,),
        "reward": (500,),
        "pscore": (500,),
    }
    assert given["action"].dtype == np.int64
    assert np.isfinite(given["context"]).all()
    assert given["reward"].tolist() == log.decisions.reward.tolist()


def test_what_comes_from_obp_goes_back_as_it_was():
    given = feedback()
    back = to_obp(from_obp(given))
    for name in ("n_rounds", "n_actions", "context", "action", "reward", "pscore", "position"):
        np.testing.assert_array_equal(back[name], given[name])


def test_a_log_from_obp_is_evaluated():
    """The value of always taking an action, by snips: the mean reward of its rounds."""
    given = feedback(2_000)
    log = from_obp(given)
    always = bandit.ConstantOffer(log.catalogue, {"action": "a2"})
    (row,) = evaluate(log, [always]).rows
    assert row.estimate("snips").value == pytest.approx(given["reward"][given["action"] == 2].mean())


def test_of_several_positions_one_is_chosen():
    given = feedback(4, position=np.array([0, 1, 0, 2]))
    assert from_obp(given, position=0).n == 2
    assert from_obp(feedback(4, position=np.zeros(4, dtype=int))).n == 4
    with pytest.raises(InputError, match=r"shown at the positions \[0, 1, 2\]; say of which"):
        from_obp(given)
    with pytest.raises(InputError, match="no action was shown at position 9"):
        from_obp(given, position=9)
    with pytest.raises(InputError, match="has no positions"):
        from_obp(feedback(), position=1)


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"pscore": None}, InputError, 'the feedback has no "pscore"'),
        ({"pscore": np.zeros(200)}, NumberError, "pscore is a probability above 0 and at most 1; seen 0.0"),
        ({"pscore": np.ones(7)}, InputError, r'"pscore" must have the shape \(200,\); seen \(7,\)'),
        ({"reward": np.full(200, np.nan)}, NumberError, '"reward" has a number that is not finite'),
        ({"reward": ["a"] * 200}, InputError, '"reward" has numbers; seen'),
        ({"action": np.full(200, 3)}, InputError, "numbers from 0 to 2; seen 3"),
        ({"action": np.zeros(200)}, InputError, '"action" is a list of whole numbers; seen float64'),
        ({"context": np.zeros(200)}, InputError, r'"context" must have the shape \(200, \'any\'\)'),
        ({"action_context": np.zeros((2, 2))}, InputError, '"action_context" must have the shape'),
        ({"position": np.zeros(3, dtype=int)}, InputError, '"position" has 3 rows'),
    ],
)
def test_bad_feedback_is_refused_in_one_sentence(changed, error, words):
    with pytest.raises(error, match=words):
        from_obp(feedback(**changed))


def test_an_empty_log_cannot_be_handed_over(catalogue):
    log = spring_log(catalogue)
    with pytest.raises(InputError, match="no decisions to hand to OBP"):
        to_obp(ArrayLog(log.decisions.take(slice(0, 0)), catalogue))
    with pytest.raises(InputError, match="no rounds"):
        from_obp(feedback(0))
    with pytest.raises(InputError, match="at least one decision"):
        next(log.batches(0))
