"""What evaluation makes of the structure of offers, of the policy that wrote the log, and of parts of the log."""

import numpy as np
import pytest

from bandit import Uniform
from bandit.encoding.encoder import Encoder
from bandit.errors import InputError
from bandit.evaluate import RidgeReward, evaluate
from tests.evaluate.tools import CATALOGUE, Log, N, Tilted, draw, truth, without_propensities

GOOD = Tilted("good", [0, 0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 1, 0, 0, 0, 0, 0, 0])
WARM = Tilted("warm", [1, 1, 1, 1, 1, 1, 1, 2, 3], [3, 2, 1, 1, 1, 1, 1, 1, 1])


def test_pi_is_narrower_than_ips_on_additive_rewards_and_covers_the_truth():
    """Of 9 offers a decision says something of 3 + 3 options: ips uses a ninth of the rows, pi five ninths."""
    log = draw(np.random.default_rng(1), 6_000)
    row = evaluate(log, [GOOD], estimators=("ips", "pi")).rows[0]
    true = truth(GOOD, log.whole.contexts)
    pi, ips = row.estimate("pi"), row.estimate("ips")
    assert pi.low < true < pi.high
    assert pi.high - pi.low < 0.75 * (ips.high - ips.low)


def test_mips_covers_where_only_its_dimensions_matter_and_misses_where_others_do():
    """The channel earns .4 a step whatever the discount: kept, it covers; left out it cannot."""
    log = draw(np.random.default_rng(2), 20_000)
    b = np.array([0, 0, 1, 0, 0, 0, 0, 0, 0], dtype=float)
    policy = Tilted("app", b, b)
    for kept, covered in ((("discount", "channel"), True), (("discount",), False)):
        estimate = evaluate(log, [policy], estimators=("mips",), dimensions=kept).rows[0].estimate("mips")
        assert (estimate.low < truth(policy, log.whole.contexts) < estimate.high) == covered


def test_mips_and_pi_ask_for_the_policy_that_wrote_a_log_which_is_not_uniform():
    log = draw(np.random.default_rng(3), 6_000, WARM)
    with pytest.raises(InputError, match="name that policy as logging"):
        evaluate(log, [GOOD], estimators=("pi",))
    with pytest.raises(InputError, match="dimensions that matter"):
        evaluate(log, [GOOD], estimators=("mips",), logging=WARM)
    with pytest.raises(InputError, match='no dimension "colour"'):
        evaluate(log, [GOOD], estimators=("mips",), logging=WARM, dimensions=["colour"])
    answer = evaluate(log, [GOOD], estimators=("pi", "mips"), logging=WARM, dimensions=["discount", "channel"])
    true = truth(GOOD, log.whole.contexts)
    assert all(each.low < true < each.high for each in answer.rows[0].estimates)
    assert answer.diagnosis.self_test.finding() is None


def test_policy_that_did_not_write_the_log_fails_the_self_test():
    log = draw(np.random.default_rng(4), 6_000, WARM)
    other = Tilted("other", np.ones(N), np.ones(N))
    answer = evaluate(log, [GOOD], estimators=("ips",), logging=other)
    assert answer.diagnosis.self_test.finding() is not None


def test_mrdr_covers_the_truth():
    log = draw(np.random.default_rng(5), 4_000, WARM)
    row = evaluate(log, [GOOD], "logged", estimators=("dr", "mrdr")).rows[0]
    estimate = row.estimate("mrdr")
    assert estimate.low < truth(GOOD, log.whole.contexts) < estimate.high
    assert estimate.value != row.estimate("dr").value
    assert row.against_baseline("mrdr").value == pytest.approx(estimate.value - log.whole.reward.mean())


def test_weight_of_two_counts_like_two_rows():
    batch = draw(np.random.default_rng(6), 400).whole
    twice = np.arange(400) < 150
    weighted, repeated = RidgeReward(Encoder(CATALOGUE)), RidgeReward(Encoder(CATALOGUE))
    weighted.learn(batch, np.where(twice, 2.0, 1.0))
    repeated.learn(batch)
    repeated.learn(batch.take(twice))
    # The number of rows decides on the penalty, and repeating says there are more.
    weighted._n = repeated._n
    np.testing.assert_allclose(weighted.predict(batch.contexts), repeated.predict(batch.contexts), atol=1e-9)


