"""The prior mean of options that a policy meets after it has learned: they are tried, and do not flood.

An option that was added to a catalogue has the prior of its dimension, N(0, s^2) on the scale of the score: an average
option, as far as anybody knows. Where the customers have seen several options, the best of them is known to lie above
the average, and the new one would win few draws; where the options are alike, or the prior is wide, it would win most
of them at once and take the traffic. So its prior mean is set to -z s, with one z for all new options, such that in
the mean over recent customers the new options together win the share `chance` of the policy's own draws: the policy
gives them about that share of the decisions at first. The share is monotone in z and found by bisection, with the
same draws at every z. `MAX_RAISE` bounds how far below 0 z may go: an option whose costs cannot be earned back by any
response that is plausible is not pushed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, Contexts, FloatArray, IntArray
from bandit.policies.thompson.policy import ThompsonSampling

NEW_OPTION_CHANCE = 0.10
"""Share of the draws that all new options together win at first, in the mean over customers who may get one."""

MAX_RAISE, MAX_LOWERING = 1.0, 6.0
"""Bounds of z: how many prior deviations a new option may begin above and below the average option."""

CHANCE_DRAWS = 128
"""Draws of the weights by which the share is measured."""

CHANCE_CONTEXTS = 256
"""Most recent decisions whose contexts the share is averaged over."""

_CELLS = 3_000_000
_ROUNDS = 30
_SEED = 20_261_127


@dataclass(frozen=True, slots=True, eq=False)
class NewOptionStart:
    """Prior means of option columns (1 + K,), z, and the share of draws that the new options win with them.

    `share` is None where no customer may get both a new and another offer, or where nothing is drawn (width 0).
    """

    starts: FloatArray
    z: float
    share: float | None


def new_option_start(policy: ThompsonSampling, new: BoolArray, contexts: Contexts, chance: float) -> NewOptionStart:
    """Return the prior means of the new options, (1 + K,) `new` of the option columns, for a policy that knows others.

    The policy has its belief with the new options at prior mean 0.
    """
    catalogue, belief = policy.catalogue, policy.online.belief
    n_context = belief.main.design.n_context
    deviations = np.where(new, np.sqrt(belief.main.prior.variance[: len(new) * n_context : n_context]), 0.0)
    with_new = _offers_with(catalogue, new)
    contexts = _asked(policy, contexts, with_new)
    if not contexts.n or policy.width == 0.0:
        return NewOptionStart(np.zeros(len(new)), 0.0, None)
    drawn = belief.draw(CHANCE_DRAWS, policy.width, np.random.default_rng(_SEED))

    def share(z: float) -> float:
        effects = drawn.effects.reshape(drawn.draws, len(new), -1).copy()
        effects[:, :, 0] -= np.float32(z) * deviations.astype(np.float32)
        winner = policy.winners(replace(drawn, effects=effects.reshape(drawn.effects.shape)), contexts)
        return float(with_new[winner].mean())

    low, high = -MAX_RAISE, MAX_LOWERING  # the share falls from low to high
    for _ in range(_ROUNDS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if share(middle) > chance else (low, middle)
    z = 0.5 * (low + high)
    return NewOptionStart(-z * deviations, z, share(z))


def _offers_with(catalogue: Catalogue, new: BoolArray) -> BoolArray:
    """Return which offers have a new option, (N,)."""
    sizes = [len(dimension.options) for dimension in catalogue.dimensions]
    places: IntArray = catalogue.options + np.cumsum(sizes) - sizes
    return np.asarray(new[1:][places].any(axis=1))


def _asked(policy: ThompsonSampling, contexts: Contexts, with_new: BoolArray) -> Contexts:
    """Return the contexts of customers who may get an offer with a new option, and one without."""
    catalogue = policy.catalogue
    cells = 8 if policy.sparse else CHANCE_DRAWS  # a search looks at few offers; the eligible sets have all
    most = max(8, _CELLS // (cells * catalogue.n_offers))
    contexts = contexts.take(slice(max(0, contexts.n - min(most, CHANCE_CONTEXTS)), contexts.n))
    eligible = catalogue.eligible(contexts)
    rows = (eligible & with_new).any(axis=1) & (eligible & ~with_new).any(axis=1)
    return contexts.take(np.flatnonzero(rows))
