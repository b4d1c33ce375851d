"""Vowpal Wabbit's arguments: what is allowed, within bounds, and what is refused in one sentence."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading

import msgspec
import numpy as np
import pytest

import bandit
from bandit.domain import Outcomes
from bandit.errors import PolicyError
from bandit.policies.vw.arguments import ALLOWED, MAX_ARGUMENTS, SHORT, check_arguments
from bandit.policies.vw.workspace import Workspace

KEY = b"a key of at least sixteen bytes"


@pytest.fixture
def catalogue() -> bandit.Catalogue:
    return bandit.Catalogue.from_dict(
        {
            "objective": {"kind": "reward"},
            "context": {"recency": {"type": "numeric"}},
            "dimensions": [{"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]}],
            "fallback": {"channel": "email"},
        }
    )


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ("data", "would read its data from a file called data"),
        ("-q ca /etc/passwd", "from a file called /etc/passwd"),
        ("--squarecb 5", "from a file called 5"),
        ("- -q ca", "from a file called -"),
        ("-q ca cb", "from a file called cb"),
        ("--bag 100000000", "--bag takes a whole number from 1 to 64 here; seen 100000000"),
        ("--bag=65", "--bag takes"),
        ("--bag -1", "--bag takes"),
        ("--bag 1e1", "--bag takes"),
        ("--bag", "--bag needs a value"),
        ("--cover 100000000", "--cover takes"),
        ("--rnd 100000000", "--rnd takes"),
        ("--boosting 9999999", "--boosting takes"),
        ("--nn 9999999", "--nn takes"),
        ("--synthcover --synthcoversize 100000000", "--synthcoversize takes"),
        ("--ngram 9999999", "--ngram takes 1, 2 or 3"),
        ("--skips c9999999", "--skips takes"),
        ("--autolink 9999999", "--autolink takes"),
        ("--lrq ca9999999", "--lrq takes"),
        ("--interactions cacacaca", "--interactions takes"),
        ("-b 40", "--bit_precision takes a whole number from 1 to 28"),
        ("-b40", "--bit_precision takes"),
        ("-b=29", "--bit_precision takes"),
        ("-l nan", "--learning_rate takes"),
        ("-l inf", "--learning_rate takes"),
        ("-l -0.5", "--learning_rate takes"),
        ("--epsilon 1.5", "--epsilon takes a number from 0 to 1"),
        ("--cb_type none", "--cb_type takes one of mtr"),
        ("--squarecb=1", "--squarecb has no value"),
        ("-i model", "VW's -i is not among"),
        ("-f model", "VW's -f is not among"),
        ("-d data", "VW's -d is not among"),
        ("--cache_file x", "VW's --cache_file is not among"),
        ("--daemon", "VW's --daemon is not among"),
        ("--passes 10", "VW's --passes is not among"),
        ("--random_seed 3", "VW's --random_seed is not among"),
        ("--search 3", "VW's --search is not among"),
        ("--automl 4", "VW's --automl is not among"),
        ("--csv", "VW's --csv is not among"),
        ("--id x", "VW's --id is not among"),
        ("--bagg 3", 'did you mean "bag"'),
        ("-q ca\n-f x", "one line of ASCII"),
        ("-q c\u00e9", "one line of ASCII"),
        (" ".join(["-q ca"] * MAX_ARGUMENTS), "at most 200 are read"),
    ],
)
def test_what_is_not_allowed_is_refused_in_one_sentence(args, sentence):
    with pytest.raises(PolicyError) as raised:
        check_arguments(args)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "args",
    [
        "",
        "--cb_type mtr --squarecb --gamma_scale 1000 --clip_p 1 -l 2 -q ca",
        "--bag 5 --greedify --epsilon 0.05",
        "--cover 3 --psi 0.1 --nounif --cb_type dr",
        "--rnd 3 --rnd_alpha 0.1 --rnd_invlambda 0.1",
        "--regcbopt --mellowness 0.01 --cb_min_cost -1 --cb_max_cost 1",
        "--softmax --lambda 10 --cubic caa --interactions caca",
        "--first 100 --coin",
        "--ftrl --ftrl_alpha 0.01 --ftrl_beta 1 --l1 0.001 --l2=0.001",
        "--nn 3 --inpass -b18 -l0.1 -qca",
        "--boosting 3 --alg BBM --gamma 0.1",
        "--lrq ca4 --lrqdropout --ignore a --keep ca --ignore_linear c",
        "--synthcover --synthcoverpsi 0.1 --synthcoversize 10",
        "--cb_dro --cb_dro_alpha 0.05 --cb_dro_tau 0.999",
        "--squarecb --large_action_space --max_actions 2 --noconstant --power_t 0.5 --initial_t 1",
    ],
)
def test_allowed_arguments_start_learn_predict_and_are_read_back_by_vw(args, catalogue):
    """Each is what VW itself takes: a policy learns 30 outcomes with it, and its state is read by another one."""
    n = 30
    policy = bandit.VowpalWabbit(catalogue, args=args, warm_up=10)
    contexts = catalogue.contexts({"recency": list(np.linspace(0.0, 9.0, n))})
    reward = np.linspace(-1.0, 1.0, n)
    eligible, half = np.ones((n, 2), dtype=np.bool_), np.full(n, 0.5)
    offer = np.arange(n, dtype=np.int64) % 2
    policy.update(Outcomes.new(contexts, offer, eligible, half, reward > 0, reward, reward))
    found = policy.probabilities(contexts, eligible, np.random.default_rng(1))
    assert found.sum(axis=1) == pytest.approx(np.ones(n))
    again = bandit.VowpalWabbit(catalogue, args=args, warm_up=10)
    again.loads(policy.dumps())
    assert again.probabilities(contexts, eligible, np.random.default_rng(1)) == pytest.approx(found)


def test_each_allowed_option_is_one_that_vw_has():
    """VW prints the options of all of its parts; an option that it does not have would be a misspelt line of ours."""
    program = "import vowpalwabbit; vowpalwabbit.Workspace('--help')"
    command = [sys.executable, "-c", program]
    printed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our own
    known = set(re.findall(r"--(\w+)", printed.stdout + printed.stderr))
    assert len(known) > 300
    assert {option for option in ALLOWED if option not in known} == set()
    assert set(SHORT.values()) <= ALLOWED.keys()


@pytest.mark.parametrize("args", ["--bag 100000000", "somewhere/data", "-i model --ngram 9999999"])
def test_a_stored_policy_with_arguments_that_are_not_allowed_lets_the_fallback_serve(tmp_path, catalogue, args):
    """As a database of an earlier version may have it: the engine opens at once, says why, and serves the fallback."""
    path = tmp_path / "offers.db"
    with bandit.Engine.open(path, catalogue, bandit.VowpalWabbit(catalogue), seed=7, customer_key=KEY):
        pass
    with sqlite3.connect(path) as raw:
        number, spec = raw.execute("SELECT id, spec FROM policies").fetchone()
        stored = msgspec.json.encode({**msgspec.json.decode(spec), "args": args}).decode()
        raw.execute("DROP TRIGGER IF EXISTS policies_keep_update")
        raw.execute("UPDATE policies SET spec = ? WHERE id = ?", (stored, number))
    raw.close()
    done = threading.Event()

    def serve() -> None:
        with bandit.Engine.resume(path, seed=7, customer_key=KEY) as engine:
            decision = engine.decide("customer", {"recency": 1.0})
            assert decision.fault is not None
            assert "VW" in decision.fault
            assert dict(decision.offer) == {"channel": "email"}
            assert "VW" in str(engine.status().policy_fault)
            assert engine.learn().n == 0
        done.set()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    thread.join(20.0)
    assert done.is_set()


def test_a_reward_beyond_what_single_precision_holds_leaves_vw_in_working_order(catalogue):
    """1e30 over units of about 1 is a cost of 1e30, and its square no single-precision number; it is told as 1e15."""
    n = 60
    policy = bandit.VowpalWabbit(catalogue, warm_up=10)
    contexts = catalogue.contexts({"recency": list(np.linspace(0.0, 9.0, n))})
    reward = np.where(np.arange(n) == 40, 1e308, 1.0)
    eligible, half = np.ones((n, 2), dtype=np.bool_), np.full(n, 0.5)
    policy.update(Outcomes.new(contexts, np.arange(n) % 2, eligible, half, reward > 0, reward, reward))
    found = policy.probabilities(contexts, eligible, np.random.default_rng(1))
    assert np.isfinite(found).all()


def test_the_workspace_is_given_nothing_that_was_not_checked(tmp_path, monkeypatch, catalogue):
    """Negative control: unchecked, VW opens a word without a dash as a file and fails where there is none."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PolicyError, match="does not start"):
        Workspace("--cb_explore_adf nowhere")