def test_weights_matter_by_their_ratios_alone():
    batch = draw(np.random.default_rng(7), 400).whole
    weight = np.random.default_rng(8).uniform(0.0, 3.0, 400)
    models = []
    for scale in (1.0, 1_000.0):
        model = RidgeReward(Encoder(CATALOGUE))
        model.learn(batch, weight * scale)
        models.append(model.predict(batch.contexts))
    np.testing.assert_allclose(*models, atol=1e-9)


def test_log_without_propensities_is_judged_by_estimated_ones_and_says_so():
    log = draw(np.random.default_rng(9), 6_000, WARM, customers=2_000)
    known, unknown = (evaluate(each, [GOOD], estimators=("dr",)) for each in (log, without_propensities(log)))
    true = truth(GOOD, log.whole.contexts)
    estimate = unknown.rows[0].estimate("dr")
    assert estimate.low < true < estimate.high
    assert known.propensities is None
    assert unknown.propensities is not None
    assert any("estimated" in each.sentence for each in unknown.findings)
    with pytest.raises(InputError, match="does not know"):
        evaluate(without_propensities(log), [GOOD], estimators=("dr",), propensities="logged")


def test_deterministic_rules_without_propensities_can_only_be_judged_themselves():
    """Each kind got one offer and no other: what another would have earned is not in the log."""
    rules = Tilted("rules", [1, 0, 0, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0, 0])
    log = without_propensities(draw(np.random.default_rng(10), 4_000, rules, customers=1_000))
    answer = evaluate(log, [rules, GOOD], "rules", estimators=("dr",))
    assert answer.row("good").verdict == "cannot tell"
    assert "one side only" in answer.row("good").reason
    assert answer.row("rules").support_ok


def test_segments_are_the_judgement_of_parts_of_the_log():
    log = draw(np.random.default_rng(11), 6_000, WARM, customers=1_500)
    whole = evaluate(log, [GOOD, WARM], "warm", estimators=("snips",), by=["kind", "age"])
    by_kind = [each for each in whole.segments if each.fact == "kind"]
    assert [(each.name) for each in by_kind] == ["a", "b"]
    assert sum(each.n for each in by_kind) == 6_000
    assert sum(each.n for each in whole.segments if each.fact == "age") == 6_000
    assert len({each.name for each in whole.segments if each.fact == "age"}) == 4
    only = log.whole.contexts.columns["kind"] == 0
    part = evaluate(Log(log.whole.take(only)), [GOOD], estimators=("snips",)).rows[0].estimate("snips")
    assert by_kind[0].rows[0].value.value == pytest.approx(part.value)
    row = by_kind[0].rows[0]
    assert row.verdict == "better"
    assert row.difference.level == pytest.approx(1 - 0.05 / len(whole.segments))
    assert by_kind[0].rows[1].verdict is None
    with pytest.raises(InputError, match='no fact "shoe"'):
        evaluate(log, [GOOD], estimators=("snips",), by=["shoe"])


def test_missing_and_undeclared_values_are_segments_of_their_own():
    contexts = CATALOGUE.contexts({"kind": ["a", None, "z", "b"] * 50, "age": [1.0, None, 2.0, 3.0] * 50})
    log = draw(np.random.default_rng(12), 200)
    whole = type(log.whole)(contexts, *(getattr(log.whole, name) for name in log.whole.__slots__[1:]))
    answer = evaluate(Log(whole), [Uniform(CATALOGUE)], estimators=("ips",), by=["kind"])
    assert {each.name: each.n for each in answer.segments} == {"a": 50, "b": 50, "missing": 50, "not declared": 50}


def test_no_segment_is_called_better_or_worse_by_a_handful_of_outcomes():
    """Rewards of 1 for 1 decision in 200: of 3,000 of one kind 15 earned, and a third of that where policies differ.

    The control: the same log with every reward there tells in both segments.
    """
    log = draw(np.random.default_rng(13), 6_000, customers=3_000)
    names = log.whole.__slots__
    for share, told in ((200, {"cannot tell"}), (1, {"better", "worse", "no difference found"})):
        reward = np.where(np.arange(6_000) % share == 0, log.whole.reward, 0.0)
        whole = type(log.whole)(*(reward if name == "reward" else getattr(log.whole, name) for name in names))
        answer = evaluate(Log(whole), [GOOD], "logged", estimators=("snips",), by=["kind"])
        assert {each.rows[0].verdict for each in answer.segments} <= told
