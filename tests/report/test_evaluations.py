"""Evaluations as sentences and tables."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from bandit import ThompsonSampling, Uniform
from bandit.evaluate import evaluate
from bandit.evaluate.diagnostics.cures import CURES
from bandit.report.evaluations import (
    all_estimates_table,
    evaluation_lines,
    evaluation_table,
    says_what_is_open,
    segment_lines,
    segment_table,
    verdict_lines,
    weight_table,
)
from tests.evaluate.additive_market import CATALOGUE, GOOD, WARM, Tilted, draw
from tests.evaluate.memory_log import MemoryLog

NEVER = Tilted("never", [1, 0, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 0])
OTHERS = Tilted("others", [0, 1, 1, 1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1, 1, 1])


def text_of(table):
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    return console.file.getvalue()


def row_of(text, name):
    """The cells of the row that begins with a name."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"│ {name} ")]
    return [cell.strip() for cell in line.strip("│").split("│")]


@pytest.fixture(scope="module")
def compared():
    """Three policies, of which two are compared with the third."""
    policies = [GOOD, WARM, Uniform(CATALOGUE)]
    return evaluate(draw(np.random.default_rng(1), 4_000), policies, "warm", by=["kind"])


def test_table_has_a_verdict_only_with_a_baseline_and_the_log_as_its_last_row():
    log = draw(np.random.default_rng(1), 2_000)
    with_baseline = text_of(evaluation_table(evaluate(log, [GOOD, WARM], "warm"), "reward in EUR"))
    assert "+ better" in with_baseline
    assert "verdict" in with_baseline
    assert "minus warm" in with_baseline
    assert "as logged" in with_baseline.splitlines()[-2]
    alone = text_of(evaluation_table(evaluate(log, [GOOD, WARM]), "reward in EUR"))
    assert "verdict" not in alone


def test_the_interval_beside_a_verdict_is_the_one_that_it_rests_on(compared):
    """The simultaneous interval is wider than the one of each difference alone, which only the details have."""
    numbers = compared.numbers
    cells = row_of(text_of(evaluation_table(compared, "reward")), "good")
    row = compared.row("good")
    assert cells[-2:] == [
        numbers.number(row.together.value, signed=True),
        numbers.interval(row.together, signed=True),
    ]
    (sentence,) = [line for line in verdict_lines(compared) if "good: better" in line]
    assert cells[-1] in sentence
    alone = numbers.interval(row.against_baseline("dr"), signed=True)
    assert alone != cells[-1]
    assert alone in text_of(weight_table(compared))
    assert "alone, on which no verdict rests" in text_of(weight_table(compared))


def test_numbers_of_sentences_and_tables_have_one_precision(compared):
    """Every number with decimals has as many as the format of the evaluation."""
    text = text_of(evaluation_table(compared, "reward")) + "\n".join(verdict_lines(compared))
    decimals = {len(each) for each in re.findall(r"\d\.(\d+)", text)}
    assert decimals == {compared.numbers.decimals}


def test_each_policy_has_a_sentence_with_its_sign():
    log = draw(np.random.default_rng(3), 4_000)
    worse, base, same = verdict_lines(evaluate(log, {"bad": WARM, "base": GOOD, "as base": GOOD}, "base"))
    assert worse.startswith("- bad: worse - it earns ")
    assert base.startswith("  base: the baseline - it earns ")
    assert same.startswith("= as base: no difference found - it may earn anything from ")


def test_without_a_baseline_each_sentence_has_the_value_and_the_last_names_the_option():
    lines = verdict_lines(evaluate(draw(np.random.default_rng(1), 2_000), [GOOD, WARM]))
    assert [line.split(":")[0] for line in lines[:2]] == ["  good", "  warm"]
    assert all(" per decision (95% interval " in line for line in lines[:2])
    assert lines[2] == "No verdict without a baseline: name today's rules, or logged, with --baseline."


def test_policy_that_cannot_be_judged_shows_no_number():
    evaluation = evaluate(draw(np.random.default_rng(2), 2_000, OTHERS), [NEVER, OTHERS], "others")
    cells = row_of(text_of(evaluation_table(evaluation, "reward")), "never")
    assert cells[1] == "? cannot tell"
    assert cells[2:] == [""] * 4


