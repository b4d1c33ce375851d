"""The loop that judges: a batch of the log comes in, one number a row goes to the estimators, policy by policy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.evaluate.diagnostics import (
    Contrast,
    Finding,
    LogDiagnosis,
    LogDiagnostics,
    TargetSupport,
    TargetWeights,
    findings,
)
from bandit.evaluate.diagnostics.target import rarer
from bandit.evaluate.grounds import of_estimates, of_overlap, verdict_and_reason
from bandit.evaluate.propensity.estimated import Overlap
from bandit.evaluate.results import Evaluation, PolicyEvaluation
from bandit.ope import Feedback, Tally
from bandit.ope.slate_weights import marginal_weights, slate_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator

    from bandit.domain import FloatArray, IntArray, LoggedBatch
    from bandit.evaluate.candidates import Candidate
    from bandit.evaluate.propensity.calibration import Calibration
    from bandit.evaluate.propensity.logging_policy import LoggingPolicy, LoggingProbabilities
    from bandit.evaluate.rewards.ridge_regression import CrossFitted
    from bandit.evaluate.segments import Segment, Segments
    from bandit.ope import Estimate, Estimator, IntervalKind
    from bandit.ope.clusters import ClusterIndex
    from bandit.ope.feedback import Need

LOGGED = "logged"
"""The name of the policy that wrote the log; it may be named as the baseline."""

_SUPPORT_LEVEL = 0.999

_SLACK = 0.02
"""By how much weights made of estimated propensities may miss their mean of 1: the model's error, not the log's."""


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationInputs:
    """What the estimators are given besides propensities, where they need it.

    `rewards` is the reward model, `robust` one for each candidate, fitted for it alone; `labels` (N,) says which
    combination of the dimensions of mips an offer has, `columns` (N, K) which options. `estimated` says whether the
    propensities are, `converts` whether what is earned comes from conversions,
    `binary` whether they all count the same.
    """

    logging: LoggingPolicy
    rewards: CrossFitted | None
    robust: tuple[CrossFitted, ...]
    labels: IntArray
    columns: FloatArray
    needs: frozenset[Need]
    estimated: bool
    converts: bool
    binary: bool


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """What is asked of the tallies: the estimators to show, the one to judge by, the level, the kind of interval."""

    estimators: tuple[str, ...]
    default: str
    baseline: str | None
    level: float
    interval: IntervalKind


class Evaluator:
    """Feeds the tally batch by batch and reads the evaluation off it; policy 0 of the tally wrote the log."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        estimators: Sequence[Estimator],
        aids: EvaluationInputs,
        segments: Segments | None,
        diagnostics: LogDiagnostics,
        n_offers: int,
        rng: Generator,
        base: int | None,
    ) -> None:
        self.base = base
        self.candidates, self.aids, self.segments = tuple(candidates), aids, segments
        self.diagnostics, self.n_offers = diagnostics, n_offers
        self.tally = Tally(1 + len(self.candidates), estimators)
        # One generator a policy: to leave a policy out changes nothing for the others.
        self.rngs = rng.spawn(len(self.candidates))
        self.n = 0
        self.known_customers = False
        self.shown = np.zeros(n_offers, dtype=np.int64)
        self.wanted = np.zeros((len(self.candidates), n_offers))
        self.weights = [TargetWeights() for _ in self.candidates]
        self.overlaps = [Overlap() for _ in self.candidates]
        self.contrasts = [Contrast() for _ in self.candidates]
        self.outcomes = 0

    def add(self, batch: LoggedBatch, keys: ClusterIndex) -> None:
        """Add a batch, whose (n, N) tables live only here."""
        n = len(batch)
        cluster, shares = keys.read(batch.contexts.customers, n)
        self.known_customers = cluster is not None
        chances = self.aids.logging.chances(batch, shares)
        expected: FloatArray | None = None
        if self.aids.rewards is not None:
            expected = self.aids.rewards.predict(batch.contexts, shares, self.n_offers)
        feedback = [self._logged(batch, chances, expected, cluster)]
        for place, candidate in enumerate(self.candidates):
            table = candidate.probabilities(batch, shares, self.rngs[place])
            robust = None
            if self.aids.robust:
                robust = self.aids.robust[place].predict(batch.contexts, shares, self.n_offers)
            feedback.append(self._judged(batch, chances, table, expected, robust, cluster))
            self._weigh(place, feedback[-1], table, chances)
        self.tally.add(*feedback)
        self._compare(feedback)
        paid = batch.converted if self.aids.converts else batch.reward != 0.0
        self.outcomes += int(paid.sum())
        if self.segments is not None:
            self.segments.add(batch.contexts, feedback, paid)
        if self.aids.estimated:
            self.diagnostics.add(replace(batch, propensity=chances.propensity), cluster)
        else:
            self.diagnostics.add(batch, cluster, chances.table)
        self.shown += np.bincount(batch.offer, minlength=self.n_offers)
        self.n += n

    def evaluation(
        self,
        asked: EvaluationRequest,
        learned_on: int,
        crossfit: int,
        diagnosis: LogDiagnosis,
        calibration: Calibration | None,
    ) -> Evaluation:
        """Return the rows of the table; `calibration` is that of estimated propensities."""
        names, base = [LOGGED, *(each.name for each in self.candidates)], self.base
        realised = _only(self.tally.estimates(0, asked.level, asked.interval), ("ips",))[0]
        of_log = diagnosis.findings + of_estimates(calibration)
        supports = [self._support(place) for place in range(len(self.candidates))]
        found = self._all_findings(of_log, supports, calibration, base)
        compared = [place for place in range(1, len(names)) if base is not None and place != base]
        # Who cannot be judged takes no part, so that it costs the others nothing.
        able = [place for place in compared if all(each.severity != "fatal" for each in found[place - 1])]
        together = dict(zip(able, self._together(able, base, asked), strict=True))
        rows = []
        for place, name in enumerate(names[1:], start=1):
            estimates = _only(self.tally.estimates(place, asked.level, asked.interval), asked.estimators)
            difference = None
            if base is not None and base != place:
                difference = self.tally.difference(place, base, asked.level, asked.interval)
                difference = _only(difference, asked.estimators)
            joint_one = together.get(place)
            held_together = None if joint_one is None else joint_one[0]
            mine = found[place - 1]
            events = supports[place - 1].events if not base else self.contrasts[place - 1].size * self._rarer
            verdict, reason = verdict_and_reason(
                place == base, mine, held_together, asked.baseline, len(together), self.aids.estimated, events
            )
            rows.append(
                PolicyEvaluation(
                    name=name,
                    estimates=estimates,
                    difference=difference,
                    together=held_together,
                    p_value=None if joint_one is None else joint_one[1],
                    mean_weight=self.tally.mean_weight(place, asked.level),
                    support=supports[place - 1],
                    findings=mine,
                    verdict=verdict,
                    reason=reason,
                )
            )
        segments: tuple[Segment, ...] = ()
        if self.segments is not None:
            fatal = [any(each.severity == "fatal" for each in of_one) for of_one in found]
            unfit = frozenset(each.name for each, bad in zip(self.candidates, fatal, strict=True) if bad)
            segments = self.segments.answers(asked.default, asked.level, asked.interval, unfit)
        return Evaluation(
            n=self.n,
            customers=realised.clusters if self.known_customers else None,
            realised=realised,
            baseline=asked.baseline,
            default=asked.default,
            learned_on=learned_on,
            crossfit=crossfit,
            diagnosis=diagnosis,
            propensities=calibration,
            findings=of_log,
            rows=tuple(rows),
            segments=segments,
        )

    def _together(
        self, able: Sequence[int], base: int | None, asked: EvaluationRequest
    ) -> list[tuple[Estimate, float | None]]:
        """Return the differences to the baseline with intervals that hold at once, and p-values where there are some.

        By the joint distribution of all of them where the kind of interval has one, else by Bonferroni's inequality.
        """
        if base is None or not able:
            return []
        if asked.interval in {"normal", "skew"}:
            joint = self.tally.simultaneous([(p, base) for p in able], asked.default, asked.level, asked.interval)
            return [(each.estimate, each.p_value) for each in joint]
        level = 1.0 - (1.0 - asked.level) / len(able)
        apart = [self.tally.difference(place, base, level, asked.interval) for place in able]
        return [(replace(_only(each, (asked.default,))[0], level=asked.level), None) for each in apart]

    def _logged(
        self, batch: LoggedBatch, chances: LoggingProbabilities, expected: FloatArray | None, cluster: IntArray | None
    ) -> Feedback:
        """Return the policy that wrote the log: every weight is 1 and every prediction that of the logged offer."""
        logged = None if expected is None else expected[np.arange(len(batch)), batch.offer]
        one, needs = np.ones(len(batch)), self.aids.needs
        return Feedback(
            batch.reward,
            chances.propensity,
            chances.propensity,
            predicted_logged=logged,
            predicted_target=logged,
            cluster=cluster,
            robust_logged=logged if "robust" in needs else None,
            robust_target=logged if "robust" in needs else None,
            marginal_weight=one if "marginal" in needs else None,
            slate_weight=one if "slate" in needs else None,
        )

    def _judged(
        self,
        batch: LoggedBatch,
        chances: LoggingProbabilities,
        table: FloatArray,
        expected: FloatArray | None,
        robust: FloatArray | None,
        cluster: IntArray | None,
    ) -> Feedback:
        """Return one policy's feedback from its (n, N) probabilities and the models' (n, N) predictions."""
        rows, aids = np.arange(len(batch)), self.aids
        marginal = slate = None
        if chances.table is not None and "marginal" in aids.needs:
            marginal = marginal_weights(chances.table, table, batch.offer, aids.labels)
        if chances.table is not None and "slate" in aids.needs:
            slate = slate_weights(chances.table, table, batch.offer, aids.columns)
        return Feedback(
            batch.reward,
            chances.propensity,
            np.minimum(table[rows, batch.offer], 1.0),
            predicted_logged=None if expected is None else expected[rows, batch.offer],
            predicted_target=None if expected is None else np.einsum("ij,ij->i", table, expected),
            cluster=cluster,
            robust_logged=None if robust is None else robust[rows, batch.offer],
            robust_target=None if robust is None else np.einsum("ij,ij->i", table, robust),
            marginal_weight=marginal,
            slate_weight=slate,
        )

    def _weigh(self, place: int, feedback: Feedback, table: FloatArray, chances: LoggingProbabilities) -> None:
        """Add up what the weights of one candidate say."""
        self.wanted[place] += table.sum(axis=0)
        weight = feedback.target / feedback.propensity
        if self.aids.estimated and chances.table is not None:
            self.weights[place].add(weight, feedback.cluster)
            self.overlaps[place].add(chances.table, table)
        else:
            self.weights[place].add(weight, feedback.cluster, table, chances.table)

    def _compare(self, feedback: Sequence[Feedback]) -> None:
        """Add up what tells the candidates from the baseline, where that is one of them."""
        if self.base:
            base = feedback[self.base].target
            for contrast, each in zip(self.contrasts, feedback[1:], strict=True):
                contrast.add((each.target - base) / each.propensity)

    @property
    def _rarer(self) -> float:
        """The share of the rarer kind of outcome."""
        return rarer(self.outcomes, self.n, self.aids.binary)

    def _support(self, place: int) -> TargetSupport:
        unsupported = float(self.wanted[place][self.shown == 0].sum() / self.n)
        strict = self.tally.mean_weight(1 + place, _SUPPORT_LEVEL)
        name, weights = self.candidates[place].name, self.weights[place]
        if self.aids.estimated:
            return weights.result(name, strict, unsupported, rarer=self._rarer, slack=_SLACK)
        return weights.result(name, strict, unsupported, rarer=self._rarer)

    def _all_findings(
        self,
        of_log: Sequence[Finding],
        supports: Sequence[TargetSupport],
        calibration: Calibration | None,
        base: int | None,
    ) -> list[tuple[Finding, ...]]:
        """Return the findings of each candidate; what makes the log or the baseline unfit makes everyone so."""
        fatal = tuple(each for each in of_log if each.severity == "fatal")
        found = []
        for support, overlap in zip(supports, self.overlaps, strict=True):
            thin = of_overlap(overlap.share, calibration)
            found.append(fatal + thin + findings((support,)))
        if not base or all(each.severity != "fatal" for each in found[base - 1]):
            return found
        unfit = Finding("baseline", "fatal", f"the log does not support the baseline, {self.candidates[base - 1].name}")
        return [each if place == base else (*each, unfit) for place, each in enumerate(found, start=1)]


def _only(estimates: tuple[Estimate, ...], names: tuple[str, ...]) -> tuple[Estimate, ...]:
    return tuple(each for each in estimates if each.name in names)
