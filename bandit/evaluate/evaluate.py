"""The value of frozen policies from a log, against a baseline: the public call and its passes over the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import InProcessRunner, PartitionedLog
from bandit.errors import InputError
from bandit.evaluate.candidates import cross_fit, frozen_candidates, teach_part
from bandit.evaluate.diagnostics import LogDiagnostics, SampleRatioTest, notice_findings
from bandit.evaluate.evaluator import EvaluationInputs, Evaluator
from bandit.evaluate.part_passes import Judgement, PartPasses
from bandit.evaluate.policy_draws import draw_groups
from bandit.evaluate.propensity.logging_policy import logging_policy
from bandit.evaluate.request import (
    EvaluationRequest,
    Propensities,
    batch_size_of,
    catalogue_of,
    choose_estimators,
    named_policies,
    offer_structure,
    propensity_source,
)
from bandit.evaluate.resampled import check_resamples, resampled_coverage
from bandit.evaluate.rewards.cross_fitting import FittedRewards, RewardFit
from bandit.evaluate.rewards.ridge_regression import RidgeReward
from bandit.evaluate.segments import Segments
from bandit.evaluate.split import split_log
from bandit.evaluate.summary import LogSummary, summarise
from bandit.ope import DEFAULT, DEFAULT_INTERVAL, Estimator, IntervalKind

if TYPE_CHECKING:
    from numpy.random import Generator

    from bandit.catalogue import Catalogue
    from bandit.domain import Log, PartRunner, Policy, Progress
    from bandit.encoding.encoder import Encoder
    from bandit.evaluate.results import Evaluation
    from bandit.evaluate.rewards.reward_model import RewardModel


def evaluate(
    log: Log,
    policies: Mapping[str, Policy] | Sequence[Policy],
    baseline: str | Policy | None = None,
    *,
    catalogue: Catalogue | None = None,
    rng: Generator | None = None,
    estimators: Sequence[str | Estimator] = DEFAULT,
    level: float = 0.95,
    interval: IntervalKind = DEFAULT_INTERVAL,
    split: float | None = None,
    crossfit: int | None = None,
    folds: int = 2,
    reward_model: Callable[[Encoder], RewardModel] = RidgeReward,
    logging: Policy | None = None,
    propensities: Propensities | None = None,
    dimensions: Sequence[str] = (),
    by: Sequence[str] = (),
    groups: SampleRatioTest | None = None,
    now: int | None = None,
    progress: Progress | None = None,
    runner: PartRunner | None = None,
    resamples: int = 0,
) -> Evaluation:
    """Return what each policy would have earned per decision, and the paired difference to the baseline.

    The policies are frozen: they learn nothing while they are judged. There are two ways to judge a policy that is
    yet to learn from this log. With `split` (a share of the customers) it first learns from that part of the log, and
    all policies are judged on the other part; pass untrained policies, since what a policy has already learned from
    the judged part makes its value look better than it is. With `crossfit` (a number of folds) the whole log is
    judged, each customer by a copy that has learned from the other folds. `baseline` is the name of one of the
    policies, another policy, or "logged" for the policy that wrote the log. Intervals are clustered by customer where
    the log knows customers; `interval` is one of "skew", "normal", "bootstrap", "bernstein", "anytime" and
    "anytime-skew" (see `bandit.ope`). The reward model of dm, dr and their variants is cross-fitted by customer over
    `folds`.

    With `propensities` "estimated" a cross-fitted model of the logging policy replaces the log's propensities; this is
    the default where the log does not know them all. `logging` is the policy that wrote the log, where it is at
    hand: "mips" and "pi" need its probabilities of all offers, which without it are known only of uniform choice.
    `dimensions` are those that mips keeps. `by` names facts: the policies are also judged within the segments of each.
    `groups` is the check of an experiment's groups (`bandit.evaluate.diagnostics.sample_ratio`), and `now`, in
    microseconds, lets the age of the outcomes be checked.

    Decisions whose offer no policy of the catalogue can choose (`log.outside`) belong to the log: each policy makes
    them with probability 0, and they count for the policy that wrote the log. No policy and no model learns from them.

    `catalogue` is needed where the log has none of its own. `rng` is what policies draw from; by default it is a
    generator of seed 1, so that the same call has the same result. The log is read twice (once without a reward
    model), once more for estimated propensities, and more often where policies learn. Memory is bounded by the number
    of customers, by batches of about two million (context, offer) cells, and where a policy learns by a million
    decisions.

    A log in parts (`bandit.domain.PartitionedLog`) is read part by part, and `runner` says where: by default one part
    after the other in this process; another log needs none. Neither the parts nor the runner change more than the last
    digits if the log names customers; else folds are dealt by the place of a decision in its part. Policies learn from
    the log read straight through, in its order, in this process; so does a reward model whose parts do not add up, such
    as VW's. A model of the propensities is fitted here, to a sample that is merged from those of the parts.

    With `resamples`, such as 1,000, the intervals are checked on as many samples of the log's customers, drawn with
    replacement: `Evaluation.calibration` says how many hold the log's own value (`bandit.evaluate.resampled`).

    Raises InputError for an empty log, unknown names and numbers out of range; PolicyError for a policy whose
    probabilities do not sum to 1 over the eligible offers.

    Two offers were shown at random, and the second earned 1 a decision while the first earned nothing:

    >>> import numpy as np
    >>> from bandit import ConstantOffer
    >>> from bandit.logfiles import from_obp
    >>> action = np.tile([0, 1], 500)
    >>> feedback = {"n_rounds": 1000, "n_actions": 2, "action": action, "position": None, "context": np.ones((1000, 1))}
    >>> log = from_obp(feedback | {"reward": action * 1.0, "pscore": np.full(1000, 0.5)})
    >>> policies = {"first": ConstantOffer(log.catalogue, 0), "second": ConstantOffer(log.catalogue, 1)}
    >>> result = evaluate(log, policies, "first", estimators=["snips"])
    >>> result.row("second").estimate("snips").value, result.row("second").verdict
    (1.0, 'better')
    """
    catalogue = catalogue_of(log) if catalogue is None else catalogue
    rng = np.random.default_rng(1) if rng is None else rng
    named, baseline_name = named_policies(policies, baseline)
    if resamples:
        check_resamples(resamples)
    if split is not None and crossfit is not None:
        raise InputError("split and crossfit are two ways to judge policies that learn; give one of them")
    source = propensity_source(log, propensities)
    table_known = logging is not None or source == "estimated"
    chosen = choose_estimators(log, estimators, batch_size_of(catalogue), table_known=table_known)
    request = EvaluationRequest(
        catalogue=catalogue,
        policies=named,
        baseline=baseline_name,
        estimators=chosen,
        structure=offer_structure(catalogue, dimensions, chosen.needs),
        level=level,
        interval=interval,
        propensities=source,
        replace_known=propensities == "estimated",
        logging=logging,
        folds=folds,
        crossfit=crossfit,
        draw_groups=draw_groups(log.n, batch_size_of(catalogue)),
    )
    learned_on, judged = 0, log
    candidates = frozen_candidates(named)
    if split is not None:
        learned_on = teach_part(candidates, split_log(log, split, "learn"), request.batch_size)
        judged = split_log(log, split, "judge")
    parts = log.parts if isinstance(log, PartitionedLog) else None
    to_judge = judged.n if parts is None else log.n  # of parts it is counted while they are judged
    if not to_judge:
        raise InputError("the log has no decisions to judge by; import some, or choose another split")
    advance = _PassCounter(progress, to_judge * request.passes + judged.left_out).advance
    if crossfit is not None:
        candidates = cross_fit(candidates, catalogue, log, crossfit, request.batch_size, advance, runner)
    passes = None
    if parts is not None:
        passes = PartPasses(parts, InProcessRunner() if runner is None else runner, split, advance)
    sample = None
    if passes is not None and request.estimated:
        sample = passes.sample_choices(request, outside=judged.left_out > 0)
    written_by, fit = logging_policy(judged, request, rng, advance, sample)
    fitting = RewardFit.start(judged, request, candidates, written_by, reward_model, rng)
    segments, diagnostics = Segments(request, by) if by else None, LogDiagnostics(catalogue, now=now)
    if passes is not None:
        rewards = _rewards_of_parts(passes, fitting, judged, advance)
        if segments is not None:
            segments.start(next(iter(judged.batches(request.batch_size))).contexts)
        inputs = EvaluationInputs(candidates, written_by, rewards)
        sums, diagnostics = passes.judge(Judgement(request, inputs, segments, diagnostics, rng))
    else:
        rewards = FittedRewards() if fitting is None else fitting.learn(judged, advance)
        evaluator = Evaluator(request, EvaluationInputs(candidates, written_by, rewards), segments, diagnostics, rng)
        evaluator.read(judged, advance)
        sums = evaluator.sums
    diagnosis = diagnostics.result(log.still_open, groups)
    result = summarise(sums, request, LogSummary(learned_on, diagnosis, fit, notice_findings(log)))
    if not resamples:
        return result
    judged_names = [row.name for row in result.rows if row.support_ok]
    return replace(result, calibration=resampled_coverage(sums.tally, request, judged_names, resamples))


def _rewards_of_parts(
    passes: PartPasses, fitting: RewardFit | None, judged: Log, advance: Callable[[int], None]
) -> FittedRewards:
    """Return the fitted reward models: of the parts where these add up, else of the log read straight through."""
    if fitting is None:
        return FittedRewards()
    return passes.fit_rewards(fitting) if fitting.untrained.adds else fitting.learn(judged, advance)


class _PassCounter:
    """Counts the decisions read over all passes and reports them."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def advance(self, n: int) -> None:
        self.done += n
        if self.progress is not None:
            self.progress(self.done, self.total)
