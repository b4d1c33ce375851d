"""Verdicts on live groups: better, worse, no difference found, cannot tell, each with its reason."""

import json

import msgspec
import numpy as np
import pytest

from bandit.errors import InputError
from bandit.evaluate.lift import LiftOptions, lift
from bandit.ope.lift import LiftBatch, LiftTally
from bandit.ope.numbers import NumberFormat
from tests.ope.lift.experiments import DAY, favourites, personal

NAMES = ("policy", "rules", "random")
SHARES = [0.5, 0.3, 0.2]


def experiment(seed=0, customers=3_000, *, weights="balanced", parts=False, **market):
    """The tally of three groups, of which the first prefers an offer that earns `lift` more."""
    settings = {"agreement": 0.2, "lift": 0.2, "visits": 2, "shares": SHARES} | market
    e = favourites(np.random.default_rng(seed), customers, settings.pop("agreement"), **settings)
    n = len(e.reward)
    more = {"time": np.arange(n) * 14 * DAY // n, "segment": np.where(e.customer % 2 == 0, "f", "m")} if parts else {}
    tally = LiftTally(e.shares, weighted=weights != "means")
    tally.add(e.batch(weights, **more))
    return tally


def tally_of(reward, group, customer=None, shares=(0.5, 0.5)):
    tally = LiftTally(shares)
    tally.add(LiftBatch(reward, group, np.arange(len(reward)) if customer is None else customer))
    return tally


def test_a_policy_that_earns_more_is_better_and_the_baseline_is_worse_the_other_way_round():
    tally = experiment()
    found = lift(tally, NAMES, LiftOptions("rules"))
    better, same = found.verdicts
    assert (better.group, better.baseline, better.verdict) == ("policy", "rules", "better")
    every = [row for row in found.rows if (row.method, row.unit) == (better.method, better.unit)]
    numbers = NumberFormat.of(map(found.shown, every))
    interval = numbers.interval(better.anytime, signed=True)
    amount = numbers.number(better.anytime.value)
    assert better.reason == (
        f"it earns {amount} more per decision than rules "
        f"(95% interval {interval}, 2 comparisons at once, at every look)"
    )
    assert (same.group, same.verdict) == ("random", "no difference found")
    worse, _ = lift(tally, NAMES, LiftOptions("policy")).verdicts
    assert (worse.group, worse.verdict) == ("rules", "worse")
    assert "less per decision than policy" in worse.reason


def test_every_pair_is_compared_by_every_method_and_unit():
    """Three pairs, two methods, two units; those with the baseline come first, by the method of the verdicts."""
    found = lift(experiment(), NAMES, LiftOptions("rules"))
    pairs = [("policy", "rules"), ("random", "rules"), ("policy", "random")]
    assert [(row.group, row.baseline) for row in found.rows[:3]] == pairs
    assert {(row.group, row.baseline, row.method, row.unit) for row in found.rows} == {
        (*pair, method, unit) for pair in pairs for method in ("means", "balanced") for unit in ("decision", "customer")
    }
    assert len(found.rows) == 12
    row = found.row("policy", "random", "means", "customer")
    assert (row.method, row.unit) == ("means", "customer")
    with pytest.raises(InputError, match='"rules" was not compared with "policy"'):
        found.row("rules", "policy")


def test_without_a_baseline_each_pair_has_a_verdict_and_all_hold_together():
    found = lift(experiment(), NAMES)
    assert [(row.group, row.baseline) for row in found.verdicts] == [
        ("policy", "rules"),
        ("policy", "random"),
        ("rules", "random"),
    ]
    assert "3 comparisons at once" in found.verdicts[0].reason


def test_groups_have_their_sizes_and_means():
    """Two customers a group: 1 and 3 in two decisions each, so .5 and 1 per decision, 1 and 2 per customer."""
    tally = tally_of([1.0, 0.0, 1.0, 0.0, 3.0, 0.0, 1.0, 0.0], [0] * 4 + [1] * 4, [1, 1, 2, 2, 3, 3, 4, 4])
    one, other = lift(tally, ("policy", "holdout")).groups
    assert (one.name, one.share, one.customers, one.decisions, one.earning, one.reward) == ("policy", 0.5, 2, 4, 2, 2.0)
    assert [one.values["means"][unit].value for unit in ("decision", "customer")] == [0.5, 1.0]
    assert [other.values["means"][unit].value for unit in ("decision", "customer")] == [1.0, 2.0]


def test_the_look_chooses_the_interval_of_the_verdict():
    """A difference of about 2.6 standard errors: enough for one look, not for many."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=1_000)
    noise -= np.where(np.arange(1_000) < 500, noise[:500].mean(), noise[500:].mean())
    tally = tally_of(noise + 0.165 * (np.arange(1_000) < 500), (np.arange(1_000) >= 500).astype(int))
    once, daily = (lift(tally, ("a", "b"), LiftOptions(look=look)).verdicts[0] for look in ("once", "daily"))
    assert (once.verdict, daily.verdict) == ("better", "no difference found")
    assert (once.once, once.anytime) == (daily.once, daily.anytime)
    assert once.once.low > 0.0 > once.anytime.low
    assert once.p_value < 0.05
    assert "at every look" in daily.reason
    assert "at every look" not in once.reason


def test_with_fewer_than_ten_outcomes_in_the_smaller_group_nothing_can_be_told():
    """12 of 600 decisions earned; a group of 60 has 1.2 of them to expect."""
    reward = np.where(np.arange(600) % 50 == 0, 1.0, 0.0)
    row = lift(tally_of(reward, (np.arange(600) >= 540).astype(int), shares=(0.9, 0.1)), ("policy", "holdout")).rows[0]
    assert row.verdict == "cannot tell"
    assert row.reason == (
        "cannot tell: where it differs from holdout only 1 outcomes of the rarer kind are to be expected"
    )
    assert row.events == pytest.approx(60 * 12 / 600)


def test_with_fewer_than_30_customers_in_a_group_nothing_can_be_told():
    """A thousand decisions of 20 customers in the smaller group."""
    customer = np.concatenate([np.arange(1_000), 1_000 + np.arange(1_000) % 20])
    reward = np.random.default_rng(0).random(2_000)
    tally = tally_of(reward, (customer >= 1_000).astype(int), customer, shares=(0.98, 0.02))
    row = lift(tally, ("policy", "holdout")).rows[0]
    assert (row.verdict, row.reason) == ("cannot tell", "cannot tell: there are only 20 customers in the smaller group")


def test_groups_of_the_wrong_size_cannot_be_compared():
    """1,200 and 800 customers where halves were meant."""
    reward = np.random.default_rng(0).random(2_000)
    found = lift(tally_of(reward, (np.arange(2_000) >= 1_200).astype(int)), ("policy", "rules"))
    assert found.sample_ratio.severity == "fatal"
    assert {row.verdict for row in found.rows} == {"cannot tell"}
    assert found.rows[0].reason.startswith("cannot tell: the groups do not have the intended sizes")
    assert found.gate() == 5


def test_verdicts_use_means_where_there_are_no_weights():
    found = lift(experiment(weights="means"), NAMES, LiftOptions("rules"))
    assert found.method == "means"
    assert {row.method for row in found.rows} == {"means"}
    assert found.calibration == ()


def test_weights_that_are_found_to_be_wrong_leave_the_verdict_to_means():
    """A history that betrays the group, which balanced weights ignore and trajectory weights take into account."""
    e = personal(np.random.default_rng(2), 20_000)
    found = lift(e.tally("balanced"), ("policy", "rules"))
    assert found.method == "means"
    assert [each.check for each in found.findings] == ["weights"]
    assert found.row("policy", "rules").verdict == "better"
    wrong = found.row("policy", "rules", "balanced")
    assert wrong.verdict == "cannot tell"
    assert "only means are right" in wrong.reason
    right = lift(e.tally("trajectory"), ("policy", "rules"))
    assert (right.method, right.findings) == ("balanced", ())
    assert right.row("policy", "rules").verdict == "better"


def test_weeks_and_segments_have_the_judged_pairs_and_hold_together():
    """Two weeks that begin on a Thursday are parts of three; two segments. Two comparisons in each."""
    found = lift(experiment(parts=True), NAMES, LiftOptions("rules"))
    assert [part.name for part in found.weeks] == ["1969-12-29", "1970-01-05", "1970-01-12"]
    assert [part.name for part in found.segments] == ["f", "m"]
    assert [part.customers for part in found.segments] == [1_500, 1_500]
    assert sum(part.decisions for part in found.weeks) == 6_000
    for parts, number in ((found.weeks, 6), (found.segments, 4)):
        for part in parts:
            assert [(row.group, row.baseline) for row in part.rows] == [("policy", "rules"), ("random", "rules")]
            assert all(row.anytime.level == 0.95 for row in part.rows)
            assert f"{number} comparisons at once" in part.rows[0].reason


def test_the_gate_is_that_of_the_verdict_furthest_from_better():
    tally = experiment(shares=[0.5, 0.5])
    assert lift(tally, ("policy", "rules"), LiftOptions("rules")).gate() == 0
    assert lift(tally, ("policy", "rules"), LiftOptions("policy")).gate() == 3
    assert lift(experiment(shares=[0.5, 0.5], lift=0.0), ("policy", "rules"), LiftOptions("rules")).gate() == 4


def test_a_result_is_plain_json_without_numbers_that_are_not_finite():
    for found in (lift(experiment(parts=True), NAMES), lift(tally_of([1.0, 0.0], [0, 0]), ("policy", "rules"))):
        plain = msgspec.json.decode(msgspec.json.encode(found.to_dict()))
        assert json.loads(json.dumps(found.to_dict(), allow_nan=False)) == plain
        assert [each["verdict"] for each in plain["rows"]] == [row.verdict for row in found.rows]
        assert plain["groups"][0]["values"]["means"]["per decision"]["value"] is not None


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        (("a", "b"), None, "give 3 different names"),
        (("a", "b", "b"), None, "give 3 different names"),
        (NAMES, LiftOptions("holdout"), 'no group "holdout"'),
        (NAMES, LiftOptions(level=95.0), "level is 95"),
    ],
)
def test_names_and_options_that_do_not_fit_are_refused(names, options, words):
    with pytest.raises(InputError, match=words):
        lift(experiment(), names, options)


def false_or_missed(runs, lift_of_offer, look):
    """Shares of experiments with the verdicts better and worse on the first of two groups."""
    counts = np.zeros(2)
    for seed in range(runs):
        tally = experiment(seed, 600, lift=lift_of_offer, agreement=0.6, shares=[0.5, 0.5])
        verdict = lift(tally, ("policy", "rules"), LiftOptions("rules", look=look)).verdicts[0].verdict
        counts += [verdict == "better", verdict == "worse"]
    return counts / runs


@pytest.mark.slow
def test_verdicts_are_rarely_false_and_real_effects_are_found():
    """1,000 null experiments: 2.5 % a side have a standard error of .5. The real effect is .76, about 3 errors."""
    assert (false_or_missed(1_000, 0.0, "once") <= 0.025 + 0.015).all()
    assert (false_or_missed(300, 0.0, "daily") <= 0.01).all()
    better, worse = false_or_missed(300, 0.1, "once")
    assert better > 0.6
    assert worse == 0.0
