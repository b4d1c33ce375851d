"""With any of VW's arguments the state after a log's steps is the same, whoever loads it in between."""

import numpy as np
import pytest

import bandit
from bandit.policies.vw.workspace import WorkspacePair
from tests.conftest import draw_contexts, draw_outcomes
from tests.policies.tools import probabilities

SEVERAL_REGRESSORS = (
    "--bag 5",
    "--bag 3 --greedify",
    "--cover 4",
    "--rnd 3",
    "--cb_type dr",
    "--synthcover --cb_type dr",
)
ONE_REGRESSOR = ("--epsilon 0.1", "--squarecb", "--softmax", "--regcb", "--first 20", "--synthcover", "--cb_type ips")
OTHERS = ("--epsilon_decay", "--cb_dro", "--nn 3", "--boosting 3", "--random_weights", "--lrq ca3", "--sparse_weights")

FAST = {*SEVERAL_REGRESSORS, *ONE_REGRESSOR[:2], *OTHERS[:2]}
"""Arguments of each kind; all the others are tried with the slow tests."""


def steps_of(catalogue):
    """Four steps of outcomes; the warm-up of 20 ends within the first."""
    return [draw_outcomes(catalogue, 30, np.random.default_rng(step)) for step in range(4)]


def states(catalogue, args, *, reload_at=()):
    """The state after each step, by a policy that another one replaces, from its state, before some of the steps."""
    policy, found = bandit.VowpalWabbit(catalogue, args=args, warm_up=20), []
    for step, outcomes in enumerate(steps_of(catalogue)):
        if step in reload_at:
            state = policy.dumps()
            policy = bandit.VowpalWabbit(catalogue, args=args, warm_up=20)
            policy.loads(state)
            assert policy.dumps() == state
        policy.update(outcomes)
        found.append(policy.dumps())
    return found, policy


@pytest.mark.parametrize(
    "args",
    [
        each if each in FAST else pytest.param(each, marks=pytest.mark.slow)
        for each in (*SEVERAL_REGRESSORS, *ONE_REGRESSOR, *OTHERS)
    ],
)
def test_the_state_and_the_probabilities_do_not_depend_on_who_loaded_them(catalogue, args):
    """One policy learns four steps; another is loaded anew before the 3rd, a third before each: the same bytes."""
    throughout, policy = states(catalogue, args)
    contexts = draw_contexts(catalogue, 10, np.random.default_rng(9))
    eligible = catalogue.eligible(contexts)
    given = probabilities(policy, contexts, eligible)
    np.testing.assert_array_equal(probabilities(policy, contexts, eligible), given)
    for reload_at in ((2,), (0, 1, 2, 3)):
        again, other = states(catalogue, args, reload_at=reload_at)
        assert again == throughout
        np.testing.assert_array_equal(probabilities(other, contexts, eligible), given)


@pytest.mark.parametrize("args", ["--bag 5", "--cover 4", "--rnd 3"])
def test_without_going_on_from_the_model_file_the_states_differ(catalogue, args, monkeypatch):
    """The negative control: VW's file has the running scale of the features of the first regressor only."""
    monkeypatch.setattr(WorkspacePair, "resume", lambda _: None)
    assert states(catalogue, args)[0] != states(catalogue, args, reload_at=(2,))[0]
    assert states(catalogue, "--epsilon 0.1")[0] == states(catalogue, "--epsilon 0.1", reload_at=(2,))[0]
