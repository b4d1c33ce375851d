"""How evaluate and learn-offline print an evaluation: the verdicts first, then tables and what limits the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.cli.console import show, show_plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.cli.logs import Opened
    from bandit.evaluate import Evaluation
    from bandit.tabular import Tabular


@dataclass(frozen=True, slots=True)
class EvaluationOutput:
    """How to print: the format, whether with details and all estimators, and the one policy asked for, if any."""

    style: str
    details: bool
    all_estimators: bool = False
    written_by: int | None = None


def show_evaluation(
    output: EvaluationOutput,
    found: Opened,
    result: Evaluation,
    further: Mapping[str, object],
    lines: Sequence[str] = (),
) -> None:
    """Print an evaluation; `further` joins its JSON document, and `lines` come last of its sentences."""
    from bandit.cli.logs import left_out_json, unused
    from bandit.evaluate import verdicts
    from bandit.report.calibration import coverage_lines, coverage_table
    from bandit.report.evaluations import (
        all_estimates_table,
        evaluation_lines,
        evaluation_table,
        says_what_is_open,
        segment_lines,
        segment_table,
        unit_of,
        verdict_lines,
        weight_table,
    )

    writers = _writers(output, found, result)

    def document() -> dict[str, object]:
        named = ("policy_id", "kind", "decisions")
        several = {"writers": [dict(zip(named, each, strict=True)) for each in writers]} if writers else {}
        return result.to_dict() | {"verdicts": verdicts(result), **several, **further} | left_out_json(found.log)

    if show_plain(output.style, document, lambda: _tables(result)):
        return
    first = verdict_lines(result, details=output.details)
    if writers:
        first.append(_one_writer(writers))
    tables = [evaluation_table(result, unit_of(found.catalogue.objective, found.catalogue.currency))]
    if result.segments:
        tables.append(segment_table(result))
    if output.details:
        tables.append(weight_table(result))
    if output.all_estimators:
        tables.append(all_estimates_table(result))
    if result.calibration is not None:
        tables.append(coverage_table(result.calibration))
        lines = [*coverage_lines(result.calibration, result.default), *lines]
    below = evaluation_lines(result, details=output.details)
    below += unused(
        found.log,
        open_told=says_what_is_open(result, details=output.details),
        counted_in=True,
        notices_told=True,
    )
    show(tables, [*segment_lines(result, details=output.details), *below, *lines], verdicts=first)


def _tables(result: Evaluation) -> list[tuple[str, Tabular]]:
    tables: list[tuple[str, Tabular]] = [("policies", result)]
    if result.segments:
        tables.append(("segments", result.by_segment))
    return tables if result.calibration is None else [*tables, ("calibration", result.calibration)]


def _writers(
    output: EvaluationOutput, found: Opened, result: Evaluation
) -> tuple[tuple[int | None, str | None, int], ...]:
    """Return who wrote the log, where several did, none was asked for, and something cannot be told."""
    if found.store is None or output.written_by is not None:
        return ()
    if not any(row.verdict == "cannot tell" for row in result.rows):
        return ()
    writers = found.store.activity.writers()
    return writers if len(writers) > 1 else ()


def _one_writer(writers: Sequence[tuple[int | None, str | None, int]]) -> str:
    """Return the sentence that names the policies whose decisions can be judged by themselves."""
    names = [
        f"{n:,} imported" if number is None or kind in {None, "imported"} else f"{n:,} by policy {number} ({kind})"
        for number, kind, n in writers
    ]
    return (
        f"The log has decisions by several writers: {', '.join(names)}. Judge those of one policy with --written-by ID."
    )
