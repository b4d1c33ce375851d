"""The explanation of one decision: what was eligible, what served, what was expected of the offers, and how likely."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import Policy, Progress
from bandit.errors import InputError
from bandit.explain.compared import OffersCompared, compare_offers, most_probable
from bandit.explain.logged_decision import (
    ComputedAgain,
    LoggedDecision,
    StateOf,
    compute_again,
    logged_state,
    read_decision,
    reference_contexts,
)
from bandit.explain.records import (
    ChanceOfChoice,
    CustomerDecisions,
    DecisionExplanation,
    DecisionLine,
    FiredSegment,
    RuleRemoval,
    ServedBy,
)
from bandit.explain.served import fired_segment, named_offer, own_policy, served_by
from bandit.ope.estimate import check_level
from bandit.policies import ConstantOffer, SegmentRules, ThompsonSampling, Uniform
from bandit.policies.group_policies import NamingPolicy
from bandit.store import Store

PROPENSITY_NOTE_FROM = 1e-9
"""Difference of a recomputed propensity from the logged one from which a note says so."""


def explain_decision(
    store: Store,
    decision_id: str,
    *,
    level: float = 0.95,
    state_of: StateOf | None = None,
    progress: Progress | None = None,
) -> DecisionExplanation:
    """Return why a customer was given an offer.

    The policy's state at that moment is computed again as `verify` does, so expected rewards and probabilities are
    those of the decision; what cannot be had is said in `notes`. Intervals are central credible intervals of the
    policy's posterior at `level`. `state_of` may give a state that is at hand. UnknownDecisionError for an id that the
    database does not have; InputError for a level outside (0, 1).
    """
    check_level(level)
    with store.one_state():
        found = read_decision(store, decision_id)
        state = logged_state(store, found)
        served = served_by(store, found, state)
        if _follows_from_the_log(served):
            again = ComputedAgain(None, state=state)
        else:
            again = compute_again(store, found, state_of, progress)
        return _Explaining(store, found, again, served, level).explanation(decision_id)


def _follows_from_the_log(served: ServedBy) -> bool:
    """Say whether a policy without a state served for certain, so that no state has to be computed again."""
    certain = not served.arms or any(each.weight == 1.0 for each in served.arms)
    return served.kind in {"rules", "random", "holdout", "fallback"} and served.fault is None and certain


@dataclass(frozen=True, slots=True, eq=False)
class _Explaining:
    """Puts an explanation together from what was read and computed again."""

    store: Store
    found: LoggedDecision
    again: ComputedAgain
    served: ServedBy
    level: float

    def explanation(self, decision_id: str) -> DecisionExplanation:
        found, catalogue = self.found, self.found.catalogue
        removals, notes = self._removals()
        own = self._own()
        segment, compared = self._segment(own), self._compared(own)
        chance = self._chance(own, compared)
        objective = catalogue.objective
        return DecisionExplanation(
            decision_id=decision_id,
            time=int(found.row.time[0]) if found.repeat is None else found.repeat.time,
            customer=str(found.row.customer[0]),
            catalogue=catalogue.name,
            catalogue_version=catalogue.version,
            objective=objective.kind,
            event=objective.event,
            unit=_unit(catalogue),
            facts=msgspec.json.decode(found.row.context[0], type=dict[str, object]),
            offer=catalogue.offer(found.offer),
            label=catalogue.label(found.offer),
            served=self.served,
            n_offers=catalogue.n_offers,
            n_eligible=int(np.count_nonzero(found.eligible)),
            removals=removals,
            chance=chance,
            level=self.level,
            segment=segment,
            offers=compared.offers,
            lead=compared.lead,
            notes=(*self.again.notes, *notes, *compared.notes, *self._chance_notes(chance)),
        )

    def _removals(self) -> tuple[tuple[RuleRemoval, ...], tuple[str, ...]]:
        """Return the rules that held, and a note where the log's eligible set is another than they give."""
        found, catalogue = self.found, self.found.catalogue
        fired = catalogue.fired(found.contexts)
        rules = {rule.number: rule for rule in catalogue.rules}
        removals = []
        for each in catalogue.reasons(found.contexts, fired):
            when = rules[each.rule].when
            condition = "" if when is None else when.text
            n_offers = int(np.count_nonzero(each.mask()))
            removals.append(RuleRemoval(each.rule, each.reason, condition, n_offers, each.combinations))
        expected = catalogue.eligible(found.contexts, fired)[0]
        if np.array_equal(expected, found.eligible):
            return tuple(removals), ()
        if not expected.any():
            note = "The rules leave no offer for this customer, so the catalogue's fallback was the only one."
        elif self.served.kind == "imported":
            note = "The eligible offers are those of the imported log; the catalogue's rules alone give others."
        elif self.served.fault is not None:
            note = "The fallback is served even where a rule removes it."
        else:
            note = "The eligible offers in the log are others than the catalogue's rules give; `verify` says more."
        return tuple(removals), (note,)

    def _own(self) -> NamingPolicy | None:
        """Return the policy without a state that served, None where a policy that learns did."""
        policy = self.again.policy
        if self.served.kind in {"policy", "challenger"}:
            return policy if isinstance(policy, (SegmentRules, Uniform, ConstantOffer)) else None
        return own_policy(self.found, self.served.kind, self.again.state)

    def _segment(self, own: NamingPolicy | None) -> FiredSegment | None:
        return fired_segment(own, self.found) if isinstance(own, SegmentRules) else None

    def _compared(self, own: NamingPolicy | None) -> OffersCompared:
        policy = self.again.policy
        if own is not None or self.served.kind not in {"policy", "challenger"} or policy is None:
            return OffersCompared()
        if isinstance(policy, ThompsonSampling):
            reference = policy.posterior(reference_contexts(self.store, self.found)).encoded.matrix
            return compare_offers(self.found, self.again, policy, reference, self.level)
        return most_probable(self.found, self.again, policy)

    def _chance(self, own: NamingPolicy | None, compared: OffersCompared) -> ChanceOfChoice:
        found, again = self.found, self.again
        unknown = found.policy_id in self.store.catalogues.unknown_policies()
        propensity = None if unknown else float(found.row.propensity[0])
        chosen = again.probabilities_of(np.array([found.offer], dtype=np.int64))
        best = next((each for each in compared.offers if each.index == compared.best), None)
        is_best = None if compared.best is None else compared.best == found.offer
        best_probability = None if best is None else best.probability
        recomputed = None if chosen is None else float(chosen[0])
        if own is not None:
            named = named_offer(own, found)
            is_best = None if named is None or isinstance(own, Uniform) else named == found.offer
            if _follows_from_the_log(self.served):
                recomputed = self._own_probability(own, named)
        return ChanceOfChoice(
            propensity,
            is_best,
            best_probability,
            self._floor(own),
            recomputed,
            compared.n_possible,
        )

    def _own_probability(self, own: NamingPolicy, named: int | None) -> float:
        """Return the probability of the chosen offer by a policy without a state."""
        n = max(int(np.count_nonzero(self.found.eligible)), 1)
        if named is None:
            return 1.0 / n
        return own.exploration / n + (1.0 - own.exploration) * (named == self.found.offer)

    def _floor(self, own: NamingPolicy | None) -> float | None:
        """Return the part of a propensity that every eligible offer has; None where several arms are mixed."""
        if len(self.found.arms) and sum(each.weight > 0.0 for each in self.served.arms) != 1:
            return None
        n = max(int(np.count_nonzero(self.found.eligible)), 1)
        if own is not None:
            return (1.0 if named_offer(own, self.found) is None else own.exploration) / n
        if self.again.even_share is not None:
            return self.again.even_share
        policy = self.again.policy if self.served.kind in {"policy", "challenger"} else None
        share = floor_of(policy)
        return None if share is None else share / n

    def _chance_notes(self, chance: ChanceOfChoice) -> tuple[str, ...]:
        if chance.recomputed is None or chance.propensity is None:
            return ()
        if abs(chance.recomputed - chance.propensity) <= PROPENSITY_NOTE_FROM:
            return ()
        note = (
            f"Computed again on this machine the probability is {chance.recomputed:.6g}, and the log has "
            f"{chance.propensity:.6g}; `offer-bandit verify` checks the whole database."
        )
        return (note,)


