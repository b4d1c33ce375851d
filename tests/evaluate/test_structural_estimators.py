"""mips, pi and mrdr in an evaluation, compared with the truth of an additive market."""

import numpy as np
import pytest

from bandit.errors import InputError
from bandit.evaluate import evaluate
from tests.evaluate.additive_market import GOOD, WARM, Tilted, draw, truth


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
    with pytest.raises(InputError, match="pass the policy that wrote the log as logging"):
        evaluate(log, [GOOD], estimators=("pi",))
    with pytest.raises(InputError, match="dimensions that matter"):
        evaluate(log, [GOOD], estimators=("mips",), logging=WARM)
    with pytest.raises(InputError, match='no dimension "colour"'):
        evaluate(log, [GOOD], estimators=("mips",), logging=WARM, dimensions=["colour"])
    answer = evaluate(log, [GOOD], estimators=("pi", "mips"), logging=WARM, dimensions=["discount", "channel"])
    true = truth(GOOD, log.whole.contexts)
    assert all(each.low < true < each.high for each in answer.rows[0].estimates)
    assert answer.diagnosis.self_test.finding() is None


def test_mrdr_covers_the_truth():
    log = draw(np.random.default_rng(5), 4_000, WARM)
    row = evaluate(log, [GOOD], "logged", estimators=("dr", "mrdr")).rows[0]
    estimate = row.estimate("mrdr")
    assert estimate.low < truth(GOOD, log.whole.contexts) < estimate.high
    assert estimate.value != row.estimate("dr").value
    assert row.against_baseline("mrdr").value == pytest.approx(estimate.value - log.whole.reward.mean())
