"""The base class of the VW policies: the warm-up, the lock and the state."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, Contexts, FloatArray, Outcomes
from bandit.encoding.encoder import Encoder
from bandit.encoding.scales import FactScale, declared_scales, fit_scales
from bandit.errors import PolicyError
from bandit.policies.bounded_outcomes import within_bounds
from bandit.policies.probabilities import check_share, mix_floor, uniform_over
from bandit.policies.state import pack, unpack
from bandit.policies.vw.arguments import check_arguments
from bandit.policies.vw.workspace import WorkspacePair
from bandit.policies.warmup import Warmup

_GOLDEN = 2_654_435_769
"""2^32 over the golden ratio: times a second or a day apart give fractions that are spread evenly."""


LARGEST_COST = 1e15
"""Largest cost, in units of the first rewards' root mean square, that VW is told: its numbers end at 3e38."""


class VwPolicy(ABC):
    """A policy that warms up, then learns with VW.

    For the first `warm_up` outcomes all eligible offers have the same probability; then numeric facts without a
    declared scale are standardised by these outcomes, the unit of money is their rewards' root mean square, and VW
    learns them in their order. VW cannot unlearn: an outcome that is corrected after it was learned stays as it was
    (`not_restated` counts them), and outcomes of decisions that are still open are not learned in part. A workspace
    serves one thread at a time, which a lock ensures. Each `update` goes on from the state that `dumps` gives, so that
    the steps of a log give the same state whether or not it was loaded in between, with any of VW's arguments.
    """

    learns = True
    draw_sets = 1

    def __init__(self, catalogue: Catalogue, mode: str, args: str, name: str, floor: float, warm_up: int) -> None:
        """Start untrained, with `mode` (such as "--slates") and the caller's arguments."""
        if warm_up < 1:
            raise PolicyError(f"warm_up is a number of outcomes, at least 1; seen {warm_up}")
        self.catalogue = catalogue
        self.name = name
        self.args = args
        self.floor = check_share("floor", floor)
        self.warm_up = int(warm_up)
        self.not_restated = 0
        self._lock = threading.Lock()
        self._encoder = Encoder(catalogue, declared_scales(catalogue), pairs=False)
        self._unit = 1.0
        self._warmup: Warmup | None = Warmup(self.warm_up)
        self._arguments = f"{mode} {check_arguments(args, reserved=(mode,))}"
        self._vw = WorkspacePair(self._arguments)

    # Abstract: what a policy adds

    @property
    @abstractmethod
    def _kind(self) -> str:
        """The kind in `spec` and in the state."""

    @abstractmethod
    def _choose(self, contexts: Contexts, eligible: BoolArray) -> FloatArray:
        """Return the (n, N) probabilities before the floor, 0 where not eligible; the lock is held."""

    @abstractmethod
    def _learn(self, outcomes: Outcomes) -> None:
        """Learn outcomes that were not learned before; the lock is held."""

    def _restart(self, encoder: Encoder, model: bytes | None) -> None:
        """Restart with an encoder and a model, or untrained; PolicyError where VW does not read the model."""
        opened = WorkspacePair(self._arguments, model)
        self._vw.close()
        self._encoder, self._vw = encoder, opened

    def _costs(self, outcomes: Outcomes) -> FloatArray:
        """Return minus the rewards, (n,), in units that VW's single precision holds the squares of."""
        return np.clip(-outcomes.reward / self._unit, -LARGEST_COST, LARGEST_COST)

    # The protocol

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:  # noqa: ARG002
        """Return VW's probabilities over the eligible offers, normalised in float64, with the floor, (n, N)."""
        with self._lock:
            chosen = uniform_over(eligible) if self._warmup is not None else self._choose(contexts, eligible)
        chosen = np.maximum(chosen, 0.0)
        total = chosen.sum(axis=1, keepdims=True)
        if not (np.isfinite(total).all() and (total > 0.0).all()):
            raise PolicyError("Vowpal Wabbit gave probabilities that are not finite or are all zero")
        return mix_floor(chosen / total, eligible, self.floor)

    def update(self, outcomes: Outcomes) -> None:
        """Learn the new, complete outcomes; an unknown propensity (NaN) is taken as 1.

        VW's text has no weight for a contextual bandit's example: a decision that stands for s is learned s times, and
        a fraction of a time is carried over to the next of these outcomes.
        """
        complete = within_bounds(outcomes, self.catalogue.objective.largest_amount).only_complete()
        propensity = np.where(np.isnan(complete.propensity), 1.0, complete.propensity)
        complete = replace(complete, batch=replace(complete.batch, propensity=propensity))
        with self._lock:
            self.not_restated += int(complete.is_update.sum())
            new = _repeated(complete.take(~complete.is_update))
            if self._warmup is None:
                self._vw.resume()
                self._learn(new)
                return
            room = self._warmup.room
            self._warmup.add(new.take(slice(0, room)))
            if self._warmup.room == 0:
                first, self._warmup = self._warmup.outcomes(), None
                self._unit = _root_mean_square(first.reward)
                scales = fit_scales(self.catalogue, first.contexts)
                self._restart(Encoder(self.catalogue, scales, pairs=False), None)
                self._learn(first)
                self._learn(new.take(slice(room, None)))

    def dumps(self) -> bytes:
        """Return VW's own model file, with the scales, the unit, the counts and the outcomes of the warm-up."""
        with self._lock:
            arrays = {"model": np.frombuffer(self._vw.model(), dtype=np.uint8)}
            meta: dict[str, object] = {
                "kind": self._kind,
                "not_restated": self.not_restated,
                "unit": self._unit,
                "scales": {name: [scale.center, scale.scale] for name, scale in self._encoder.scales.items()},
            }
            if self._warmup is not None:
                meta["warm_up"], kept = self._warmup.state()
                return pack(meta, {**arrays, **{f"kept/{name}": array for name, array in kept.items()}})
        return pack(meta, arrays)

    def loads(self, state: bytes) -> None:
        """Load a state; PolicyError, with nothing changed, where it does not fit or VW does not read it."""
        meta, arrays = unpack(state)
        if meta.get("kind") != self._kind:
            raise PolicyError(
                f"the state is of a policy of kind {meta.get('kind')}, not {self._kind}; rebuild it from the log"
            )
        try:
            scales = {name: FactScale.from_plain(scale) for name, scale in dict(meta["scales"]).items()}  # type: ignore[call-overload]
            unit, not_restated = float(str(meta["unit"])), int(str(meta["not_restated"]))
            kept = {name.removeprefix("kept/"): array for name, array in arrays.items() if name.startswith("kept/")}
            model = arrays["model"].tobytes()
            warmup = None
            if "warm_up" in meta:
                warmup = Warmup.restore(self.warm_up, self.catalogue, meta["warm_up"], kept)
            encoder = Encoder(self.catalogue, scales, pairs=False)
            if not (math.isfinite(unit) and unit > 0.0 and not_restated >= 0):
                raise ValueError("its unit or its count is out of range")
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as fault:
            raise PolicyError(f"the policy's state does not fit its catalogue ({fault}); rebuild it") from fault
        with self._lock:
            self._restart(encoder, model)
            self.not_restated, self._unit, self._warmup = not_restated, unit, warmup

    def spec(self) -> Mapping[str, object]:
        """Return the kind and the settings."""
        return {
            "kind": self._kind,
            "args": self.args,
            "floor": self.floor,
            "warm_up": self.warm_up,
            "name": self.name,
        }


def _repeated(outcomes: Outcomes) -> Outcomes:
    """Return outcomes as often as each decision stands for others, by the whole numbers that their running sum passes.

    The sum starts at a fraction that depends on the time of the first outcome alone, so that also single outcomes are
    learned as often as they stand for on average, and a rebuild learns them as often as the first time.
    """
    times = outcomes.batch.stands_for
    if times is None:
        return outcomes
    first = int(outcomes.time[0]) if len(outcomes.time) else 0
    start = (first * _GOLDEN % 2**32) / 2**32
    passed = np.floor(start + np.cumsum(times))
    rows = np.repeat(np.arange(len(outcomes)), np.diff(passed, prepend=0.0).astype(np.int64))
    batch = replace(outcomes.batch, weight=np.empty(0))
    return replace(outcomes, batch=batch).take(rows)


def _root_mean_square(reward: FloatArray) -> float:
    size = float(np.sqrt(np.mean(reward**2)))  # of rewards within 1e30
    return size if size > 0.0 else 1.0
