"""The loop of an evaluation: reads the log in batches and adds up what the estimators and the checks need."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.evaluate.diagnostics import PolicyContrast, TargetWeights
from bandit.evaluate.outside import OutsideFeedback
from bandit.evaluate.policy_draws import PolicyDraws
from bandit.evaluate.propensity.overlap import TargetOverlap
from bandit.evaluate.split import FOLD_SALT
from bandit.ope import Feedback, Tally
from bandit.ope.clusters import ClusterIndex, share_numbers
from bandit.ope.slate_weights import marginal_weights, slate_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.random import Generator

    from bandit.domain import BoolArray, FloatArray, IntArray, Log, LoggedBatch
    from bandit.evaluate.candidates import CandidatePolicy
    from bandit.evaluate.diagnostics import LogDiagnostics
    from bandit.evaluate.propensity.logging_policy import LoggingPolicy, LoggingProbabilities
    from bandit.evaluate.request import EvaluationRequest
    from bandit.evaluate.rewards.cross_fitting import FittedRewards
    from bandit.evaluate.segments import Segments


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationInputs:
    """What the loop reads a batch with: the policies to judge, the logging policy and the reward models."""

    candidates: tuple[CandidatePolicy, ...]
    logging: LoggingPolicy
    rewards: FittedRewards


class CandidateSums:
    """What is added up about the weights of one policy.

    `probability` (N,) is the sum of its probabilities of each offer; `contrast` compares it with the baseline, where
    that is one of the policies.
    """

    def __init__(self, n_offers: int) -> None:
        self.weights, self.overlap, self.contrast = TargetWeights(), TargetOverlap(), PolicyContrast()
        self.probability = np.zeros(n_offers)

    def __add__(self, other: CandidateSums) -> CandidateSums:
        both = CandidateSums(len(self.probability))
        both.weights, both.overlap = self.weights + other.weights, self.overlap + other.overlap
        both.contrast, both.probability = self.contrast + other.contrast, self.probability + other.probability
        return both


class EvaluationSums:
    """Everything that is added up over the log; policy 0 of `tally` is the one that wrote the log.

    `offers` (N,) counts how often each offer was chosen. The `n` rows stand for `decisions`, of which `earning` earned
    something; these are numbers of rows unless rows stand for other numbers of decisions than one. `outside` are those
    of the `n` rows whose offer no policy here can choose.
    """

    def __init__(self, request: EvaluationRequest, segments: Segments | None) -> None:
        n_offers = request.catalogue.n_offers
        self.tally = Tally(len(request.names), request.estimators.computed)
        self.candidates = [CandidateSums(n_offers) for _ in request.policies]
        self.segments = segments
        self.offers = np.zeros(n_offers, dtype=np.int64)
        self.n, self.outside, self.decisions, self.earning = 0, 0, 0.0, 0.0
        self.customers_known = False

    def seal(self, keys: ClusterIndex) -> None:
        """Complete the sums of each customer, once all decisions of the customers were added."""
        hashes = keys.hashes
        self.tally = self.tally.sealed(hashes)
        for each in self.candidates:
            each.weights.seal()
        if self.segments is not None:
            self.segments.seal(hashes)

    def __add__(self, other: EvaluationSums) -> EvaluationSums:
        """Return the sums over the decisions of both, which are sealed and have no customer in common."""
        both = copy.copy(self)
        both.tally = self.tally + other.tally
        both.candidates = [one + two for one, two in zip(self.candidates, other.candidates, strict=True)]
        if self.segments is not None and other.segments is not None:
            both.segments = self.segments + other.segments
        both.offers = self.offers + other.offers
        both.n, both.outside = self.n + other.n, self.outside + other.outside
        both.decisions, both.earning = self.decisions + other.decisions, self.earning + other.earning
        both.customers_known = self.customers_known or other.customers_known
        return both


class Evaluator:
    """Judges the policies of a request on a log, batch by batch."""

    def __init__(
        self,
        request: EvaluationRequest,
        inputs: EvaluationInputs,
        segments: Segments | None,
        diagnostics: LogDiagnostics,
        rng: Generator,
    ) -> None:
        self.request, self.inputs, self.diagnostics = request, inputs, diagnostics
        self.sums = EvaluationSums(request, segments)
        # One generator a policy: leaving a policy out changes nothing for the others.
        self._draws = [PolicyDraws(each, request.draw_groups) for each in rng.spawn(len(inputs.candidates))]

    def read(self, log: Log, advance: Callable[[int], None]) -> None:
        """Add all decisions of a log; `advance` is called with the number of decisions of each batch."""
        keys = ClusterIndex(FOLD_SALT)
        for batch in log.batches(self.request.batch_size):
            self.add(batch, keys)
            advance(len(batch))
        for batch in log.outside(self.request.batch_size):
            self.add_outside(batch, keys)
            advance(len(batch))
        self.sums.seal(keys)

    def add(self, batch: LoggedBatch, keys: ClusterIndex) -> None:
        """Add a batch, whose (n, N) tables exist only during this call."""
        n_offers, rewards, sums = self.request.catalogue.n_offers, self.inputs.rewards, self.sums
        cluster, shares = keys.read_batch(batch.contexts)
        logging = self.inputs.logging.probabilities(batch, shares)
        expected: FloatArray | None = None
        if rewards.shared is not None:
            expected = rewards.shared.predict(batch.contexts, shares, n_offers)
        rows = _BatchFeedback(self.request, batch, logging, expected, cluster)
        feedback = [rows.of_logging_policy()]
        for place, candidate in enumerate(self.inputs.candidates):
            table = self._draws[place].probabilities(candidate, batch, shares)
            robust = rewards.robust[place].predict(batch.contexts, shares, n_offers) if rewards.robust else None
            feedback.append(rows.of_candidate(table, robust))
            self._add_weights(sums.candidates[place], feedback[-1], table, logging)
            del table, robust
        del rows, expected  # the tables are not needed any more, and what comes next needs memory, too
        sums.tally.add(*feedback)
        self._add_contrasts(feedback)
        earned, stands_for = self._earned(batch), batch.stands_for
        if sums.segments is not None:
            sums.segments.add(batch.contexts, feedback, earned)
        numbers = None if cluster is None else share_numbers(shares)
        if self.request.estimated:
            self.diagnostics.add(replace(batch, propensity=logging.propensity), numbers)
        else:
            self.diagnostics.add(batch, numbers, logging.table)
        sums.offers += np.bincount(batch.offer, minlength=n_offers)
        sums.n += len(batch)
        sums.decisions += float(len(batch) if stands_for is None else stands_for.sum())
        sums.earning += float(earned.sum() if stands_for is None else stands_for @ earned)
        sums.customers_known = cluster is not None

    def add_outside(self, batch: LoggedBatch, keys: ClusterIndex) -> None:
        """Add decisions whose offer no policy here can choose: the target probability of each policy is 0."""
        n_offers, rewards, sums = self.request.catalogue.n_offers, self.inputs.rewards, self.sums
        cluster, shares = keys.read_batch(batch.contexts)
        rows, stands_for = OutsideFeedback(batch, cluster, self.request.estimators.needs), batch.stands_for
        logging = self.inputs.logging.probabilities(rows.without_offers(), shares) if self.request.estimated else None
        expected = None if rewards.shared is None else rewards.shared.predict(batch.contexts, shares, n_offers)
        feedback = [rows.of_logging_policy()]
        for place, candidate in enumerate(self.inputs.candidates):
            table = self._draws[place].probabilities(candidate, batch, shares)
            robust = rewards.robust[place].predict(batch.contexts, shares, n_offers) if rewards.robust else None
            feedback.append(rows.of_candidate(table, expected, robust))
            each = sums.candidates[place]
            each.probability += table.sum(axis=0) if stands_for is None else stands_for @ table
            each.weights.add(np.zeros(len(batch)), cluster, stands_for=stands_for)
            if logging is not None and logging.table is not None:
                each.overlap.add(logging.table, table, stands_for)
        sums.tally.add(*feedback)
        self._add_contrasts(feedback)
        earned = self._earned(batch)
        if sums.segments is not None:
            sums.segments.add(batch.contexts, feedback, earned)
        self.diagnostics.add_outside(rows.batch, None if cluster is None else share_numbers(shares))
        sums.n += len(batch)
        sums.outside += len(batch)
        sums.decisions += float(len(batch) if stands_for is None else stands_for.sum())
        sums.earning += float(earned.sum() if stands_for is None else stands_for @ earned)
        sums.customers_known = cluster is not None

    def _earned(self, batch: LoggedBatch) -> BoolArray:
        """Return which decisions earned something: conversions where the objective counts them, else any reward."""
        counts_rewards = self.request.catalogue.objective.kind == "reward"
        return np.asarray(batch.reward != 0.0) if counts_rewards else batch.converted

    def _add_weights(
        self, sums: CandidateSums, feedback: Feedback, table: FloatArray, logging: LoggingProbabilities
    ) -> None:
        """Add the weights of one policy; with estimated propensities, its overlap with the logging policy, too."""
        stands_for = feedback.weight
        sums.probability += table.sum(axis=0) if stands_for is None else stands_for @ table
        weight = feedback.target / feedback.propensity
        if self.request.estimated and logging.table is not None:
            sums.weights.add(weight, feedback.cluster, stands_for=stands_for)
            sums.overlap.add(logging.table, table, stands_for)
        else:
            sums.weights.add(weight, feedback.cluster, table, logging.table, stands_for=stands_for)

    def _add_contrasts(self, feedback: Sequence[Feedback]) -> None:
        """Add the differences of weights between each policy and the baseline, where that is one of them."""
        place = self.request.baseline_place
        if place:
            baseline = feedback[place].target
            for sums, each in zip(self.sums.candidates, feedback[1:], strict=True):
                sums.contrast.add((each.target - baseline) / each.propensity, each.weight)


@dataclass(frozen=True, slots=True, eq=False)
class _BatchFeedback:
    """Makes the feedback of each policy on one batch; `expected` (n, N) are the predicted rewards, where needed."""

    request: EvaluationRequest
    batch: LoggedBatch
    logging: LoggingProbabilities
    expected: FloatArray | None
    cluster: IntArray | None

    def of_logging_policy(self) -> Feedback:
        """Return the feedback of the policy that wrote the log: all weights 1, all predictions of the chosen offer."""
        batch, needs, propensity = self.batch, self.request.estimators.needs, self.logging.propensity
        predicted = None if self.expected is None else self.expected[np.arange(len(batch)), batch.offer]
        ones = np.ones(len(batch))
        return Feedback(
            batch.reward,
            propensity,
            propensity,
            predicted_logged=predicted,
            predicted_target=predicted,
            cluster=self.cluster,
            robust_logged=predicted if "robust" in needs else None,
            robust_target=predicted if "robust" in needs else None,
            marginal_weight=ones if "marginal" in needs else None,
            slate_weight=ones if "slate" in needs else None,
            weight=batch.stands_for,
        )

    def of_candidate(self, table: FloatArray, robust: FloatArray | None) -> Feedback:
        """Return one policy's feedback from its (n, N) probabilities and the predictions of its own reward model."""
        batch, needs, structure = self.batch, self.request.estimators.needs, self.request.structure
        rows, expected, logging = np.arange(len(batch)), self.expected, self.logging.table
        marginal = slate = None
        if logging is not None and "marginal" in needs:
            marginal = marginal_weights(logging, table, batch.offer, structure.labels)
        if logging is not None and "slate" in needs:
            slate = slate_weights(logging, table, batch.offer, structure.columns)
        return Feedback(
            batch.reward,
            self.logging.propensity,
            np.minimum(table[rows, batch.offer], 1.0),
            predicted_logged=None if expected is None else expected[rows, batch.offer],
            predicted_target=None if expected is None else np.einsum("ij,ij->i", table, expected),
            cluster=self.cluster,
            robust_logged=None if robust is None else robust[rows, batch.offer],
            robust_target=None if robust is None else np.einsum("ij,ij->i", table, robust),
            marginal_weight=marginal,
            slate_weight=slate,
            weight=batch.stands_for,
        )
