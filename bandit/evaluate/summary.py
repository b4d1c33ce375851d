"""Turns what an evaluation added up into rows: values, differences to the baseline, findings and verdicts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from bandit.evaluate.diagnostics import Finding, findings
from bandit.evaluate.results import Evaluation, PolicyEvaluation, evaluation_format
from bandit.evaluate.verdict import (
    Comparison,
    baseline_finding,
    cure_of,
    overlap_findings,
    propensity_findings,
    verdict_and_reason,
)
from bandit.ope.contrast import rarer_share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.evaluate.diagnostics import LogDiagnosis, TargetSupport
    from bandit.evaluate.evaluator import EvaluationSums
    from bandit.evaluate.propensity.calibration import PropensityFit
    from bandit.evaluate.request import EvaluationRequest
    from bandit.evaluate.segments import Segment
    from bandit.ope import Estimate
    from bandit.ope.numbers import NumberFormat

_Joint: TypeAlias = "Mapping[int, tuple[Estimate, float | None]]"

_SUPPORT_LEVEL = 0.999

_ESTIMATED_SLACK = 0.02
"""By how much weights of estimated propensities may miss their mean of 1: the model's error, not the log's."""


@dataclass(frozen=True, slots=True, eq=False)
class LogSummary:
    """What is known of the judged log: `learned_on` counts the decisions kept apart for learning.

    `fit` says how good estimated propensities are, None where they were not estimated. `noticed` is what was found when
    the log's files were read.
    """

    learned_on: int
    diagnosis: LogDiagnosis
    fit: PropensityFit | None
    noticed: tuple[Finding, ...] = ()


def summarise(sums: EvaluationSums, request: EvaluationRequest, log: LogSummary) -> Evaluation:
    """Return the evaluation of all policies of a request."""
    realised = _named(sums.tally.estimates(0, request.level, request.interval), ("ips",))[0]
    log_findings = log.noticed + log.diagnosis.findings + propensity_findings(log.fit)
    supports = [_support(sums, request, place) for place in range(len(request.policies))]
    found = _policy_findings(sums, request, log_findings, supports, log.fit)
    joint = _joint_differences(sums, request, found)
    numbers = evaluation_format(realised, (difference for difference, _ in joint.values()))
    rows = [
        _row(sums, request, place, supports[place - 1], found[place - 1], joint, numbers)
        for place in range(1, len(request.names))
    ]
    return Evaluation(
        n=sums.n,
        stands_for=sums.decisions,
        customers=realised.clusters if sums.customers_known else None,
        realised=realised,
        baseline=request.baseline,
        default=request.estimators.default,
        learned_on=log.learned_on,
        crossfit=request.crossfit or 0,
        diagnosis=log.diagnosis,
        propensities=log.fit,
        findings=log_findings,
        rows=tuple(rows),
        segments=_segments(sums, request, found),
        outside=sums.outside,
    )


def _row(
    sums: EvaluationSums,
    request: EvaluationRequest,
    place: int,
    support: TargetSupport,
    found: tuple[Finding, ...],
    joint: _Joint,
    numbers: NumberFormat,
) -> PolicyEvaluation:
    """Return the row of the policy at a place in the request's names."""
    tally, level, interval, baseline = sums.tally, request.level, request.interval, request.baseline_place
    shown = request.estimators.shown
    difference = None
    if baseline is not None and baseline != place:
        difference = _named(tally.difference(place, baseline, level, interval), shown)
    together, p_value = joint.get(place, (None, None))
    events = support.events
    if baseline:
        events = sums.candidates[place - 1].contrast.size * _rarer_share(sums, request)
    comparison = Comparison(
        baseline=request.baseline,
        is_baseline=place == baseline,
        difference=together,
        compared=len(joint),
        estimated=request.estimated,
        events=events,
        numbers=numbers,
    )
    verdict, reason = verdict_and_reason(found, comparison)
    return PolicyEvaluation(
        name=request.names[place],
        estimates=_named(tally.estimates(place, level, interval), shown),
        difference=difference,
        together=together,
        p_value=p_value,
        mean_weight=tally.mean_weight(place, level),
        support=support,
        findings=found,
        verdict=verdict,
        reason=reason,
        cure=cure_of(found, comparison),
    )


