"""Which policy another one takes over from, what stands against it, and which older ones know what has returned."""

from __future__ import annotations

from typing import Any

import msgspec

from bandit.catalogue import Catalogue
from bandit.catalogue.aliases import NameMap
from bandit.catalogue.objective import Objective
from bandit.domain import Policy
from bandit.errors import OfferBanditError
from bandit.learning.policy_state import PolicyState, StateHistory
from bandit.policies import build
from bandit.policies.thompson.policy import ThompsonSampling
from bandit.store import PolicyRow, Store

RELEARNED_AT_ONCE = 5_000
"""Most outcomes of another policy that a new one learns again before it serves."""

MAX_OLDER = 5
"""Most older policies of which the weights of returned options are recalled."""

_MONEY = frozenset({"revenue", "profit"})


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
    policies = msgspec.json.decode(state, type=dict[str, Any]).get("policies") or [{}]
    number = policies[0].get("policy_id")
    return number if isinstance(number, int) else None


def _has_learned(store: Store, row: PolicyRow) -> bool:
    return any(step.n for step in store.ledger.steps(row.id))


def belief_fault(before: Objective, after: Objective) -> str:
    """Return why a belief about one objective says nothing about another, "" where it does."""
    if before.kind != after.kind and not (before.kind in _MONEY and after.kind in {*_MONEY, "conversion"}):
        return f'the objective was "{before.kind}" and is "{after.kind}"'
    return _event_fault(before, after)


def _event_fault(before: Objective, after: Objective) -> str:
    if before.event != after.event:
        return f'a conversion was the event "{before.event}" and is the event "{after.event}" now'
    if before.activation != after.activation:
        return "another event activates a decision now"
    if before.stages != after.stages:
        return "the conversion has other stages now"
    return ""


def relearning_fault(store: Store, row: PolicyRow, before: Objective, after: Objective) -> str:
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


def older_policies(
    store: Store, row: PolicyRow, catalogue: Catalogue, newest: NameMap
) -> list[tuple[PolicyRow, PolicyState]]:
    """Return older policies of the same kind and name that know options which the newest one does not, newest first."""
    wanted = _options(catalogue) - _named_options(newest)
    found: list[tuple[PolicyRow, PolicyState]] = []
    for each in reversed(store.catalogues.policies()):
        same = each.spec.get("kind") == row.spec.get("kind") and each.spec.get("name") == row.spec.get("name")
        if not wanted or len(found) == MAX_OLDER or not same or each.id >= row.id or not _has_learned(store, each):
            continue
        before = store.catalogues.get(each.catalogue_id)
        has = _named_options(NameMap(before, catalogue)) & wanted
        if not has or belief_fault(before.objective, catalogue.objective):
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
