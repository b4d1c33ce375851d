"""Serving of a batch of decisions under a roll-out: each row by its arm, with the propensity of the mixture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from bandit.catalogue import Catalogue
from bandit.decide import Choice, choose, draw, draw_shares, generator_for, probabilities_over
from bandit.domain import Contexts, EligibleSets, FloatArray, IntArray, ObjectArray, Policy, SparseProbabilities
from bandit.policies.constant import ConstantOffer
from bandit.policies.group_policies import GroupPolicies, NamingPolicy
from bandit.policies.segment_rules import SegmentRules
from bandit.policies.uniform import Uniform
from bandit.rollout.mixture import is_mixed
from bandit.rollout.state import RULES_ARM, RolloutState
from bandit.store import ArmRows

SUBSTITUTE, KILLED = "\0substitute", "\0killed"
"""Labels of rows that the substitute or, once the policies are killed, the fallback serves; no group is named so."""

NO_STEP = -1
"""The step of an arm that has no policy."""


@dataclass(frozen=True, slots=True, eq=False)
class ArmPlan:
    """What serves the rows of a batch that a roll-out concerns.

    `rows` (m,) are their places in the batch, `place` (m,) the arm of each among the K of the state, and `weights`
    (m, K) the probabilities of the arms. `policies` has the policy of each arm that has one with a usable state, by
    the arm's place, and `steps` (K,) their steps.
    """

    change_id: int
    state: RolloutState
    rows: IntArray
    place: IntArray
    weights: FloatArray
    policies: Mapping[int, Policy]
    steps: IntArray

    @property
    def names(self) -> ObjectArray:
        """The (m,) names of the arms that serve the rows."""
        return np.array([arm.name for arm in self.state.arms], dtype=object)[self.place]


class ArmServer:
    """Serves batches of a catalogue's decisions: groups by their own policies, and a roll-out's rows by their arms.

    `policies` are those of the groups, `rules` and `fallback` what serves in place of the policies.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.grouped = catalogue.groups is not None
        rollout, groups = catalogue.rollout, catalogue.groups
        rules = rollout.rules if rollout is not None else groups.rules if groups is not None else None
        self.fallback: NamingPolicy = (
            Uniform(catalogue) if catalogue.fallback is None else ConstantOffer(catalogue, catalogue.fallback)
        )
        self.rules: NamingPolicy = self.fallback if rules is None else SegmentRules(catalogue, rules, "[rollout] rules")
        self.policies = GroupPolicies(catalogue, groups, {SUBSTITUTE: self.rules, KILLED: self.fallback})
        self._without_rules = GroupPolicies(catalogue, groups, {SUBSTITUTE: self.fallback, KILLED: self.fallback})

    def concerned(self, labels: str | Sequence[str], n: int, state: RolloutState) -> IntArray:
        """Return the rows that a roll-out concerns: those of the group policy, or all; kill concerns every row."""
        if state.halted == "kill" or not self.grouped:
            return np.arange(n)
        if isinstance(labels, str):
            return np.arange(n if labels == "policy" else 0)
        return np.flatnonzero(np.array(labels, dtype=object) == "policy")

    def serve(
        self,
        own: Policy,
        contexts: Contexts,
        ids: Sequence[str],
        seed: str,
        labels: str | Sequence[str],
        plan: ArmPlan | None,
        fault: str | None = None,
    ) -> tuple[Choice, ArmRows | None]:
        """Draw an offer for each row, and return the choice with the arms that served.

        `own` serves the rows of policies, `labels` are the groups, and `fault` says why `own` cannot be asked. The
        propensities of a plan's rows are those of the mixture. Where a policy that did not serve fails, they are those
        of the arm that served, given that arm. A choice that ended in the fallback by a fault has its arms where
        several serve, with all weight on each row's own: who is served so shows the arm, and later decisions know it.
        """
        routing, served = labels, self.policies
        if plan is not None:
            routing = routing_labels(labels, plan.state, plan.rows, plan.place, contexts.n)
            served = self.served(plan.state)
        asked = fault if fault is not None and served.asks_policy(routing) else None
        choice = choose(served.routed(own, routing), self.catalogue, contexts, generator_for(seed, ids), asked)
        if plan is None or not len(plan.rows):
            return choice, None
        if choice.fault is not None:
            return (_with_arms(choice, plan), _certain(choice, plan)) if is_mixed(plan.state) else (choice, None)
        return self._with_mixture(own, contexts, ids, seed, plan, choice)

    def served(self, state: RolloutState) -> GroupPolicies:
        """Return the policies of groups and of what serves in place of the policies under a state."""
        return self.policies if state.substitute == RULES_ARM else self._without_rules

    def _with_mixture(
        self, own: Policy, contexts: Contexts, ids: Sequence[str], seed: str, plan: ArmPlan, choice: Choice
    ) -> tuple[Choice, ArmRows]:
        """Return the choice with the propensities of the mixture, and the arms."""
        state, m, kept = plan.state, len(plan.rows), self.catalogue.kept(contexts)
        arms, own_place = state.arms, (np.arange(m), plan.place)
        part = _part(choice, plan.rows)
        probabilities = np.full((m, len(arms)), np.nan)
        probabilities[own_place] = part.propensity
        # A history that speaks against the very arm that serves, as of a damaged log, says nothing about the mixture.
        known, shadow = plan.weights[own_place] > 0.0, None
        asked: list[tuple[int, IntArray, Vectors]] = []
        for place, arm in enumerate(arms):
            others = np.flatnonzero(plan.place != place)
            in_shadow = state.has_shadow and place == 1
            if not len(others) or not (in_shadow or (plan.weights[others, place] > 0.0).any()):
                continue
            rows, rng = plan.rows[others], generator_for(seed, [*ids, arm.name])
            smaller = _part(choice, rows)
            try:
                beside = self.served(state).routed(
                    *((own, SUBSTITUTE) if place == 0 else (plan.policies[place], "policy"))
                )
                given = probabilities_over(beside, kept.take(rows), smaller, rng)
            except Exception:  # noqa: BLE001 - a model may raise anything, and the offer is drawn already
                # Also rows that this arm serves: whether a row's arm shows must not depend on which one it is.
                known &= plan.weights[:, place] == 0.0
                continue
            probabilities[others, place] = _of(given, smaller.offer)
            asked.append((place, others, given))
            if in_shadow:
                drawn = _draw(given, smaller, rng)
                shadow = (drawn, _of(given, drawn))
        weights = np.where(known[:, None], plan.weights, np.eye(len(arms))[plan.place])
        mixed = _weighted(part.drawn_from, weights[own_place])
        for place, others, given in asked:
            mixed = _added(mixed, given, others, weights[others, place])
        propensity = choice.propensity.copy()
        propensity[plan.rows] = np.minimum((weights * np.nan_to_num(probabilities)).sum(axis=1), 1.0)
        mixture = replace(choice, propensity=propensity, drawn_from=_replaced(choice, plan.rows, mixed))
        return _with_arms(mixture, plan), ArmRows(
            plan.change_id,
            plan.rows,
            plan.names,
            weights,
            probabilities,
            plan.steps,
            *(shadow or (None, None)),
        )


