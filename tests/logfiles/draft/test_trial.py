"""The test of whether offers were drawn at random: its level, its power, and when it says nothing."""

import numpy as np
import pytest

from bandit.logfiles.draft.profile import profile
from bandit.logfiles.draft.trial import TRIAL_LEVEL, trial_test


def facts(n, rng):
    return [
        profile("age", [str(each) for each in rng.integers(18, 80, n)]),
        profile("gender", rng.choice(["f", "m"], n).tolist()),
        profile("region", rng.choice(["n", "s", "e", "w"], n).tolist()),
        profile("loyal", rng.choice(["0", "1", ""], n).tolist()),
    ]


def test_trials_are_taken_for_none_at_most_as_often_as_the_level_says():
    """150 trials at the level 1 %: 1.5 are expected to fail, and more than 6 in one of 1,000 such runs."""
    rng = np.random.default_rng(1)
    failed = 0
    for _ in range(150):
        known = facts(400, rng)
        found = trial_test(rng.integers(0, 3, 400), 3, known, None)
        failed += not found.balanced
    assert failed <= 6


def test_offers_that_follow_a_fact_a_pair_of_facts_or_time_are_found():
    """The pair is the negative of single facts: the offer depends on whether two even facts agree, on neither alone."""
    rng = np.random.default_rng(2)
    n = 2_000
    known = facts(n, rng)
    even = [profile(name, rng.choice(["0", "1"], n).tolist()) for name in ("one", "two")]
    noise = rng.random(n) < 0.7
    by_fact = np.where(noise, rng.integers(0, 2, n), known[1].codes)
    agree = (even[0].numbers == even[1].numbers).astype(np.int64)
    by_pair = np.where(noise, rng.integers(0, 2, n), agree)
    by_time = np.where(noise, rng.integers(0, 2, n), (np.arange(n) > n // 2).astype(np.int64))
    assert trial_test(by_fact, 2, known, None).worst.startswith('"gender"')
    assert trial_test(by_pair, 2, even, None).worst == '"one" with "two"'
    assert trial_test(by_time, 2, known, None).worst == "the order of the rows"
    for offer, with_facts in ((by_fact, known), (by_pair, even), (by_time, known)):
        assert trial_test(offer, 2, with_facts, None).p_value < TRIAL_LEVEL / 100


def test_equal_shares_are_fractions_and_others_are_as_observed():
    rng = np.random.default_rng(3)
    known = facts(3_000, rng)
    assert trial_test(rng.integers(0, 3, 3_000), 3, known, None).propensities == ["1/3"] * 3
    uneven = (rng.random(3_000) < 0.25).astype(np.int64)
    shares = [float(each) for each in trial_test(uneven, 2, known, None).propensities]
    assert sum(shares) == pytest.approx(1.0, abs=1e-5)
    assert shares[1] == pytest.approx(uneven.mean(), abs=1e-5)


def test_customers_that_keep_their_offer_count_once():
    """Each of 300 customers stands in ten rows with one offer and one gender: ten times the same evidence is none."""
    rng = np.random.default_rng(4)
    failed = {"rows": 0, "customers": 0}
    for _ in range(20):
        customer = np.repeat(np.arange(300), 10)
        gender = rng.choice(["f", "m"], 300)[customer]
        offer = rng.integers(0, 2, 300)[customer]
        shuffled = rng.permutation(3_000)
        known = [profile("gender", gender[shuffled].tolist())]
        failed["rows"] += not trial_test(offer[shuffled], 2, known, None).balanced
        failed["customers"] += not trial_test(offer[shuffled], 2, known, customer[shuffled]).balanced
    assert failed["customers"] <= 2
    assert failed["rows"] >= 5


def test_without_facts_offers_or_rows_there_is_nothing_to_test():
    rng = np.random.default_rng(5)
    known = facts(500, rng)
    assert trial_test(rng.integers(0, 2, 500), 2, [], None) is None
    assert trial_test(np.zeros(500, dtype=np.int64), 1, known, None) is None
    assert trial_test(rng.integers(0, 2, 100), 2, facts(100, rng), None) is None
