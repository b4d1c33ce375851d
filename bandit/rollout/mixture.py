"""The exact probability of each arm for a customer, given what its earlier decisions show.

A customer's arm follows from two numbers that a keyed hash draws once. Before its first decision an arm has its share
as its probability. Each decision shows something of the numbers: an offer that the rules would not have served was a
policy's. So the probability of an arm at a decision is its share weighed by how probable the arm makes the customer's
earlier decisions (Bayes' rule), and the propensity of an offer is the sum over the arms of this weight times the
arm's own probability of the offer. The product of a customer's propensities then is the probability of all its offers
together, whatever the shares were at the time and whatever a policy has learned from the customer itself. (The shares
alone would be the probabilities only where policies do not depend on the customer's own history.)

Decisions of one customer in the same batch, or of two processes at the same moment, are weighed by what was known
before: each propensity is the probability given that, and only their product is not that of all together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bandit.domain import FloatArray, IntArray, ObjectArray
from bandit.rollout.state import RolloutState
from bandit.store import ArmColumns, Store


@dataclass(frozen=True, slots=True, eq=False)
class ArmWeights:
    """Gives the weights of a state's arms for customers.

    `state_of` returns the state after a change of the roll-out, by its number.
    """

    state_of: Callable[[int], RolloutState]

    def of(self, store: Store, state: RolloutState, customers: Sequence[str] | ObjectArray) -> FloatArray:
        """Return the (n, K) weights under a state for customers in stored form, from what the store has of them."""
        if not is_mixed(state):
            return np.broadcast_to(np.array([arm.share for arm in state.arms]), (len(customers), len(state.arms)))
        history = store.decision_arms.of_customers(customers)
        if not len(history):
            return np.broadcast_to(np.array([arm.share for arm in state.arms]), (len(customers), len(state.arms)))
        return self.given(state, history, len(customers))

    def given(self, state: RolloutState, history: ArmColumns, n: int) -> FloatArray:
        """Return the (n, K) weights given earlier decisions, of which `history.place` has the customer's place."""
        # Two versions of a catalogue may decide under one change, and only one of them have its live policies.
        n_arms = np.fromiter((len(mixture[0]) for mixture in history.mixture), dtype=np.int64, count=len(history))
        kinds = sorted(set(zip(history.change_id.tolist(), n_arms.tolist(), strict=True)))
        past = {kind: self._past_state(*kind) for kind in kinds}
        # Under another salt the numbers were others, so those decisions show nothing.
        mixed = {kind: each for kind, each in past.items() if is_mixed(each) and each.salt == state.salt}
        cells = _cells(state, tuple(mixed.values()))
        likelihood = np.zeros((n, len(cells.mass)))
        for (number, k), arms in zip(mixed, cells.past, strict=True):
            rows = slice(None) if len(kinds) == 1 else np.flatnonzero((history.change_id == number) & (n_arms == k))
            with np.errstate(divide="ignore"):
                terms = np.log(_probabilities(history.take(rows)))[:, arms]
            if n == 1:
                likelihood[0] += terms.sum(axis=0)
            else:
                np.add.at(likelihood, history.place[rows], terms)
        top = likelihood.max(axis=1, keepdims=True)
        cell = cells.mass * np.exp(likelihood - np.where(np.isfinite(top), top, 0.0))
        weights = cell @ cells.now
        total = weights.sum(axis=1, keepdims=True)
        # A history that no arm explains, as of a damaged log, shows nothing; a decision is made all the same.
        shares = np.array([arm.share for arm in state.arms])
        return np.where(total > 0.0, weights / np.where(total > 0.0, total, 1.0), shares)

    def _past_state(self, change_id: int, n_arms: int) -> RolloutState:
        """Return the state after a change as decisions with this number of arms were served under it."""
        state = self.state_of(change_id)
        return state if len(state.arms) == n_arms else state.among(())


def is_mixed(state: RolloutState) -> bool:
    """Say whether several arms serve, so that a customer's arm is random."""
    return sum(arm.share > 0.0 for arm in state.arms) > 1


def _probabilities(history: ArmColumns) -> FloatArray:
    """Return the (m, K) probabilities that the arms gave to what was served.

    Where one arm has all the weight, what is served shows nothing new, and other arms' probabilities may be unknown.
    """
    mixtures = history.mixtures()
    weights, probabilities = mixtures[:, 0], mixtures[:, 1]
    certain = np.asarray(weights.max(axis=1, initial=0.0) == 1.0)
    return np.where(certain[:, None], weights, np.nan_to_num(probabilities))


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """The parts of the square of both numbers within which no state tells customers apart, C of them.

    `mass` (C,) are their sizes, `now` (C, K) is 1 at the arm that serves a cell now, `past` has for each past state the
    (C,) places of the arms that served.
    """

    mass: FloatArray
    now: FloatArray
    past: tuple[IntArray, ...]


@lru_cache(maxsize=256)
def _cells(now: RolloutState, past: tuple[RolloutState, ...]) -> _Cells:
    states = (now, *past)
    first = _intervals({state.policy_share for state in states if state.halted != "kill"})
    second = _intervals({level for state in states for level in state.challenger_levels})
    numbers, which = np.repeat(first[0], len(second[0])), np.tile(second[0], len(first[0]))
    arm = np.eye(len(now.arms))[now.arm_of(numbers, which)]
    return _Cells(np.outer(first[1], second[1]).ravel(), arm, tuple(each.arm_of(numbers, which) for each in past))


def _intervals(inner: set[float]) -> tuple[FloatArray, FloatArray]:
    """Return the middles and lengths of the intervals between these levels, from 0 to 1."""
    cuts = np.unique(np.clip(np.array([0.0, 1.0, *inner]), 0.0, 1.0))
    return (cuts[1:] + cuts[:-1]) / 2, np.diff(cuts)


def arm_places(state: RolloutState, names: ObjectArray) -> IntArray:
    """Return the places in `state.arms` of arms given by name; -1 for a name that is none of them."""
    known = {arm.name: place for place, arm in enumerate(state.arms)}
    return np.array([known.get(name, -1) for name in names], dtype=np.int64)
