"""The funnel of a conversion: P(convert) as the product of the chances of its declared stages, a model each.

With stages such as a click and a full cart before the purchase, P(purchase) = P(click) x P(cart | click) x P(purchase |
cart). The first factor is learned from all decisions, and its many events tell far more about the offers than the few
purchases; each further one is learned from those that passed the stage before, so that a stage that does not lead on is
found out. All stages have the same prior: a later one has fewer outcomes, so that its effects stay closer to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, FloatArray, IntArray, Outcomes
from bandit.encoding.encoder import Encoder
from bandit.models.arrays import Float32Array
from bandit.models.moving_draws import MovingDraws
from bandit.models.shared_design import WeightDraws
from bandit.policies.thompson.learned_events import batch_steps, stage_steps
from bandit.policies.thompson.methods import LearningMethods
from bandit.policies.thompson.offer_model import OfferModel

if TYPE_CHECKING:
    from bandit.policies.thompson.part_fit import LogParts
    from bandit.policies.thompson.training_rows import TrainingRecipe

MOST_FUNNEL_OFFERS = 8_000
"""Most offers of a catalogue whose stages are learned: above, the best is searched for by scores that add up."""

_MOST_ODDS = np.float32(1e30)


@dataclass(frozen=True, slots=True, eq=False)
class StageOutcomes:
    """What one stage learns from outcomes: the new part of some, corrections of others, and those that are undone.

    `new`, `changed` and `undone` are rows of the outcomes, (k,) places each. `y` and `previous_y` (n,) are the
    responses now and as learned before; `weight` (n,) is how much of each is new, `learned` (n,) how much was learned.
    """

    new: IntArray
    changed: IntArray
    undone: IntArray
    y: FloatArray
    previous_y: FloatArray
    weight: FloatArray
    learned: FloatArray


def stages_learned(catalogue: Catalogue, methods: LearningMethods) -> tuple[str, ...]:
    """Return the events whose chances a belief models, the conversion last; () where it models the conversion alone."""
    objective = catalogue.objective
    if not (methods.funnel and objective.stages and catalogue.n_offers <= MOST_FUNNEL_OFFERS):
        return ()
    return (*objective.stages, objective.event)


def _stage_outcomes(outcomes: Outcomes, now: BoolArray, before: BoolArray, place: int) -> StageOutcomes:
    """Return what stage `place`, 1 or more, learns from n outcomes that have passed the stages (n, S + 1) `now`.

    All of a decision's stages count as much as its conversion is known: the weight of an open decision.
    """
    weights = outcomes.previous.weights
    asked, was_asked = now[:, place - 1], (weights > 0.0) & before[:, place - 1]
    learned = np.where(was_asked, weights, 0.0)
    weight = outcomes.weights - learned
    return StageOutcomes(
        np.flatnonzero(asked & (weight > 0.0)),
        np.flatnonzero(asked & was_asked & (now[:, place] != before[:, place])),
        np.flatnonzero(was_asked & ~asked),
        now[:, place].astype(np.float64),
        before[:, place].astype(np.float64),
        weight,
        learned,
    )


class Funnel:
    """The models of the stages after the first one: each of the chance of an event, given the one before it."""

    def __init__(self, names: Sequence[str], later: Sequence[OfferModel]) -> None:
        """Take the names of the stages, the conversion last, and the models of all but the first."""
        self.names = tuple(names)
        self.later = tuple(later)

    @staticmethod
    def of(
        names: Sequence[str],
        encoder: Encoder,
        pairs: bool,
        methods: LearningMethods,
        declared_half_life: bool,
        draws: Sequence[MovingDraws],
    ) -> Funnel:
        """Return untrained models of the stages after the first; `draws` that move with each, where they are wanted."""
        return Funnel(
            names,
            [
                OfferModel("response", encoder, pairs, None, None, methods, own, declared_half_life)
                for _, own in zip_longest(names[1:], draws)
            ],
        )

    @property
    def models(self) -> dict[str, OfferModel]:
        """The models by their names in a state."""
        return {f"stage {place}": model for place, model in enumerate(self.later, start=2)}

    # -- learning --------------------------------------------------------------------------------------------------

    def learn(self, matrix: FloatArray, outcomes: Outcomes) -> None:
        """Learn n outcomes for every stage after the first; `matrix` (n, d) are their context columns."""
        times = outcomes.batch.stands_for
        now, before = self.steps(outcomes)
        for place, model in enumerate(self.later, start=1):
            if not (now[:, place - 1].any() or before[:, place - 1].any()):
                return  # nobody came that far, nor further
            found = _stage_outcomes(outcomes, now, before, place)
            stands = np.ones(len(outcomes)) if times is None else times
            new, changed, undone = found.new, found.changed, found.undone
            if len(new):
                model.learn(matrix[new], outcomes.offer[new], found.y[new], found.weight[new] * stands[new])
            if len(changed):
                weight = found.learned[changed] * stands[changed]
                previous_y, y = found.previous_y[changed], found.y[changed]
                model.restate(matrix[changed], outcomes.offer[changed], previous_y, y, weight)
            if len(undone):
                # The precision stays; the response becomes the one that was expected, which says nothing.
                expected = expit(model.scores(matrix[undone], outcomes.offer[undone]))
                weight = found.learned[undone] * stands[undone]
                model.restate(matrix[undone], outcomes.offer[undone], found.previous_y[undone], expected, weight)

    def is_quick(self, outcomes: Outcomes) -> bool:
        """Whether the models that learn something of these outcomes only add it (`OfferModel.is_quick`)."""
        slow = [place for place, model in enumerate(self.later) if not model.is_quick(len(outcomes))]
        return not slow or not any(step[:, slow].any() for step in self.steps(outcomes))

    def steps(self, outcomes: Outcomes) -> tuple[BoolArray, BoolArray]:
        """Return which stages n outcomes have passed now, and which were learned before, (n, S + 1) each."""
        previous = outcomes.previous
        return (
            batch_steps(outcomes.batch, self.names),
            stage_steps(previous.stages, previous.converted, len(self.names) - 1),
        )

    def fit(self, parts: LogParts, recipe: TrainingRecipe, passes: int) -> None:
        """Learn a whole log at once, to convergence, the rows by the recipe of the first stage; at most `passes`."""
        for place, model in enumerate(self.later, start=1):
            model.fit(parts.of(recipe.of_stage(place)), passes)

    # -- prediction ------------------------------------------------------------------------------------------------

    def odds_against(self, first: Float32Array, drawn: Sequence[WeightDraws], matrix: FloatArray) -> Float32Array:
        """Return the (n, M, N) odds against passing all stages under M draws; `first` are the first's scores x -1.

        `matrix` (n, d) are the context columns; `first` is overwritten.
        """
        with np.errstate(over="ignore"):
            odds = [np.exp(first, out=first)]
            for model, each in zip(self.later, drawn, strict=True):
                scores = model.draw_scores(each, matrix, None, -1)
                odds.append(np.exp(scores, out=scores))
            return joint_odds_against(odds)


# -- the chance of all stages ------------------------------------------------------------------------------------------


def joint_logit(scores: Sequence[FloatArray]) -> FloatArray:
    """Return the logit of the product of the chances of which the scores are the logits; of one, the score itself.

    >>> round(float(joint_logit([np.zeros(1), np.zeros(1)])[0]), 6) == round(float(np.log(1 / 3)), 6)
    True
    """
    if len(scores) == 1:
        return scores[0]
    # The odds against all are those against one, or for it and against the rest: a <- a + e + a e, in logarithms.
    against = -scores[0]
    for score in scores[1:]:
        against = np.logaddexp(np.logaddexp(against, -score), against - score)
    return np.asarray(-against)


def joint_odds_against(odds: Sequence[Float32Array]) -> Float32Array:
    """Return the odds against passing all stages from the odds against each, in place of the first, up to 1e30."""
    against = odds[0]
    with np.errstate(over="ignore"):
        for other in odds[1:]:
            np.minimum(against, _MOST_ODDS, out=against)
            against *= np.float32(1.0) + np.minimum(other, _MOST_ODDS)
            against += other
    return np.minimum(against, _MOST_ODDS, out=against)


def chance_weights(start: Sequence[FloatArray], end: Sequence[FloatArray]) -> list[FloatArray]:
    """Return what a unit of each stage's score adds to the joint logit between two points, exactly.

    The log of the product is a sum over stages, each a function of one score, and the joint logit a function of that
    sum; both steps have the slope of their secant, so that weights x differences of scores sum to the difference of the
    joint logit (the value of Aumann & Shapley for each stage's score, and for the sum).
    """
    if len(start) == 1:
        return [np.ones_like(end[0])]
    logs = [(-np.logaddexp(0.0, -one), -np.logaddexp(0.0, -other)) for one, other in zip(start, end, strict=True)]
    total = np.sum([after - before for before, after in logs], axis=0)
    first, last = joint_logit(start), joint_logit(end)
    # The derivative of the logit by the log of the chance is 1 / (1 - chance).
    outer = _secant(last - first, total, 1.0 + np.exp(0.5 * (first + last)))
    return [
        outer * _secant(after - before, other - one, expit(-0.5 * (one + other)))
        for (before, after), one, other in zip(logs, start, end, strict=True)
    ]


def _secant(rise: FloatArray, run: FloatArray, slope: FloatArray) -> FloatArray:
    """Return rise / run, and the slope in the middle where there is hardly any run."""
    close = np.abs(run) < 1e-6
    return np.where(close, slope, rise / np.where(close, 1.0, run))
