"""The records of an evaluation."""

import json

import numpy as np
import pytest

from bandit.errors import InputError
from tests.evaluate.kinked_market import GREEDY, NEAR, FixedPreferences, judge, market


def test_record_is_plain_json():
    answer = judge(
        market(np.random.default_rng(16), 300), [FixedPreferences(GREEDY, "one"), FixedPreferences(NEAR, "two")], "two"
    )
    plain = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    assert plain["policies"][0]["estimates"]["dr"]["value"] == answer.row("one").estimate("dr").value
    assert plain["policies"][0]["difference"]["dr"]["low"] == answer.row("one").against_baseline("dr").low
    assert plain["policies"][1]["difference"] is None


def test_unknown_names_in_a_result_are_refused():
    answer = judge(market(np.random.default_rng(20), 100), [FixedPreferences(GREEDY)])
    with pytest.raises(InputError, match="no policy"):
        answer.row("other")
    with pytest.raises(InputError, match="no estimate"):
        answer.rows[0].estimate("other")
