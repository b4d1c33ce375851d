"""The only place where an offer is drawn: check the policy's probabilities, draw from that very vector."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, Contexts, FloatArray, IntArray, Policy
from bandit.errors import NoEligibleOfferError, PolicyError
from bandit.policies.probabilities import one_hot, uniform_over

SUM_TOLERANCE = 1e-9
"""Largest distance from 1 that a row of probabilities may sum to."""


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What was drawn for n contexts: offers and propensities (n,), the vectors and the masks they come from (n, N).

    `fault` says why the fallback was served to all of them, and is None where the policy chose.
    """

    offer: IntArray
    propensity: FloatArray
    probabilities: FloatArray
    eligible: BoolArray
    fault: str | None = None


def generator_for(seed: str, decision_ids: Sequence[str]) -> Generator:
    """Return the generator of a batch of decisions: another for every seed and every set of ids."""
    digest = hashlib.blake2b("\0".join([seed, *decision_ids]).encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


def choose(policy: Policy, catalogue: Catalogue, contexts: Contexts, rng: Generator) -> Choice:
    """Draw one offer for each context.

    Where the rules leave nothing, the fallback is the one eligible offer; NoEligibleOfferError where there is none.
    A policy's fault ends in the fallback (or an even draw over the eligible offers), never in an exception.
    """
    eligible = with_fallback(catalogue, catalogue.eligible(contexts), contexts)
    try:
        probabilities = checked(policy.probabilities(contexts, eligible, rng), eligible)
        fault = None
    except Exception as exception:  # noqa: BLE001 - whatever a learned model does, the service must answer
        fault = f"{type(exception).__name__}: {exception}"
        probabilities, eligible = _fallback(catalogue, eligible)
    offer = draw(probabilities, rng)
    return Choice(offer, probabilities[np.arange(len(offer)), offer], probabilities, eligible, fault)


def with_fallback(catalogue: Catalogue, eligible: BoolArray, contexts: Contexts) -> BoolArray:
    """Return the masks with the fallback in those rows that have nothing."""
    empty = ~eligible.any(axis=1)
    if empty.any():
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
    if not np.isfinite(probabilities).all() or (probabilities < 0.0).any():
        raise PolicyError("the policy gave probabilities that are negative or not finite")
    if probabilities[~eligible].any():
        raise PolicyError("the policy gave a probability to an offer that is not eligible")
    if np.abs(probabilities.sum(axis=1) - 1.0).max(initial=0.0) > SUM_TOLERANCE:
        raise PolicyError("the policy gave probabilities that do not sum to 1")
    return probabilities


def draw(probabilities: FloatArray, rng: Generator) -> IntArray:
    """Draw one offer a row from its probabilities, by inverting the distribution function."""
    steps = np.cumsum(probabilities, axis=1)
    level = rng.random(len(steps)) * steps[:, -1]
    offer = (steps <= level[:, None]).sum(axis=1)
    # Rounding can carry the level to the last step: never past the last offer that can be chosen.
    last = probabilities.shape[1] - 1 - (probabilities[:, ::-1] > 0.0).argmax(axis=1)
    return np.asarray(np.minimum(offer, last), dtype=np.int64)


def _fallback(catalogue: Catalogue, eligible: BoolArray) -> tuple[FloatArray, BoolArray]:
    if catalogue.fallback is None:
        return uniform_over(eligible), eligible
    served = eligible.copy()
    served[:, catalogue.fallback] = True
    return one_hot(np.full(len(eligible), catalogue.fallback), eligible.shape[1]), served
