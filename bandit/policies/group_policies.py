"""The policies that serve the groups of a catalogue, and the one policy that asks each row's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.random import Generator

from bandit.catalogue import Catalogue
from bandit.catalogue.groups import Groups
from bandit.catalogue.segments import IsEligible
from bandit.domain import (
    BoolArray,
    Contexts,
    EligibleSets,
    FloatArray,
    IntArray,
    Policy,
    SparsePolicy,
    SparseProbabilities,
)
from bandit.errors import PolicyError
from bandit.policies.constant import ConstantOffer
from bandit.policies.segment_rules import SegmentRules
from bandit.policies.stateless import Stateless
from bandit.policies.uniform import Uniform


class NamingPolicy(Policy, Protocol):
    """A policy that names at most one offer for each context, and spreads a share evenly over the eligible ones."""

    @property
    def exploration(self) -> float:
        """The share that is spread evenly where an offer is named; everything is, where none is."""
        ...

    def named(self, contexts: Contexts, is_eligible: IsEligible) -> IntArray:
        """Return the (n,) offers; -1 where none is named."""
        ...


class GroupPolicies:
    """The policies of a catalogue's groups, apart from the one that learns."""

    def __init__(
        self, catalogue: Catalogue, groups: Groups | None, others: Mapping[str, NamingPolicy] | None = None
    ) -> None:
        """Take the policies of declared groups, and `others` by the labels of their rows."""
        self._own: dict[str, NamingPolicy] = dict(others or {})
        if groups is None:
            return
        self._own["random"] = Uniform(catalogue)
        if groups.rules is not None:
            rules = msgspec.to_builtins(groups.rules)
            self._own["rules"] = SegmentRules.from_dict(catalogue, rules, where="[groups] rules")
        if groups.holdout is not None:
            self._own["holdout"] = ConstantOffer(catalogue, groups.holdout)

    @staticmethod
    def of(catalogue: Catalogue) -> GroupPolicies | None:
        """Return the policies of a catalogue's groups, None if it declares none."""
        return None if catalogue.groups is None else GroupPolicies(catalogue, catalogue.groups)

    def own(self, label: str) -> NamingPolicy | None:
        """Return a group's own policy; None for a group that is served by the policy that learns."""
        return self._own.get(label)

    def asks_policy(self, labels: str | Sequence[str]) -> bool:
        """Say whether some of these groups are served by the policy that learns."""
        return labels not in self._own if isinstance(labels, str) else any(label not in self._own for label in labels)

    def probability_of(self, label: str, contexts: Contexts, sets: EligibleSets, offer: IntArray) -> FloatArray:
        """Return the (n,) probabilities with which a group's own policy chooses these eligible offers.

        PolicyError for a group that is served by the policy that learns.
        """
        own = self._own.get(label)
        if own is None:
            raise PolicyError(f'the group "{label}" is served by the policy that learns, which is to be asked instead')
        return _named_shares(own, contexts, sets).of(offer)

    def routed(self, policy: Policy, labels: str | Sequence[str]) -> Policy:
        """Return the policy to ask for rows of these groups: one label for all rows, or one a row.

        It is `policy` itself where all rows are its own, so their probabilities and draws are those without groups.
        """
        distinct = [labels] if isinstance(labels, str) else list(dict.fromkeys(labels))
        if len(distinct) == 1:
            own = self._own.get(distinct[0])
            return policy if own is None else _RoutedPolicy(policy, [(own, None)])
        code = {label: place for place, label in enumerate(distinct)}
        codes = np.fromiter(map(code.__getitem__, labels), dtype=np.int64, count=len(labels))
        rows = {label: np.flatnonzero(codes == place) for label, place in code.items()}
        return _RoutedPolicy(policy, [(self._own.get(label), rows[label]) for label in distinct])


Part = tuple[NamingPolicy | None, IntArray | None]
"""A group's own policy (None: the policy that learns), and its rows (None: all)."""


class _RoutedPolicy(Stateless):
    """A policy for one batch of contexts: asks the policy of each row's group."""

    name = "groups"

    def __init__(self, policy: Policy, parts: Sequence[Part]) -> None:
        self._policy = policy
        self._parts = parts

    @property
    def sparse(self) -> bool:
        """Whether the policy that learns gives sparse probabilities with this catalogue; the others can."""
        return isinstance(self._policy, SparsePolicy) and self._policy.sparse

    def spec(self) -> dict[str, object]:
        """Return the kind; the groups are part of the catalogue."""
        return {"kind": "groups"}

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:
        """Return the (n, N) probabilities, each row's by the policy of its group."""
        joined = np.zeros(eligible.shape)
        for own, rows in self._parts:
            policy = own or self._policy
            if rows is None:
                return policy.probabilities(contexts, eligible, rng)
            given = policy.probabilities(contexts.take(rows), eligible[rows], rng)
            if given.shape != (len(rows), eligible.shape[1]):
                raise PolicyError(f"the policy gave probabilities of shape {given.shape} for {len(rows)} contexts")
            joined[rows] = given
        return joined

    def shares(
        self, contexts: Contexts, fired: BoolArray, eligible: EligibleSets, rng: Generator
    ) -> SparseProbabilities:
        """Return the sparse probabilities, each row's by the policy of its group."""
        every = np.arange(len(eligible))
        parts = []
        for own, rows in self._parts:
            place = every if rows is None else rows
            sets = EligibleSets(eligible.masks, eligible.counts, eligible.which[place])
            parts.append((place, self._shares_of(own, contexts.take(place), fired[place], sets, rng)))
        few = max(given.offers.shape[1] for _, given in parts)
        offers, share = np.zeros((len(every), few), dtype=np.int64), np.zeros((len(every), few))
        floor = np.zeros(len(every))
        for place, given in parts:
            width = given.offers.shape[1]
            offers[place, :width], share[place, :width], floor[place] = given.offers, given.share, given.floor
        return SparseProbabilities(offers, share, floor, eligible.n_eligible)

    def _shares_of(
        self, own: NamingPolicy | None, contexts: Contexts, fired: BoolArray, sets: EligibleSets, rng: Generator
    ) -> SparseProbabilities:
        if own is not None:
            return _named_shares(own, contexts, sets)
        if not isinstance(self._policy, SparsePolicy):
            raise PolicyError(f'the policy "{self._policy.name}" gives no sparse probabilities')
        given = self._policy.shares(contexts, fired, sets, rng)
        if given.offers.shape != given.share.shape or len(given.offers) != len(sets):
            raise PolicyError(f"the policy gave shares of shape {given.share.shape} for {len(sets)} contexts")
        return given


def _named_shares(own: NamingPolicy, contexts: Contexts, sets: EligibleSets) -> SparseProbabilities:
    named = own.named(contexts, lambda offer: sets.masks[:, offer][sets.which])
    floor = np.where(named < 0, 1.0, own.exploration)
    return SparseProbabilities(np.maximum(named, 0)[:, None], 1.0 - floor[:, None], floor, sets.n_eligible)
