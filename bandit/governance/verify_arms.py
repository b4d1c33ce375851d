"""Verification of decisions made under a roll-out: what served them, the weights of the arms, and the mixture."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bandit.decide import Choice
from bandit.domain import BoolArray, Contexts, FloatArray, ObjectArray, Policy
from bandit.learning.state_walk import StateWalk
from bandit.rollout.logged_arms import LoggedArms
from bandit.rollout.mixture import ArmWeights, arm_places, is_mixed
from bandit.rollout.serving import ArmPlan, ArmServer
from bandit.store import ArmColumns, ArmRows, DecisionColumns, Store

WEIGHT_TOLERANCE = 1e-9
"""Largest difference between a logged and a recomputed weight of an arm."""


class ArmVerifier:
    """Computes batches of one policy's decisions again, with what the roll-out says served them."""

    def __init__(self, store: Store, walk: StateWalk) -> None:
        self._store = store
        self._logged = LoggedArms(store, walk)
        self._any = store.decision_arms.any()
        # A retention run deletes what the weights were computed from.
        self._weights_known = all(entry.kind != "retain" for entry in store.journal())
        # Arms are dealt by the form of customers from before the first rotation, which is stored nowhere any more.
        self._rotated = store.customers.rotated
        self.server = ArmServer(walk.catalogue)
        self._weights = ArmWeights(self._logged.state_of)

    def recompute(
        self, policy: Policy, batch: DecisionColumns, contexts: Contexts
    ) -> tuple[Choice, Iterator[tuple[BoolArray, str]]]:
        """Return the choice made again, and what is wrong with its arms as ((n,) rows, words).

        StoreError or PolicyError where a state of another policy that was live cannot be had.
        """
        ids, seed = batch.decision_id.tolist(), str(batch.seed[0])
        arms = self._store.decision_arms.of(batch.seq) if self._any else None
        if arms is None or not len(arms):
            return self.server.serve(policy, contexts, ids, seed, batch.group.tolist(), None)[0], iter(())
        plan = self._logged.plan(batch, arms)
        choice, made = self.server.serve(policy, contexts, ids, seed, batch.group.tolist(), plan)
        return choice, self._wrong(batch, contexts, arms, plan, made)

    def _wrong(
        self, batch: DecisionColumns, contexts: Contexts, arms: ArmColumns, plan: ArmPlan, made: ArmRows | None
    ) -> Iterator[tuple[BoolArray, str]]:
        n = len(batch)

        def whole(wrong: BoolArray) -> BoolArray:
            found = np.zeros(n, dtype=np.bool_)
            found[plan.rows] = wrong
            return found

        customers = contexts.customers[plan.rows]
        if not self._rotated:
            yield whole(plan.state.assign(customers) != arm_places(plan.state, arms.arm)), "another arm serves"
        if self._weights_known:
            yield whole(self._other_weights(plan, arms, customers)), "the weights of the arms are others"
        if made is None:
            return
        logged = arms.mixtures()[:, 1]
        known = ~np.isnan(logged)
        off = np.abs(np.where(known, made.probabilities - logged, 0.0)).max(axis=1) > WEIGHT_TOLERANCE
        yield whole(np.asarray(off)), "an arm gives its offer another probability"
        if made.shadow_offer is not None and made.shadow_propensity is not None:
            # Where the policy in shadow failed, neither its probability nor its choice is known.
            other = known[:, 1] & (
                (made.shadow_offer != arms.shadow_offer)
                | ~(np.abs(made.shadow_propensity - arms.shadow_propensity) <= WEIGHT_TOLERANCE)
            )
            yield whole(np.asarray(other)), "the policy in shadow chooses otherwise"

    def _other_weights(self, plan: ArmPlan, arms: ArmColumns, customers: ObjectArray) -> BoolArray:
        """Return the rows whose weights follow from no beginning of their customers' history.

        A process may have decided before it saw the newest of a customer's decisions, but never with a gap.
        """
        logged = arms.mixtures()[:, 0]
        if logged.shape[1] != len(plan.state.arms):
            return np.ones(len(arms), dtype=np.bool_)
        if not is_mixed(plan.state):
            return np.asarray(np.abs(logged - [arm.share for arm in plan.state.arms]).max(axis=1) > WEIGHT_TOLERANCE)
        # Where a policy that did not serve failed, all the weight is the arm's that served.
        wrong = np.asarray(logged.max(axis=1) < 1.0)
        for row in np.flatnonzero(wrong).tolist():
            history = self._store.decision_arms.of_customers([customers[row]], int(arms.seq[row]))
            wrong[row] = not any(
                _same(self._weights.given(plan.state, history.take(np.arange(seen)), 1)[0], logged[row])
                for seen in range(len(history), -1, -1)
            )
        return wrong


def _same(expected: FloatArray, logged: FloatArray) -> bool:
    return bool(np.abs(expected - logged).max() <= WEIGHT_TOLERANCE)
