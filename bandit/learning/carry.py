"""Carries what a policy has learned over to a policy for a changed catalogue, or with changed settings.

A policy has one catalogue version and one set of settings: after a change of either, another policy begins. Where it
is new to the database and another one of its kind has learned there, it does not begin from nothing:

- A policy that differs from the other one in its methods of learning only, as after an update of this product, learns
  its steps again, in order (`bandit.learning.folding_anew`; in the background where they are many).
- Else Thompson sampling takes over the other's belief (`bandit.policies.thompson.carried`). The state that results is
  the new policy's first one, the base of every fold, so `rebuild` and `verify` never look behind it.
- A belief of which the scales are not fixed yet, or a policy of another kind, is learned again where that is quick: the
  new policy learns the other's steps, outcome by outcome as they were learned, under the new catalogue.
- Otherwise it begins untrained, says so and why, and learns the log with the next `learn`.

What was learned is written to the ledger of the new policy at its step 0, each decision with the newest outcome that
the other one has learned of it. So no decision is learned twice, and a later event of one, such as a return, updates
the new belief once. Decisions of options that the new catalogue does not have stay in the ledger and are skipped.
Everything is written in one transaction, in which the other policy must still be at the step that was read: processes
that go on with the old catalogue learn on with theirs, and what they decide both policies learn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from bandit.catalogue import Catalogue
from bandit.catalogue.aliases import NameMap
from bandit.clock import now
from bandit.domain import Outcomes, Policy
from bandit.errors import PolicyError
from bandit.learning.carry_report import CarryReport
from bandit.learning.carry_source import (
    belief_fault,
    older_policies,
    policy_at_newest,
    policy_to_carry,
    relearning_fault,
)
from bandit.learning.folding_anew import policy_of_other_methods, takes_long
from bandit.learning.guarded_update import GuardedFold
from bandit.learning.policy_state import PolicyState, StateHistory
from bandit.learning.training_outcomes import TrainingOutcomes
from bandit.policies import build
from bandit.policies.thompson.belief_source import BeliefSource, ColumnMeans, column_means
from bandit.policies.thompson.carried import CarriedBelief, carry_belief
from bandit.policies.thompson.new_options import CHANCE_CONTEXTS, NEW_OPTION_CHANCE
from bandit.policies.thompson.policy import ThompsonSampling
from bandit.store import (
    CarriedPolicyRow,
    ContextDecoder,
    DecisionColumns,
    DueColumns,
    OfferMap,
    PolicyRow,
    Store,
    state_hash,
)


@dataclass(frozen=True, slots=True, eq=False)
class FirstState:
    """The first state of a new policy and how it came about; `steps` are those that were learned again."""

    report: CarryReport
    state: bytes
    first: bytes
    steps: Sequence[DueColumns] = ()

    def write(self, store: Store, policy_id: int) -> int | None:
        """Write it in the caller's transaction and return the policy's step; None where the source has moved on."""
        report = self.report
        if report.how == "untrained" or store.ledger.latest_step(report.from_policy) != report.from_step:
            return None
        if report.how == "carried":
            store.ledger.record_carried_step(policy_id, report.from_policy, state_hash(self.state), self.state)
        else:
            store.ledger.record_step(policy_id, 0, None, state_hash(self.first), self.first)
            for step, rows in enumerate(self.steps, start=1):
                last = step == len(self.steps)
                digest, snapshot = (state_hash(self.state), self.state) if last else ("", None)
                store.ledger.record_step(policy_id, step, rows, digest, snapshot)
        details = {"how": report.how, "outcomes": report.outcomes, **report.details}
        store.carried.add(CarriedPolicyRow(policy_id, report.from_policy, report.from_step, now(), details))
        return len(self.steps)


def first_state(store: Store, catalogue: Catalogue, policy: Policy, source: int | None = None) -> FirstState | None:
    """Return what a policy that is new to a store begins with, None where no other policy of its kind has learned.

    The source is policy number `source`, by default the one that `policy_to_carry` chooses. Nothing is written.
    """
    rows = {row.id: row for row in store.catalogues.policies()}
    number = policy_to_carry(store, catalogue, policy) if source is None else source
    if number is None:
        return None
    row = rows[number]
    step = store.ledger.latest_step(number) or 0
    before = store.catalogues.get(row.catalogue_id)
    try:
        other_methods = policy_of_other_methods(store, catalogue, policy)
        if other_methods is not None and other_methods.id == number and not takes_long(store, row):
            return _learned_again(store, catalogue, policy, row, step)
        if isinstance(policy, ThompsonSampling) and not belief_fault(before.objective, catalogue.objective):
            old = policy_at_newest(store, row)
            warm = isinstance(old.policy, ThompsonSampling) and not old.policy.online.in_warmup
            if warm and _alike(cast("ThompsonSampling", old.policy), policy):
                return _carried(store, catalogue, policy, row, old)
        reason = relearning_fault(store, row, before.objective, catalogue.objective)
        if not reason:
            return _learned_again(store, catalogue, policy, row, step)
    except PolicyError as fault:
        reason = f"its state cannot be read ({fault})"
    report = CarryReport("untrained", number, step, 0, {}, reason)
    return FirstState(report, b"", b"")


def _alike(one: ThompsonSampling, other: ThompsonSampling) -> bool:
    """Return whether two beliefs model the same stages of a conversion, or both the conversion alone."""
    return one.online.belief.stages == other.online.belief.stages


def _learned_again(store: Store, catalogue: Catalogue, policy: Policy, row: PolicyRow, step: int) -> FirstState:
    """Return the state of a policy that learns another's steps, each as it was learned."""
    history = StateHistory(store, store.catalogues.get(row.catalogue_id), row.id)
    training, objective = TrainingOutcomes(store, catalogue), catalogue.objective
    learner, steps = build(catalogue, policy.spec()), []
    first = learner.dumps()

    def of_step(number: int) -> tuple[DueColumns, Outcomes]:
        return training.of(history.store.ledger.learned_rows(row.id, number, objective.event, objective.window))

    guarded = GuardedFold(learner, first, lambda number: of_step(number)[1])
    for number in range(1, step + 1):
        found, kept = guarded.learn(number), of_step(number)[0]
        steps.append(kept if found is None else kept.take(~found.rows))
    report = CarryReport("learned again", row.id, step, guarded.n, {})
    return FirstState(report, learner.dumps(), first, steps)


