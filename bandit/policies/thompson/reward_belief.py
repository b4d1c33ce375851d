"""The belief about the expected reward of every offer: models of response and revenue, and customers' effects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import expit

from bandit.catalogue import Catalogue
from bandit.catalogue.offer_grid import MAX_DENSE_OFFERS
from bandit.domain import BoolArray, Contexts, FloatArray, LoggedBatch, Outcomes, Progress
from bandit.encoding.encoder import Encoder
from bandit.models.customer_effects import CustomerEffects
from bandit.models.customer_memory import CustomerMemory
from bandit.models.joint_customers import CustomerOutcomes, JointCustomerEffects
from bandit.models.joint_fit import learn_customers
from bandit.models.moving_draws import MovingDraws
from bandit.models.predictive_customers import PredictiveCustomerEffects
from bandit.models.search_bounds import MAX_LOG_REVENUE
from bandit.models.shared_design import WeightDraws
from bandit.policies.state import parts_of
from bandit.policies.thompson.funnel import Funnel, joint_logit, stages_learned
from bandit.policies.thompson.learned_events import has_revenue
from bandit.policies.thompson.methods import LearningMethods
from bandit.policies.thompson.monotone import monotone_constraints
from bandit.policies.thompson.offer_model import OfferModel
from bandit.policies.thompson.offer_scores import AmountScale
from bandit.policies.thompson.part_fit import LogParts, PartFit
from bandit.policies.thompson.training_rows import TrainingRecipe

FIT_PASSES = 12
"""Most passes over a log that `fit` makes for the response."""

JOINT_PASSES = 16
"""... and where customers' effects are fitted with it, of which the first fit the population alone."""

CUSTOMER_DEVIATION = 0.25
"""Prior deviation, in logits, of a customer's effect on every option column."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedContexts:
    """n encoded contexts: context columns (n, d) and customers' effects (n, 1 + K), None where all are 0."""

    matrix: FloatArray
    customer_effects: FloatArray | None

    def take(self, rows: slice) -> EncodedContexts:
        """Return the chosen rows."""
        effects = self.customer_effects
        return EncodedContexts(self.matrix[rows], None if effects is None else effects[rows])


