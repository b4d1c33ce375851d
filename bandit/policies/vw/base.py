"""What every policy of VW's has in common: the warm-up, the lock, the state, and that nothing is unlearned."""

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
from bandit.encoding.encoder import Encoder, Scale, declared_scales, settle_scales
from bandit.errors import PolicyError
from bandit.policies.probabilities import check_share, mix_floor, uniform_over
from bandit.policies.state import pack, unpack
from bandit.policies.vw.workspace import Asked, allowed
from bandit.policies.warmup import Warmup

WARM_UP = 500
"""Outcomes after which scales and units are settled for good, and VW begins to learn."""


class VwPolicy(ABC):
    """A policy that warms up, then learns with VW.

    Until `warm_up` outcomes are known every eligible offer is as probable as every other; then numeric facts without
    a declared scale are standardised by them, the unit of money is their rewards' root mean square, and VW learns
    them in their order. VW cannot unlearn: an outcome that is re-stated after it was learned stays as it was
    (`not_restated` counts them), and of a decision that is still open it learns no part of a silence. A workspace
    serves one thread at a time; a lock sees to that.
    """

    learns = True

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
        self._arguments = f"{mode} {allowed(args, own=(mode,))}"
        self._vw = Asked(self._arguments)

    # What a policy adds

    @property
    @abstractmethod
    def _kind(self) -> str:
        """The kind in `spec` and in the state."""

    @abstractmethod
    def _choose(self, contexts: Contexts, eligible: BoolArray) -> FloatArray:
        """Return the (n, N) probabilities before the floor, 0 where not eligible; the lock is held."""

    @abstractmethod
    def _learn(self, outcomes: Outcomes) -> None:
        """Learn outcomes none of which was learned before; the lock is held."""

    def _restart(self, encoder: Encoder, model: bytes | None) -> None:
        """Begin anew under an encoder, with a model or untrained; PolicyError where VW does not read it."""
        opened = Asked(self._arguments, model)
        self._vw.close()
        self._encoder, self._vw = encoder, opened

    # The protocol

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:  # noqa: ARG002
        """Return VW's probabilities over the eligible offers, made exact in float64, with the floor, (n, N)."""
        with self._lock:
            chosen = uniform_over(eligible) if self._warmup is not None else self._choose(contexts, eligible)
        chosen = np.maximum(chosen, 0.0)
        total = chosen.sum(axis=1, keepdims=True)
        if not (np.isfinite(total).all() and (total > 0.0).all()):
            raise PolicyError("Vowpal Wabbit gave probabilities that are not finite or are all zero")
        return mix_floor(chosen / total, eligible, self.floor)

    def update(self, outcomes: Outcomes) -> None:
        """Learn each outcome that is new and whole; one whose propensity nobody knows counts once, as if it were 1."""
        complete = outcomes.only_complete()
        known = np.where(np.isnan(complete.propensity), 1.0, complete.propensity)
        complete = replace(complete, batch=replace(complete.batch, propensity=known))
        with self._lock:
            self.not_restated += int(complete.is_update.sum())
            new = complete.take(~complete.is_update)
            if self._warmup is None:
                self._learn(new)
                return
            room = self._warmup.room
            self._warmup.add(new.take(slice(0, room)))
            if self._warmup.room == 0:
                first, self._warmup = self._warmup.outcomes(), None
                self._unit = _root_mean_square(first.reward)
                scales = settle_scales(self.catalogue, first.contexts)
                self._restart(Encoder(self.catalogue, scales, pairs=False), None)
                self._learn(first)
                self._learn(new.take(slice(room, None)))

    def dumps(self) -> bytes:
        """Return VW's own model file, with what this class counts."""
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
        """Take over a state; PolicyError, and nothing changed, where it does not fit or VW does not read it."""
        meta, arrays = unpack(state)
        if meta.get("kind") != self._kind:
            raise PolicyError(
                f"the state is of a policy of kind {meta.get('kind')}, not {self._kind}; rebuild it from the log"
            )
        try:
            scales = {name: Scale.of_plain(scale) for name, scale in dict(meta["scales"]).items()}  # type: ignore[call-overload]
            unit, not_restated = float(str(meta["unit"])), int(str(meta["not_restated"]))
            kept = {name.removeprefix("kept/"): array for name, array in arrays.items() if name.startswith("kept/")}
            model = arrays["model"].tobytes()
            warmup = None
            if "warm_up" in meta:
                warmup = Warmup.restore(self.warm_up, self.catalogue, meta["warm_up"], kept)
            encoder = Encoder(self.catalogue, scales, pairs=False)
            if not (math.isfinite(unit) and unit > 0.0 and not_restated >= 0):
                raise ValueError("its unit is none")
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


def _root_mean_square(reward: FloatArray) -> float:
    size = float(np.sqrt(np.mean(reward**2)))
    return size if size > 0.0 else 1.0
