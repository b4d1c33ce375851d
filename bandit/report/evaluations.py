"""Evaluations and replays as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.printable import decisions_that_count
from bandit.report.numbers import UNKNOWN_NUMBER, NumberFormat, count, counted
from bandit.report.verdicts import CANNOT_TELL, SIGNS, VerdictOn, signed_cell, verdict_sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.analysis.replay import Replay
    from bandit.catalogue.objective import Objective
    from bandit.evaluate import Evaluation, PolicyEvaluation
    from bandit.ope import Estimate

MOST_REASONS = 12
"""With more policies than this, sentences are shown only for those that are better or worse."""

MOST_SEGMENT_REASONS = 3
"""So many reasons why segments cannot be told are shown without details."""


def unit_of(objective: Objective, currency: str) -> str:
    """Return the unit of a value, for the titles of tables."""
    if objective.kind == "conversion":
        return f'probability of "{objective.event}"'
    return f"{objective.kind} in {currency}"


def verdict_lines(evaluation: Evaluation, *, details: bool = False) -> list[str]:
    """Return one sentence a policy, which begins with the sign of its verdict: + better, - worse, ? cannot tell, =.

    The sentence has the interval that the verdict rests on, and what would help where nothing can be told. With many
    policies, and without `details`, those that are neither better nor worse are counted in a last sentence.
    """
    many = len(evaluation.rows) > MOST_REASONS and not details
    shown = [row for row in evaluation.rows if not many or row.verdict in {"better", "worse", "the baseline"}]
    sentences = iter(
        verdict_sentences(
            VerdictOn(row.name, row.verdict, row.reason, row.cure) for row in shown if row.verdict in SIGNS
        )
    )
    lines = [next(sentences) if row.verdict in SIGNS else _value_sentence(evaluation, row) for row in shown]
    omitted = len(evaluation.rows) - len(shown)
    if omitted:
        are = "1 more policy is" if omitted == 1 else f"{count(omitted)} more policies are"
        lines.append(f"{are} neither better nor worse; --details says why.")
    if evaluation.baseline is None:
        lines.append("No verdict without a baseline: name today's rules, or logged, with --baseline.")
    return lines


def _value_sentence(evaluation: Evaluation, row: PolicyEvaluation) -> str:
    """Return the sentence on a policy that is compared with none."""
    value, numbers = row.estimate(evaluation.default), evaluation.numbers
    what = "" if row.verdict is None else f"{row.verdict} - "
    interval = f"{100.0 * value.level:g}% interval {numbers.interval(value)}"
    return f"  {row.name}: {what}it earns {numbers.number(value.value)} per decision ({interval})."


def evaluation_table(evaluation: Evaluation, unit: str) -> Table:
    """Return a table of one row a policy: its verdict, its value, and the difference that the verdict rests on."""
    level, compared = f"{100.0 * evaluation.realised.level:g}%", _compared(evaluation)
    held = f"; those of differences hold for all {compared} at once" if compared > 1 else ""
    table = Table(title=f"value per decision: {escape(unit)}; by {evaluation.default}; {level} intervals{held}")
    table.add_column("policy", overflow="fold")
    if evaluation.baseline is not None:
        table.add_column("verdict")
    table.add_column("value", justify="right")
    table.add_column("interval", justify="right")
    if evaluation.baseline is not None:
        table.add_column(f"minus {escape(evaluation.baseline)}", justify="right")
        table.add_column("interval", justify="right")
    for row in evaluation.rows:
        table.add_row(*_policy_cells(evaluation, row))
    realised, numbers = evaluation.realised, evaluation.numbers
    table.add_section()
    verdict = [""] if evaluation.baseline is not None else []
    table.add_row("as logged", *verdict, numbers.number(realised.value), numbers.interval(realised))
    return table


def _policy_cells(evaluation: Evaluation, row: PolicyEvaluation) -> list[str]:
    """Return the cells of one policy; of one that the log cannot judge only the verdict."""
    verdict = [] if evaluation.baseline is None else [signed_cell(row.verdict)]
    numbers = evaluation.numbers
    if not row.support_ok:
        return [escape(row.name), *(verdict or []), *([] if verdict else [CANNOT_TELL])]
    value = row.estimate(evaluation.default)
    cells = [escape(row.name), *verdict, numbers.number(value.value), numbers.interval(value)]
    return cells if evaluation.baseline is None else [*cells, *_difference_cells(row.together, numbers)]


def _compared(evaluation: Evaluation) -> int:
    """Return how many differences hold together."""
    return sum(row.together is not None for row in evaluation.rows)


def _difference_cells(difference: Estimate | None, numbers: NumberFormat) -> list[str]:
    """Return the cells of a difference and of its interval, both empty where there is none."""
    if difference is None:
        return ["", ""]
    return [numbers.number(difference.value, signed=True), numbers.interval(difference, signed=True)]


def weight_table(evaluation: Evaluation) -> Table:
    """Return a table of one row a policy: how far the log supports it, and the interval of its difference alone.

    That interval ignores the other comparisons, so that no verdict rests on it.
    """
    level = f"{100.0 * evaluation.realised.level:g}%"
    table = Table(title=f"support by the log; {level} intervals of each difference alone, on which no verdict rests")
    table.add_column("policy", overflow="fold")
    for heading in ("effective decisions", "largest weight", "mean weight", "never shown"):
        table.add_column(heading, justify="right")
    if evaluation.baseline is not None:
        table.add_column("difference alone", justify="right")
        table.add_column("interval", justify="right")
        table.add_column("p, all at once", justify="right")
    numbers = evaluation.numbers
    for row in evaluation.rows:
        cells = [
            escape(row.name),
            f"{row.effective_sample_size:,.0f}",
            f"{row.max_weight:,.1f}",
            f"{row.mean_weight.value:.3f}",
            f"{row.unsupported:.1%}",
        ]
        if evaluation.baseline is not None:
            alone = row.against_baseline(evaluation.default) if row.support_ok else None
            cells += [*_difference_cells(alone, numbers), "" if row.p_value is None else f"{row.p_value:.2g}"]
        table.add_row(*cells)
    return table


def evaluation_lines(evaluation: Evaluation, *, details: bool = False) -> list[str]:
    """Return the sentences below the tables: what was judged on what, and what limits the numbers.

    With `details` every finding is among them, else those that cast a doubt.
    """
    of = "" if evaluation.customers is None else f" of {counted(evaluation.customers, 'customer')}"
    lines = [f"Judged on {decisions_that_count(evaluation.n, evaluation.stands_for)}{of}."]
    if evaluation.learned_on:
        lines.append(
            "The log was split by customer: policies that learn did so from "
            f"{counted(evaluation.learned_on, 'other decision')}, and every policy is judged on these."
        )
    if evaluation.crossfit:
        lines.append(
            f"Policies that learn were judged by {evaluation.crossfit} copies each: every copy learned from all but "
            "one group of the customers and was judged on that group."
        )
    shown = {"doubt", "fatal", "note"} if details else {"doubt"}
    lines += [f"{each.severity}: {each.sentence}." for each in evaluation.findings if each.severity in shown]
    of_log = {each.sentence for each in evaluation.findings}
    for row in evaluation.rows:
        own = [each for each in row.findings if each.severity in shown - {"fatal"} and each.sentence not in of_log]
        lines += [f"{each.severity}: {row.name}: {each.sentence}." for each in own]
    return lines


def says_what_is_open(evaluation: Evaluation, *, details: bool) -> bool:
    """Return whether the findings shown say how many decisions are left out because they are still open."""
    shown = {"doubt", "note"} if details else {"doubt"}
    return any(each.check == "maturity" and each.severity in shown for each in evaluation.findings)


def segment_table(evaluation: Evaluation) -> Table:
    """Return a table of one row a segment and policy; the differences hold for all segments together."""
    level = f"{100.0 * evaluation.realised.level:g}%"
    held = "; those of differences hold for all segments together" if evaluation.baseline is not None else ""
    table = Table(title=f"by segment; by {evaluation.default}; {level} intervals{held}")
    table.add_column("segment", overflow="fold")
    table.add_column("policy", overflow="fold")
    table.add_column("decisions", justify="right")
    if evaluation.baseline is not None:
        table.add_column("verdict")
    table.add_column("value", justify="right")
    table.add_column("interval", justify="right")
    if evaluation.baseline is not None:
        table.add_column(f"minus {escape(evaluation.baseline)}", justify="right")
        table.add_column("interval", justify="right")
    numbers = NumberFormat.of([row.value for segment in evaluation.segments for row in segment.rows])
    for segment in evaluation.segments:
        table.add_section()
        for row in segment.rows:
            verdict = [] if evaluation.baseline is None else [signed_cell(row.verdict)]
            cells = [escape(f"{segment.fact} = {segment.name}"), escape(row.policy), count(segment.n), *verdict]
            cells += [numbers.number(row.value.value), numbers.interval(row.value)]
            table.add_row(*cells, *([] if row.verdict == "cannot tell" else _difference_cells(row.difference, numbers)))
    return table


def segment_lines(evaluation: Evaluation, *, details: bool = False) -> list[str]:
    """Return how many comparisons of segments can be told, the reason of each that can, and why the others cannot."""
    rows = [(segment, row) for segment in evaluation.segments for row in segment.rows if row.verdict is not None]
    if not rows:
        return []
    told = [each for each in rows if each[1].verdict in {"better", "worse"}]
    untold: dict[str, list[str]] = {}
    lines = [
        f"{SIGNS[row.verdict]} {segment.fact} = {segment.name}, {row.policy}: {row.verdict} - {row.reason}."
        for segment, row in told
        if row.verdict is not None
    ]
    for segment, row in rows:
        if row.verdict == "cannot tell" or (details and row.verdict == "no difference found"):
            reason = str(row.reason).removeprefix("cannot tell: ")
            untold.setdefault(f"{row.verdict} - {reason}", []).append(f"{segment.fact} = {segment.name}, {row.policy}")
    shown = list(untold.items()) if details else list(untold.items())[:MOST_SEGMENT_REASONS]
    lines += [f"{SIGNS[_verdict_in(words)]} {'; '.join(names)}: {words}." for words, names in shown]
    if len(untold) > len(shown):
        lines.append(f"{counted(len(untold) - len(shown), 'more reason')} why something cannot be told: see --details.")
    of = f"{count(len(rows))} comparison{'s' * (len(rows) != 1)} of segments"
    summary = f"{count(len(told))} of {of} can be told"
    return [f"{summary}{':' if lines else '.'}", *lines]


def _verdict_in(words: str) -> str:
    return next(verdict for verdict in SIGNS if words.startswith(verdict))


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
        title=f"earned per decision while learning: {escape(unit)}; {100.0 * level:g}% intervals", title_justify="left"
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


def replay_lines(replays: Sequence[Replay]) -> list[str]:
    """Return one sentence a policy: what it earned while it learned, or why that cannot be told."""
    numbers = NumberFormat.of([each.value for each in replays if each.value is not None])
    lines = []
    for each in replays:
        warning = each.warning or ""
        if each.value is None or warning.startswith(CANNOT_TELL):
            lines.append(f"? {each.name}: cannot tell - {warning.removeprefix(f'{CANNOT_TELL}: ')}.")
            continue
        interval = f"{100.0 * each.value.level:g}% interval {numbers.interval(each.value)}"
        lines.append(
            f"  {each.name}: it earned {numbers.number(each.value.value)} per decision while it learned ({interval})"
            f"{f'; {warning}' if warning else ''}."
        )
    return lines
