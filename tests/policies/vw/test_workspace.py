import pytest

import bandit
from bandit.errors import PolicyError
from bandit.policies.vw.arguments import check_arguments
from bandit.policies.vw.workspace import Workspace, WorkspacePair


@pytest.mark.parametrize("args", ["-f stolen", "-fstolen", "--cache_file=x", "--invert_hash x", "--daemon", "-c"])
def test_arguments_that_use_files_or_the_network_are_refused(args, catalogue):
    with pytest.raises(PolicyError, match=args.split()[0].split("=")[0][:2]):
        bandit.VowpalWabbit(catalogue, args=args)


def test_arguments_that_the_policy_sets_are_refused(catalogue):
    with pytest.raises(PolicyError, match="cb_explore_adf"):
        bandit.VowpalWabbit(catalogue, args="--cb_explore_adf")


def test_arguments_that_vw_does_not_know_are_refused(catalogue):
    with pytest.raises(PolicyError, match="not among the options"):
        bandit.VowpalWabbit(catalogue, args="--no_such_option")


def test_arguments_of_interactions_pass():
    assert check_arguments("-q ca --cubic caa -l 0.5 --cb_type dr") == "-q ca --cubic caa -l 0.5 --cb_type dr"


def test_closing_twice_does_nothing():
    workspace = Workspace("--cb_explore_adf")
    workspace.close()
    workspace.close()


def test_predictions_do_not_change_the_model_and_follow_the_last_update():
    asked = WorkspacePair("--cb_explore_adf --epsilon 0 -l 5")
    lines = ["shared |c x", "|a p", "|a q"]
    before = asked.model()
    asked.predict(lines)
    assert asked.model() == before
    for _ in range(20):
        asked.learn([lines[0], lines[1], "0:-1:0.5 " + lines[2]])
    assert asked.predict(lines)[1] == pytest.approx(1.0)
    asked.close()


def test_models_and_examples_that_vw_cannot_read_are_refused():
    with pytest.raises(PolicyError, match="does not start"):
        Workspace("--cb_explore_adf", b"rubbish")
    with pytest.raises(PolicyError, match="cannot"):
        Workspace("--cb_explore_adf").learn([])