def _with_arms(choice: Choice, plan: ArmPlan) -> Choice:
    """Return a choice with the names of a plan's arms in its rows."""
    served: ObjectArray = np.full(len(choice.offer), None)
    served[plan.rows] = plan.names
    return replace(choice, arm=served)


def _certain(choice: Choice, plan: ArmPlan) -> ArmRows:
    """Return the arms of rows that ended in the fallback because a policy failed: each row's own is certain."""
    weights = np.eye(len(plan.state.arms))[plan.place]
    probabilities = np.where(weights > 0.0, choice.propensity[plan.rows, None], np.nan)
    return ArmRows(plan.change_id, plan.rows, plan.names, weights, probabilities, plan.steps)


def routing_labels(
    labels: str | Sequence[str], state: RolloutState, rows: IntArray, place: IntArray, n: int
) -> list[str]:
    """Return the label that each of n rows is served under: its group's or, in `rows`, that of its arm at `place`."""
    routing: ObjectArray = np.empty(n, dtype=object)
    routing[:] = labels if isinstance(labels, str) else list(labels)
    routing[rows] = np.where(place == 0, KILLED if state.halted == "kill" else SUBSTITUTE, "policy")
    return list(routing)


def _part(choice: Choice, rows: IntArray) -> Choice:
    """Return some rows of a choice."""
    sets = choice.sets
    if sets is not None:
        which = np.broadcast_to(sets.which, len(choice.offer))[rows]
        sets = EligibleSets(sets.masks, sets.counts, which)
    given = choice.drawn_from
    return Choice(
        choice.offer[rows],
        choice.propensity[rows],
        _rows_of(given, rows) if isinstance(given, SparseProbabilities) else given[rows],
        choice.eligible[rows],
        None,
        None if choice.fired is None else choice.fired[rows],
        sets,
    )


