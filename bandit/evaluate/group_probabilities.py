"""With which probability every group would have given each logged offer, computed again from the log."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.eligibility import MASK_CACHE_BYTES
from bandit.decide import choose, generator_for
from bandit.domain import PooledPolicy, SparseProbabilities
from bandit.errors import PolicyError
from bandit.learning import StateWalk
from bandit.policies.group_policies import GroupPolicies
from bandit.store import CatalogueTranslation, whole_batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.random import Generator

    from bandit.domain import Contexts, FloatArray, IntArray, ObjectArray, Policy
    from bandit.store import DecisionColumns, Store, Where

PROBABILITY_PAGE = 4_096
"""Decisions read at once."""

ROUNDING = 0.05
"""Largest difference between a logged and a recomputed probability that another processor's rounding explains."""

_MOST_ROWS = 4_096
"""Most decisions of one state that a policy is asked for at once; fewer if there are many offers."""

_WALKS_KEPT = 4
"""Most policies whose states are kept although no decision of the page is theirs."""


@dataclass(frozen=True, slots=True, eq=False)
class ProbabilityPage:
    """n decisions in order, by `seq`, with their customers in stored form.

    `probabilities` (n, G) are those with which each group would have given the offer that was logged.
    """

    seq: IntArray
    customer: ObjectArray
    probabilities: FloatArray


class GroupProbabilities:
    """Reads the decisions of the groups `names` in order, and computes every group's probability of each logged offer.

    Every decision is computed under the catalogue version that it was made under. Rules, random and holdout depend on
    nothing that is learned. The policy is brought to the state that it had at the decision, and takes from the
    generator of the decision's batch what it took then; this is what the policy would have done for the same customer,
    with the history that the customer had, whichever group served. For the group that served, the logged propensity
    counts. A decision that was served the fallback because of a fault has the same probability in all groups, as where
    the database could not be written, which holds up all of them.

    `differing` counts decisions whose recomputed probability is not the logged propensity, `largest` is the largest
    difference seen. PolicyError or StoreError where a policy or a state cannot be had.
    """

    def __init__(self, store: Store, names: Sequence[str], where: Where, through_seq: int) -> None:
        """`where` must select whole batches; decisions without a fault must be such as can be computed again."""
        self._store = store
        self._names = tuple(names)
        self._codes = {name: code for code, name in enumerate(names)}
        self._where, self._through = where, through_seq
        self._policies: dict[int, _LoggedPolicy] = {}
        self.differing = 0
        self.largest = 0.0

    def pages(self, objective_event: str, window: int) -> Iterator[ProbabilityPage]:
        """Yield the decisions of the groups; those of other groups are left out."""
        for columns, starts in whole_batches(
            self._store,
            objective_event,
            window,
            through_seq=self._through,
            limit=PROBABILITY_PAGE,
            where=self._where,
        ):
            group = np.fromiter((self._codes.get(name, -1) for name in columns.group), np.int64, len(columns))
            probabilities = np.zeros((len(columns), len(self._names)))
            asked = (group >= 0) & np.array([fault is None for fault in columns.fault], dtype=np.bool_)
            present = np.unique(columns.policy_id[asked]).tolist()
            for policy_id in present:
                rows = np.flatnonzero((columns.policy_id == policy_id) & asked)
                probabilities[rows] = self._policy(policy_id).probabilities(columns, starts, rows, self._names)
            self._forget(present)
            self._compare(probabilities[asked, group[asked]], columns.propensity[asked])
            probabilities[asked, group[asked]] = columns.propensity[asked]
            probabilities[~asked] = columns.propensity[~asked, None]
            rows = np.flatnonzero(group >= 0)
            yield ProbabilityPage(columns.seq[rows], columns.customer[rows], probabilities[rows])

    def _compare(self, computed: FloatArray, logged: FloatArray) -> None:
        off = np.abs(computed - logged)
        self.differing += int((off > ROUNDING).sum())
        self.largest = max(self.largest, float(off.max(initial=0.0)))

    def _policy(self, policy_id: int) -> _LoggedPolicy:
        found = self._policies.pop(policy_id, None) or _LoggedPolicy(self._store, policy_id)
        self._policies[policy_id] = found  # at the end: the one used last
        return found

    def _forget(self, present: Sequence[int]) -> None:
        for policy_id in list(self._policies)[:-_WALKS_KEPT]:
            if policy_id not in present:
                del self._policies[policy_id]


