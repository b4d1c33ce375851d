"""Arguments of evaluate: what is refused, and with which sentence."""

import numpy as np
import pytest

from bandit.errors import InputError, PolicyError
from tests.evaluate.kinked_market import GREEDY, NEAR, FixedPreferences, judge, market
from tests.evaluate.memory_log import MemoryLog


def test_policy_object_as_baseline_joins_the_table():
    base = FixedPreferences(NEAR, "rules")
    answer = judge(market(np.random.default_rng(17), 300), [FixedPreferences(GREEDY, "one")], base)
    assert [row.name for row in answer.rows] == ["one", "rules"]
    assert answer.baseline == "rules"


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"policies": []}, "no policy to evaluate"),
        ({"policies": [FixedPreferences(GREEDY), FixedPreferences(NEAR)]}, "same name"),
        ({"policies": {"logged": FixedPreferences(GREEDY)}}, "which is the policy that wrote the log"),
        ({"baseline": "rules"}, 'baseline "rules" is not among'),
        ({"split": 1.5}, "share to learn on is 1.5"),
        ({"folds": 1}, "at least 2 folds"),
        ({"level": 2.0}, "level is 2.0"),
        ({"estimators": ("magic",)}, 'no estimator "magic"'),
    ],
)
def test_bad_arguments_are_refused_with_one_sentence(named, words):
    log = market(np.random.default_rng(18), 50)
    with pytest.raises(InputError, match=words):
        judge(log, **{"policies": [FixedPreferences(GREEDY)], **named})


def test_empty_log_and_a_policy_that_ignores_the_mask_are_refused():
    log = market(np.random.default_rng(19), 50)
    with pytest.raises(InputError, match="no decisions"):
        judge(MemoryLog(log.whole.take(slice(0, 0))), [FixedPreferences(GREEDY)])

    class Blind(FixedPreferences):
        def probabilities(self, contexts, eligible, rng):
            return super().probabilities(contexts, np.ones_like(eligible), rng)

    with pytest.raises(PolicyError, match=r'"fixed" cannot be evaluated: .* not eligible'):
        judge(log, [Blind(GREEDY)])