def floor_of(policy: Policy | None) -> float | None:
    """Return the share of probability that a policy that learns spreads over all eligible offers, None if unknown."""
    share = getattr(policy, "floor", None)
    return float(share) if isinstance(share, float) else None


def _unit(catalogue: Catalogue) -> str:
    objective = catalogue.objective
    return f'probability of "{objective.event}"' if objective.kind == "conversion" else catalogue.currency


def customer_decisions(store: Store, customer: str, most: int = 10) -> CustomerDecisions:
    """Return the last decisions of a customer, the newest first; InputError where the database has none."""
    with store.one_state():
        seqs = store.decisions.of_customer(store.customers.stored(customer))
        if not len(seqs):
            raise InputError(
                f"{store.path}: there is no decision for this customer; check the name (as given to `decide`), or it "
                "was erased"
            )
        rows = store.decisions.by_seq(seqs[-most:], "", 0)
        arms = store.decision_arms.of(rows.seq)
        arm_of = dict(zip(arms.seq.tolist(), arms.arm.tolist(), strict=True))
        unknown = store.catalogues.unknown_policies()
        lines = []
        for place in range(len(rows) - 1, -1, -1):
            seq, policy_id = int(rows.seq[place]), int(rows.policy_id[place])
            served = "imported" if policy_id < 0 or policy_id in unknown else arm_of.get(seq, "policy")
            group = str(rows.group[place])
            catalogue = store.catalogues.get(int(rows.catalogue_id[place]))
            if served == "policy" and catalogue.groups is not None:
                served = group
            if rows.fault[place] is not None:
                served = "fallback, by a fault"
            lines.append(
                DecisionLine(
                    str(rows.decision_id[place]),
                    int(rows.time[place]),
                    catalogue.label(int(rows.offer[place])),
                    group,
                    str(served),
                    None if policy_id in unknown else float(rows.propensity[place]),
                    len(store.repeats.of_decision(seq)),
                )
            )
        return CustomerDecisions(len(seqs), tuple(lines))
