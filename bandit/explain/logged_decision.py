"""One decision of a log read back, and computed again from its seed, its context and its policy's state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bandit.catalogue import Catalogue
from bandit.decide import Choice
from bandit.domain import BoolArray, Contexts, FloatArray, IntArray, Policy, Progress, SparseProbabilities
from bandit.errors import OfferBanditError, UnknownDecisionError
from bandit.learning import StateWalk
from bandit.rollout import RolloutState, RolloutStates
from bandit.rollout.logged_arms import LoggedArms
from bandit.rollout.mixture import arm_places
from bandit.rollout.serving import ArmServer
from bandit.store import ArmColumns, ContextDecoder, DecisionColumns, RepeatRow, Store, Where

REFERENCE_DECISIONS = 1_000
"""Decisions up to the explained one whose facts are averaged: the customer of average facts."""

BATCH_REACH = 8_192
"""Numbers of decisions after the explained one among which the rest of its batch lies."""

StateOf = Callable[[int, int], Policy | None]
"""Returns a policy (by its number) with its state after a step, where it is at hand; None otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class LoggedDecision:
    """One decision as logged: a batch of one, its catalogue, context and eligible set, and its arm if it has one.

    `repeat` is the request that it answered once more, where that is what was asked for.
    """

    row: DecisionColumns
    catalogue: Catalogue
    contexts: Contexts
    eligible: BoolArray
    arms: ArmColumns
    repeat: RepeatRow | None

    @property
    def seq(self) -> int:
        """Its number in the log."""
        return int(self.row.seq[0])

    @property
    def decision_id(self) -> str:
        """Its id."""
        return str(self.row.decision_id[0])

    @property
    def offer(self) -> int:
        """The number of the chosen offer."""
        return int(self.row.offer[0])

    @property
    def group(self) -> str:
        """The group in which it was made."""
        return str(self.row.group[0])

    @property
    def arm(self) -> str | None:
        """The arm of the roll-out that served it; None without a roll-out."""
        return str(self.arms.arm[0]) if len(self.arms) else None

    @property
    def policy_id(self) -> int:
        """The number of the policy it is logged under, -1 for one imported with its propensity."""
        return int(self.row.policy_id[0])

    @property
    def step(self) -> int:
        """The step of that policy's state."""
        return int(self.row.policy_step[0])


@dataclass(frozen=True, slots=True, eq=False)
class ComputedAgain:
    """What a decision's recomputation gave, as far as it could be had.

    `policy` is the policy that served, with its state then; None where it is not available or none served. `choice` is
    its whole batch drawn again, `place` its row there; None where the draw cannot be repeated. `state` is that of the
    roll-out. `notes` say what is missing and why.
    """

    policy: Policy | None
    choice: Choice | None = None
    place: int = 0
    state: RolloutState | None = None
    notes: tuple[str, ...] = ()

    def probabilities_of(self, offers: IntArray) -> FloatArray | None:
        """Return the probabilities with which offers would be drawn, (m,); None where they are not known."""
        if self.choice is None:
            return None
        given = self.choice.drawn_from
        if not isinstance(given, SparseProbabilities):
            return np.asarray(given[self.place, offers])
        listed, share = given.offers[self.place], given.share[self.place]
        named = (np.asarray(offers)[:, None] == listed).astype(np.float64) @ share
        eligible = self.choice.eligible[self.place, offers]
        return np.where(eligible, named + given.floor[self.place] / given.n_eligible[self.place], 0.0)

    @property
    def offers_named(self) -> IntArray:
        """The distinct offers that sparse probabilities list with a share, empty where all have a number."""
        if self.choice is None or not isinstance(self.choice.drawn_from, SparseProbabilities):
            return np.zeros(0, dtype=np.int64)
        given = self.choice.drawn_from
        return np.unique(given.offers[self.place][given.share[self.place] > 0.0])

    @property
    def even_share(self) -> float | None:
        """The part of every eligible offer's probability that sparse probabilities spread evenly; None if dense."""
        if self.choice is None or not isinstance(self.choice.drawn_from, SparseProbabilities):
            return None
        given = self.choice.drawn_from
        return float(given.floor[self.place] / given.n_eligible[self.place])


def read_decision(store: Store, decision_id: str) -> LoggedDecision:
    """Return a decision by its id, or that of a repeat; UnknownDecisionError where the database has neither."""
    repeat = None
    try:
        seq = store.decisions.seq_of(decision_id)
    except UnknownDecisionError as fault:
        repeat = store.repeats.get(decision_id)
        if repeat is None:
            raise UnknownDecisionError(
                f'there is no decision "{decision_id}" in {store.path}; check the id (`offer-bandit why DB --customer '
                "NAME` lists those of a customer), or it was erased"
            ) from fault
        seq = repeat.seq
    row = store.decisions.by_seq(np.array([seq], dtype=np.int64), "", 0, probabilities=True)
    catalogue = store.catalogues.get(int(row.catalogue_id[0]))
    eligible = store.eligible_sets.mask(int(row.eligible_set_id[0]))
    return LoggedDecision(
        row,
        catalogue,
        catalogue.with_rules_that_held(ContextDecoder(catalogue).read(row.context, row.customer), eligible[None]),
        eligible,
        store.decision_arms.of(row.seq),
        repeat,
    )


