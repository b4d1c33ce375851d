"""Carries what a policy has learned over to a policy for a changed catalogue, or with changed settings.

A policy has one catalogue version and one set of settings: after a change of either, another policy begins. Where it
is new to the database and another one of its kind has learned there, it does not begin from nothing:

- Thompson sampling takes over the other's belief (`bandit.policies.thompson.carried`). The state that results is the
  new policy's first one, the base of every fold, so `rebuild` and `verify` never look behind it.
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
from typing import Any, Literal, cast

import numpy as np

from bandit.catalogue import Catalogue
from bandit.catalogue.aliases import NameMap
from bandit.catalogue.objective import Objective
from bandit.clock import now
from bandit.domain import Policy
from bandit.errors import OfferBanditError, PolicyError
from bandit.learning.policy_state import PolicyState, StateHistory
from bandit.learning.training_outcomes import TrainingOutcomes
from bandit.policies import build
from bandit.policies.thompson.carried import BeliefSource, CarriedBelief, ColumnMeans, carry_belief, column_means
from bandit.policies.thompson.new_options import CHANCE_CONTEXTS, NEW_OPTION_CHANCE
from bandit.policies.thompson.policy import ThompsonSampling
from bandit.printable import counted
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

RELEARNED_AT_ONCE = 5_000
"""Most outcomes of another policy that a new one learns again before it serves."""

MAX_OLDER = 5
"""Most older policies of which the weights of returned options are recalled."""

How = Literal["carried", "learned again", "untrained"]

_MONEY = frozenset({"revenue", "profit"})


@dataclass(frozen=True, slots=True)
class CarryReport:
    """What a new policy took over from another one: how, from which step, and how many outcomes.

    `details` are plain JSON values: new options and the share of draws that they begin with, recalled and dropped
    options. `reason` says why nothing could be taken over, "" where something was.
    """

    how: How
    from_policy: int
    from_step: int
    outcomes: int
    details: Mapping[str, object]
    reason: str = ""

    @property
    def words(self) -> str:
        """One sentence on what was taken over."""
        if self.how == "untrained":
            return (
                f"the policy begins untrained, though policy {self.from_policy} has learned here: {self.reason}; it "
                "serves from its prior until it has learned the log: call learn() before it decides"
            )
        what = "takes over the belief of" if self.how == "carried" else "learns again what was learned by"
        source = f"policy {self.from_policy} at step {self.from_step}"
        text = f"the policy {what} {source} ({counted(self.outcomes, 'outcome')})"
        new = cast("Sequence[str]", self.details.get("new_options", ()))
        share = self.details.get("new_options_share")
        if new:
            text += f"; new: {', '.join(new)}"
        if isinstance(share, float):
            text += f", which together begin with {share:.0%} of the draws"
            if share < 0.5 * NEW_OPTION_CHANCE:
                text += f" (not {NEW_OPTION_CHANCE:.0%}: even with a good response they would seldom pay)"
        recalled = cast("Sequence[str]", self.details.get("recalled_options", ()))
        return text + (f"; recalled from before: {', '.join(recalled)}" if recalled else "")

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        shown = {key: value for key, value in self.details.items() if key not in _INTERNAL}
        return {
            "how": self.how,
            "from_policy": self.from_policy,
            "from_step": self.from_step,
            "outcomes": self.outcomes,
            "reason": self.reason,
            "words": self.words,
            **shown,
        }

    @staticmethod
    def of(row: CarriedPolicyRow) -> CarryReport:
        """Return the report of a row of the store."""
        details = dict(row.details)
        how, outcomes = details.pop("how", "carried"), details.pop("outcomes", 0)
        return CarryReport(cast("How", how), row.from_policy_id, row.from_step, int(str(outcomes)), details)


_INTERNAL = frozenset({"starts", "means", "older"})
"""Details by which a carried state can be computed again."""


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
        if isinstance(policy, ThompsonSampling) and not _belief_fault(before.objective, catalogue.objective):
            old = policy_at_newest(store, row)
            if isinstance(old.policy, ThompsonSampling) and not old.policy.online.in_warmup:
                return _carried(store, catalogue, policy, row, old)
        reason = _relearning_fault(store, row, before.objective, catalogue.objective)
        if not reason:
            return _learned_again(store, catalogue, policy, row, step)
    except PolicyError as fault:
        reason = f"its state cannot be read ({fault})"
    report = CarryReport("untrained", number, step, 0, {}, reason)
    return FirstState(report, b"", b"")


def policy_to_carry(store: Store, catalogue: Catalogue, policy: Policy) -> int | None:
    """Return the policy whose belief a new one takes over: of its kind and, if there are any, of its name.

    Under another catalogue the roll-out's champion comes first, then the newest; a candidate that learned offline and
    never served is left alone. Under the same catalogue only a policy of the same name, with other settings: one of
    another name is another policy.
    """
    spec = policy.spec()
    rows = [row for row in store.catalogues.policies() if row.spec.get("kind") == spec.get("kind")]
    own = next((row.id for row in store.catalogues.all() if row.version == catalogue.version), None)
    candidates = store.ledger.candidates()
    latest = store.rollout_changes.latest()
    champion = None if latest is None else _champion(latest.state)
    usable = [
        row
        for row in rows
        if _has_learned(store, row)
        and (row.id not in candidates or row.id == champion)
        and not (row.catalogue_id == own and (row.spec == spec or row.spec.get("name") != spec.get("name")))
    ]
    named = [row for row in usable if row.spec.get("name") == spec.get("name")] or usable
    if any(row.id == champion for row in named):
        return champion
    return named[-1].id if named else None


def _champion(state: str) -> int | None:
    import msgspec  # noqa: PLC0415 - of the few policies with a roll-out

    policies = msgspec.json.decode(state, type=dict[str, Any]).get("policies") or [{}]
    number = policies[0].get("policy_id")
    return number if isinstance(number, int) else None


def _has_learned(store: Store, row: PolicyRow) -> bool:
    return any(step.n for step in store.ledger.steps(row.id))


def _belief_fault(before: Objective, after: Objective) -> str:
    """Return why a belief about one objective says nothing about another, "" where it does."""
    if before.kind != after.kind and not (before.kind in _MONEY and after.kind in {*_MONEY, "conversion"}):
        return f'the objective was "{before.kind}" and is "{after.kind}"'
    return _event_fault(before, after)


def _event_fault(before: Objective, after: Objective) -> str:
    if before.event != after.event:
        return f'a conversion was the event "{before.event}" and is the event "{after.event}" now'
    if before.activation != after.activation:
        return "another event activates a decision now"
    return ""


def _relearning_fault(store: Store, row: PolicyRow, before: Objective, after: Objective) -> str:
    """Return why a policy cannot learn again at once what another one has learned, "" where it can."""
    fault = _event_fault(before, after)
    if fault:
        return fault
    steps = store.ledger.steps(row.id)
    n = sum(step.n for step in steps)
    if row.base_step or steps[0].n:
        return "it did not learn all it knows from decisions that this database still has"
    if n > RELEARNED_AT_ONCE:
        return (
            f"it cannot take over this belief, and {n:,} outcomes are too many to learn again while it opens (at most "
            f"{RELEARNED_AT_ONCE:,})"
        )
    return ""


def policy_at_newest(store: Store, row: PolicyRow) -> PolicyState:
    """Return a policy of a store with its newest state; StoreError or PolicyError where it cannot be had."""
    catalogue = store.catalogues.get(row.catalogue_id)
    history = StateHistory(store, catalogue, row.id)
    state = history.load(history.newest_snapshot(), build(catalogue, row.spec))
    return history.fold(state, store.ledger.latest_step(row.id) or 0)


def _learned_again(store: Store, catalogue: Catalogue, policy: Policy, row: PolicyRow, step: int) -> FirstState:
    """Return the state of a policy that learns another's steps, each as it was learned."""
    history = StateHistory(store, store.catalogues.get(row.catalogue_id), row.id)
    training, objective = TrainingOutcomes(store, catalogue), catalogue.objective
    learner, steps, n = build(catalogue, policy.spec()), [], 0
    first = learner.dumps()
    for number in range(1, step + 1):
        learned = history.store.ledger.learned_rows(row.id, number, objective.event, objective.window)
        kept, outcomes = training.of(learned)
        learner.update(outcomes)
        steps.append(kept)
        n += len(outcomes)
    report = CarryReport("learned again", row.id, step, n, {})
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
        for each, state in _older_policies(store, row, catalogue, newest)
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


