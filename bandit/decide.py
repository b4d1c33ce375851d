"""Drawing of offers: check a policy's probabilities, draw from exactly those, fall back where the policy fails.

This is the only module that draws an offer, so the logged propensity is the probability it was drawn with.
"""

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
from bandit.domain import (
    BoolArray,
    Contexts,
    EligibleSets,
    FloatArray,
    IntArray,
    ObjectArray,
    Policy,
    SparsePolicy,
    SparseProbabilities,
)
from bandit.errors import NoEligibleOfferError, PolicyError
from bandit.policies.probabilities import one_hot, uniform_over

SUM_TOLERANCE = 1e-9
"""Largest distance from 1 that a row of probabilities may sum to."""

FEW_OFFERS = 1_000
"""Most offers for which a single row is summed offer by offer, which is then faster than by blocks."""

TRIES = 32
"""Random offers tried per row to find an eligible one, before the eligible ones are listed."""


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Offers drawn for n contexts, with their propensities (n,) and the probabilities they were drawn from.

    `drawn_from` is the (n, N) probabilities or, with many offers, their sparse form; `eligible` is (n, N). `fault`
    says why the fallback was served to all rows, and is None where the policy chose. `fired` is (n, R): which of the
    catalogue's conditional rules hold for each context. With many offers, `sets` has the distinct eligible sets.
    `logged` is False once the engine could write the choice nowhere. `arm` (n,) names what served each row under a
    roll-out, None in a row that it does not concern.
    """

    offer: IntArray
    propensity: FloatArray
    drawn_from: FloatArray | SparseProbabilities
    eligible: BoolArray
    fault: str | None = None
    fired: BoolArray | None = None
    sets: EligibleSets | None = None
    logged: bool = True
    arm: ObjectArray | None = None

    @property
    def probabilities(self) -> FloatArray:
        """The (n, N) probabilities."""
        return (
            self.drawn_from.dense(self.eligible)
            if isinstance(self.drawn_from, SparseProbabilities)
            else self.drawn_from
        )


_WORDS = np.dtype("<u8")


class _Digest(ISeedSequence):
    """A 256-bit hash as the initial state of a bit generator; it needs no mixing, unlike a short seed."""

    def __init__(self, text: str) -> None:
        self.bits = hashlib.blake2b(text.encode(), digest_size=32).digest()

    def generate_state(self, n_words: int, dtype: DTypeLike = np.uint32) -> NDArray[np.uint32 | np.uint64]:
        """Return the bits as words, the same on every machine; PCG64 asks for four of 64 bits."""
        little = _WORDS if dtype is np.uint64 else np.dtype(dtype).newbyteorder("<")
        words: NDArray[np.uint32 | np.uint64] = np.frombuffer(self.bits, little, n_words)
        return words.astype(dtype)


def generator_for(seed: str, decision_ids: Sequence[str]) -> Generator:
    """Return the generator of a batch of decisions, a different one for every seed and list of ids.

    PCG64 (O'Neill 2014), initialised with the blake2b-256 hash of the seed and the ids.
    """
    bits = _Digest("\0".join([seed, *decision_ids]))
    return Generator(PCG64(bits))  # type: ignore[arg-type]  # numpy takes any ISeedSequence; its stub does not say so


def choose(
    policy: Policy, catalogue: Catalogue, contexts: Contexts, rng: Generator, known_fault: str | None = None
) -> Choice:
    """Draw one offer for each context.

    Where the rules leave no offer, the fallback is the only eligible one; NoEligibleOfferError where none is declared.
    A policy that fails never raises: the fallback is served (or an even draw over the eligible offers). With
    `known_fault` the policy is not asked.
    """
    fired = catalogue.fired(contexts)
    if catalogue.n_offers > FEW_OFFERS and isinstance(policy, SparsePolicy) and policy.sparse:
        return _choose_of_many(policy, catalogue, contexts, fired, rng, known_fault)
    eligible = catalogue.eligible(contexts, fired)
    if fired.size and fired.any():  # where no rule holds, every offer is eligible
        eligible = with_fallback(catalogue, eligible, contexts)
    fault = known_fault
    if fault is None:
        try:
            probabilities = checked(policy.probabilities(catalogue.kept(contexts), eligible, rng), eligible)
        except Exception as exception:  # noqa: BLE001 - a model may raise anything, and the service must answer
            fault = f"{type(exception).__name__}: {exception}"
    if fault is not None:
        probabilities, eligible = _fallback(catalogue, eligible)
    offer = draw(probabilities, rng)
    propensity = probabilities[0, offer] if len(offer) == 1 else probabilities[np.arange(len(offer)), offer]
    return Choice(offer, propensity, probabilities, eligible, fault, fired)


def with_fallback(catalogue: Catalogue, eligible: BoolArray, contexts: Contexts) -> BoolArray:
    """Return the masks with the fallback added to rows without any eligible offer."""
    some = eligible.any(axis=1)
    if not some.all():
        empty, eligible = ~some, eligible.copy()
        if catalogue.fallback is None:
            row = int(np.flatnonzero(empty)[0])
            who = f"context {row + 1}" if contexts.n > 1 else "this context"
            reasons = "; ".join(removal.reason for removal in catalogue.removals(contexts.take(slice(row, row + 1))))
            raise NoEligibleOfferError(
                f"no offer is eligible for {who} ({reasons}); declare a [fallback] in the catalogue or relax a rule"
            )
        eligible[empty, catalogue.fallback] = True
    return eligible


def judged_masks(catalogue: Catalogue, contexts: Contexts, logged: BoolArray) -> BoolArray:
    """Return the (n, N) masks of what a policy of the catalogue may choose from in logged decisions.

    `logged` (n or 1, N) are the offers that were eligible then. Where some of them pass the catalogue's rules it is
    those, elsewhere what the rules leave, or the fallback.
    """
    allowed = catalogue.eligible(contexts)
    both = allowed & logged
    none = np.asarray(~both.any(axis=1))
    if none.any():
        both[none] = with_fallback(catalogue, allowed[none], contexts.take(none))
    return both


def checked(probabilities: FloatArray, eligible: BoolArray) -> FloatArray:
    """Return the probabilities; PolicyError unless they are finite, 0 where not eligible, and sum to 1."""
    if probabilities.shape != eligible.shape:
        raise PolicyError(f"the policy gave probabilities of shape {probabilities.shape}, not {eligible.shape}")
    if not len(probabilities):
        return probabilities
    # A value that is not finite shows in its row's sum; comparisons with NaN are false.
    off = abs(probabilities.sum() - 1.0) if len(probabilities) == 1 else np.abs(probabilities.sum(axis=1) - 1.0).max()
    if not (probabilities.min() >= 0.0 and off < np.inf):
        raise PolicyError("the policy gave probabilities that are negative or not finite")
    if ((probabilities != 0.0) > eligible).any():
        raise PolicyError("the policy gave a probability to an offer that is not eligible")
    if off > SUM_TOLERANCE:
        raise PolicyError("the policy gave probabilities that do not sum to 1")
    return probabilities


def probabilities_over(
    policy: Policy, contexts: Contexts, choice: Choice, rng: Generator
) -> FloatArray | SparseProbabilities:
    """Return the (n, N) probabilities that a policy gives over the eligible offers of a choice, in the choice's form.

    PolicyError where they are not valid, or any error of the policy.
    """
    if choice.sets is None or not isinstance(policy, SparsePolicy):
        return checked(policy.probabilities(contexts, choice.eligible, rng), choice.eligible)
    fired = np.zeros((contexts.n, 0), dtype=np.bool_) if choice.fired is None else choice.fired
    return checked_shares(policy.shares(contexts, fired, choice.sets, rng), choice.sets)


def _choose_of_many(
    policy: SparsePolicy,
    catalogue: Catalogue,
    contexts: Contexts,
    fired: BoolArray,
    rng: Generator,
    known_fault: str | None,
) -> Choice:
    """Do what `choose` does with sparse probabilities, for catalogues of many offers."""
    sets = catalogue.eligible_sets(fired)
    if not sets.counts.all():
        sets = _sets_of(with_fallback(catalogue, sets.masks, contexts.take(_first_rows(sets))), sets.which)
    fault = known_fault
    if fault is None:
        try:
            shares = checked_shares(policy.shares(catalogue.kept(contexts), fired, sets, rng), sets)
        except Exception as exception:  # noqa: BLE001 - a model may raise anything, and the service must answer
            fault = f"{type(exception).__name__}: {exception}"
    if fault is not None:
        shares, sets = _fallback_of_many(catalogue, sets)
    offer = draw_shares(shares, sets, rng)
    return Choice(offer, shares.of(offer), shares, sets.dense(), fault, fired, sets)


def checked_shares(shares: SparseProbabilities, eligible: EligibleSets) -> SparseProbabilities:
    """Return the sparse probabilities; PolicyError unless they sum to 1 over eligible offers."""
    n = len(eligible)
    if not (shares.offers.shape == shares.share.shape and len(shares.offers) == len(shares.floor) == n):
        raise PolicyError(f"the policy gave shares of shape {shares.share.shape}, not {n} rows")
    sums = shares.share.sum(axis=1) + shares.floor
    if not (np.isfinite(sums).all() and (shares.share >= 0.0).all() and (shares.floor >= 0.0).all()):
        raise PolicyError("the policy gave shares that are negative or not finite")
    if not (eligible.has(shares.offers) | (shares.share == 0.0)).all():
        raise PolicyError("the policy gave a share to an offer that is not eligible")
    if (np.abs(sums - 1.0) > SUM_TOLERANCE).any() or (shares.n_eligible != eligible.n_eligible).any():
        raise PolicyError("the policy gave shares that do not sum to 1")
    return shares


def draw_shares(shares: SparseProbabilities, eligible: EligibleSets, rng: Generator) -> IntArray:
    """Draw one offer for each row: a listed one by its share, or else any eligible offer uniformly."""
    steps = np.concatenate([shares.share, shares.floor[:, None]], axis=1).cumsum(axis=1)
    place = _first_above(steps, rng.random(len(steps)) * steps[:, -1])
    few = shares.offers.shape[1]
    offer = np.zeros(len(steps), dtype=np.int64)
    named, evenly = np.flatnonzero(place < few), np.flatnonzero(place == few)
    offer[named] = shares.offers[named, place[named]]
    if len(evenly):
        offer[evenly] = _any_of(EligibleSets(eligible.masks, eligible.counts, eligible.which[evenly]), rng)
    return offer


def _any_of(eligible: EligibleSets, rng: Generator) -> IntArray:
    """Draw an eligible offer uniformly for each row, by rejection and, where that fails, by rank."""
    tried = rng.integers(eligible.masks.shape[1], size=(len(eligible), TRIES))
    found = eligible.has(tried)
    offer: IntArray = tried[np.arange(len(tried)), found.argmax(axis=1)]
    rank = rng.integers(eligible.n_eligible)
    missed = ~found.any(axis=1)
    for one in np.unique(eligible.which[missed]).tolist():
        rows = missed & (eligible.which == one)
        offer[rows] = np.flatnonzero(eligible.masks[one])[rank[rows]]
    return offer


def _sets_of(masks: BoolArray, which: IntArray) -> EligibleSets:
    masks.flags.writeable = False
    return EligibleSets(masks, np.count_nonzero(masks, axis=1), which)


def _first_rows(sets: EligibleSets) -> IntArray:
    """Return the first row of each set."""
    return np.asarray(np.unique(sets.which, return_index=True)[1], dtype=np.int64)


def _fallback_of_many(catalogue: Catalogue, sets: EligibleSets) -> tuple[SparseProbabilities, EligibleSets]:
    n = len(sets)
    if catalogue.fallback is None:
        nothing = np.zeros((n, 0))
        return SparseProbabilities(nothing.astype(np.int64), nothing, np.ones(n), sets.n_eligible), sets
    if not sets.masks[:, catalogue.fallback].all():
        masks = sets.masks.copy()
        masks[:, catalogue.fallback] = True
        sets = _sets_of(masks, sets.which)
    return SparseProbabilities(np.full((n, 1), catalogue.fallback), np.ones((n, 1)), np.zeros(n), sets.n_eligible), sets


def draw(probabilities: FloatArray, rng: Generator) -> IntArray:
    """Draw one offer for each row from its probabilities, by inverting the distribution function.

    A cumulative sum over all offers is slow, so with many offers or rows each row first finds the block of offers that
    its level falls into, from the sums of blocks, and then sums offer by offer within that block only.
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
    """Return for each row the first place where cumulative sums exceed a level; its probability is positive.

    Rounding can raise a level to the last sum; it is kept below, or a last place with probability 0 could be drawn.
    """
    below = np.minimum(levels, np.nextafter(steps[:, -1], 0.0))
    return np.asarray((steps > below[:, None]).argmax(axis=1), dtype=np.int64)


def _fallback(catalogue: Catalogue, eligible: BoolArray) -> tuple[FloatArray, BoolArray]:
    if catalogue.fallback is None:
        return uniform_over(eligible), eligible
    served = eligible.copy()
    served[:, catalogue.fallback] = True
    return one_hot(np.full(len(eligible), catalogue.fallback), eligible.shape[1]), served
