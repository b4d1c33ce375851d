"""The single analyses of a report: each runs one public analysis on a source, or raises InputError with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.analysis.exploration_cost import exploration
from bandit.errors import InputError
from bandit.evaluate import LOGGED, evaluate
from bandit.evaluate.audience import ANNOUNCED_LEVEL, audience
from bandit.evaluate.breakdown import (
    catalogue_use,
    depth_response,
    learning_curve,
    option_segments,
    outcome_calibration,
)
from bandit.evaluate.incrementality_log import IncrementLogOptions, incrementality_of
from bandit.evaluate.lift_log import LiftLogOptions, lift_of
from bandit.governance.verify import verify
from bandit.learning import PolicyLearner
from bandit.ope.clusters import ClusterIndex
from bandit.policies import SegmentRules, ThompsonSampling, build
from bandit.report.html.contents import ExploringPolicy, LogFacts
from bandit.store import StoreLog, Where

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bandit.domain import Log, Policy, Progress
    from bandit.evaluate import Evaluation
    from bandit.evaluate.audience import Audience
    from bandit.evaluate.breakdown import (
        CatalogueUse,
        DepthResponse,
        LearningCurve,
        OptionSegments,
        OutcomeCalibration,
    )
    from bandit.evaluate.incrementality_log import IncrementalityReport
    from bandit.evaluate.lift_log import LiftReport
    from bandit.governance.verify import VerifyReport
    from bandit.report.html.contents import ReportOptions, ReportSource
    from bandit.store import Store

MOST_SHOWN_FACTS, MOST_SHOWN_VALUES = 3, 6
"""Most facts whose segments are shown where none are named, and most values that such a fact has."""

_BATCH = 16_384
_NO_DATABASE = "a log file does not say which customer was in which group; import it into a database"
_NO_GROUPS = "needs live groups of customers: declare [groups] in the catalogue, and decide with it"
_QUICK = "left out, as --quick asks; make the report without it"


class Analyses:
    """The analyses of one source under the same options; `log` is the source's, in memory where it fits."""

    def __init__(self, source: ReportSource, options: ReportOptions, log: Log) -> None:
        self.source, self.options, self.log = source, options, log
        self.catalogue = source.catalogue

    def facts(self, progress: Progress) -> LogFacts:
        """Return the size of the log and the time of its first and last decision."""
        index, customers, first, last, done = ClusterIndex(), 0, [], [], 0
        for batch in self.log.batches(_BATCH):
            ids, _ = index.read(batch.contexts.customers, len(batch))
            customers = max(customers, 0 if ids is None else int(ids.max()) + 1)
            first.append(int(batch.time.min()))
            last.append(int(batch.time.max()))
            done += len(batch)
            progress(done, self.log.n)
        return LogFacts(self.log.n, customers or None, min(first), max(last))

    def evaluation(self, folds: int, progress: Progress) -> Evaluation:
        """Return the evaluation of the policies; those that learn by cross-fitting over `folds`."""
        policies: Mapping[str, Policy] = self.options.policies
        if not policies:
            learner = ThompsonSampling(self.catalogue)
            policies = {learner.name: learner}
        learns = any(policy.learns for policy in policies.values())
        return evaluate(
            self.log if self.options.runner is None else self.source.log,  # what is cached is in no parts
            policies,
            self._baseline(),
            catalogue=self.catalogue,
            rng=self._rng(),
            level=self.options.level,
            crossfit=folds if learns else None,
            now=self.options.now,
            progress=progress,
            runner=self.options.runner,
        )

    def lift(self, progress: Progress) -> LiftReport:
        """Return the lift between live groups, in all and by week."""
        asked = LiftLogOptions(since=self.options.since, weeks=True, level=self.options.level)
        return lift_of(self._store_with_groups(), self.catalogue, asked, now=self.options.now, progress=progress)

    def increments(self, progress: Progress) -> IncrementalityReport:
        """Return what would have been bought anyway."""
        asked = IncrementLogOptions(since=self.options.since, level=self.options.level)
        store = self._store_with_groups()
        return incrementality_of(store, self.catalogue, asked, now=self.options.now, progress=progress)

    def curve(self, progress: Progress) -> LearningCurve:
        """Return what each group, or without groups each policy, earned by week."""
        store, whole = self.source.store, self.source.whole or self.source.log
        grouped = store is None or len(store.decisions.decisions_by_group()) > 1
        return learning_curve(
            whole,
            catalogue=self.catalogue,
            split="group" if grouped else "policy",
            level=self.options.level,
            progress=progress,
        )

    def audience(self, progress: Progress) -> Audience:
        """Return the audience surprises against the baseline, at the level of `audience` or a higher one."""
        if self.options.quick:
            raise InputError(_QUICK)
        baseline = self._baseline()
        if isinstance(baseline, str) and baseline != LOGGED:
            baseline = self.options.policies[baseline]
        return audience(
            self.log,
            baseline,
            catalogue=self.catalogue,
            rng=self._rng(),
            by=self.options.by,
            level=max(self.options.level, ANNOUNCED_LEVEL),
            progress=progress,
        )

    def segments(self, progress: Progress) -> OptionSegments:
        """Return the options by segment of the chosen facts."""
        facts = self.options.by or self._chosen_facts()
        return option_segments(self.log, facts, catalogue=self.catalogue, level=self.options.level, progress=progress)

    def depth(self, progress: Progress) -> DepthResponse:
        """Return response and profit by depth."""
        return depth_response(self.log, catalogue=self.catalogue, level=self.options.level, progress=progress)

    def use(self, progress: Progress) -> CatalogueUse:
        """Return how the catalogue is used, in the whole log."""
        return catalogue_use(self.source.whole or self.log, catalogue=self.catalogue, progress=progress)

    def calibration(self, progress: Progress) -> OutcomeCalibration:
        """Return the calibration of predicted responses."""
        if self.options.quick:
            raise InputError(_QUICK)
        return outcome_calibration(self.log, catalogue=self.catalogue, level=self.options.level, progress=progress)

    def exploring(self, progress: Progress) -> ExploringPolicy:
        """Return the cost of exploration of the policy of Thompson sampling that made most decisions."""
        store = self.source.store
        if store is None:
            raise InputError("needs a database, whose policy has learned from these decisions; import the file first")
        known = [row.id for row in store.catalogues.policies() if row.spec.get("kind") == "thompson"]
        if self.source.written_by in known:
            known = [self.source.written_by]
        sizes = {number: StoreLog(store, self.catalogue, where=Where(policy_id=number)).n for number in known}
        if not any(sizes.values()):
            raise InputError("needs decisions of a policy that learns in this database (thompson)")
        number = max(sizes, key=lambda each: sizes[each])
        catalogue_id, spec = store.catalogues.policy_spec(number)
        catalogue = store.catalogues.get(catalogue_id)
        policy = build(catalogue, spec)
        if not isinstance(policy, ThompsonSampling):
            raise InputError(f"policy {number} is not Thompson sampling, which alone has expected rewards")
        PolicyLearner(store, catalogue, catalogue_id, policy)  # brings the policy to its current state
        log = StoreLog(store, catalogue, where=Where(policy_id=number))
        return ExploringPolicy(number, policy.name, exploration(log, policy, by="tenth", progress=progress))

    def verified(self, progress: Progress) -> VerifyReport:
        """Return the verification of the database, where it is asked for."""
        if self.source.store is None:
            raise InputError("a log file has no seeds and no policy states to compute its decisions again from")
        if not self.options.verify:
            raise InputError("--verify was not given; with it every decision is computed again, which takes long")
        return verify(self.source.store, progress)

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(self.options.seed)

    def _baseline(self) -> str | Policy:
        """Return what to compare with: what was asked for, else the rules of the catalogue's groups, else the log."""
        if self.options.baseline is not None:
            return self.options.baseline
        groups = self.catalogue.groups
        if groups is None or groups.rules is None:
            return LOGGED
        return SegmentRules(self.catalogue, groups.rules, f"{self.source.name}: [groups] rules")

    def _chosen_facts(self) -> list[str]:
        """Return the first facts of the catalogue that have few segments."""
        few = [
            name
            for name, fact in self.catalogue.facts.items()
            if fact.kind != "categorical" or len(fact.values) <= MOST_SHOWN_VALUES
        ]
        return few[:MOST_SHOWN_FACTS]

    def _store_with_groups(self) -> Store:
        if self.source.store is None:
            raise InputError(_NO_DATABASE)
        if self.catalogue.groups is None and len(self.source.store.decisions.decisions_by_group()) < 2:
            raise InputError(_NO_GROUPS)
        return self.source.store