def _joint_differences(
    sums: EvaluationSums, request: EvaluationRequest, found: Sequence[Sequence[Finding]]
) -> dict[int, tuple[Estimate, float | None]]:
    """Return by place the differences to the baseline whose intervals hold for all at once, with adjusted p-values.

    By the joint distribution of all differences where the kind of interval has one, else by Bonferroni's inequality,
    without p-values. Policies that the log cannot judge are left out, so that they do not widen the other intervals.
    """
    baseline, default, level = request.baseline_place, request.estimators.default, request.level
    if baseline is None:
        return {}
    places = [place for place, each in enumerate(found, start=1) if place != baseline and not _has_fatal(each)]
    if not places:
        return {}
    if request.interval in {"normal", "skew"}:
        pairs = [(place, baseline) for place in places]
        answers = sums.tally.simultaneous(pairs, default, level, request.interval)
        return {place: (each.estimate, each.p_value) for place, each in zip(places, answers, strict=True)}
    corrected = 1.0 - (1.0 - level) / len(places)
    differences = [sums.tally.difference(place, baseline, corrected, request.interval) for place in places]
    return {
        place: (replace(_named(each, (default,))[0], level=level), None)
        for place, each in zip(places, differences, strict=True)
    }


def _support(sums: EvaluationSums, request: EvaluationRequest, place: int) -> TargetSupport:
    """Return how far the log supports a policy, by its place among the candidates."""
    candidate = sums.candidates[place]
    unsupported = float(candidate.probability[sums.offers == 0].sum() / sums.decisions)
    mean_weight = sums.tally.mean_weight(1 + place, _SUPPORT_LEVEL)
    name, rarer = request.names[1 + place], _rarer_share(sums, request)
    if request.estimated:
        return candidate.weights.result(name, mean_weight, unsupported, rarer=rarer, slack=_ESTIMATED_SLACK)
    return candidate.weights.result(name, mean_weight, unsupported, rarer=rarer)


def _policy_findings(
    sums: EvaluationSums,
    request: EvaluationRequest,
    log_findings: Sequence[Finding],
    supports: Sequence[TargetSupport],
    fit: PropensityFit | None,
) -> list[tuple[Finding, ...]]:
    """Return the findings of each policy; a fatal one about the log or about the baseline concerns all policies."""
    fatal = tuple(each for each in log_findings if each.severity == "fatal")
    found = []
    for support, candidate in zip(supports, sums.candidates, strict=True):
        found.append(fatal + overlap_findings(candidate.overlap.share, fit) + findings((support,)))
    baseline = request.baseline_place
    if not baseline or not _has_fatal(found[baseline - 1]):
        return found
    unfit = baseline_finding(request.names[baseline])
    return [each if place == baseline else (*each, unfit) for place, each in enumerate(found, start=1)]


def _segments(
    sums: EvaluationSums, request: EvaluationRequest, found: Sequence[Sequence[Finding]]
) -> tuple[Segment, ...]:
    if sums.segments is None:
        return ()
    unfit = frozenset(name for name, each in zip(request.policies, found, strict=True) if _has_fatal(each))
    return sums.segments.results(request.estimators.default, request.level, request.interval, unfit)


def _rarer_share(sums: EvaluationSums, request: EvaluationRequest) -> float:
    binary = request.catalogue.objective.kind == "conversion"
    return rarer_share(sums.earning, sums.decisions, binary=binary)


def _has_fatal(found: Sequence[Finding]) -> bool:
    return any(each.severity == "fatal" for each in found)


def _named(estimates: Sequence[Estimate], names: Sequence[str]) -> tuple[Estimate, ...]:
    return tuple(each for each in estimates if each.name in names)