def _rows_of(given: SparseProbabilities, rows: IntArray) -> SparseProbabilities:
    return SparseProbabilities(given.offers[rows], given.share[rows], given.floor[rows], given.n_eligible[rows])


Vectors = FloatArray | SparseProbabilities
"""The probabilities of n rows, of every offer or in sparse form."""


def _of(given: Vectors, offer: IntArray) -> FloatArray:
    return given.of(offer) if isinstance(given, SparseProbabilities) else given[np.arange(len(offer)), offer]


def _draw(given: Vectors, choice: Choice, rng: Generator) -> IntArray:
    if isinstance(given, SparseProbabilities):
        return draw_shares(given, choice.sets or EligibleSets.of(choice.eligible), rng)
    return draw(given, rng)


def _weighted(given: Vectors, weight: FloatArray) -> Vectors:
    """Return each row's probabilities times its weight."""
    if isinstance(given, SparseProbabilities):
        return SparseProbabilities(given.offers, given.share * weight[:, None], given.floor * weight, given.n_eligible)
    return given * weight[:, None]


def _added(total: Vectors, given: Vectors, rows: IntArray, weight: FloatArray) -> Vectors:
    """Return a total with the weighted probabilities of some of its rows added."""
    if isinstance(total, SparseProbabilities) and isinstance(given, SparseProbabilities):
        n, more = len(total), given.offers.shape[1]
        offers, share = np.zeros((n, more), dtype=np.int64), np.zeros((n, more))
        offers[rows], share[rows] = given.offers, given.share * weight[:, None]
        floor = total.floor.copy()
        floor[rows] += given.floor * weight
        return SparseProbabilities(
            np.concatenate([total.offers, offers], axis=1),
            np.concatenate([total.share, share], axis=1),
            floor,
            total.n_eligible,
        )
    if isinstance(total, SparseProbabilities) or isinstance(given, SparseProbabilities):
        raise TypeError("all arms of a catalogue give their probabilities in the same form")
    summed = total.copy()
    summed[rows] += given * weight[:, None]
    return summed


def _replaced(choice: Choice, rows: IntArray, mixed: Vectors) -> Vectors:
    """Return the probabilities of all rows of a choice, with those of the mixture in its rows."""
    given = choice.drawn_from
    if isinstance(given, SparseProbabilities) and isinstance(mixed, SparseProbabilities):
        if len(rows) == len(given):
            return mixed
        wide = max(given.offers.shape[1], mixed.offers.shape[1])
        offers, share = np.zeros((len(given), wide), dtype=np.int64), np.zeros((len(given), wide))
        floor = given.floor.copy()
        offers[:, : given.offers.shape[1]], share[:, : given.share.shape[1]] = given.offers, given.share
        offers[rows], share[rows] = 0, 0.0
        offers[rows, : mixed.offers.shape[1]], share[rows, : mixed.share.shape[1]] = mixed.offers, mixed.share
        floor[rows] = mixed.floor
        return SparseProbabilities(offers, share, floor, given.n_eligible)
    if isinstance(given, SparseProbabilities) or isinstance(mixed, SparseProbabilities):
        raise TypeError("a choice and its mixture give their probabilities in the same form")
    vectors = given.copy()
    vectors[rows] = mixed
    return vectors
