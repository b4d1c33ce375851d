"""Evaluations and replays as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.report.numbers import UNKNOWN_NUMBER, NumberFormat, count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.analysis.replay import Replay
    from bandit.catalogue.objective import Objective
    from bandit.evaluate import Evaluation, PolicyEvaluation
    from bandit.ope import Estimate

CANNOT_TELL = "cannot tell"

MOST_REASONS = 12
"""With more policies than this, reasons are shown only for those that are better or worse."""


def unit_of(objective: Objective, currency: str) -> str:
    """Return the unit of a value, for the titles of tables."""
    if objective.kind == "conversion":
        return f'probability of "{objective.event}"'
    return f"{objective.kind} in {currency}"


def evaluation_table(evaluation: Evaluation, unit: str) -> Table:
    """Return a table of one row a policy: value, paired difference to the baseline, verdict and support by the log."""
    level, name = evaluation.realised.level, evaluation.default
    table = Table(
        title=f"value per decision: {escape(unit)}; by {name}, intervals of {level:.0%}", title_justify="left"
    )
    table.add_column("policy", overflow="fold")
    for heading in ("value", "interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    if evaluation.baseline is not None:
        for heading in (f"minus {escape(evaluation.baseline)}", "paired interval"):
            table.add_column(heading, justify="right")
        table.add_column("verdict")
    table.add_column("effective decisions", justify="right")
    table.add_column("largest weight", justify="right")
    rows = [row.estimate(name) for row in evaluation.rows]
    differences = [each for row in evaluation.rows if (each := row.against_baseline(name)) is not None]
    numbers = NumberFormat.of([evaluation.realised, *rows, *differences])
    for row in evaluation.rows:
        table.add_row(*_policy_cells(evaluation, row, numbers))
    realised = evaluation.realised
    blanks = [""] * (3 if evaluation.baseline is not None else 0)
    table.add_section()
    table.add_row(
        "as logged", numbers.number(realised.value), numbers.interval(realised), *blanks, count(realised.n), "1.0"
    )
    return table


def _policy_cells(evaluation: Evaluation, row: PolicyEvaluation, numbers: NumberFormat) -> list[str]:
    value, difference = row.estimate(evaluation.default), row.against_baseline(evaluation.default)
    supported = row.support_ok
    cells = [
        escape(row.name),
        numbers.number(value.value) if supported else CANNOT_TELL,
        numbers.interval(value) if supported else "",
    ]
    if evaluation.baseline is not None:
        unknown = difference is not None and not supported
        cells += [CANNOT_TELL, ""] if unknown else _difference_cells(difference, numbers)
        cells.append(row.verdict or "")
    return [*cells, f"{row.effective_sample_size:,.0f}", f"{row.max_weight:,.1f}"]


def _difference_cells(difference: Estimate | None, numbers: NumberFormat) -> list[str]:
    """Return the cells of a difference and of its interval, both empty where there is none."""
    if difference is None:
        return ["", ""]
    return [numbers.number(difference.value, signed=True), numbers.interval(difference, signed=True)]


def evaluation_lines(evaluation: Evaluation) -> list[str]:
    """Return the sentences below the table: what was judged on what, every finding and every reason."""
    of = "" if evaluation.customers is None else f" of {count(evaluation.customers)} customers"
    lines = [f"Judged on {count(evaluation.n)} decisions{of}."]
    if evaluation.learned_on:
        lines.append(
            f"The log was split by customer: policies that learn did so from {count(evaluation.learned_on)} other "
            "decisions, and every policy is judged on these."
        )
    if evaluation.crossfit:
        lines.append(
            f"Policies that learn were judged by {evaluation.crossfit} copies each: every copy learned from all but "
            "one group of the customers and was judged on that group."
        )
    compared = sum(row.together is not None for row in evaluation.rows)
    if compared > 1:
        lines.append(
            f"{compared} policies are compared at once, and the verdicts hold for all of them together: a policy may "
            "be neither better nor worse although its own interval excludes 0."
        )
    lines += [f"{each.severity}: {each.sentence}." for each in evaluation.findings]
    return lines + _reasons(evaluation)


def _reasons(evaluation: Evaluation) -> list[str]:
    """Return the reason of each verdict; with many policies only of those that are better or worse."""
    of_log = {each.sentence for each in evaluation.findings}
    many = len(evaluation.rows) > MOST_REASONS
    lines, omitted = [], 0
    for row in evaluation.rows:
        lines += [f"{row.name}: {each.sentence}." for each in row.findings if each.severity == "doubt"]
        if row.reason is None or row.verdict == "the baseline" or row.reason in of_log:
            continue
        if many and row.verdict not in {"better", "worse"}:
            omitted += 1
        else:
            verdict = "" if row.verdict == "cannot tell" else f"{row.verdict}: "
            lines.append(f"{row.name}: {verdict}{row.reason}.")
    if omitted:
        lines.append(f"{omitted} more policies are neither better nor worse; --json has the reason for each.")
    return lines


def segment_table(evaluation: Evaluation) -> Table:
    """Return a table of one row a segment and policy; the differences hold for all segments together."""
    level = evaluation.realised.level
    table = Table(
        title=f"by segment; by {evaluation.default}, intervals of differences hold together at {level:.0%}",
        title_justify="left",
    )
    table.add_column("segment", overflow="fold")
    table.add_column("policy", overflow="fold")
    for heading in ("decisions", "value", "interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    if evaluation.baseline is not None:
        for heading in (f"minus {escape(evaluation.baseline)}", "paired interval"):
            table.add_column(heading, justify="right")
        table.add_column("verdict")
    numbers = NumberFormat.of([row.value for segment in evaluation.segments for row in segment.rows])
    for segment in evaluation.segments:
        table.add_section()
        for row in segment.rows:
            cells = [
                escape(f"{segment.fact} = {segment.name}"),
                escape(row.policy),
                count(segment.n),
                numbers.number(row.value.value),
                numbers.interval(row.value),
            ]
            if evaluation.baseline is not None:
                cells += [*_difference_cells(row.difference, numbers), row.verdict or ""]
            table.add_row(*cells)
    return table


def all_estimates_table(evaluation: Evaluation) -> Table:
    """Return a table of one row a policy and estimator."""
    table = Table(title="all estimators", title_justify="left")
    table.add_column("policy", overflow="fold")
    table.add_column("estimator")
    for heading in ("value", "interval", "difference", "paired interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in evaluation.rows:
        table.add_section()
        numbers = NumberFormat.of([*row.estimates, *(row.difference or ())])
        for each in row.estimates:
            table.add_row(
                escape(row.name),
                each.name,
                numbers.number(each.value),
                numbers.interval(each),
                *_difference_cells(row.against_baseline(each.name), numbers),
            )
    return table


def replay_table(replays: Sequence[Replay], unit: str) -> Table:
    """Return a table of one row a policy: what it earned while it learned, early and late."""
    level = next((each.value.level for each in replays if each.value is not None), 0.95)
    table = Table(
        title=f"earned per decision while learning: {escape(unit)}; intervals of {level:.0%}", title_justify="left"
    )
    table.add_column("policy", overflow="fold")
    for heading in ("value", "interval", "first tenth", "last tenth", "decisions it would have made", "log's mean"):
        table.add_column(heading, justify="right")
    numbers = NumberFormat.of([each.value for each in replays if each.value is not None])
    for each in replays:
        tenth = max(len(each.curve) // 10, 1)
        first, last = each.curve[:tenth], each.curve[-tenth:]
        table.add_row(
            escape(each.name),
            UNKNOWN_NUMBER if each.value is None else numbers.number(each.value.value),
            UNKNOWN_NUMBER if each.value is None else numbers.interval(each.value),
            numbers.number(first[-1].mean) if first else UNKNOWN_NUMBER,
            numbers.number(last[-1].mean_since) if last else UNKNOWN_NUMBER,
            f"{count(each.accepted)} of {count(each.n)}",
            numbers.number(each.realised_mean),
        )
    return table
