"""What each declared group would have given in stored decisions: the probability of any offer with each option."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from bandit.decide import FEW_OFFERS, choose
from bandit.domain import SparseProbabilities
from bandit.errors import OfferBanditError
from bandit.learning import StateWalk
from bandit.policies.group_policies import GroupPolicies
from bandit.policies.uniform import Uniform
from bandit.store import CatalogueTranslation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.random import Generator

    from bandit.catalogue import Catalogue
    from bandit.decide import Choice
    from bandit.domain import Contexts, FloatArray, IntArray, Policy
    from bandit.store import DecisionColumns, PolicyRow, Store

MOST_PROBABILITIES = 1 << 22
"""Probabilities (decisions x offers) that are computed at once, 32 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class AskedOptions:
    """What a group would have given in n decisions: (n, O) probabilities of any offer with each option.

    `served` are those with which the group would have served the customer with the history that it has. `pooled` are
    those for a customer of the same facts without a history; they are the same where the policy looks at none.
    """

    served: FloatArray
    pooled: FloatArray


class OptionProbabilities:
    """Computes what groups would have given in stored decisions, by option.

    O counts the options of all dimensions of `catalogue`, in its order. Each decision is asked again as it was then:
    with its context, under its catalogue version, of the policy with the state that it had at the decision. Offers that
    `catalogue` does not have count for no option. `unknown` has the groups that cannot be asked, with the reason, and
    `personal` those whose policy looks at customers' own histories.
    """

    def __init__(self, store: Store, catalogue: Catalogue, groups: Sequence[str], rng: Generator) -> None:
        self._store, self._catalogue, self._rng = store, catalogue, rng
        self._sources: dict[int, _Source] = {}
        self._policies = {row.id: row for row in store.catalogues.policies()}
        declared = () if catalogue.groups is None else catalogue.groups.names
        self._groups = tuple(groups)
        self._arms = store.decision_arms.any()
        self.personal: set[str] = set()
        self.unknown = {
            name: f'the catalogue declares no group "{name}", so nobody knows what it would have given the others'
            for name in groups
            if name not in declared
        }

    def read(self, columns: DecisionColumns) -> tuple[AskedOptions | None, ...]:
        """Return what each group would have given, None for a group that cannot be asked."""
        found: list[AskedOptions | None] = []
        for name in self._groups:
            asked = None
            if name not in self.unknown:
                try:
                    asked = self._asked_options(name, columns)
                except OfferBanditError as fault:
                    self.unknown[name] = f"its choices cannot be computed again: {fault}"
            found.append(asked)
        return tuple(found)

    def weights(self, name: str, columns: DecisionColumns) -> FloatArray | None:
        """Return the (n,) weights of a group's own decisions that make them comparable with the control's.

        They are pooled probability / propensity of the offer where the policy looks at customers' histories, and 1
        elsewhere. None where all are 1, and for a group that cannot be asked.
        """
        if name in self.unknown:
            return None
        try:
            return self._pooled_weights(name, columns)
        except OfferBanditError as fault:
            self.unknown[name] = f"its choices cannot be computed again: {fault}"
            return None

    def _pooled_weights(self, name: str, columns: DecisionColumns) -> FloatArray | None:
        weights = None
        for source, rows in self._sources_of(name, columns):
            if not source.is_personal(name):
                continue
            weights = np.ones(len(columns)) if weights is None else weights
            own = columns.take(rows)
            for part, (choice,) in source.asked(name, own, self._rng, (True,)):
                weights[rows[part]] = _probability(choice, own.offer[part]) / own.propensity[part]
        return weights

    def _asked_options(self, name: str, columns: DecisionColumns) -> AskedOptions:
        n_options = sum(len(dimension.options) for dimension in self._catalogue.dimensions)
        served, pooled = (np.zeros((len(columns), n_options)) for _ in range(2))
        for source, rows in self._sources_of(name, columns):
            if source.is_personal(name):
                self.personal.add(name)
                for part, (choice, other) in source.asked(name, columns.take(rows), self._rng, (False, True)):
                    served[rows[part]], pooled[rows[part]] = source.by_option(choice), source.by_option(other)
            else:
                for part, (choice,) in source.asked(name, columns.take(rows), self._rng, (False,)):
                    served[rows[part]] = pooled[rows[part]] = source.by_option(choice)
        return AskedOptions(served, pooled)

    def _sources_of(self, name: str, columns: DecisionColumns) -> Iterator[tuple[_Source, IntArray]]:
        """Yield each policy with its rows; OfferBanditError where one cannot be asked."""
        if self._arms and len(self._store.decision_arms.of(columns.seq)):
            raise OfferBanditError(
                "some decisions were made under a roll-out, by rules, challengers or the fallback in place of the "
                "policy; measure from the time on at which the policy served all of its group (--since)"
            )
        for policy_id in np.unique(columns.policy_id).tolist():
            rows = np.flatnonzero(columns.policy_id == policy_id)
            if policy_id not in self._policies:
                raise OfferBanditError("some decisions were imported, and the policy that made them is not known")
            source = self._source(self._policies[policy_id])
            source.check(name, columns.policy_step[rows])
            yield source, rows

    def _source(self, row: PolicyRow) -> _Source:
        if row.id not in self._sources:
            self._sources[row.id] = _Source(self._store, self._catalogue, row)
        return self._sources[row.id]


_NO_STATES = (
    "a dataset does not have the states of the policies, so what the group would have given the others is not known; "
    "measure on the database that it was exported from"
)


