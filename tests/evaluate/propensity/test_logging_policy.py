"""Where the probabilities of the logging policy come from."""

import numpy as np
import pytest

from bandit.errors import InputError
from bandit.evaluate import evaluate
from tests.evaluate.additive_market import GOOD, WARM, N, Tilted, draw, truth, without_propensities


def test_policy_that_did_not_write_the_log_fails_the_self_test():
    log = draw(np.random.default_rng(4), 6_000, WARM)
    other = Tilted("other", np.ones(N), np.ones(N))
    answer = evaluate(log, [GOOD], estimators=("ips",), logging=other)
    assert answer.diagnosis.self_test.finding() is not None


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
