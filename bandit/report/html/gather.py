"""Runs the analyses of a report over one log; an analysis that is not possible leaves its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from bandit.errors import InputError, OfferBanditError
from bandit.evaluate.log_cache import cache_log
from bandit.ope.estimate import check_level
from bandit.report.html.analyses import Analyses
from bandit.report.html.contents import Answer, ReportContents
from bandit.report.html.stages import Stages

if TYPE_CHECKING:
    from collections.abc import Callable

    from bandit.domain import Progress
    from bandit.report.html.contents import ReportOptions, ReportSource

_Found = TypeVar("_Found")

FULL_FOLDS, QUICK_FOLDS = 5, 2
"""Copies of a policy that learns: of a log of usual size, and of a large one or where the report is to be quick."""

MOST_FOLDS = 100
"""Most copies of a policy that learns."""

MANY_DECISIONS = 50_000
"""With more decisions than this, policies learn by `QUICK_FOLDS` folds."""

_BATCH = 16_384

_WEIGHTS = {
    "facts": 3, "evaluation": 40, "lift": 12, "increments": 8, "curve": 3, "audience": 15, "segments": 5, "depth": 3,
    "use": 2, "calibration": 12, "exploring": 4, "verified": 8,
}  # fmt: skip
"""How long the stages take, roughly and relative to each other."""


def gather(source: ReportSource, options: ReportOptions, progress: Progress | None = None) -> ReportContents:
    """Return everything that a report shows.

    Most of the time goes into the evaluation, for which each policy that learns is taught once for every fold, then
    into the audience search and the calibration. InputError for a log without decisions; what cannot be computed is an
    `Answer` with its reason.
    """
    if not source.log.n:
        raise InputError(f"{source.name}: the log has no decisions to report on")
    _check(source, options)
    stages = Stages(progress, _WEIGHTS)
    names = tuple(dict.fromkeys([source.name, *([] if source.store is None else [str(source.store.path)])]))

    def attempt(analyse: Callable[[], _Found]) -> Answer[_Found]:
        return _try(analyse, names)

    ask = Analyses(source, options, cache_log(source.log, _BATCH))
    facts = ask.facts(stages.of("facts"))
    folds = options.folds or (QUICK_FOLDS if options.quick or facts.n > MANY_DECISIONS else FULL_FOLDS)
    return ReportContents(
        source=source,
        options=options,
        log=facts,
        folds=folds,
        notes=tuple(source.left_out),
        evaluation=attempt(lambda: ask.evaluation(folds, stages.of("evaluation"))),
        lift=attempt(lambda: ask.lift(stages.of("lift"))),
        increments=attempt(lambda: ask.increments(stages.of("increments"))),
        curve=attempt(lambda: ask.curve(stages.of("curve"))),
        audience=attempt(lambda: ask.audience(stages.of("audience"))),
        segments=attempt(lambda: ask.segments(stages.of("segments"))),
        depth=attempt(lambda: ask.depth(stages.of("depth"))),
        use=attempt(lambda: ask.use(stages.of("use"))),
        calibration=attempt(lambda: ask.calibration(stages.of("calibration"))),
        exploring=attempt(lambda: ask.exploring(stages.of("exploring"))),
        verified=attempt(lambda: ask.verified(stages.of("verified"))),
    )


def _check(source: ReportSource, options: ReportOptions) -> None:
    """Raise InputError for options that no analysis could use, before anything is computed."""
    check_level(options.level)
    for fact in options.by:
        if fact not in source.catalogue.facts:
            declared = ", ".join(source.catalogue.facts) or "none"
            raise InputError(f'there is no fact "{fact}" to split by; declared are {declared}')
    if options.folds is not None and not 2 <= options.folds <= MOST_FOLDS:
        raise InputError(f"a report cross-fits by 2 to {MOST_FOLDS} folds, not {options.folds}; leave it out if unsure")


def _try(analyse: Callable[[], _Found], names: tuple[str, ...]) -> Answer[_Found]:
    """Return what an analysis found; a fault is a reason, so that one analysis never costs the whole report.

    The report's reader knows which log it is about, so a reason does not begin with one of its `names`.
    """
    try:
        return Answer(analyse())
    except OfferBanditError as fault:
        reason = _reason(str(fault))
        for name in names:
            reason = reason.removeprefix(f"{name}: ")
        return Answer(None, reason)
    except Exception as fault:  # noqa: BLE001 - a report without one section is worth more than none
        return Answer(None, f"an internal error ({type(fault).__name__}: {_reason(str(fault))}); please report it")


def _reason(sentence: str) -> str:
    return " ".join(sentence.split()).rstrip(".")
