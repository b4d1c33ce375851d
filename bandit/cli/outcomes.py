"""Outcomes from a file, for `record --from`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.cli.console import note, progress, show, show_json
from bandit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def record_outcomes(
    db: Path, file: Path, campaign: str | None, columns: Sequence[str], events: Sequence[str], *, as_json: bool
) -> None:
    """Record a file's outcomes in a database, and print what became of its rows."""
    from bandit.cli.databases import catalogue_for, writing
    from bandit.engine.outcome_file import OutcomeFile, record_file
    from bandit.report.outcomes import outcome_table

    given = OutcomeFile(file, _pairs(columns, "--column"), _pairs(events, "--event-name"), campaign)
    with writing(db) as store, progress("recording") as report:
        found = record_file(store, catalogue_for(store, None), given, progress=report)
    if as_json:
        show_json(found.to_dict())
        return
    show([outcome_table(found.n_rows, found.to_rows())], [f"Note: {each.sentence}." for each in found.notes])
    for each in found.refused:
        note(f"note: line {each.line}: {each.reason}")


def _pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """Return pairs given as NAME=VALUE; the last "=" divides them, since events may have one in their names."""
    parts = [text.rpartition("=") if option == "--event-name" else text.partition("=") for text in texts]
    wrong = next(
        (text for text, (one, sign, other) in zip(texts, parts, strict=True) if not (one and sign and other)), None
    )
    if wrong is not None:
        raise InputError(f'{option} "{wrong}" cannot be read; write it as NAME=VALUE')
    return {one.strip(): other.strip() for one, _, other in parts}