def _carried(
    store: Store, catalogue: Catalogue, policy: ThompsonSampling, row: PolicyRow, old: PolicyState
) -> FirstState:
    """Return the state of a policy with the belief of another, and of older ones for what has returned."""
    recent = _recent(store, catalogue)
    target = cast("ThompsonSampling", build(catalogue, policy.spec()))
    newest = _source(store, cast("ThompsonSampling", old.policy), catalogue, recent)
    older = [
        (each.id, state.step, _source(store, state.policy, catalogue, recent))
        for each, state in older_policies(store, row, catalogue, newest.names)
        if isinstance(state.policy, ThompsonSampling)
    ]
    contexts = ContextDecoder(catalogue).read(recent.context, recent.customer)
    carried = carry_belief(target, [newest, *(source for _, _, source in older)], contexts)
    means = {str(row.id): newest.means.to_dict()} | {str(number): each.means.to_dict() for number, _, each in older}
    details = _details(carried) | {
        "starts": carried.starts.tolist(),
        "means": means,
        "older": [[number, step] for number, step, _ in older],
    }
    report = CarryReport("carried", row.id, old.step, carried.n_learned, details)
    return FirstState(report, carried.state, carried.state)


def _details(carried: CarriedBelief) -> dict[str, object]:
    details: dict[str, object] = {
        "new_options": [f"{dimension} = {option}" for dimension, option in carried.new_options],
        "recalled_options": [f"{dimension} = {option}" for dimension, option in carried.recalled],
    }
    if carried.start is not None:
        details |= {"new_options_chance": NEW_OPTION_CHANCE, "new_options_share": carried.start.share}
    return details


def _recent(store: Store, catalogue: Catalogue) -> DecisionColumns:
    """Return the most recent decisions of a store, by whatever policy."""
    objective = catalogue.objective
    after = max(0, store.decisions.last_seq() - CHANCE_CONTEXTS)
    return store.decisions.page(objective.event, objective.window, after_seq=after, limit=CHANCE_CONTEXTS)


def _source(store: Store, policy: ThompsonSampling, catalogue: Catalogue, recent: DecisionColumns) -> BeliefSource:
    before = policy.catalogue
    contexts = ContextDecoder(before).read(recent.context, recent.customer)
    offers = OfferMap(store, before).offers(recent.catalogue_id, recent.offer)
    return BeliefSource(policy, NameMap(before, catalogue), column_means(policy, contexts, offers))


def carried_again(
    store: Store, row: CarriedPolicyRow, states: Mapping[int, ThompsonSampling], rows: Mapping[int, PolicyRow]
) -> bytes:
    """Return the state that a policy took over, computed again from other states of the policies it came from.

    For an erasure: the means of columns and the new options' prior means stay those of the first time.
    """
    target_row = rows[row.policy_id]
    catalogue = store.catalogues.get(target_row.catalogue_id)
    target = build(catalogue, target_row.spec)
    if not isinstance(target, ThompsonSampling):
        raise PolicyError(f"policy {row.policy_id} is not of a kind that takes over a belief")
    means = cast("Mapping[str, Mapping[str, Sequence[float]]]", row.details["means"])
    older = cast("Sequence[Sequence[int]]", row.details["older"])
    sources = [
        BeliefSource(
            states[number], NameMap(states[number].catalogue, catalogue), ColumnMeans.from_dict(means[str(number)])
        )
        for number in (row.from_policy_id, *(each[0] for each in older))
    ]
    starts = np.array(row.details["starts"], dtype=np.float64)
    none = catalogue.contexts([])
    return carry_belief(target, sources, none, starts).state