def _older_policies(
    store: Store, row: PolicyRow, catalogue: Catalogue, newest: BeliefSource
) -> list[tuple[PolicyRow, PolicyState]]:
    """Return older policies of the same kind and name that know options which the newest one does not, newest first."""
    wanted = _options(catalogue) - _named_options(newest.names)
    found: list[tuple[PolicyRow, PolicyState]] = []
    for each in reversed(store.catalogues.policies()):
        same = each.spec.get("kind") == row.spec.get("kind") and each.spec.get("name") == row.spec.get("name")
        if not wanted or len(found) == MAX_OLDER or not same or each.id >= row.id or not _has_learned(store, each):
            continue
        before = store.catalogues.get(each.catalogue_id)
        has = _named_options(NameMap(before, catalogue)) & wanted
        if not has or _belief_fault(before.objective, catalogue.objective):
            continue
        try:
            state = policy_at_newest(store, each)
        except OfferBanditError:
            continue  # it is only what could be recalled: without it the option begins as a new one
        if isinstance(state.policy, ThompsonSampling) and not state.policy.online.in_warmup:
            found.append((each, state))
            wanted -= has
    return found


def _options(catalogue: Catalogue) -> set[tuple[str, str]]:
    return {(dimension.name, option) for dimension in catalogue.dimensions for option in dimension.names}


def _named_options(names: NameMap) -> set[tuple[str, str]]:
    """Return the options of a catalogue by their names in the later one."""
    found = ((names.dimension(one), names.option(one, other)) for one, other in _options(names.before))
    return {(one, other) for one, other in found if one is not None and other is not None}


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
