"""The evaluation within segments of the customers."""

from dataclasses import replace

import numpy as np
import pytest

from bandit import Uniform
from bandit.errors import InputError
from bandit.evaluate import evaluate
from tests.evaluate.additive_market import CATALOGUE, GOOD, WARM, draw
from tests.evaluate.memory_log import MemoryLog


def test_segments_are_evaluations_of_parts_of_the_log():
    log = draw(np.random.default_rng(11), 6_000, WARM, customers=1_500)
    whole = evaluate(log, [GOOD, WARM], "warm", estimators=("snips",), by=["kind", "age"])
    by_kind = [each for each in whole.segments if each.fact == "kind"]
    assert [(each.name) for each in by_kind] == ["a", "b"]
    assert sum(each.n for each in by_kind) == 6_000
    assert sum(each.n for each in whole.segments if each.fact == "age") == 6_000
    assert len({each.name for each in whole.segments if each.fact == "age"}) == 4
    only = log.whole.contexts.columns["kind"] == 0
    part = evaluate(MemoryLog(log.whole.take(only), CATALOGUE), [GOOD], estimators=("snips",)).rows[0].estimate("snips")
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
    whole = replace(log.whole, contexts=contexts)
    answer = evaluate(MemoryLog(whole, CATALOGUE), [Uniform(CATALOGUE)], estimators=("ips",), by=["kind"])
    assert {each.name: each.n for each in answer.segments} == {"a": 50, "b": 50, "missing": 50, "not declared": 50}


def test_no_segment_is_called_better_or_worse_by_a_handful_of_outcomes():
    """Rewards of 1 for 1 decision in 200: of 3,000 of one kind 15 earned, and a third of that where policies differ.

    The control: the same log with every reward there tells in both segments.
    """
    log = draw(np.random.default_rng(13), 6_000, customers=3_000)
    for share, possible in ((200, {"cannot tell"}), (1, {"better", "worse", "no difference found"})):
        reward = np.where(np.arange(6_000) % share == 0, log.whole.reward, 0.0)
        whole = replace(log.whole, reward=reward)
        answer = evaluate(MemoryLog(whole, CATALOGUE), [GOOD], "logged", estimators=("snips",), by=["kind"])
        assert {each.rows[0].verdict for each in answer.segments} <= possible
