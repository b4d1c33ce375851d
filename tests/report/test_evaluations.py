"""Evaluations as tables and sentences."""

import io

import numpy as np
from rich.console import Console

from bandit import ThompsonSampling, Uniform
from bandit.evaluate import evaluate
from bandit.report.evaluations import all_estimates_table, evaluation_lines, evaluation_table, segment_table
from tests.evaluate.additive_market import CATALOGUE, GOOD, WARM, Tilted, draw


def text_of(table):
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    return console.file.getvalue()


def test_table_has_a_verdict_only_with_a_baseline_and_the_log_as_its_last_row():
    log = draw(np.random.default_rng(1), 2_000)
    with_baseline = text_of(evaluation_table(evaluate(log, [GOOD, WARM], "warm"), "reward in EUR"))
    assert "better" in with_baseline
    assert "verdict" in with_baseline
    assert "minus warm" in with_baseline
    assert "as logged" in with_baseline.splitlines()[-2]
    alone = text_of(evaluation_table(evaluate(log, [GOOD, WARM]), "reward in EUR"))
    assert "verdict" not in alone


def test_policy_that_cannot_be_judged_shows_no_number():
    never = Tilted("never", [1, 0, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 0])
    others = Tilted("others", [0, 1, 1, 1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1, 1, 1])
    evaluation = evaluate(draw(np.random.default_rng(2), 2_000, others), [never, others], "others")
    row = next(line for line in text_of(evaluation_table(evaluation, "reward")).splitlines() if "never" in line)
    assert row.count("cannot tell") == 3
    assert not any(character.isdigit() for character in row.rsplit("cannot tell", 1)[0])


def test_lines_say_what_learned_from_what_and_give_each_reason():
    log = draw(np.random.default_rng(3), 2_000, customers=500)
    learner = ThompsonSampling(CATALOGUE)
    evaluation = evaluate(log, [learner, WARM, GOOD], "warm", crossfit=2)
    lines = evaluation_lines(evaluation)
    assert lines[0] == f"Judged on 2,000 decisions of {evaluation.customers} customers."
    assert any(line.startswith("Policies that learn were judged by 2 copies each") for line in lines)
    assert any(line.startswith("2 policies are compared at once") for line in lines)
    assert any(line.startswith("good: better: it earns ") and line.endswith(").") for line in lines)


def test_reasons_of_many_policies_are_counted_where_nothing_was_found():
    """14 uniform policies against a 15th: no difference, and no sentence for each of them."""
    log = draw(np.random.default_rng(4), 1_000)
    policies = {str(number): Uniform(CATALOGUE) for number in range(15)}
    lines = evaluation_lines(evaluate(log, policies, "0", estimators=("snips",)))
    assert lines[-1] == "14 more policies are neither better nor worse; --json has the reason for each."


def test_segments_and_estimators_have_a_row_each():
    log = draw(np.random.default_rng(5), 2_000)
    evaluation = evaluate(log, [GOOD, WARM], "warm", estimators=("snips", "dr"), by=["kind"])
    segments = text_of(segment_table(evaluation))
    assert segments.count("kind = a") == segments.count("kind = b") == 2
    estimates = text_of(all_estimates_table(evaluation))
    assert estimates.count("snips") == 2
