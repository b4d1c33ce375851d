"""What served a decision, in one sentence, and the segment rule that fired."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bandit.catalogue import Catalogue
from bandit.explain.logged_decision import LoggedDecision, arm_mixture
from bandit.explain.records import ArmShare, FiredSegment, ServedBy, ServerKind
from bandit.policies import SegmentRules
from bandit.policies.group_policies import NamingPolicy
from bandit.rollout import RolloutChange, RolloutState
from bandit.rollout.serving import ArmServer
from bandit.rollout.state import FALLBACK_ARM, POLICY_ARM, RULES_ARM
from bandit.store import Store

_WITHOUT_STATE = {"uniform", "constant", "rules"}
"""Kinds of policies that learn nothing."""

_GROUP_SENTENCES = {
    "rules": 'the customer is in the group "rules" and gets what today\'s segment rules name',
    "random": 'the customer is in the group "random" and gets any eligible offer, all as likely',
    "holdout": 'the customer is in the group "holdout" and always gets the one offer of that group',
}


def served_by(store: Store, found: LoggedDecision, state: RolloutState | None) -> ServedBy:
    """Return what served a decision: the group's policy, an arm of a roll-out, the fallback, or another program.

    `state` is that of the roll-out under which it was served, None without one.
    """
    kind, sentence = _kind_and_sentence(store, found, state)
    by_policy = kind in {"policy", "challenger"}
    spec = _spec(store, found.policy_id) if by_policy else {}
    policy_kind = str(spec.get("kind")) if by_policy else None
    fault = found.row.fault[0]
    held = None
    if found.repeat is not None:
        held = found.decision_id
        sentence = f"the customer still holds an earlier offer, which answered this request, too: then {sentence}"
    return ServedBy(
        kind,
        sentence,
        found.group,
        found.arm,
        found.policy_id if by_policy else None,
        _policy_name(spec) if by_policy else None,
        policy_kind,
        found.step if by_policy and policy_kind not in _WITHOUT_STATE else None,
        None if fault is None else str(fault),
        held,
        tuple(ArmShare(arm, *numbers) for arm, numbers in arm_mixture(found, state).items()),
    )


def own_policy(found: LoggedDecision, kind: ServerKind, state: RolloutState | None) -> NamingPolicy | None:
    """Return the policy without a state that served: rules, an even draw, the holdout's offer or the fallback.

    None where a policy that learns served, or another program did.
    """
    server = ArmServer(found.catalogue)
    if kind == "fallback":
        return server.fallback
    if kind == "rules" and found.arm is not None:
        return server.rules if state is None or state.substitute == RULES_ARM else server.fallback
    return server.policies.own(found.group) if kind in {"rules", "random", "holdout"} else None


def fired_segment(rules: SegmentRules, found: LoggedDecision) -> FiredSegment:
    """Return which segment rule named an offer for the logged context: the first that matches and is eligible."""
    catalogue, skipped = found.catalogue, []
    for number, (segment, given) in enumerate(zip(rules.compiled.segments, rules.file.segments, strict=True), start=1):
        if not segment.condition(found.contexts)[0]:
            continue
        if not found.eligible[segment.offer]:
            skipped.append(number)
            continue
        sentence = f"segment {number} of {len(rules.file.segments)} is the first whose condition holds"
        if skipped:
            sentence += " and whose offer is eligible"
        return _segment(rules, catalogue, sentence, number, segment.offer, skipped, given.name, given.when)
    last = next((offer for offer in rules.compiled.otherwise if found.eligible[offer]), None)
    if last is None:
        sentence = "no segment names an eligible offer, and nor does `otherwise` or the fallback: any eligible offer"
    elif rules.file.otherwise is not None and last == catalogue.offer_index(rules.file.otherwise):
        sentence = "no segment's condition holds for an eligible offer, so the offer of `otherwise` is named"
    else:
        sentence = "no segment's condition holds for an eligible offer, so the catalogue's fallback is named"
    return _segment(rules, catalogue, sentence, None, last, skipped, "", "")


def _segment(
    rules: SegmentRules,
    catalogue: Catalogue,
    sentence: str,
    number: int | None,
    offer: int | None,
    skipped: list[int],
    name: str,
    condition: str,
) -> FiredSegment:
    label = None if offer is None else catalogue.label(offer)
    return FiredSegment(sentence, number, name, condition, label, rules.exploration, tuple(skipped))


def _kind_and_sentence(store: Store, found: LoggedDecision, state: RolloutState | None) -> tuple[ServerKind, str]:
    if found.policy_id < 0 or found.policy_id in store.catalogues.unknown_policies():
        return "imported", "another program chose it, and the log was imported"
    if found.row.fault[0] is not None:
        what = "the fallback was" if found.catalogue.fallback is not None else "an even draw over what is eligible was"
        return "fallback", f"{what} served in place of the policy, because of a fault"
    if found.arm is not None:
        return _of_arm(store, found, state)
    grouped = found.catalogue.groups is not None
    if grouped and ArmServer(found.catalogue).policies.own(found.group) is not None:
        kind: ServerKind = "rules" if found.group == "rules" else "random" if found.group == "random" else "holdout"
        return kind, _GROUP_SENTENCES[kind]
    where = f' (group "{found.group}")' if grouped else ""
    return "policy", f"{_policy_words(_spec(store, found.policy_id))} chose{where}"


def _of_arm(store: Store, found: LoggedDecision, state: RolloutState | None) -> tuple[ServerKind, str]:
    arm = found.arm
    if arm == POLICY_ARM:
        return "policy", "under the roll-out this customer is served by the policy"
    if arm == RULES_ARM:
        return "rules", f"{_not_the_policy(store, found, state)}: the segment rules serve"
    if arm == FALLBACK_ARM:
        return "fallback", f"{_not_the_policy(store, found, state)}: the fallback serves"
    return "challenger", f"under the roll-out this customer is served by the challenger, policy {found.policy_id}"


def _not_the_policy(store: Store, found: LoggedDecision, state: RolloutState | None) -> str:
    """Return why the policy did not serve a customer under a roll-out."""
    if state is not None and state.halted is not None:
        change = int(found.arms.change_id[0])
        halts = [row for row in store.rollout_changes.all() if row.id <= change and row.action in {"kill", "stop"}]
        by = f" ({RolloutChange.of(halts[-1]).words})" if halts else ""
        return f"the policies were halted{by}"
    if state is not None and state.policy_share == 0.0:
        return f'the roll-out\'s mode was "{state.mode}", in which the policy serves nobody'
    return "under the roll-out the policy does not serve this customer yet"


def _policy_words(spec: Mapping[str, object]) -> str:
    kind = spec.get("kind")
    if kind == "uniform":
        return 'the policy "uniform", to which every eligible offer is as likely,'
    if kind == "constant":
        return "the policy that gives everyone the same offer"
    return f'the {"segment rules" if kind == "rules" else "policy"} "{_policy_name(spec)}"'


def _policy_name(spec: Mapping[str, object]) -> str:
    return str(spec.get("name") or spec.get("kind"))


def _spec(store: Store, policy_id: int) -> Mapping[str, object]:
    """Return the settings of the policy that a decision is logged under."""
    return store.catalogues.policy_spec(policy_id)[1]


def named_offer(own: NamingPolicy, found: LoggedDecision) -> int | None:
    """Return the offer that a policy without a state names for the logged context; None where it names none."""
    named = int(own.named(found.contexts, lambda offer: np.array([found.eligible[offer]]))[0])
    return None if named < 0 else named
