"""The only place where an offer is drawn: check the policy's probabilities, draw from that very vector."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import PCG64, Generator
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import DTypeLike, NDArray

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, Contexts, FloatArray, IntArray, Policy
from bandit.errors import NoEligibleOfferError, PolicyError
from bandit.policies.probabilities import one_hot, uniform_over

SUM_TOLERANCE = 1e-9
"""Largest distance from 1 that a row of probabilities may sum to."""

FEW_OFFERS = 1_000
"""So many are added up one by one sooner than in blocks, for one row."""


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What was drawn for n contexts: offers and propensities (n,), the vectors and the masks they come from (n, N).

    `fault` says why the fallback was served to all of them, and is None where the policy chose. `fired` is (n, R),
    which of the catalogue's conditional rules held for whom.
    """

    offer: IntArray
    propensity: FloatArray
    probabilities: FloatArray
    eligible: BoolArray
    fault: str | None = None
    fired: BoolArray | None = None


class _Digest(ISeedSequence):
    """256 bits of a hash as a bit generator's first state: they need none of the mixing that a short seed does."""

    def __init__(self, text: str) -> None:
        self.bits = hashlib.blake2b(text.encode(), digest_size=32).digest()

    def generate_state(self, n_words: int, dtype: DTypeLike = np.uint32) -> NDArray[np.uint32 | np.uint64]:
        """Return the bits as words, the same on every machine; PCG64 asks for four of 64 bits."""
        words: NDArray[np.uint32 | np.uint64] = np.frombuffer(self.bits, np.dtype(dtype).newbyteorder("<"), n_words)
        return words.astype(dtype)


def generator_for(seed: str, decision_ids: Sequence[str]) -> Generator:
    """Return the generator of a batch of decisions: another for every seed and every list of ids.

    It is PCG64 (O'Neill 2014) that starts from the blake2b-256 hash of the seed and the ids.
    """
    bits = _Digest("\0".join([seed, *decision_ids]))
    return Generator(PCG64(bits))  # type: ignore[arg-type]  # numpy takes any ISeedSequence; its stub does not say so


def choose(policy: Policy, catalogue: Catalogue, contexts: Contexts, rng: Generator) -> Choice:
    """Draw one offer for each context.

    Where the rules leave nothing, the fallback is the one eligible offer; NoEligibleOfferError where there is none.
    A policy's fault ends in the fallback (or an even draw over the eligible offers), never in an exception.
    """
    fired = catalogue.fired(contexts)
    eligible = catalogue.eligible(contexts, fired)
    if fired.size and fired.any():  # where no rule holds, every offer is there
        eligible = with_fallback(catalogue, eligible, contexts)
    try:
        probabilities = checked(policy.probabilities(contexts, eligible, rng), eligible)
        fault = None
    except Exception as exception:  # noqa: BLE001 - whatever a learned model does, the service must answer
        fault = f"{type(exception).__name__}: {exception}"
        probabilities, eligible = _fallback(catalogue, eligible)
    offer = draw(probabilities, rng)
    propensity = probabilities[0, offer] if len(offer) == 1 else probabilities[np.arange(len(offer)), offer]
    return Choice(offer, propensity, probabilities, eligible, fault, fired)


def with_fallback(catalogue: Catalogue, eligible: BoolArray, contexts: Contexts) -> BoolArray:
    """Return the masks with the fallback in those rows that have nothing."""
    some = eligible.any(axis=1)
    if not some.all():
        empty, eligible = ~some, eligible.copy()
        if catalogue.fallback is None:
            row = int(np.flatnonzero(empty)[0])
            who = f'customer "{contexts.customers[row]}"' if len(contexts.customers) else f"context {row + 1}"
            reasons = "; ".join(removal.reason for removal in catalogue.removals(contexts.take(slice(row, row + 1))))
            raise NoEligibleOfferError(
                f"no offer is eligible for {who} ({reasons}); declare a [fallback] in the catalogue or relax a rule"
            )
        eligible[empty, catalogue.fallback] = True
    return eligible


def checked(probabilities: FloatArray, eligible: BoolArray) -> FloatArray:
    """Return the probabilities; PolicyError unless they are finite, 0 where not eligible, and sum to 1."""
    if probabilities.shape != eligible.shape:
        raise PolicyError(f"the policy gave probabilities of shape {probabilities.shape}, not {eligible.shape}")
    if not len(probabilities):
        return probabilities
    # One that is not finite shows in its row's sum; every comparison with NaN is false.
    off = abs(probabilities.sum() - 1.0) if len(probabilities) == 1 else np.abs(probabilities.sum(axis=1) - 1.0).max()
    if not (probabilities.min() >= 0.0 and off < np.inf):
        raise PolicyError("the policy gave probabilities that are negative or not finite")
    if ((probabilities != 0.0) > eligible).any():
        raise PolicyError("the policy gave a probability to an offer that is not eligible")
    if off > SUM_TOLERANCE:
        raise PolicyError("the policy gave probabilities that do not sum to 1")
    return probabilities


def draw(probabilities: FloatArray, rng: Generator) -> IntArray:
    """Draw one offer a row from its probabilities, by inverting the distribution function.

    A sum from the first offer to the last cannot be hurried, so where there is much to add each row looks first for
    the block of offers that its level falls into, by the blocks' sums, and adds up single offers in that block alone.
    """
    n, n_offers = probabilities.shape
    if n == 1 and n_offers <= FEW_OFFERS:
        steps = probabilities[0].cumsum()
        total = float(steps[-1])
        level = min(rng.random() * total, math.nextafter(total, 0.0))
        return np.array([steps.searchsorted(level, side="right")], dtype=np.int64)
    size = math.isqrt(n_offers) + 1
    starts = np.arange(0, n_offers, size)
    blocks = np.add.reduceat(probabilities, starts, axis=1).cumsum(axis=1)
    levels = rng.random(n) * blocks[:, -1]
    block = _first_above(blocks, levels)
    rows = np.arange(n)
    levels -= np.where(block > 0, blocks[rows, block - 1], 0.0)
    offers = starts[block][:, None] + np.arange(size)
    within = np.where(offers < n_offers, probabilities[rows[:, None], np.minimum(offers, n_offers - 1)], 0.0)
    return starts[block] + _first_above(within.cumsum(axis=1), levels)


def _first_above(steps: FloatArray, levels: FloatArray) -> IntArray:
    """Return for each row the first place where rising sums pass a level: a place that adds something to them.

    Rounding can carry a level to the last sum; it is kept below, else the last places could be drawn in vain.
    """
    below = np.minimum(levels, np.nextafter(steps[:, -1], 0.0))
    return np.asarray((steps > below[:, None]).argmax(axis=1), dtype=np.int64)


def _fallback(catalogue: Catalogue, eligible: BoolArray) -> tuple[FloatArray, BoolArray]:
    if catalogue.fallback is None:
        return uniform_over(eligible), eligible
    served = eligible.copy()
    served[:, catalogue.fallback] = True
    return one_hot(np.full(len(eligible), catalogue.fallback), eligible.shape[1]), served
