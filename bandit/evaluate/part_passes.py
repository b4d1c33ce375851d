"""The passes of an evaluation over a log in parts: each part adds up its own decisions, and the sums are merged.

What depends on the order of the decisions is not left to the parts: policies learn from the log read straight through,
and the first batch of the log gives the scales of numeric facts. A model of the propensities is fitted here, to a
sample of the log that is merged from those of the parts. All sums are of whole customers, so that neither the number of
parts nor their order changes more than the last digits of the result.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError
from bandit.evaluate.diagnostics import LogDiagnostics
from bandit.evaluate.evaluator import Evaluator
from bandit.evaluate.propensity.estimated import choice_sample, sample_seed
from bandit.evaluate.split import split_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.random import Generator

    from bandit.catalogue import Catalogue
    from bandit.domain import Log, LogPart, PartRunner, Progress
    from bandit.evaluate.evaluator import EvaluationInputs, EvaluationSums
    from bandit.evaluate.propensity.sample import ChoiceSample
    from bandit.evaluate.request import EvaluationRequest
    from bandit.evaluate.rewards.cross_fitting import FittedRewards, RewardFit
    from bandit.evaluate.segments import Segments


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What one part of a log is judged with; `segments` have their cuts, and nothing was added to any of it."""

    request: EvaluationRequest
    inputs: EvaluationInputs
    segments: Segments | None
    diagnostics: LogDiagnostics
    rng: Generator


@dataclass(frozen=True, slots=True, eq=False)
class PartPasses:
    """Runs the passes over the parts of a log; with `split`, over the decisions that are judged after it."""

    parts: Sequence[LogPart]
    runner: PartRunner
    split: float | None
    advance: Callable[[int], None]

    def sample_choices(self, request: EvaluationRequest, *, outside: bool) -> ChoiceSample:
        """Return the sample of the whole log that propensities are estimated from, merged from those of the parts."""
        asked = (request.catalogue, request.batch_size, sample_seed(np.random.default_rng(1)), outside, self.split)
        return reduce(add, self.runner.map(_sample_part, self.parts, self._progress(), *asked))

    def fit_rewards(self, fit: RewardFit) -> FittedRewards:
        """Return the reward models of the whole log, merged from those of the parts."""
        return _total(self.runner.map(_learn_part, self.parts, self._progress(), fit, self.split))

    def judge(self, judgement: Judgement) -> tuple[EvaluationSums, LogDiagnostics]:
        """Return what was added up over all parts; InputError where no decision is left to judge by."""
        found = self.runner.map(_judge_part, self.parts, self._progress(), judgement, self.split)
        sums: EvaluationSums | None = None
        diagnostics: LogDiagnostics | None = None
        for some, checks in found:
            if not some.n:
                continue
            sums = some if sums is None else sums + some
            diagnostics = checks if diagnostics is None else diagnostics + checks
        if sums is None or diagnostics is None:
            raise InputError("the log has no decisions to judge by; import some, or choose another split")
        return sums, diagnostics

    def _progress(self) -> Progress:
        """Return what reports the decisions of each part that is done."""
        before = 0

        def report(done: int, total: int) -> None:
            nonlocal before
            del total
            self.advance(done - before)
            before = done

        return report


def _opened(part: LogPart, split: float | None) -> Log:
    log = part.open()
    return log if split is None else split_log(log, split, "judge")


def _learn_part(part: LogPart, fit: RewardFit, split: float | None) -> FittedRewards:
    # A runner of this process gives the same object to each part.
    own = replace(fit, untrained=copy.deepcopy(fit.untrained))
    return own.learn(_opened(part, split), _unheard)


def _sample_part(
    part: LogPart, catalogue: Catalogue, size: int, seed: int, outside: bool, split: float | None
) -> ChoiceSample:
    return choice_sample(_opened(part, split), catalogue, size, seed, outside=outside)


def _judge_part(part: LogPart, judgement: Judgement, split: float | None) -> tuple[EvaluationSums, LogDiagnostics]:
    segments, diagnostics, rng = copy.deepcopy((judgement.segments, judgement.diagnostics, judgement.rng))
    evaluator = Evaluator(judgement.request, judgement.inputs, segments, diagnostics, rng)
    evaluator.read(_opened(part, split), _unheard)
    return evaluator.sums, diagnostics


def _unheard(n: int) -> None:
    """Report nothing: a part reports when it is done."""
    del n


def _total(found: Iterable[FittedRewards]) -> FittedRewards:
    total: FittedRewards | None = None
    for each in found:
        total = each if total is None else total + each
    if total is None:
        raise InputError("the log has no decisions to judge by; import some, or choose another split")
    total.solve()
    return total