def test_a_policy_that_cannot_be_told_names_the_cure_in_the_same_sentence_and_once():
    """Two policies choose only what the log never shows; the second has the same reason."""
    log = draw(np.random.default_rng(2), 2_000, OTHERS)
    evaluation = evaluate(log, {"never": NEVER, "again": NEVER, "others": OTHERS}, "others")
    first, second, _ = verdict_lines(evaluation)
    assert first.startswith("? never: cannot tell - ")
    assert evaluation.row("never").cure in CURES
    assert first.endswith(f"; {CURES[evaluation.row('never').cure]}.")
    assert second == "? again: cannot tell - for the same reason."
    plain = evaluation.row("never").to_dict()["cure"]
    assert plain == {"kind": evaluation.row("never").cure, "sentence": CURES[evaluation.row("never").cure]}


def test_lines_say_what_learned_from_what():
    log = draw(np.random.default_rng(3), 2_000, customers=500)
    learner = ThompsonSampling(CATALOGUE)
    evaluation = evaluate(log, [learner, WARM, GOOD], "warm", crossfit=2)
    lines = evaluation_lines(evaluation)
    assert lines[0] == f"Judged on 2,000 decisions of {evaluation.customers} customers."
    assert any(line.startswith("Policies that learn were judged by 2 copies each") for line in lines)


def test_one_decision_of_one_customer_is_in_the_singular(compared):
    one = replace(compared, n=1, stands_for=1.0, customers=1)
    assert evaluation_lines(one)[0] == "Judged on 1 decision of 1 customer."


def test_notes_are_shown_with_the_details_only():
    """20 of 2,020 decisions are still open, 1 %, which changes nothing."""

    class WithOpenDecisions(MemoryLog):
        still_open = 20

    log = WithOpenDecisions(draw(np.random.default_rng(3), 2_000).whole, CATALOGUE)
    evaluation = evaluate(log, [GOOD, WARM], "warm", now=4_000_000_000_000_000)
    assert not any(line.startswith("note: ") for line in evaluation_lines(evaluation))
    (note,) = [line for line in evaluation_lines(evaluation, details=True) if line.startswith("note: ")]
    assert "20 of 2,020 decisions" in note
    assert says_what_is_open(evaluation, details=True)
    assert not says_what_is_open(evaluation, details=False)


def test_reasons_of_many_policies_are_counted_where_nothing_was_found():
    """14 uniform policies against a 15th: no difference, and no sentence for each of them."""
    log = draw(np.random.default_rng(4), 1_000)
    policies = {str(number): Uniform(CATALOGUE) for number in range(15)}
    evaluation = evaluate(log, policies, "0", estimators=("snips",))
    lines = verdict_lines(evaluation)
    assert lines[-1] == "14 more policies are neither better nor worse; --details says why."
    assert len(lines) == 2
    assert len(verdict_lines(evaluation, details=True)) == 15


def test_segments_and_estimators_have_a_row_each():
    log = draw(np.random.default_rng(5), 2_000)
    evaluation = evaluate(log, [GOOD, WARM], "warm", estimators=("snips", "dr"), by=["kind"])
    segments = text_of(segment_table(evaluation))
    assert segments.count("kind = a") == segments.count("kind = b") == 2
    estimates = text_of(all_estimates_table(evaluation))
    assert estimates.count("snips") == 2


def test_segments_have_a_summary_and_each_that_can_be_told_its_reason(compared):
    """Two policies in two segments are four comparisons."""
    rows = [row for segment in compared.segments for row in segment.rows if row.verdict is not None]
    told = [row for row in rows if row.verdict in {"better", "worse"}]
    first, *others = segment_lines(compared)
    assert first == f"{len(told)} of 4 comparisons of segments can be told:"
    assert any(line.startswith("+ kind = a, good: better - it earns ") for line in others)
    assert all("4 comparisons at once" in row.reason for row in rows)


def test_reasons_why_segments_cannot_be_told_are_said_once():
    """The log never shows the one offer of the policy, in no segment."""
    log = draw(np.random.default_rng(2), 2_000, OTHERS)
    evaluation = evaluate(log, [NEVER, OTHERS], "others", by=["kind"])
    assert segment_lines(evaluation) == [
        "0 of 2 comparisons of segments can be told:",
        "? kind = a, never; kind = b, never: cannot tell - the whole log cannot judge this policy.",
    ]
