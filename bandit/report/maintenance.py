"""Reports of verify, rebuild, erase, retain and doctor as sentences and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.printable import count, counted

if TYPE_CHECKING:
    from bandit.governance.erasure import EraseReport
    from bandit.governance.retention import RetentionReport
    from bandit.governance.verify import VerifyReport
    from bandit.learning import RebuildReport


def verified_lines(verified: VerifyReport) -> list[str]:
    """Return the result of a verification, one sentence per line."""
    if verified.problems:
        return [*verified.problems, *verified.notes]
    n, again = counted(verified.n_decisions, "decision"), count(verified.n_recomputed)
    found = f"No problem found: {n}, {again} of them made by the engine, recomputed with the same result."
    return [found, *verified.notes]


def erased_lines(erased: EraseReport) -> list[str]:
    """Return what an erasure did and what it could not reach, one sentence per line."""
    went = f"{counted(erased.decisions, 'decision')}, {counted(erased.events, 'event')}"
    lines = [f"The customer is erased: {went}; no byte of them is left in the file."]
    if erased.refitted:
        lines.append(f"Rebuilt without the customer: {_policies(erased.refitted)}.")
    if erased.begun_anew:
        lines.append(f"Learns the log again when its program opens it: {_policies(erased.begun_anew)}.")
    if erased.warm_starts:
        lines.append(
            f"Started from another log, or took a belief over before a retention run: {_policies(erased.warm_starts)}; "
            "where the customer is in that log, erase them there and fit again."
        )
    lines += [f"To be deleted by hand, since it may contain the customer: {path}" for path in erased.older_copies]
    lines += [
        f"Still contains the customer, for a running process: {path}; run the command again when it has ended"
        for path in erased.spools
    ]
    return lines


def retained_lines(retained: RetentionReport, before: str) -> list[str]:
    """Return what a retention run did, or would do, one sentence per line."""
    went = (
        f"{counted(retained.decisions, 'decision')} made before {before}, {counted(retained.events, 'event')}, and "
        f"{counted(retained.customers, 'customer')} without a decision after it"
    )
    if not retained.done:
        return [f"To be removed: {went}. Nothing was changed."]
    lines = [f"Removed: {went}." if retained.decisions else f"There is no decision made before {before}."]
    lines += [
        f"Policy {policy} keeps what it learned; `verify` and `rebuild` now start from its step {step}."
        for policy, step in retained.base_steps.items()
    ]
    if retained.begun_anew:
        lines.append(f"Learns the log again when its program opens it: {_policies(retained.begun_anew)}.")
    return lines


def rebuilt_lines(rebuilt: Mapping[int, RebuildReport]) -> list[str]:
    """Return how the rebuilt states compare with the stored ones, one sentence per policy."""
    if not rebuilt:
        return ["There is no policy that learns."]
    return [
        f"Policy {policy}: {counted(each.n, 'outcome')} in {counted(each.steps, 'step')}, rebuilt: "
        + ("the same as the stored state." if each.same else "not the stored state; see `offer-bandit verify`.")
        for policy, each in rebuilt.items()
    ]


def _policies(numbers: Sequence[int]) -> str:
    return "policy " + ", ".join(map(str, numbers))


def doctor_tables(sections: Mapping[str, Mapping[str, object]]) -> list[Table]:
    """Return one table per section, with one row per finding."""
    tables = []
    for title, rows in sections.items():
        table = Table(title=escape(title), title_justify="left", show_header=False)
        table.add_column()
        table.add_column(overflow="fold")
        for name, value in rows.items():
            table.add_row(escape(name), escape(_words(value)))
        tables.append(table)
    return tables


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    return "-" if value is None else str(value)