class RewardBelief:
    """The belief about the rewards of one catalogue's offers, under fixed scales.

    For the objectives conversion, revenue and profit, `main` models P(convert) and, where money counts, `amount` the
    revenue given conversion; for kind "reward", `main` models the reward itself. Where stages are learned, `main`
    models the chance of the first stage and `funnel` those of the next ones; P(convert) is their product.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        encoder: Encoder,
        amount_scale: AmountScale,
        *,
        pairs: bool,
        personal: bool,
        starts: FloatArray | None = None,
        methods: LearningMethods | None = None,
        draws: MovingDraws | None = None,
        declared_half_life: bool = False,
    ) -> None:
        """Start from the prior; `amount_scale` standardises amounts: log revenue, or raw rewards.

        `starts` (1 + K,) are prior means of the effects of option columns in `main`, where they are not 0. `draws` are
        draws of the weights of `main` that move with the belief, where they are wanted. With a declared half-life that
        of the contrasts is not estimated.
        """
        self.catalogue = catalogue
        self.encoder = encoder
        self.methods = methods or LearningMethods()
        self._raw_reward = catalogue.objective.kind == "reward"
        # With more offers, `OfferSearch` applies the constraints dimension by dimension.
        self.constraints = monotone_constraints(catalogue) if catalogue.n_offers <= MAX_DENSE_OFFERS else ()
        if self._raw_reward:
            self.main = OfferModel(
                "amount", encoder, pairs, amount_scale, starts, self.methods, draws, declared_half_life
            )
        else:
            self.main = OfferModel("response", encoder, pairs, None, starts, self.methods, draws, declared_half_life)
        stages = stages_learned(catalogue, self.methods)
        self.funnel: Funnel | None = None
        if stages:
            settings = (encoder, pairs, self.methods, declared_half_life)
            self.funnel = Funnel.of(stages, *settings, draws=[] if draws is None else draws.others(len(stages) - 1))
        self.amount: OfferModel | None = None
        if catalogue.objective.kind in {"revenue", "profit"}:
            self.amount = OfferModel(
                "revenue", encoder, False, amount_scale, None, self.methods, None, declared_half_life
            )
        owner = np.concatenate([[0], encoder.offers.owner + 1]).astype(np.int64)
        deviation = np.full(int(owner.max()) + 1, CUSTOMER_DEVIATION)
        # A raw reward has no logit that customers' effects could be added to.
        self.customer_effects: CustomerEffects | None = None
        if personal and not self._raw_reward:
            self.customer_effects = self._effects_kind()(owner, deviation)

    def _effects_kind(self) -> type[CustomerEffects]:
        """Return how customers' effects are learned."""
        if not self.methods.joint:
            return CustomerEffects
        return PredictiveCustomerEffects if self.methods.predictive else JointCustomerEffects

    # -- prediction ------------------------------------------------------------------------------------------------

    def encode(self, contexts: Contexts) -> EncodedContexts:
        """Return the context columns and the customers' own effects."""
        matrix = self._matrix(contexts)
        effects = self.customer_effects
        if effects is None or not len(effects) or not len(contexts.customers):
            return EncodedContexts(matrix, None)
        return EncodedContexts(matrix, effects.means(effects.places(contexts.customers)))

    def _matrix(self, contexts: Contexts) -> FloatArray:
        return self.encoder.context_matrix(contexts, binned=self.main.uses_binned_effects)

    def draw(self, draws: int, width: float, rng: Generator) -> WeightDraws:
        """Return draws of the weights of `main` and of later stages, their deviation scaled by `width`."""
        drawn = self.main.draw(draws, width, rng)
        return replace(drawn, later=tuple(each.draw(draws, width, rng) for each in self.later)) if self.later else drawn

    def moving_draws(self, number: int, draws: int, width: float) -> WeightDraws:
        """Return set `number` of the draws that move with the belief, of `main` and of later stages."""
        drawn = self.main.moving_draws(number, draws, width)
        later = tuple(each.moving_draws(number, draws, width) for each in self.later)
        return replace(drawn, later=later) if later else drawn

    @property
    def later(self) -> tuple[OfferModel, ...]:
        """The models of the stages after the first, the conversion's last; () where stages are not learned."""
        return () if self.funnel is None else self.funnel.later

    @property
    def stages(self) -> tuple[str, ...]:
        """The events whose chances are modelled, the conversion last; () where it is modelled alone."""
        return () if self.funnel is None else self.funnel.names

    def stage_scores(self, encoded: EncodedContexts) -> list[FloatArray]:
        """Return the (n, N) scores of `main` and of each later stage at the mean."""
        first = self.main.mean_scores(encoded.matrix, encoded.customer_effects)
        return [first, *(model.mean_scores(encoded.matrix) for model in self.later)]

    def settle(self) -> None:
        """Make moving draws anew where the belief changed otherwise than by outcomes; ends every update."""
        for model in self.models().values():
            model.model.weights.settle()

    def expected_rewards(self, encoded: EncodedContexts) -> FloatArray:
        """Return the (n, N) expected reward of each offer at the beliefs' means."""
        scores = joint_logit(self.stage_scores(encoded))
        for constraint in self.constraints:
            constraint.apply(scores)
        if self._raw_reward:
            return scores
        revenue = np.zeros(scores.shape) if self.amount is None else self.revenue(encoded, self.amount)
        return self.catalogue.objective.expected(self.catalogue.money, expit(scores), revenue)

    @staticmethod
    def revenue(encoded: EncodedContexts, amount: OfferModel) -> FloatArray:
        """Return the (n, N) mean revenues, each of a lognormal: exp(mean of the log + half its variance)."""
        exponent = amount.mean_scores(encoded.matrix)
        exponent += 0.5 * amount.noise
        np.minimum(exponent, MAX_LOG_REVENUE, out=exponent)
        return np.exp(exponent, out=exponent)

    def shared(self) -> Iterator[object]:
        """Yield the parts that no update changes, so that a copy may share them."""
        yield from (self.catalogue, self.methods, self.constraints, *self.encoder.shared())
        for model in self.models().values():
            yield from model.shared()

    def is_quick(self, outcomes: Outcomes) -> bool:
        """Whether learning outcomes only adds them: no variances are estimated, and the weights are not too many."""
        n = len(outcomes)
        if not self.main.is_quick(n):
            return False
        if self.funnel is not None and not self.funnel.is_quick(outcomes):
            return False
        if self.amount is None or self.amount.is_quick(n):
            return True
        return self.amount.is_quick(int(np.count_nonzero(has_revenue(outcomes.revenue, outcomes.converted))))

    @property
    def customers(self) -> CustomerMemory | None:
        """The customers' own rows, None where customers have no effects of their own."""
        return None if self.customer_effects is None else self.customer_effects.memory

    @property
    def is_finite(self) -> bool:
        """Whether the means and the noise of all models are finite."""
        return all(model.is_finite for model in self.models().values())

    # -- learning --------------------------------------------------------------------------------------------------

    def learn(self, outcomes: Outcomes) -> None:
        """Learn outcomes: the new part of each, and the correction of what was learned of it before.

        An outcome of a decision that stands for s is learned as s outcomes.
        """
        matrix = self._matrix(outcomes.contexts)
        if len(outcomes) == 1 and self._is_plain(outcomes):
            self._learn_one(matrix, outcomes)
            return
        y, previous_y = self._responses(outcomes)
        weight, previous_weight = outcomes.weights, outcomes.previous.weights
        more = weight > previous_weight if not self._raw_reward else previous_weight == 0.0
        new, times = (weight - previous_weight)[more], outcomes.batch.stands_for
        self._learn_new(matrix[more], outcomes.take(more), y[more], new if times is None else new * times[more])
        # After the new ones: a batch may hold an outcome and, later in it, its correction.
        self._restate(matrix, outcomes, (previous_weight > 0.0) & (previous_y != y), previous_y, y)
        if self.funnel is not None:
            self.funnel.learn(matrix, outcomes)
        self._learn_amount(matrix, outcomes)

    def _is_plain(self, outcomes: Outcomes) -> bool:
        """Whether one outcome is a new one of a decision that stands for itself: the most frequent case."""
        return not outcomes.previous.is_update[0] and not len(outcomes.batch.weight)

    def _learn_one(self, matrix: FloatArray, outcomes: Outcomes) -> None:
        """Learn one new outcome, with the results of `learn`, in numbers: a visit waits for it."""
        batch, effects, main = outcomes.batch, self.customer_effects, self.main
        offer, converted = int(batch.offer[0]), bool(batch.converted[0])
        y, weight = float(converted), float(outcomes.weight[0]) if len(outcomes.weight) else 1.0
        if self._raw_reward:  # learned whole as soon as anything is known of it
            y, weight = float(batch.reward[0]), 1.0
        if self.funnel is not None:
            y = float(self.funnel.steps(outcomes)[0][0, 0])
        row, offset, own = main.row(matrix, offer), 0.0, None
        customers = outcomes.contexts.customers
        if effects is not None and len(customers):
            columns = main.design.columns[offer : offer + 1][0]
            if isinstance(effects, JointCustomerEffects):
                own = effects.one(customers[0], columns)
            else:
                offset = effects.learn_one(customers[0], columns, main.score_one(row), y, weight)
        n_estimates = main.n_estimates
        main.learn_one(matrix, row, offer, y, weight, offset, own)
        if effects is not None and len(customers) and main.n_estimates > n_estimates:
            effects.estimate()
        if self.funnel is not None:
            self.funnel.learn(matrix, outcomes)
        if self.amount is not None and converted and batch.revenue[0] > 0.0:
            of_amount = self.amount.row(matrix, offer)
            self.amount.learn_one(matrix, of_amount, offer, float(np.log(batch.revenue)[0]))

    def _responses(self, outcomes: Outcomes) -> tuple[FloatArray, FloatArray]:
        """Return the (n,) responses (or raw rewards) that `main` learns, and those that it learned before."""
        if self._raw_reward:
            return outcomes.reward, outcomes.previous.reward
        if self.funnel is not None:
            now, before = self.funnel.steps(outcomes)
            return now[:, 0].astype(np.float64), before[:, 0].astype(np.float64)
        return outcomes.converted.astype(np.float64), outcomes.previous.converted.astype(np.float64)

    def _restate(
        self,
        matrix: FloatArray,
        outcomes: Outcomes,
        rows: BoolArray,
        previous_y: FloatArray,
        y: FloatArray,
    ) -> None:
        """Replace the responses (or raw rewards) `previous_y` of some rows by `y`, at the weight they were learned."""
        if not rows.any():
            return
        weight, times = outcomes.previous.weights, outcomes.batch.stands_for
        weight = weight if times is None else weight * times
        counted = weight if not self._raw_reward else times
        matrix, offer, change = matrix[rows], outcomes.offer[rows], (y - previous_y)[rows]
        part = None if counted is None else counted[rows]
        if self.customer_effects is not None and len(outcomes.contexts.customers):
            customers, columns = outcomes.contexts.customers[rows], self.main.design.columns[offer]
            joint = isinstance(self.customer_effects, JointCustomerEffects)
            # Of decisions that stand for others', one is the customer's own.
            own = outcomes.previous.weights if joint else weight
            if isinstance(self.customer_effects, JointCustomerEffects):
                places = self.customer_effects.places_for(customers)
                self.customer_effects.correct_judgement(places, columns, own[rows] * change)
            if isinstance(self.customer_effects, JointCustomerEffects) and times is None:
                score = self.main.scores(matrix, offer) + self.customer_effects.offset(customers, columns)
                curvature = weight[rows] * expit(score) * expit(-score)
                variance = self.main.score_variances(matrix, offer)
                share, own_share = self.customer_effects.shares(customers, columns, curvature, variance)
                part, columns = weight[rows] * share, columns * own_share
            self.customer_effects.restate(customers, columns, own[rows] * change)
        self.main.restate(matrix, offer, previous_y[rows], y[rows], part)

    def _learn_new(self, matrix: FloatArray, outcomes: Outcomes, y: FloatArray, weight: FloatArray) -> None:
        """Learn responses (or raw rewards), for the population and for each customer."""
        if not len(y):
            return
        customers = outcomes.contexts.customers
        if self.customer_effects is None or not len(customers):
            # A raw reward is learned whole as soon as anything is known of it.
            self.main.learn(matrix, outcomes.offer, y, outcomes.batch.stands_for if self._raw_reward else weight)
            return
        effects, times = self.customer_effects, outcomes.batch.stands_for
        columns = self.main.design.columns[outcomes.offer]
        if isinstance(effects, JointCustomerEffects) and times is None:
            own = CustomerOutcomes.of(effects, customers, columns)
            self.main.learn(matrix, outcomes.offer, y, weight, own=own)
            return
        self.main.activate(matrix)
        score, offset = self.main.scores(matrix, outcomes.offer), effects.offset(customers, columns)
        if isinstance(effects, JointCustomerEffects) and times is not None:
            # Of the decisions that one stands for, one is the customer's own; whose the others are is not known.
            learn_customers(effects, effects.places_for(customers), columns, score, y, weight / times)
        else:
            effects.learn(customers, columns, score, y, weight)
        n_estimates = self.main.n_estimates
        self.main.learn(matrix, outcomes.offer, y, weight, offset)
        if self.main.n_estimates > n_estimates:
            effects.estimate()

    def _learn_amount(self, matrix: FloatArray, outcomes: Outcomes) -> None:
        """Learn the log revenues of conversions, and remove those that were learned before and have changed."""
        if self.amount is None:
            return
        removed = has_revenue(outcomes.previous.revenue, outcomes.previous.converted) & outcomes.is_update
        added = has_revenue(outcomes.revenue, outcomes.converted)
        # Revenue that did not change is neither removed nor learned again.
        same = removed & added & (outcomes.previous.revenue == outcomes.revenue)
        removed, added = removed & ~same, added & ~same
        times = outcomes.batch.stands_for
        for rows in (added & ~outcomes.is_update, added & outcomes.is_update):
            if rows.any():
                counted = None if times is None else times[rows]
                self.amount.learn(matrix[rows], outcomes.offer[rows], np.log(outcomes.revenue[rows]), counted)
        if removed.any():
            counted, before = None if times is None else times[removed], np.log(outcomes.previous.revenue[removed])
            self.amount.retract(matrix[removed], outcomes.offer[removed], before, counted)

    def decay(self, kept: float) -> None:
        """Move the belief towards the prior, keeping a share of what was learned."""
        for model in self.models().values():
            model.decay(kept)
        if self.customer_effects is not None:
            self.customer_effects.decay(kept)

    def pass_time(self, days: float) -> None:
        """Move the models by the rates of change that are known of each; the customers' own effects stay."""
        for model in self.models().values():
            model.pass_time(days)

    @property
    def moves(self) -> bool:
        """Whether the level or the contrasts of a model have been found to move."""
        return any(model.model.rates is not None and model.model.rates.moves for model in self.models().values())

    def fit(self, parts: LogParts, weight: Callable[[LoggedBatch], FloatArray], progress: Progress | None) -> None:
        """Learn a whole log at once, to convergence; `weight` returns the weight of each decision."""
        own = self.customer_effects if isinstance(self.customer_effects, JointCustomerEffects) else None
        passes, done = FIT_PASSES if own is None else JOINT_PASSES, 0

        def advance() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(min(done, passes), passes)

        recipe = self._recipe(weight)
        self.main.fit(parts.of(recipe), passes, advance, own)
        if self.funnel is not None:
            self.funnel.fit(parts, recipe, FIT_PASSES)
        if self.amount is not None:
            self.amount.fit(parts.of(replace(recipe, revenues=True)), FIT_PASSES)
        if self.customer_effects is not None and own is None:
            self._fit_customers(self.customer_effects, parts.of(recipe))
        if progress is not None:
            progress(passes, passes)

    def _recipe(self, weight: Callable[[LoggedBatch], FloatArray]) -> TrainingRecipe:
        """Return the recipe of the rows that `main` learns in a batch fit."""
        largest = self.catalogue.objective.largest_amount
        return TrainingRecipe(self.encoder, weight, self.stages, raw_reward=self._raw_reward, largest=largest)

    def _fit_customers(self, effects: CustomerEffects, parts: PartFit) -> None:
        """Learn customers' effects that are learned one outcome after the other, in the order of the log."""
        for rows in parts.rows():
            if len(rows.customers):
                score, columns = self.main.scores(rows.contexts, rows.offer), self.main.design.columns[rows.offer]
                effects.learn(rows.customers, columns, score, rows.y, rows.counted)
        effects.estimate()

    # -- state --------------------------------------------------------------------------------------------------------

    def models(self) -> dict[str, OfferModel]:
        """Return the offer models by their names in a state."""
        found = {"main": self.main} if self.amount is None else {"main": self.main, "amount": self.amount}
        return found if self.funnel is None else found | self.funnel.models

    def state(self, *, keyed: bool = False) -> tuple[dict[str, object], dict[str, NDArray[np.generic]]]:
        """Return plain values and arrays, for `restore`; with `keyed` a digest in place of the customers' rows."""
        meta: dict[str, object] = {}
        arrays: dict[str, NDArray[np.generic]] = {}
        for name, model in self.models().items():
            meta[name], parts = model.state()
            arrays |= {f"{name}/{part}": array for part, array in parts.items()}
        if self.customer_effects is not None:
            effects = self.customer_effects
            own = effects.keyed_state() if keyed else effects.state()
            arrays |= {f"own/{part}": array for part, array in own.items()}
        return meta, arrays

    def restore(self, meta: Mapping[str, object], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Load a state; ValueError, TypeError or KeyError where it does not fit."""
        for name, model in self.models().items():
            values = meta[name]
            if not isinstance(values, dict):
                raise TypeError(f"its {name} is not a mapping")
            model.restore(values, parts_of(name, arrays))
        if self.customer_effects is not None:
            self.customer_effects.restore(parts_of("own", arrays))