class UnknownOptions:
    """Stands in the place of `OptionProbabilities` for a log without the states of its policies: nothing is known."""

    def __init__(self, groups: Sequence[str]) -> None:
        self.personal: frozenset[str] = frozenset()
        self.unknown = dict.fromkeys(groups, _NO_STATES)

    def read(self, columns: DecisionColumns) -> tuple[AskedOptions | None, ...]:  # noqa: ARG002 - as the other class
        """Return None for each group."""
        return (None,) * len(self.unknown)

    def weights(self, name: str, columns: DecisionColumns) -> FloatArray | None:  # noqa: ARG002 - as the other class
        """Return None: all weights are 1."""
        return None


class _Source:
    """One policy of the store, under its catalogue version, with the groups that were declared there."""

    def __init__(self, store: Store, catalogue: Catalogue, row: PolicyRow) -> None:
        self._store, self._row = store, row
        self._own = store.catalogues.get(row.catalogue_id)
        self._groups = GroupPolicies.of(self._own)
        self._contexts = CatalogueTranslation(store, self._own).contexts
        self._indicator = _indicator(store, row.catalogue_id, self._own.n_offers, catalogue)
        self._at_once = max(MOST_PROBABILITIES // self._own.n_offers, 1)
        self._walks: dict[tuple[bool, ...], StateWalk] = {}

    def is_personal(self, group: str) -> bool:
        """Say whether the group is served by a policy that looks at customers' own histories."""
        return self._asks_policy(group) and bool(self._row.spec.get("personal", False))

    def check(self, group: str, steps: IntArray) -> None:
        """Raise OfferBanditError if the group cannot be asked for decisions of these steps."""
        if self._asks_policy(group) and not self._row.has_state_of(steps).all():
            raise OfferBanditError("some decisions were made with states from before an erasure or a retention run")

    def asked(
        self, group: str, columns: DecisionColumns, rng: Generator, pooled: tuple[bool, ...]
    ) -> Iterator[tuple[IntArray, list[Choice]]]:
        """Yield rows and what was chosen from for them, once for each entry of `pooled`, in the order of states.

        Where `pooled` is true, customers are asked for without their histories.
        """
        learns = self._asks_policy(group)
        steps = columns.policy_step if learns else np.zeros(len(columns), dtype=np.int64)
        order = np.argsort(steps, kind="stable")
        cuts = np.flatnonzero(np.diff(steps[order])) + 1
        for same in np.split(order, cuts):
            # The control and the group itself are read by turns; each goes along the steps by a walk of its own.
            policy = self._walked(pooled).move_to(int(steps[same[0]])) if learns else self._stateless()
            asked = policy if self._groups is None else self._groups.routed(policy, group)
            for start in range(0, len(same), self._at_once):
                part = same[start : start + self._at_once]
                contexts = self._contexts.read(columns.context[part], columns.customer[part])
                anonymous = replace(contexts, customers=contexts.customers[:0])
                yield part, [self._choice(asked, anonymous if each else contexts, rng) for each in pooled]

    def _choice(self, policy: Policy, contexts: Contexts, rng: Generator) -> Choice:
        choice = choose(policy, self._own, contexts, rng)
        if choice.fault is not None:
            raise OfferBanditError(choice.fault)
        return choice

    def by_option(self, choice: Choice) -> FloatArray:
        """Return the (k, O) probabilities of any offer with each option."""
        given = choice.drawn_from
        if not isinstance(given, SparseProbabilities) or choice.sets is None:
            return np.asarray(choice.probabilities @ self._indicator)
        n, few = given.offers.shape
        listed = csr_array(
            (given.share.reshape(-1), given.offers.reshape(-1), np.arange(0, n * few + 1, few)),
            shape=(n, self._own.n_offers),
        )
        # The floor is spread evenly over the eligible offers: each option has the share of those that have it.
        counts = choice.sets.masks.astype(np.float64) @ self._indicator
        evenly = (given.floor / given.n_eligible)[:, None] * counts[choice.sets.which]
        return np.asarray((listed @ self._indicator).toarray() + evenly)

    def _asks_policy(self, group: str) -> bool:
        return self._groups is None or self._groups.asks_policy(group)

    def _walked(self, key: tuple[bool, ...]) -> StateWalk:
        if key not in self._walks:
            self._walks[key] = StateWalk(self._store, self._row.id)
        return self._walks[key]

    def _stateless(self) -> Policy:
        """Return a policy to route from, which is not asked itself; with many offers it must be able to be sparse."""
        return self._walked(()).policy if self._own.n_offers > FEW_OFFERS else Uniform(self._own)


def _probability(choice: Choice, offer: IntArray) -> FloatArray:
    """Return the (k,) probabilities of one offer a row."""
    given = choice.drawn_from
    if isinstance(given, SparseProbabilities):
        return given.of(offer)
    return np.asarray(given[np.arange(len(offer)), offer])


def _indicator(store: Store, catalogue_id: int, n_offers: int, catalogue: Catalogue) -> csr_array:
    """Return the sparse (N, O) table of which options of `catalogue` each offer of a stored catalogue has."""
    every = np.arange(n_offers)
    mapped = CatalogueTranslation(store, catalogue).offer_map.offers(np.full(n_offers, catalogue_id), every)
    known = np.flatnonzero(mapped >= 0)
    sizes = [len(dimension.options) for dimension in catalogue.dimensions]
    starts = np.cumsum([0, *sizes[:-1]])
    columns = catalogue.options[mapped[known]] + starts
    places = (np.repeat(known, len(sizes)), columns.reshape(-1))
    return csr_array((np.ones(columns.size), places), shape=(n_offers, sum(sizes)))