class _LoggedPolicy:
    """One policy of a store, and what the groups of its catalogue would have been served."""

    def __init__(self, store: Store, policy_id: int) -> None:
        self._store, self._policy_id = store, policy_id
        self._catalogue = store.catalogues.get(store.catalogues.policy_spec(policy_id)[0])
        self._contexts = CatalogueTranslation(store, self._catalogue).contexts
        groups = GroupPolicies.of(self._catalogue)
        if groups is None:
            raise PolicyError(f"policy {policy_id} decided under a catalogue without groups")
        self._groups = groups

    @cached_property
    def _walk(self) -> StateWalk:
        """The states of the policy, which are needed only where a group that it serves is compared."""
        return StateWalk(self._store, self._policy_id)

    def probabilities(
        self, columns: DecisionColumns, starts: IntArray, rows: IntArray, names: Sequence[str]
    ) -> FloatArray:
        """Return the (n, G) probabilities of the offers of some rows."""
        offer = columns.offer[rows]
        contexts = self._contexts.read(columns.context[rows], columns.customer[rows])
        sets = self._store.eligible_sets.sets(columns.eligible_set_id[rows])
        found, learned = np.empty((len(rows), len(names))), None
        for code, name in enumerate(names):
            if not self._groups.asks_policy(name):
                found[:, code] = self._groups.probability_of(name, contexts, sets, offer)
                continue
            if learned is None:
                learned = self._by_state(_Batches(columns, starts, rows), contexts, offer)
            found[:, code] = learned
        return found

    def _by_state(self, batches: _Batches, contexts: Contexts, offer: IntArray) -> FloatArray:
        """Return the (n,) probabilities of the policy that learns, in the order of its states."""
        found = np.empty(len(offer))
        at_once = max(1, min(_MOST_ROWS, MASK_CACHE_BYTES // self._catalogue.n_offers))
        for step, batch, rows in batches.joined(self._walk.policy):
            policy = self._walk.move_to(step)
            for start in range(0, len(rows), at_once):
                part = rows[start : start + at_once]
                found[part] = self._asked(policy, contexts.take(part), offer[part], batches.generator(batch))
        return found

    def _asked(self, policy: Policy, contexts: Contexts, offer: IntArray, rng: Generator) -> FloatArray:
        choice = choose(policy, self._catalogue, contexts, rng)
        if choice.fault is not None:
            raise PolicyError(f"policy {self._policy_id}, asked again, fails: {choice.fault}")
        drawn_from = choice.drawn_from
        if isinstance(drawn_from, SparseProbabilities):
            return drawn_from.of(offer)
        return np.asarray(drawn_from[np.arange(len(offer)), offer])


class _Batches:
    """The batches in which some rows of a page lie; the decisions of a batch share one state and one generator."""

    def __init__(self, columns: DecisionColumns, starts: IntArray, rows: IntArray) -> None:
        self._columns = columns
        numbers, self._batch_of = np.unique(np.searchsorted(starts, rows, side="right") - 1, return_inverse=True)
        self._starts, self._ends = starts[numbers], np.append(starts[1:], len(columns))[numbers]

    def generator(self, batch: int) -> Generator:
        """Return a new generator of one of the batches."""
        start, end = self._starts[batch], self._ends[batch]
        return generator_for(str(self._columns.seed[start]), self._columns.decision_id[start:end].tolist())

    def joined(self, policy: Policy) -> Iterator[tuple[int, int, IntArray]]:
        """Yield (step, batch, rows) in order of step: rows for which the generator of that batch serves as their own.

        These are the rows of one batch or, where the policy takes no more from the generator than the number of a set
        of draws, those of all batches of one step that took the same number.
        """
        every = np.arange(len(self._starts), dtype=np.int64)
        if isinstance(policy, PooledPolicy):
            sets = policy.draw_sets
            every = np.array(
                [self.generator(batch).integers(sets) for batch in every.tolist()] if sets > 1 else every * 0
            )
        steps = self._columns.policy_step[self._starts]
        pairs, first, of_batch = np.unique(
            np.stack([steps, every], axis=1), axis=0, return_index=True, return_inverse=True
        )
        of_row = of_batch.ravel()[self._batch_of]
        order = np.argsort(of_row, kind="stable")
        bounds = np.searchsorted(of_row[order], np.arange(len(pairs) + 1))
        for place, step in enumerate(pairs[:, 0].tolist()):
            yield step, int(first[place]), order[bounds[place] : bounds[place + 1]]
