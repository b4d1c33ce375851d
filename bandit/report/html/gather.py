"""Runs the analyses of a report over one log; an analysis that is not possible leaves its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from bandit.analysis.exploration_cost import exploration
from bandit.errors import InputError, OfferBanditError
from bandit.evaluate import LOGGED, evaluate
from bandit.evaluate.incrementality_log import IncrementLogOptions, incrementality_of
from bandit.evaluate.lift_log import LiftLogOptions, lift_of
from bandit.evaluate.log_cache import cache_log
from bandit.governance.verify import verify
from bandit.learning import PolicyLearner
from bandit.ope.clusters import ClusterIndex
from bandit.policies import SegmentRules, ThompsonSampling, build
from bandit.report.html.contents import Answer, ExploringPolicy, LogFacts, ReportContents
from bandit.report.html.stages import Stages
from bandit.store import StoreLog, Where

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bandit.domain import Log, Policy, Progress
    from bandit.evaluate import Evaluation
    from bandit.evaluate.incrementality_log import IncrementalityReport
    from bandit.evaluate.lift_log import LiftReport
    from bandit.governance.verify import VerifyReport
    from bandit.report.html.contents import ReportOptions, ReportSource
    from bandit.store import Store

_Found = TypeVar("_Found")

FULL_FOLDS, QUICK_FOLDS = 5, 2
"""Copies of a policy that learns: of a log of usual size, and of a large one or where the report is to be quick."""

MANY_DECISIONS = 50_000
"""With more decisions than this, policies learn by `QUICK_FOLDS` folds."""

_BATCH = 16_384
_NO_DATABASE = "a log file does not have it; import the file into a database, which has"
_NO_GROUPS = "needs live groups of customers: declare [groups] in the catalogue, and decide with it"


def gather(source: ReportSource, options: ReportOptions, progress: Progress | None = None) -> ReportContents:
    """Return everything that a report shows.

    Most of the time goes into the evaluation, for which each policy that learns is taught once for every fold.
    InputError for a log without decisions; what cannot be computed is an `Answer` with its reason.
    """
    if not source.log.n:
        raise InputError(f"{source.name}: the log has no decisions to report on")
    stages = Stages(progress, {"read": 4, "evaluate": 50, "lift": 20, "increments": 10, "exploring": 6, "verify": 10})
    log = cache_log(source.log, _BATCH)
    facts = _facts(log, stages.of("read"))
    folds = options.folds or (QUICK_FOLDS if options.quick or facts.n > MANY_DECISIONS else FULL_FOLDS)
    return ReportContents(
        source=source,
        options=options,
        log=facts,
        folds=folds,
        notes=tuple(source.left_out),
        evaluation=_try(lambda: _evaluation(source, log, options, folds, stages.of("evaluate"))),
        lift=_try(lambda: _lift(source, options, stages.of("lift"))),
        increments=_try(lambda: _increments(source, options, stages.of("increments"))),
        exploring=_try(lambda: _exploring(source, stages.of("exploring"))),
        verified=_try(lambda: _verified(source, options, stages.of("verify"))),
    )


def rules_of(source: ReportSource) -> SegmentRules | None:
    """Return today's rules where the catalogue's groups declare them."""
    groups = source.catalogue.groups
    if groups is None or groups.rules is None:
        return None
    return SegmentRules(source.catalogue, groups.rules, f"{source.name}: [groups] rules")


def _try(analyse: Callable[[], _Found]) -> Answer[_Found]:
    """Return what an analysis found; a fault is a reason, so that one analysis never costs the whole report."""
    try:
        return Answer(analyse())
    except OfferBanditError as fault:
        return Answer(None, _reason(str(fault)))
    except Exception as fault:  # noqa: BLE001 - a report without one section is worth more than none
        return Answer(None, f"an internal error ({type(fault).__name__}: {_reason(str(fault))}); please report it")


def _reason(sentence: str) -> str:
    return " ".join(sentence.split()).rstrip(".")


def _facts(log: Log, progress: Progress) -> LogFacts:
    index, customers, first, last, done = ClusterIndex(), 0, [], [], 0
    for batch in log.batches(_BATCH):
        ids, _ = index.read(batch.contexts.customers, len(batch))
        customers = max(customers, 0 if ids is None else int(ids.max()) + 1)
        first.append(int(batch.time.min()))
        last.append(int(batch.time.max()))
        done += len(batch)
        progress(done, log.n)
    return LogFacts(log.n, customers or None, min(first), max(last))


def _evaluation(source: ReportSource, log: Log, options: ReportOptions, folds: int, progress: Progress) -> Evaluation:
    policies: Mapping[str, Policy] = options.policies or _default_policies(source)
    baseline: str | Policy = rules_of(source) or LOGGED if options.baseline is None else options.baseline
    learns = any(policy.learns for policy in policies.values())
    return evaluate(
        log,
        policies,
        baseline,
        catalogue=source.catalogue,
        rng=np.random.default_rng(options.seed),
        level=options.level,
        crossfit=folds if learns else None,
        now=options.now,
        progress=progress,
    )


def _default_policies(source: ReportSource) -> dict[str, Policy]:
    policy = ThompsonSampling(source.catalogue)
    return {policy.name: policy}


def _lift(source: ReportSource, options: ReportOptions, progress: Progress) -> LiftReport:
    store = _store_with_groups(source)
    asked = LiftLogOptions(since=options.since, weeks=True, level=options.level)
    return lift_of(store, source.catalogue, asked, now=options.now, progress=progress)


def _increments(source: ReportSource, options: ReportOptions, progress: Progress) -> IncrementalityReport:
    store = _store_with_groups(source)
    asked = IncrementLogOptions(since=options.since, level=options.level)
    return incrementality_of(store, source.catalogue, asked, now=options.now, progress=progress)


def _store_with_groups(source: ReportSource) -> Store:
    if source.store is None:
        raise InputError(_NO_DATABASE)
    if source.catalogue.groups is None and len(source.store.decisions.decisions_by_group()) < 2:
        raise InputError(_NO_GROUPS)
    return source.store


def _exploring(source: ReportSource, progress: Progress) -> ExploringPolicy:
    """Return the cost of exploration of the policy of Thompson sampling that made most decisions."""
    store = source.store
    if store is None:
        raise InputError("needs a database, whose policy has learned from these decisions; import the file first")
    known = [row.id for row in store.catalogues.policies() if row.spec.get("kind") == "thompson"]
    if source.written_by in known:
        known = [number for number in known if number == source.written_by]
    logs = {number: StoreLog(store, source.catalogue, where=Where(policy_id=number)) for number in known}
    logs = {number: log for number, log in logs.items() if log.n}
    if not logs:
        raise InputError("needs decisions of a policy that learns from this database (thompson)")
    number = max(logs, key=lambda each: logs[each].n)
    catalogue_id, spec = store.catalogues.policy_spec(number)
    catalogue = store.catalogues.get(catalogue_id)
    policy = build(catalogue, spec)
    if not isinstance(policy, ThompsonSampling):
        raise InputError(f"policy {number} is not Thompson sampling, which alone has expected rewards")
    PolicyLearner(store, catalogue, catalogue_id, policy)  # brings the policy to its current state
    log = StoreLog(store, catalogue, where=Where(policy_id=number))
    return ExploringPolicy(number, policy.name, exploration(log, policy, by="tenth", progress=progress))


def _verified(source: ReportSource, options: ReportOptions, progress: Progress) -> VerifyReport:
    if source.store is None:
        raise InputError("a log file has no seeds and no policy states to compute its decisions again from")
    if not options.verify:
        raise InputError("not asked for; `offer-bandit verify` computes every decision again, and so does --verify")
    return verify(source.store, progress)
