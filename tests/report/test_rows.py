"""Results as rows of plain values: the numbers that verdicts rest on, and the same columns in every row."""

import math
from dataclasses import replace

import numpy as np
import pytest

from bandit import ThompsonSampling
from bandit.analysis.exploration_cost import ExplorationCost, Period
from bandit.analysis.replay import replay
from bandit.evaluate import evaluate
from bandit.governance.verify import VerifyReport
from bandit.logfiles import ImportReport
from bandit.ope.estimate import interval_cells
from tests.evaluate.additive_market import CATALOGUE, GOOD, WARM, Tilted, draw


@pytest.fixture(scope="module")
def evaluation():
    return evaluate(draw(np.random.default_rng(1), 4_000), [GOOD, WARM], "warm", by=["kind"])


def test_an_evaluation_has_one_row_a_policy_with_the_interval_that_its_verdict_rests_on(evaluation):
    good, warm = evaluation.to_rows()
    row = evaluation.row("good")
    assert list(good) == list(warm)
    assert (good["policy"], good["verdict"], good["reason"]) == ("good", row.verdict, row.reason)
    assert (good["difference"], good["difference_low"], good["difference_high"]) == (
        row.together.value,
        row.together.low,
        row.together.high,
    )
    assert (good["value"], good["decisions"]) == (row.estimate("dr").value, 4_000)
    assert (warm["verdict"], warm["difference"]) == ("the baseline", None)


def test_a_policy_that_the_log_cannot_judge_has_no_numbers():
    never = Tilted("never", [1, 0, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 0])
    others = Tilted("others", [0, 1, 1, 1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1, 1, 1])
    rows = evaluate(draw(np.random.default_rng(2), 2_000, others), [never, others], "others").to_rows()
    assert rows[0]["verdict"] == "cannot tell"
    assert [rows[0][name] for name in ("value", "low", "high", "difference")] == [None] * 4


def test_segments_have_a_row_each_and_policy(evaluation):
    rows = evaluation.by_segment.to_rows()
    assert [(row["segment"], row["policy"]) for row in rows] == [
        (segment.name, row.policy) for segment in evaluation.segments for row in segment.rows
    ]
    assert rows[0]["difference_low"] == evaluation.segments[0].rows[0].difference.low
    assert rows[: len(evaluation.segments[0].rows)] == evaluation.segments[0].to_rows()


def test_a_result_is_a_dataframe_and_a_table_of_a_notebook(evaluation):
    pytest.importorskip("pandas")
    frame = evaluation.to_frame().set_index("policy")
    assert frame.loc["good", "value"] == evaluation.row("good").estimate("dr").value
    assert "hold for all policies together" in evaluation._repr_html_()


def test_an_interval_that_is_not_finite_has_empty_cells(evaluation):
    estimate = replace(evaluation.realised, value=2.0, low=-math.inf, high=math.inf)
    assert interval_cells(estimate) == {"value": 2.0, "low": None, "high": None}
    assert interval_cells(None, "difference") == {
        "difference": None,
        "difference_low": None,
        "difference_high": None,
    }


def test_a_replay_has_a_row_a_point_of_its_curve():
    found = replay(draw(np.random.default_rng(3), 1_000), ThompsonSampling(CATALOGUE), rng=np.random.default_rng(1))
    rows = found.to_rows()
    assert [row["accepted"] for row in rows] == [point.accepted for point in found.curve]
    assert found.summary_row()["value"] == found.value.value


def test_the_cost_of_exploration_ends_with_the_total():
    week = Period(start=0, end=10, n=4, best=8.0, cost=2.0, floor_cost=1.0, chose_best=3)
    none = Period(start=10, end=20, n=0, best=0.0, cost=0.0, floor_cost=0.0, chose_best=0)
    rows = ExplorationCost("week", week, (week, none)).to_rows()
    assert [row["period"] for row in rows] == ["1", "2", "all"]
    assert [row["per_decision"] for row in rows] == [0.5, None, 0.5]


def test_reports_of_imports_and_checks_have_a_row_a_finding():
    report = ImportReport(10, 7, 1, 2, (), {"no such offer": 2})
    assert [(row["result"], row["reason"], row["rows"]) for row in report.to_rows()] == [
        ("imported", None, 7),
        ("there before, unchanged", None, 1),
        ("refused", "no such offer", 2),
    ]
    assert VerifyReport(5, 5, ("a fault",), ("a note",)).to_rows() == [
        {"kind": "problem", "sentence": "a fault"},
        {"kind": "note", "sentence": "a note"},
    ]
