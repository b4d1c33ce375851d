"""A log in parts: any split of the customers gives the evaluation of the whole, to twelve digits."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit import ThompsonSampling
from bandit.domain import InProcessRunner
from bandit.errors import InputError
from bandit.evaluate import evaluate
from bandit.evaluate.candidates import CandidatePolicy
from bandit.evaluate.policy_draws import MOST_DRAW_GROUPS, PolicyDraws, draw_groups
from bandit.evaluate.rewards.vw import VwReward
from bandit.evaluate.split import FOLD_SALT
from bandit.ope import ESTIMATORS
from bandit.ope.clusters import ClusterIndex
from tests.evaluate.additive_market import CATALOGUE, WARM, Tilted, draw
from tests.evaluate.memory_log import MemoryLog
from tests.evaluate.partitioned_log import LogInParts, OutsideInParts, OutsideLog, PicklingRunner, in_parts

TOLERANCE = 1e-12
EVEN = Tilted("even", [1] * 9, [1, 2] * 4 + [1])
EVERY = {"estimators": tuple(ESTIMATORS), "dimensions": ("channel",)}
LEARNING = {"thompson": lambda: ThompsonSampling(CATALOGUE), "warm": lambda: WARM, "even": lambda: EVEN}
FROZEN = {"warm": lambda: WARM, "even": lambda: EVEN}


def flat(values, path=""):
    """The numbers of nested JSON values by their path."""
    if isinstance(values, dict | list | tuple):
        pairs = values.items() if isinstance(values, dict) else enumerate(values)
        return {key: one for name, each in pairs for key, one in flat(each, f"{path}/{name}").items()}
    return {path: values}


def differing(one, other, tolerance=TOLERANCE):
    """The numbers of two evaluations that differ: relative to the number or its standard error, in z and p to 1.

    The z of inverse propensities is a difference of sums a thousand times as large, and has three digits fewer.
    """
    numbers, others = flat(one.to_dict()), flat(other.to_dict())
    assert numbers.keys() == others.keys()
    found = {}
    for key, number in numbers.items():
        if isinstance(number, float) and isinstance(others[key], float):
            error = numbers.get(f"{key.rpartition('/')[0]}/standard_error") or 0.0
            size = 10.0 if key.startswith("/diagnosis") or key.endswith("p_value") else 0.0
            size *= 1_000.0 if key.startswith("/diagnosis/propensities/counted") else 1.0
            if abs(number - others[key]) > tolerance * max(abs(number), error, size):
                found[key] = (number, others[key])
        elif number != others[key]:
            found[key] = (number, others[key])
    return found


def judged(log, policies, runner=None, **settings_):
    made = {name: make() for name, make in policies.items()}
    return evaluate(log, made, "warm", by=("age", "kind"), runner=runner, now=10**15, **settings_)


def weighted(log, rng):
    """The same decisions, each of which stands for one to three."""
    return MemoryLog(replace(log.whole, weight=rng.uniform(1.0, 3.0, log.n)), CATALOGUE)


WAYS = [
    (FROZEN, EVERY),
    (FROZEN, {"interval": "normal"}),
    (FROZEN, {"interval": "bernstein"}),
    (FROZEN, {"interval": "anytime"}),
    (FROZEN, {"interval": "anytime-skew"}),
    (FROZEN, {"logging": Tilted("logged", [1] * 9, [1] * 9), "estimators": ("dr", "pi", "mrdr")}),
    (LEARNING, {"crossfit": 3, "estimators": ("dr", "snips")}),
    (LEARNING, {"split": 0.5, "estimators": ("dr", "snips")}),
    (FROZEN, {"propensities": "estimated", "estimators": ("dr", "snips")}),
]


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), parts=st.integers(1, 7), way=st.sampled_from(WAYS), has_weights=st.booleans())
def test_any_split_of_the_customers_gives_the_evaluation_of_the_whole_log(seed, parts, way, has_weights):
    rng = np.random.default_rng(seed)
    log = draw(rng, 1_200, customers=250)
    log = weighted(log, rng) if has_weights else log
    policies, asked = way
    whole = judged(log, policies, **asked)
    assert not differing(whole, judged(in_parts(log, parts, rng), policies, PicklingRunner(), **asked))


@pytest.mark.parametrize("way", WAYS)
def test_one_part_seven_parts_and_the_whole_log_agree(way):
    rng = np.random.default_rng(8)
    log = draw(rng, 2_000, customers=400)
    policies, asked = way
    whole = judged(log, policies, **asked)
    assert not differing(whole, judged(in_parts(log, 1, rng), policies, **asked))
    assert not differing(whole, judged(in_parts(log, 7, rng), policies, PicklingRunner(), **asked))


@pytest.mark.slow
def test_the_bootstrap_of_seven_parts_draws_the_customers_of_the_whole():
    rng = np.random.default_rng(8)
    log = draw(rng, 600, customers=120)
    asked = {"interval": "bootstrap", "estimators": ("dr",)}
    assert not differing(judged(log, FROZEN, **asked), judged(in_parts(log, 7, rng), FROZEN, **asked))


@pytest.mark.slow
def test_many_customers_and_many_batches_agree_too():
    """12,000 customers share 8,192 blocks; 150,000 decisions are three batches, so that policies draw in groups."""
    rng = np.random.default_rng(9)
    log = draw(rng, 150_000, customers=12_000)
    assert draw_groups(log.n, 65_536) == 3
    asked = {"estimators": ("dr", "snips")}
    thompson = ThompsonSampling(CATALOGUE)
    thompson.update(log.whole.take(slice(0, 2_000)).outcomes())
    policies = {"thompson": lambda: thompson, "warm": lambda: WARM}
    assert not differing(judged(log, policies, **asked), judged(in_parts(log, 7, rng), policies, **asked))


def test_decisions_with_an_offer_that_the_catalogue_does_not_have_count_in_their_part():
    rng = np.random.default_rng(8)
    whole = draw(rng, 1_500, customers=300).whole
    inside, outside = whole.take(slice(0, 1_200)), whole.take(slice(1_200, None))
    log = OutsideLog(inside, CATALOGUE, replace(outside, offer=np.full(300, -1)))
    parts = rng.integers(0, 5, 300)
    part_of, beyond_of = (
        parts[np.array([int(key[1:]) for key in batch.contexts.customers])] for batch in (inside, outside)
    )
    found = judged(log, FROZEN, estimators=("dr", "snips"))
    assert found.outside == 300
    split = OutsideInParts(log, part_of, beyond_of)
    assert not differing(found, judged(split, FROZEN, PicklingRunner(), estimators=("dr", "snips")))


def test_parts_that_share_customers_do_not_agree():
    """Negative control: decisions dealt one by one break the clusters, and with them the intervals."""
    rng = np.random.default_rng(8)
    log = draw(rng, 2_000, customers=400)
    broken = LogInParts(log.whole, CATALOGUE, rng.integers(0, 7, log.n))
    found = differing(judged(log, FROZEN), judged(broken, FROZEN), tolerance=1e-3)
    assert "/policies/1/difference/dr/low" in found


def test_a_reward_model_whose_parts_do_not_add_up_learns_from_the_log_read_straight_through():
    rng = np.random.default_rng(8)
    log = draw(rng, 1_000, customers=200)
    asked = {"reward_model": VwReward, "estimators": ("dr",)}
    assert not differing(judged(log, FROZEN, **asked), judged(in_parts(log, 5, rng), FROZEN, **asked))


def test_progress_of_parts_reaches_the_total():
    rng = np.random.default_rng(8)
    heard = []
    log = in_parts(draw(rng, 500, customers=100), 4, rng)
    evaluate(log, [WARM], estimators=("dr",), progress=lambda done, total: heard.append((done, total)))
    assert heard[-1] == (1_000, 1_000)
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)


def test_a_log_without_decisions_is_refused_in_one_sentence():
    log = draw(np.random.default_rng(8), 100, customers=20)
    empty = LogInParts(log.whole.take(slice(0, 0)), CATALOGUE, np.zeros(0, dtype=int))
    with pytest.raises(InputError, match="no decisions to judge by"):
        evaluate(empty, [WARM], runner=InProcessRunner())
    nobody = LogInParts(log.whole.take(slice(0, 1)), CATALOGUE, np.zeros(1, dtype=int))
    with pytest.raises(InputError, match="no decisions to judge by"):
        evaluate(nobody, [WARM], split=0.999999, estimators=("snips",))


def test_a_group_is_judged_under_the_same_draws_in_any_batch():
    log = draw(np.random.default_rng(1), 400, customers=80)
    thompson = ThompsonSampling(CATALOGUE)
    thompson.update(log.whole.take(slice(0, 200)).outcomes())
    shares = ClusterIndex(FOLD_SALT).read(log.whole.contexts.customers, log.n)[1]
    candidate, draws = CandidatePolicy("thompson", (thompson,)), PolicyDraws(np.random.default_rng(2), 4)
    whole = draws.probabilities(candidate, log.whole, shares)
    halves = [
        draws.probabilities(candidate, log.whole.take(part), shares[part]) for part in (slice(150), slice(150, None))
    ]
    assert np.array_equal(whole, np.concatenate(halves))
    other = PolicyDraws(np.random.default_rng(3), 4).probabilities(candidate, log.whole, shares)
    assert not np.array_equal(whole, other)
    assert draw_groups(10**9, 65_536) == MOST_DRAW_GROUPS
