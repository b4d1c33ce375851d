"""Online learning of a reward belief: a warm-up that fits the scales, decay as time passes, and its state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from bandit.catalogue import Catalogue
from bandit.catalogue.file_tables import window_microseconds
from bandit.catalogue.objective import LARGEST_AMOUNT
from bandit.domain import FloatArray, Log, LoggedBatch, Outcomes, PartRunner, Progress
from bandit.encoding.binned_effects import BinnedEffects, fit_binned_effects
from bandit.encoding.encoder import Encoder
from bandit.encoding.scales import UNKNOWN_SCALE, FactScale, ScaleMoments, declared_scales, fit_scales
from bandit.encoding.shapes import FactShape, Transform, ValueSample, fit_shapes, transform_of
from bandit.errors import CatalogueError, InputError, PolicyError
from bandit.models.moving_draws import MovingDraws
from bandit.models.tail_weights import without_tails
from bandit.policies.bounded_outcomes import BoundedLog, within_bounds
from bandit.policies.state import parts_of
from bandit.policies.thompson.fact_scales import FactScales
from bandit.policies.thompson.kept_rows import forget_rows
from bandit.policies.thompson.learned_events import has_revenue
from bandit.policies.thompson.methods import LearningMethods
from bandit.policies.thompson.offer_scores import AmountScale
from bandit.policies.thompson.ordered_sample import ORDERED_ROWS, sampled_in_order, span_of_parts
from bandit.policies.thompson.part_fit import LogParts
from bandit.policies.thompson.reward_belief import FIT_PASSES, RewardBelief
from bandit.policies.thompson.time_steps import (
    MOVE_STEP,
    ONE_DAY,
    daily_parts,
    newest_time,
    ordered_batches,
)
from bandit.policies.thompson.training_rows import FIT_ROWS, AgeWeights
from bandit.policies.warmup import WARMUP_OUTCOMES, Warmup

SCALES_FITTED_AT = (1, 2, 4, 8, 16, 32, 64, 128, 256, WARMUP_OUTCOMES)
"""Numbers of outcomes at which the scales are fitted during the warm-up; the last fit is final."""

DECAY_STEP = 0.02
"""Least share that a step of decay forgets: each solves a D x D system."""

SCALE_ROWS = 20_000
"""Decisions of a log to which `fit` fits the scales."""

_MAX_COUNT = 2**62

_SEED = 20_261_128


class OnlineLearning:
    """A reward belief about one catalogue's offers that is updated with outcomes, or fitted to a whole log.

    Numeric facts without a declared scale are standardised by the first 500 outcomes: until then the outcomes are
    kept and learned again, all at once, whenever the scales are fitted; after that the scales are fixed.
    `version` counts the updates.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        pairs: bool,
        personal: bool,
        half_life: str | None,
        methods: LearningMethods,
        n_draws: int = 0,
    ) -> None:
        """Start from the prior, with `n_draws` draws that move with it; PolicyError for an invalid half-life."""
        self.catalogue = catalogue
        self.methods = methods
        self._n_draws = n_draws
        self._pairs, self._personal = pairs, personal
        self._half_life = _microseconds(half_life)
        self._decayed_until: int | None = None
        self._moved_until: int | None = None
        self._starts: FloatArray | None = None
        self._unscaled: dict[str, ScaleMoments] = {}
        self._sampled: dict[str, ValueSample] = {}
        self.version = 0
        self.belief = self._new_belief(declared_scales(catalogue), AmountScale(self._default_center()))
        has_numeric = any(fact.kind == "numeric" for fact in catalogue.facts.values())
        self.belief.settle()
        no_scales = not has_numeric and catalogue.objective.kind == "conversion"
        self._warmup: Warmup | None = None if no_scales else Warmup(WARMUP_OUTCOMES)

    def _new_belief(
        self,
        scales: Mapping[str, FactScale],
        amount_scale: AmountScale,
        binned_effects: Mapping[str, BinnedEffects] | None = None,
        shapes: Mapping[str, FactShape] | None = None,
    ) -> RewardBelief:
        encoder = Encoder(self.catalogue, scales, self._pairs, binned_effects, shapes)
        return self._belief(encoder, amount_scale, self._starts)

    def _belief(self, encoder: Encoder, amount_scale: AmountScale, starts: FloatArray | None) -> RewardBelief:
        belief = RewardBelief(
            self.catalogue,
            encoder,
            amount_scale,
            pairs=self._pairs,
            personal=self._personal,
            starts=starts,
            methods=self.methods,
            # Of the state alone, so that every logged decision can be recomputed; never the same numbers again.
            draws=MovingDraws(self._n_draws, np.random.default_rng([_SEED, self.version])) if self._n_draws else None,
            declared_half_life=self._half_life is not None,
        )
        if belief.customers is not None:
            belief.customers.begin_at(self.version)
        return belief

    @property
    def in_warmup(self) -> bool:
        """Whether the scales are not fixed yet, so that the state holds the outcomes learned."""
        return self._warmup is not None

    # -- learning --------------------------------------------------------------------------------------------------

    def update(self, outcomes: Outcomes) -> None:
        """Learn outcomes, new ones and corrections of those learned before."""
        if not len(outcomes):
            return
        outcomes = within_bounds(outcomes, self.catalogue.objective.largest_amount)
        self.version += 1
        if self.belief.customers is not None:
            self.belief.customers.update = self.version
        while self._warmup is not None and len(outcomes):
            n_kept = WARMUP_OUTCOMES - self._warmup.room
            stop = next(mark for mark in SCALES_FITTED_AT if mark > n_kept) - n_kept
            part, outcomes = outcomes.take(slice(0, stop)), outcomes.take(slice(stop, None))
            self._warmup.add(part)
            if len(part) == stop:
                self._learn_again(self._warmup.outcomes())
            else:
                self._learn(part)
            if self._warmup.room == 0:
                self._warmup = None
        if len(outcomes):
            self._learn(outcomes)
        self.belief.settle()
        if self.belief.customers is not None:
            self.belief.customers.version = self.version

    def is_quick(self, outcomes: Outcomes) -> bool:
        """Whether `update` with these outcomes fits no scales, estimates no variances and lets nothing decay."""
        n = len(outcomes)
        if self._warmup is not None:
            n_kept = WARMUP_OUTCOMES - self._warmup.room
            if n >= next(mark for mark in SCALES_FITTED_AT if mark > n_kept) - n_kept:
                return False
        return not self._decay_is_due(outcomes) and self.belief.is_quick(outcomes)

    def shared(self) -> Iterator[object]:
        """Yield the parts that no update changes, so that a copy may share them."""
        yield from (self.catalogue, self.methods, *self.belief.shared())
        if self._warmup is not None:
            yield from self._warmup.batches

    def _learn_again(self, kept: Outcomes) -> None:
        """Fit the scales to all outcomes kept, and learn these from the prior: their joint mode, however batched."""
        self.belief = self._belief_scaled_to(kept)
        self._moved_until = None
        self._learn(kept)

    def _belief_scaled_to(self, kept: Outcomes) -> RewardBelief:
        shapes = fit_shapes(self.catalogue, kept.contexts, self.default_transform)
        scales = fit_scales(self.catalogue, kept.contexts, shapes)
        effects = fit_binned_effects(self.catalogue, kept.contexts, scales, shapes)
        return self._new_belief(scales, self._amount_scale(kept), effects, shapes)

    def _learn(self, outcomes: Outcomes) -> None:
        if self._moved_until is None or not self.methods.memories or not len(outcomes.time):
            if self.methods.memories and len(outcomes.time):
                self._moved_until = newest_time(outcomes)
            self._learn_part(outcomes)
            return
        for part in daily_parts(outcomes, self._moved_until):
            newest = newest_time(part)
            if newest - self._moved_until >= MOVE_STEP:
                self.belief.pass_time((newest - self._moved_until) / ONE_DAY)
                self._moved_until = newest
            self._learn_part(part)

    def _learn_part(self, outcomes: Outcomes) -> None:
        self._decay(outcomes)
        if self._unscaled or self._sampled:
            self._scale(outcomes)
        self.belief.learn(outcomes)

    def _scale(self, outcomes: Outcomes) -> None:
        """Count the values of facts that have no scale, and fix the scale of those of which there are enough."""
        encoder = self.belief.encoder
        for name, sample in list(self._sampled.items()):
            column = self._fact_values(outcomes, name)
            seen = self._sampled[name] = sample.with_values(column[~np.isnan(column)])
            if seen.is_complete:
                del self._sampled[name]
                shape, scale = seen.fit(transform_of(self.catalogue.facts[name], self.default_transform))
                encoder.fix_scale(name, scale, shape)
        for name, moments in list(self._unscaled.items()):
            column = self._fact_values(outcomes, name)
            known = moments.with_values(column[~np.isnan(column)])
            self._unscaled[name] = known
            if known.scale != UNKNOWN_SCALE:
                del self._unscaled[name]
                encoder.fix_scale(name, known.scale, None)

    def _fact_values(self, outcomes: Outcomes, name: str) -> FloatArray:
        return self.catalogue.facts[name].learned(np.asarray(outcomes.contexts.columns[name], dtype=np.float64))

    def _decay(self, outcomes: Outcomes) -> None:
        """Decay the belief by the time passed since the last step, 0.5^(time / half-life), once it is a full step."""
        if self._half_life is None or not len(outcomes.time):
            return
        newest = newest_time(outcomes)
        if self._decayed_until is None:
            self._decayed_until = newest
        if self._decay_is_due(outcomes):
            kept = self._share_kept(newest)
            self._decayed_until = newest
            self.belief.decay(kept)

    def _decay_is_due(self, outcomes: Outcomes) -> bool:
        """Whether a full step of decay has passed at the newest of these outcomes."""
        if self._half_life is None or self._decayed_until is None or not len(outcomes.time):
            return False
        return self._share_kept(newest_time(outcomes)) <= 1.0 - DECAY_STEP

    def _share_kept(self, newest: int) -> float:
        """Return the share of what was learned that is left at a time."""
        if self._half_life is None or self._decayed_until is None:
            return 1.0
        return float(0.5 ** (max(0, newest - self._decayed_until) / self._half_life))

    def fit(self, log: Log, progress: Progress | None, runner: PartRunner | None = None) -> None:
        """Learn a whole log at once, replacing what was learned before; InputError for an empty log.

        Under the method `memories` the log is first learned in order of time: where it shows that the market moves, the
        belief about its end is the result, each block of outcomes at its exact mode. Otherwise all are learned at once,
        by sums over the parts of the log, which `runner` or this process adds up. Of more than ORDERED_ROWS decisions a
        sample shows whether the market moves; only where it does is the log read straight through.
        """
        if not log.n:
            raise InputError("the log has no decisions; fit a policy on a log that has some")
        parts = LogParts.of_log(log, runner)
        try:
            self._fit(parts, progress)
        finally:
            forget_rows(parts.token)

    def _fit(self, parts: LogParts, progress: Progress | None) -> None:
        log: Log = parts.log
        log = BoundedLog(log, self.catalogue.objective.largest_amount)
        first = next(iter(log.batches(SCALE_ROWS))).outcomes()
        self._starts, self._unscaled, self._sampled = None, {}, {}
        self.belief = self._belief_scaled_to(first)
        self._warmup = None
        self.version += 1
        half_life = self._half_life
        newest = 0
        if self.methods.memories or half_life is not None:
            oldest, newest = span_of_parts(parts)
            self._moved_until = newest
            if self.methods.memories and newest - oldest >= MOVE_STEP:
                largest = self.catalogue.objective.largest_amount
                self._learn_in_order(sampled_in_order(parts, largest), oldest)
                if self.belief.moves and log.n > ORDERED_ROWS:
                    self.belief = self._belief_scaled_to(first)
                    self._learn_in_order(ordered_batches(log, FIT_ROWS), oldest)
                progress = _after_a_pass(progress, self.belief.moves)
                if self.belief.moves:
                    self._end_fit()
                    return
                self.belief = self._belief_scaled_to(first)
            self._decayed_until = None if half_life is None else newest

        self.belief.fit(parts, AgeWeights(half_life, newest), progress)
        self._end_fit()

    def _end_fit(self) -> None:
        self.belief.settle()
        if self.belief.customers is not None:
            self.belief.customers.begin_at(self.version)

    def _learn_in_order(self, batches: Iterable[LoggedBatch], oldest: int) -> None:
        """Learn decisions in order of time, and with them how fast the market moves."""
        self._decayed_until, self._moved_until = None, oldest
        for batch in batches:
            self._learn(batch.outcomes())
        self.belief.settle()

    def redraw(self) -> None:
        """Make draws that move with the belief anew: it was not learned from outcomes."""
        for place, model in enumerate(self.belief.models().values()):
            if model.model.weights.draws is not None:
                model.model.weights.draws.restart(np.random.default_rng([_SEED, self.version, place]))
        self.belief.settle()

    # -- scales ----------------------------------------------------------------------------------------------------

    def _default_center(self) -> float:
        """Return the center of amounts before any is observed: the log of 20 times the highest cost of an offer."""
        if self.catalogue.objective.kind == "reward":
            return 0.0
        highest_cost = sum(
            max(option.redemption_cost + option.contact_cost for option in dimension.options)
            for dimension in self.catalogue.dimensions
        )
        return float(np.log(max(1.0, min(20.0 * highest_cost, LARGEST_AMOUNT))))

    def _amount_scale(self, kept: Outcomes) -> AmountScale:
        """Return mean and standard deviation of the amounts: log revenues of conversions, or raw rewards."""
        if self.catalogue.objective.kind == "reward":
            amounts = kept.reward
        else:
            amounts = np.log(kept.revenue[has_revenue(kept.revenue, kept.converted)])
        if not len(amounts):
            return AmountScale(self._default_center())
        if self.methods.robust and self.catalogue.objective.kind != "reward":
            amounts = without_tails(amounts)
        spread = float(amounts.std())
        # One or two amounts give a center but no spread.
        return AmountScale(float(amounts.mean()), spread if len(amounts) > 2 and spread > 0.0 else 1.0)

    # -- what is taken over ----------------------------------------------------------------------------------------

    @property
    def default_transform(self) -> Transform:
        """The transform of numeric facts for which the catalogue declares none."""
        return "auto" if self.methods.shapes else "none"

    @property
    def fact_scales(self) -> FactScales:
        """The scales of numeric facts that are in use."""
        encoder = self.belief.encoder
        unknown = {*self._unscaled, *self._sampled}
        scales = {name: scale for name, scale in encoder.scales.items() if name not in unknown}
        return FactScales(scales, encoder.binned_effects, self._unscaled, encoder.shapes, self._sampled)

    @property
    def starts(self) -> FloatArray | None:
        """The prior means of the base and option columns (1 + K,) in `belief.main`, None where all are as usual."""
        return self._starts

    @property
    def clock(self) -> dict[str, object]:
        """The number of updates and the time up to which the belief has decayed, under the format's keys."""
        moved = {"moved": self._moved_until} if self.methods.memories else {}
        return {"version": self.version, "faded": self._decayed_until, **moved}

    def untrained_belief(self, scales: FactScales, starts: FloatArray | None) -> RewardBelief:
        """Return an untrained belief of these settings with other scales and prior means of option columns."""
        encoder = Encoder(self.catalogue, scales.by_fact, self._pairs, scales.binned_effects, scales.shapes)
        return self._belief(encoder, AmountScale(), starts)

    # -- state -----------------------------------------------------------------------------------------------------

    def state(self, *, keyed: bool = False) -> tuple[dict[str, object], dict[str, NDArray[np.generic]]]:
        """Return the belief, the scales and, during the warm-up, the outcomes kept, under the format's keys.

        With `keyed`, a digest is in place of the customers' rows where these are many.
        """
        customers = self.belief.customers
        meta, arrays = self.belief.state(keyed=keyed and customers is not None and customers.is_keyed)
        meta |= self.fact_scales.to_meta() | self.clock
        if self._starts is not None:
            arrays["starts"] = self._starts
        if self._warmup is not None:
            meta["warmup"], parts = self._warmup.state()
            arrays |= {f"warmup/{part}": array for part, array in parts.items()}
        return meta, arrays

    def restored(self, meta: Mapping[str, object], arrays: Mapping[str, NDArray[np.generic]]) -> OnlineLearning:
        """Return a copy of the same settings in this state; ValueError, TypeError or KeyError where it does not fit."""
        fresh = OnlineLearning(
            self.catalogue,
            pairs=self._pairs,
            personal=self._personal,
            half_life=None,
            methods=self.methods,
            n_draws=self._n_draws,
        )
        fresh._half_life = self._half_life
        if self.methods.memories:
            moved = meta.get("moved")
            fresh._moved_until = None if moved is None else int(str(moved))
        known = FactScales.from_meta(meta)
        if not {*known.unscaled, *known.sampled, *known.shapes} <= self.catalogue.facts.keys():
            raise ValueError("its facts without a scale are of another context")
        fresh._starts = _starts_of(arrays, 1 + len(self.belief.encoder.offers.main_names))
        fresh._unscaled, fresh._sampled = dict(known.unscaled), dict(known.sampled)
        fresh.belief = fresh._new_belief(known.by_fact, AmountScale(), known.binned_effects, known.shapes)
        fresh.belief.restore(meta, arrays)
        fresh.version = int(str(meta["version"]))
        fresh._decayed_until = None if meta["faded"] is None else int(str(meta["faded"]))
        clocks = (fresh._decayed_until or 0, fresh._moved_until or 0)
        if not (0 <= fresh.version < _MAX_COUNT and max(map(abs, clocks)) < _MAX_COUNT):
            raise ValueError("its counts are out of range")
        fresh._warmup = None
        if fresh.belief.customers is not None:
            fresh.belief.customers.begin_at(fresh.version)
        if "warmup" in meta:
            fresh._warmup = Warmup.restore(WARMUP_OUTCOMES, self.catalogue, meta["warmup"], parts_of("warmup", arrays))
        return fresh


def _after_a_pass(progress: Progress | None, last: bool) -> Progress | None:
    """Report one pass over a log, or all where it was the last; return what reports the passes after it."""
    if progress is None:
        return None
    most = FIT_PASSES + 1
    progress(most if last else 1, most)
    return lambda done, passes: progress(done + 1, passes + 1)


def _starts_of(arrays: Mapping[str, NDArray[np.generic]], size: int) -> FloatArray | None:
    """Return the prior means of option columns of a state, None without any; ValueError where they do not fit."""
    if "starts" not in arrays:
        return None
    starts = np.array(arrays["starts"], dtype=np.float64)
    if starts.shape != (size,) or not np.isfinite(starts).all():
        raise ValueError("its prior means are of other options")
    return starts


def _microseconds(half_life: str | None) -> int | None:
    """Return a half-life such as "30d" in microseconds; PolicyError where it is invalid."""
    if half_life is None:
        return None
    try:
        found = window_microseconds(half_life)
    except CatalogueError as fault:
        raise PolicyError(f"half_life: {fault}") from fault
    if not found:
        raise PolicyError(f'half_life must be longer than nothing; seen "{half_life}"')
    return found
