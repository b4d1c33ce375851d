"""How an outlook comes about: the warm-up that settles scales, forgetting as time passes, and its state."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from bandit.catalogue import Catalogue
from bandit.catalogue.schema import window_microseconds
from bandit.domain import FloatArray, Log, LoggedBatch, Outcomes
from bandit.encoding.binned_effects import Curve
from bandit.encoding.encoder import Encoder, Scale, declared_scales, settle_curves, settle_scales
from bandit.errors import CatalogueError, InputError, PolicyError
from bandit.policies.thompson.offer_model import Unit, positive
from bandit.policies.thompson.reward_belief import RewardBelief, parts_of
from bandit.policies.warmup import Warmup

WARM_UP = 500
"""Outcomes after which the scales of numeric facts and amounts are settled for good."""

SETTLED_AT = (1, 2, 4, 8, 16, 32, 64, 128, 256, WARM_UP)
"""Numbers of outcomes at which the scales are taken anew until then."""

FADE_STEP = 0.02
"""What was learned is faded in steps of about this share, since each solves a D x D system."""

_LARGEST = 2**62

FIT_SCALES = 20_000
"""Decisions of a log by which `fit` settles the scales."""


class Learner:
    """The outlook on one catalogue's offers, and how it follows the outcomes.

    Numeric facts without a declared scale are standardised by the first 500 outcomes: until then the few outcomes
    there are are kept and learned anew, all at once, with each change of scale; then the scale is frozen.
    `version` counts the changes.
    """

    def __init__(self, catalogue: Catalogue, *, pairs: bool, personal: bool, half_life: str | None) -> None:
        """Start from the prior; PolicyError for a half-life that is none."""
        self.catalogue = catalogue
        self._pairs, self._personal = pairs, personal
        self._half_life = _microseconds(half_life)
        self._faded: int | None = None
        self.version = 0
        self.outlook = self._outlook(declared_scales(catalogue), Unit(self._first_guess()))
        numbers = any(fact.kind == "numeric" for fact in catalogue.facts.values())
        needless = not numbers and catalogue.objective.kind == "conversion"
        self._warmup: Warmup | None = None if needless else Warmup(WARM_UP)

    def _outlook(
        self, scales: Mapping[str, Scale], unit: Unit, curves: Mapping[str, Curve] | None = None
    ) -> RewardBelief:
        encoder = Encoder(self.catalogue, scales, self._pairs, curves)
        return RewardBelief(self.catalogue, encoder, unit, pairs=self._pairs, personal=self._personal)

    # -- learning --------------------------------------------------------------------------------------------------

    def update(self, outcomes: Outcomes) -> None:
        """Learn outcomes, new and re-stated."""
        if not len(outcomes):
            return
        self.version += 1
        while self._warmup is not None and len(outcomes):
            have = WARM_UP - self._warmup.room
            stop = next(mark for mark in SETTLED_AT if mark > have) - have
            part, outcomes = outcomes.take(slice(0, stop)), outcomes.take(slice(stop, None))
            self._warmup.add(part)
            if len(part) == stop:
                self._settle(self._warmup.outcomes())
            else:
                self._learn(part)
            if self._warmup.room == 0:
                self._warmup = None
        if len(outcomes):
            self._learn(outcomes)

    def _settle(self, kept: Outcomes) -> None:
        """Take the scales of all that is kept, and learn it anew: the mode of all, whatever batches it came in."""
        self.outlook = self._settled(kept)
        self._learn(kept)

    def _settled(self, kept: Outcomes) -> RewardBelief:
        scales = settle_scales(self.catalogue, kept.contexts)
        return self._outlook(scales, self._unit(kept), settle_curves(self.catalogue, kept.contexts, scales))

    def _learn(self, outcomes: Outcomes) -> None:
        self._fade(outcomes)
        self.outlook.learn(outcomes)

    def _fade(self, outcomes: Outcomes) -> None:
        """Forget as far as time has passed since the last step of forgetting."""
        if self._half_life is None or not len(outcomes.time):
            return
        newest = int(outcomes.time.max())
        if self._faded is None:
            self._faded = newest
        kept = float(0.5 ** (max(0, newest - self._faded) / self._half_life))
        if kept <= 1.0 - FADE_STEP:
            self._faded = newest
            self.outlook.decay(kept)

    def fit(self, log: Log, progress: Callable[[int, int], None] | None) -> None:
        """Learn a whole log at once, in place of what was learned before; InputError for an empty log."""
        if not log.n:
            raise InputError("the log has no decisions; fit a policy on a log that has some")
        first = next(iter(log.batches(FIT_SCALES))).outcomes()
        self.outlook = self._settled(first)
        self._warmup = None
        self.version += 1
        half_life = self._half_life
        if half_life is not None:
            self._faded = max(int(batch.time.max()) for batch in log.batches())
        newest = self._faded or 0

        def weight(batch: LoggedBatch) -> FloatArray:
            if half_life is None:
                return np.ones(len(batch))
            return np.asarray(0.5 ** ((newest - batch.time) / half_life))

        self.outlook.fit(log, weight, progress)

    # -- scales ----------------------------------------------------------------------------------------------------

    def _first_guess(self) -> float:
        """Log of a revenue beside which the offers' costs are small, for as long as none has been seen."""
        if self.catalogue.objective.kind == "reward":
            return 0.0
        dearest = sum(
            max(option.redemption_cost + option.contact_cost for option in dimension.options)
            for dimension in self.catalogue.dimensions
        )
        return float(np.log(max(1.0, 20.0 * dearest)))

    def _unit(self, kept: Outcomes) -> Unit:
        if self.catalogue.objective.kind == "reward":
            seen = kept.reward
        else:
            seen = np.log(kept.revenue[positive(kept.revenue, kept.converted)])
        if not len(seen):
            return Unit(self._first_guess())
        spread = float(seen.std())
        # One or two amounts tell where they lie but not how far they scatter.
        return Unit(float(seen.mean()), spread if len(seen) > 2 and spread > 0.0 else 1.0)

    # -- state -----------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, object], dict[str, NDArray[np.generic]]]:
        """Return the beliefs, the scales and, until these are settled, the outcomes they come from."""
        meta, arrays = self.outlook.state()
        scales = self.outlook.encoder.scales
        meta |= {
            "scales": {name: [scale.center, scale.scale] for name, scale in scales.items()},
            "curves": {name: curve.plain() for name, curve in self.outlook.encoder.curves.items()},
            "version": self.version,
            "faded": self._faded,
        }
        if self._warmup is not None:
            meta["warmup"], parts = self._warmup.state()
            arrays |= {f"warmup/{part}": array for part, array in parts.items()}
        return meta, arrays

    def restored(self, meta: Mapping[str, object], arrays: Mapping[str, NDArray[np.generic]]) -> Learner:
        """Return a learner of the same settings in this state; ValueError, TypeError or KeyError where it is none."""
        fresh = Learner(self.catalogue, pairs=self._pairs, personal=self._personal, half_life=None)
        fresh._half_life = self._half_life
        scales, curves = meta["scales"], meta["curves"]
        if not isinstance(scales, dict) or not isinstance(curves, dict):
            raise TypeError("its scales are not a mapping")
        fresh.outlook = fresh._outlook(
            {name: Scale.of_plain(pair) for name, pair in scales.items()},
            Unit(),
            {name: Curve.of_plain(numbers) for name, numbers in curves.items()},
        )
        fresh.outlook.restore(meta, arrays)
        fresh.version = int(str(meta["version"]))
        fresh._faded = None if meta["faded"] is None else int(str(meta["faded"]))
        if not (0 <= fresh.version < _LARGEST and abs(fresh._faded or 0) < _LARGEST):
            raise ValueError("its counts are none")
        fresh._warmup = None
        if "warmup" in meta:
            fresh._warmup = Warmup.restore(WARM_UP, self.catalogue, meta["warmup"], parts_of("warmup", arrays))
        return fresh


def _microseconds(half_life: str | None) -> int | None:
    """Return a half-life such as "30d" in microseconds; PolicyError where it is none."""
    if half_life is None:
        return None
    try:
        found = window_microseconds(half_life)
    except CatalogueError as fault:
        raise PolicyError(f"half_life: {fault}") from fault
    if not found:
        raise PolicyError(f'half_life must be longer than nothing; seen "{half_life}"')
    return found
