"""Trajectory weights of a stored log: why they cannot be had, or the weights of each decision that is compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from bandit.errors import InputError
from bandit.evaluate.group_probabilities import GroupProbabilities
from bandit.ope.lift import TrajectoryWeights
from bandit.policies.group_policies import GroupPolicies
from bandit.printable import counted
from bandit.store import Where

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import FloatArray, IntArray
    from bandit.evaluate.lift_selection import LiftSelection
    from bandit.ope.clusters import ClusterIndex
    from bandit.store import DecisionColumns, Store

LiftWeights: TypeAlias = Literal["auto", "trajectory", "means"]
"""How groups are to be compared: by trajectory weights, by means, or by weights where they can be had ("auto")."""

LIFT_WEIGHTS: tuple[LiftWeights, ...] = ("auto", "trajectory", "means")
"""The choices of `LiftWeights`."""

MOST_FAULTS = 0.001
"""Largest share of decisions that were served the fallback because of a fault, with which there are still weights."""

_LOST = {
    "imported": "were imported",
    "batch": "belong to batches of which a part was deleted",
    "fault": "were served the fallback because of a fault",
    "arm": "were made while a roll-out shared the policy's customers with other arms",
    "state": "were made with states from before an erasure or a retention run",
}


@dataclass(frozen=True, slots=True)
class LiftWeighting:
    """By which way the verdicts were made, and why in words; `asked` is what was asked for.

    `largest_difference` is the largest distance between a logged propensity and the probability computed again, None
    where none was computed.
    """

    asked: LiftWeights
    way: Literal["trajectory", "means"]
    reason: str
    largest_difference: float | None = None

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


def obstacle(store: Store, catalogue: Catalogue, selection: LiftSelection) -> str | None:
    """Return in words why the selected decisions can have no trajectory weights; None where nothing shows that.

    Weights need the probability with which each group would have given every offer of a customer, from the first
    decision after the assignment on. So the assignment must be the catalogue's, each decision must be one that can be
    computed again, and all groups must teach the policy alike.
    """
    if catalogue.groups is None:
        return "the catalogue declares no groups, so what the groups would have been served is not known"
    versions = selection.where.catalogue_ids or ()
    for number in versions:
        silent = _silent(store.catalogues.get(number), selection.names)
        if silent is not None:
            return (
                f'the group "{silent}" does not teach the policy, so what the policy would have learned from the '
                "customers of this group is not known"
            )
    earlier = _dealt_by_the_same_salt(store, catalogue, versions)
    if earlier:
        return (
            f"{counted(earlier, 'decision', ('was', 'were'))} made with the same salt and other groups or shares, so a "
            "customer's history "
            "before the change betrays its group; deal anew by another salt"
        )
    lost = _lost(store, Where(catalogue_ids=versions, groups=selection.names))
    if lost:
        return f"of some decisions the probabilities cannot be computed again: {lost}"
    if _was_cut(store, versions):
        return "a retention run deleted the beginning of the customers' histories"
    return None


def _lost(store: Store, where: Where) -> str:
    """Return in words how many decisions cannot be computed again, empty where weights can do without them."""
    lost = store.decisions.not_computable(where)
    total = sum(store.decisions.decisions_by_group(where).values())
    if lost.get("fault", 0) <= MOST_FAULTS * total:
        lost.pop("fault", None)
    return ", ".join(f"{n:,} {_LOST[why]}" for why, n in lost.items())


class TrajectoryStream:
    """The trajectory weights of a selection's decisions, which are asked for in order of their numbers.

    Reads all decisions of the experiment's groups, also those that are not compared: still open, or from before
    `since`. They belong to the customers' histories.
    """

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        selection: LiftSelection,
        through_seq: int,
        customers: ClusterIndex,
    ) -> None:
        where = Where(catalogue_ids=selection.where.catalogue_ids)
        objective = catalogue.objective
        self.probabilities = GroupProbabilities(store, selection.names, where, through_seq)
        self._pages = self.probabilities.pages(objective.event, objective.window)
        self._customers = customers
        self._weights = TrajectoryWeights(list(selection.shares.values()))
        self._seq = np.empty(0, dtype=np.int64)
        self._read = np.empty((0, len(selection.names)))

    def of(self, columns: DecisionColumns) -> FloatArray:
        """Return the (n, G) weights of the next decisions.

        InputError where computed probabilities are not those logged; PolicyError or StoreError where a state cannot be
        had.
        """
        if not len(columns):
            return self._read[:0]
        seqs, weights = [self._seq], [self._read]
        last = int(self._seq[-1]) if len(self._seq) else 0
        while last < columns.seq[-1]:
            seq, read = self._next()
            seqs.append(seq)
            weights.append(read)
            last = int(seq[-1]) if len(seq) else last
        self._seq, self._read = np.concatenate(seqs), np.concatenate(weights)
        found = self._read[np.searchsorted(self._seq, columns.seq)]
        later = self._seq > columns.seq[-1]
        self._seq, self._read = self._seq[later], self._read[later]
        return found

    def _next(self) -> tuple[IntArray, FloatArray]:
        page = next(self._pages)
        off = self.probabilities.differing
        if off:
            raise InputError(
                f"{off:,} of the decisions up to number {int(page.seq[-1])} have another propensity than the policy of "
                "their group gives when it is asked again (`offer-bandit verify` says which)"
            )
        ids, _ = self._customers.read(page.customer, len(page.customer))
        if ids is None:
            return page.seq, self._read[:0]
        return page.seq, self._weights.read(ids, page.probabilities)


def _silent(catalogue: Catalogue, names: Sequence[str]) -> str | None:
    """Return a compared group that does not teach, where another one is served by what is learned."""
    policies = GroupPolicies.of(catalogue)
    if policies is None or not policies.asks_policy(names):
        return None
    return next((name for name in names if name in catalogue.silent_groups), None)


def _dealt_by_the_same_salt(store: Store, catalogue: Catalogue, versions: Sequence[int]) -> int:
    """Return the number of decisions under other groups or shares that the same salt dealt."""
    salt, others = catalogue.groups.salt if catalogue.groups is not None else None, []
    for row in store.catalogues.all():
        groups = store.catalogues.get(row.id).groups
        if row.id not in versions and groups is not None and groups.salt == salt:
            others.append(row.id)
    return sum(store.decisions.decisions_by_group(Where(catalogue_ids=tuple(others))).values()) if others else 0


def _was_cut(store: Store, versions: tuple[int, ...]) -> bool:
    """Return whether a retention run may have deleted decisions of these catalogue versions.

    It deletes the oldest decisions: where older ones of other versions are left, none of these were deleted.
    """
    if not any(run.kind == "retain" for run in store.journal()):
        return False
    firsts = [store.decisions.page("", 0, limit=1, where=where) for where in (Where(), Where(catalogue_ids=versions))]
    return bool((firsts[0].seq == firsts[1].seq).any())
