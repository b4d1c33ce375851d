"""Whether the log can be trusted: the checks of its propensities, groups, repeats and outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.report.html.section import ReportSection, TableCell, missing, sentence, table
from bandit.report.numbers import count

if TYPE_CHECKING:
    from bandit.evaluate import Evaluation
    from bandit.evaluate.diagnostics import DiagnosticCheck
    from bandit.report.html.contents import ReportContents
    from bandit.report.html.section import ReportTable, Tone

_KEY, _TITLE = "health", "Can this log be trusted?"

_TONES: dict[str | None, tuple[str, Tone]] = {
    None: ("well", "well"),
    "note": ("note", "plain"),
    "doubt": ("doubt", "doubt"),
    "fatal": ("fatal", "fatal"),
}

_ASKED = {
    "self_test": "the policy that wrote the log, judged on its own log, earns what was logged",
    "propensities": "inverse propensities add up to the number of decisions, for every option and frequent offer",
    "choices": "offers were chosen as often as the logging policy's probabilities say",
    "repeats": "no decision is logged twice",
    "maturity": "outcomes had the time to come in",
    "sample_ratio": "the groups have the sizes that were meant",
}
_NOT_MADE = {
    "propensities": "not checked: there are too many offers",
    "choices": "not checked: the probabilities of all offers are known only of a logging policy at hand",
    "repeats": "not checked: the log does not name customers",
    "maturity": "not checked",
    "sample_ratio": "not checked here: see the live groups",
}


def health_section(contents: ReportContents) -> ReportSection:
    """Return the section on the checks of the log."""
    found = contents.evaluation.value
    if found is None:
        return missing(_KEY, _TITLE, f"the checks are made with the evaluation: {contents.evaluation.reason}")
    rows = [_row(_ASKED[name], getattr(found.diagnosis, name), name) for name in _ASKED]
    rows += _propensity_rows(found) + _verify_rows(contents)
    columns = {"what was checked": False, "what was found": False}
    return ReportSection(
        key=_KEY,
        title=_TITLE,
        finding=_finding(found),
        tables=(table("Checks of the log", columns, rows), *_counted(found)),
        notes=tuple(contents.notes),
    )


def _finding(found: Evaluation) -> str:
    fatal = [each for each in found.findings if each.severity == "fatal"]
    doubts = [each for each in found.findings if each.severity == "doubt"]
    if fatal:
        return sentence(f"no, not for a verdict: {fatal[0].sentence}")
    if doubts:
        return sentence(f"with {len(doubts)} doubt{'s' if len(doubts) > 1 else ''}: {doubts[0].sentence}")
    return "Yes: none of the checks found anything that limits the verdicts."


def _row(asked: str, check: DiagnosticCheck | None, name: str) -> list[str | TableCell]:
    if check is None:
        return [asked, TableCell(_NOT_MADE.get(name, "not checked"), "unknown")]
    word, tone = _TONES[check.severity]
    said = check.sentence()
    return [asked, TableCell(word if said is None else f"{word}: {said}", tone)]


def _propensity_rows(found: Evaluation) -> list[list[str | TableCell]]:
    fit = found.propensities
    if fit is None:
        return []
    tone: Tone = "fatal" if fit.warning else "doubt"
    return [
        ["propensities were not logged and had to be estimated", TableCell(f"{tone}: {fit.warning or fit.note}", tone)]
    ]


def _verify_rows(contents: ReportContents) -> list[list[str | TableCell]]:
    asked = "every decision computed again from its seed, context and policy state"
    report = contents.verified.value
    if report is None:
        return [[asked, TableCell(f"not checked: {contents.verified.reason}", "unknown")]]
    again = f"{count(report.n_recomputed)} of {count(report.n_decisions)} decisions were computed again"
    if report.problems:
        more = f", and {len(report.problems) - 1} more problems" if len(report.problems) > 1 else ""
        return [[asked, TableCell(f"fatal: {report.problems[0]}{more}; {again}", "fatal")]]
    notes = "".join(f"; {each}" for each in report.notes)
    return [[asked, TableCell(f"well: {again}, all alike{notes}", "well")]]


def _counted(found: Evaluation) -> tuple[ReportTable, ...]:
    """Return the table of inverse propensities by option."""
    check = found.diagnosis.propensities
    if check is None:
        return ()
    options = [each for each in check.counted if each.kind in {"all", "option"}]
    columns = {"option": False, "decisions": True, "sum of 1 / propensity, over those eligible": True, "error": True}
    rows: list[list[str | TableCell]] = [
        [each.label, count(each.decisions), f"{each.ratio:.3f}", f"{each.error:.3f}"] for each in options
    ]
    return (table("Inverse propensities: each ratio should be 1", columns, rows),)