def reference_contexts(store: Store, found: LoggedDecision) -> Contexts:
    """Return the contexts of the last `REFERENCE_DECISIONS` decisions up to one, of its catalogue version."""
    page = store.decisions.page(
        "",
        0,
        after_seq=max(0, found.seq - REFERENCE_DECISIONS),
        through_seq=found.seq,
        limit=REFERENCE_DECISIONS,
        where=Where(catalogue_id=int(found.row.catalogue_id[0])),
    )
    return ContextDecoder(found.catalogue).read(page.context, page.customer)


def compute_again(
    store: Store, found: LoggedDecision, state_of: StateOf | None = None, progress: Progress | None = None
) -> ComputedAgain:
    """Return the decision's policy with its state then, and its batch drawn again, as `verify` does.

    `state_of` may give a state that is at hand; otherwise the steps that the policy had learned by then are folded,
    from its newest snapshot where that is not too new.
    """
    reason = _no_policy(store, found)
    if reason is not None:
        return ComputedAgain(None, state=logged_state(store, found), notes=(reason,) if reason else ())
    policy = None if state_of is None else state_of(found.policy_id, found.step)
    try:
        walk = _walk(store, found, progress)
        if policy is None:
            walk.skip_to_snapshot(found.step)
            policy = walk.move_to(found.step)
    except OfferBanditError as fault:
        note = f"The policy's state cannot be had: {fault}."
        if policy is not None:  # of a class that only its program can build
            note = f"The draw cannot be repeated: {fault}."
        return ComputedAgain(policy, state=logged_state(store, found), notes=(note,))
    if found.row.seed[0] is None:
        note = (
            "The draw cannot be repeated, since its seed is not in the log: others of its batch were erased, or "
            "another program wrote the decision."
        )
        return ComputedAgain(policy, state=logged_state(store, found), notes=(note,))
    return _draw_again(store, found, walk, policy)


def _no_policy(store: Store, found: LoggedDecision) -> str | None:
    """Return why no policy's state can be had, "" where none is needed; None where there is one."""
    if found.policy_id < 0:
        return "It was imported: the policy that chose is not known, only the probability that the log gives."
    if found.policy_id in store.catalogues.unknown_policies():
        return "It was imported without its probability: neither the policy that chose nor the propensity is known."
    if found.row.fault[0] is not None:
        return ""
    row = next((row for row in store.catalogues.policies() if row.id == found.policy_id), None)
    if row is not None and not row.has_state_of(np.array([found.step])).all():
        return (
            "What the policy expected cannot be computed again: it decided with a state from before an erasure or a "
            "retention run, and that state was deleted with what it had learned from."
        )
    return None


def _walk(store: Store, found: LoggedDecision, progress: Progress | None) -> StateWalk:
    def arrived(step: int, policy: Policy) -> None:  # noqa: ARG001 - the state itself is not looked at
        if progress is not None:
            progress(step, found.step)

    return StateWalk(store, found.policy_id, arrived)


def _draw_again(store: Store, found: LoggedDecision, walk: StateWalk, policy: Policy) -> ComputedAgain:
    batch = _batch_of(store, found)
    place = int(np.flatnonzero(batch.seq == found.seq)[0])
    arms = store.decision_arms.of(batch.seq)
    logged = LoggedArms(store, walk, skip=True)
    contexts = ContextDecoder(found.catalogue).read(batch.context, batch.customer)
    if found.catalogue.unstored:
        eligible = store.eligible_sets.masks(batch.eligible_set_id, found.catalogue.n_offers)
        contexts = found.catalogue.with_rules_that_held(contexts, eligible)
    try:
        plan = logged.plan(batch, arms, policy) if len(arms) else None
        choice, _ = ArmServer(found.catalogue).serve(
            policy, contexts, batch.decision_id.tolist(), str(found.row.seed[0]), batch.group.tolist(), plan
        )
    except OfferBanditError as fault:
        note = f"The draw cannot be repeated: a state of another live policy cannot be had ({fault})."
        return ComputedAgain(policy, state=logged_state(store, found), notes=(note,))
    state = None
    if plan is not None and found.arm is not None:
        state = plan.state
        own = int(arm_places(state, found.arms.arm)[0])
        policy = plan.policies.get(own, policy)
    return ComputedAgain(policy, choice, place, state)


def _batch_of(store: Store, found: LoggedDecision) -> DecisionColumns:
    """Return the decisions that were made in one call with this one and share its generator."""
    first = found.seq - int(found.row.position[0])
    return store.decisions.page(
        "",
        0,
        after_seq=first - 1,
        through_seq=first + BATCH_REACH,
        limit=BATCH_REACH,
        where=Where(batch=str(found.row.batch[0])),
    )


def logged_state(store: Store, found: LoggedDecision) -> RolloutState | None:
    """Return the state of the roll-out under which a decision was served; None without a roll-out."""
    if not len(found.arms):
        return None
    mine = int(found.row.catalogue_id[0])
    policies = frozenset(row.id for row in store.catalogues.policies() if row.catalogue_id == mine)
    return RolloutStates(store)(int(found.arms.change_id[0])).among(policies)


def arm_mixture(found: LoggedDecision, state: RolloutState | None) -> Mapping[str, tuple[float, float | None]]:
    """Return by arm its weight for the customer and its own probability of the offer, None where unknown."""
    if state is None or not len(found.arms):
        return {}
    weights, probabilities, _ = found.arms.mixtures()[0]
    names = [arm.name for arm in state.arms]
    if len(names) != len(weights):
        return {}
    return {
        name: (float(weight), None if np.isnan(own) else float(own))
        for name, weight, own in zip(names, weights, probabilities, strict=True)
    }
