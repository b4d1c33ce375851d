"""The decisions of a store as a `bandit.domain.Log`, in the numbers of one catalogue."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import DecisionLabels, OutsideReason
from bandit.errors import StoreError
from bandit.printable import plain
from bandit.store.available_offers import AvailableOffers, Reason, most_first
from bandit.store.catalogue_translation import CatalogueTranslation
from bandit.store.records import Activation, Where, object_array

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bandit.catalogue import Catalogue
    from bandit.catalogue.objective import Objective
    from bandit.domain import IntArray, LoggedBatch
    from bandit.store.records import DecisionColumns
    from bandit.store.store import Store

_IMPORTED = "import"
"""The label of the policy of decisions that were imported with their propensities."""

_COUNTED_ROWS = 65_536
"""Decisions read at a time to be counted."""


@dataclass(frozen=True, slots=True)
class _Tally:
    """Numbers of decisions: with an offer that the catalogue has, with another, still open, and not activated."""

    n: int
    left_out: int
    still_open: int
    not_activated: int
    outside: tuple[OutsideReason, ...]


class StoreLog:
    """A `bandit.domain.Log` of the decisions that were in the store when it was opened.

    Offers and eligible sets of other catalogue versions are mapped by the names of their options, and what was eligible
    then is reduced to what the rules of `catalogue` leave; `left_out` counts the decisions whose offer it does not have
    or a rule of it removes. Decisions imported without propensities have the propensity NaN.
    `where` is its filter and `through` the number of its last decision.
    Where the objective has an `activation`, decisions without that event are left out: `not_activated` counts them.
    Memory and the cost of creation do not grow with the log: the first use of `n`, `left_out` or `still_open` counts
    the whole log once, for all three.
    """

    def __init__(
        self, store: Store, catalogue: Catalogue, objective: Objective | None = None, *, where: Where | None = None
    ) -> None:
        self._store = store
        self._translation = CatalogueTranslation(store, catalogue, objective, exact=False)
        self._offers = AvailableOffers(store, self._translation)
        activation = Activation.of(self._translation.objective)
        self.where = replace(Where() if where is None else where, activation=activation)
        self.through = store.decisions.last_seq()

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue whose numbers the offers have."""
        return self._translation.catalogue

    @property
    def n(self) -> int:
        """The number of decisions that `batches` yields."""
        return self._tally.n

    @property
    def left_out(self) -> int:
        """The number of decisions whose offer no policy of the catalogue can choose; `outside` yields them."""
        return self._tally.left_out

    @property
    def outside_reasons(self) -> tuple[OutsideReason, ...]:
        """Why no policy can choose the offers of the `left_out` decisions, with their numbers."""
        return self._tally.outside

    @property
    def still_open(self) -> int:
        """The number of decisions that `where.settled_before` leaves out."""
        return self._tally.still_open

    @cached_property
    def notices(self) -> tuple[str, ...]:
        """What was noticed when files were imported into the store, as sentences without a full stop."""
        return tuple(finding.sentence for finding in self._store.imports.findings())

    @property
    def dealt_anew(self) -> bool:
        """Whether the customers of the log are dealt to other groups than they were, since the key was rotated."""
        return self._store.customers.rotated

    @property
    def activation(self) -> str | None:
        """The event without which a decision is left out, None where none is."""
        return None if self.where.activation is None else self.where.activation.event

    @property
    def not_activated(self) -> int:
        """The number of decisions, not still open, that are left out since they were never activated."""
        return self._tally.not_activated

    @cached_property
    def propensities_known(self) -> bool:
        """Whether all decisions that `batches` yields have a propensity."""
        for policy_id in self._store.catalogues.unknown_policies():
            if self.where.policy_id in {None, policy_id}:
                ids, offers, _ = self._store.decisions.tally(replace(self.where, policy_id=policy_id), self.through)
                if (self._translation.offer_map.offers(ids, offers) >= 0).any():
                    return False
        return True

    @property
    def times_known(self) -> bool:
        """Whether the times of the decisions are known: true."""
        return True

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the decisions in order, in batches of at most `size`."""
        for _, batch in self._pages(size):
            yield batch

    def outside(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the `left_out` decisions in order, in batches of at most `size`; their offer is -1.

        Their costs are those of the options in the catalogue, and for options that it does not have those of the
        version under which they were decided.
        """
        for batch, _ in self.labelled_outside(size):
            yield batch

    def labelled_outside(self, size: int = 65_536) -> Iterator[tuple[LoggedBatch, DecisionLabels]]:
        """Yield what `outside` yields, labelled as `labelled` does."""
        if not self.left_out:
            return
        kinds = self._kinds()
        for page in self._all_pages(size):
            columns, batch = self._offers.outside(page)
            if len(batch):
                yield batch, decision_labels(columns, kinds)

    def labelled(self, size: int = 65_536) -> Iterator[tuple[LoggedBatch, DecisionLabels]]:
        """Yield the batches with the group of each customer, and the kind and number of each policy."""
        kinds = self._kinds()
        for page, batch in self._pages(size):
            yield batch, decision_labels(page, kinds)

    def _kinds(self) -> dict[int, str]:
        """Return the label of each policy, by its number."""
        kinds = {row.id: f"{row.spec.get('kind', 'policy')} {row.id}" for row in self._store.catalogues.policies()}
        return kinds | {-1: _IMPORTED}

    def _pages(self, size: int) -> Iterator[tuple[DecisionColumns, LoggedBatch]]:
        """Yield the batches, each with the columns that the store has of its decisions."""
        for page in self._all_pages(size):
            rows, batch = self._offers.inside(page)
            if len(batch):
                yield (page if len(rows) == len(page) else page.take(rows)), batch

    def _all_pages(self, size: int) -> Iterator[DecisionColumns]:
        """Yield all decisions of the filter, whatever their offer."""
        if size < 1:
            raise StoreError(f"a batch has at least one decision; seen size {size}")
        objective = self._translation.objective
        after = 0
        while True:
            page = self._store.decisions.page(
                objective.event,
                objective.window,
                after_seq=after,
                through_seq=self.through,
                limit=size,
                where=self.where,
            )
            if not len(page):
                return
            after = int(page.seq[-1])
            yield page

    def decisions(self, columns: DecisionColumns, *, masks: bool = True) -> tuple[IntArray, LoggedBatch]:
        """Return the rows whose offer the catalogue has, and these decisions as a batch.

        Without `masks` the eligible sets are not read, and the mask of the batch has no columns.
        """
        return self._translation.decisions(columns, masks=masks)

    def every(self, columns: DecisionColumns) -> LoggedBatch:
        """Return all of these decisions as a batch without eligible sets; offers that the catalogue lacks are -1."""
        return self._offers.every(columns)

    @cached_property
    def _tally(self) -> _Tally:
        where = self.where
        catalogue_ids, offers, counts = self._store.decisions.tally(where, self.through)
        settled = total = int(counts.sum())
        if where.activation is not None:
            settled = total = self._total(replace(where, activation=None))
        if where.settled_before is not None:
            total = self._total(replace(where, activation=None, settled_before=None))
        if self._offers.depend_on_facts(catalogue_ids):
            outside = sum(map(self._offers.count, self._all_pages(_COUNTED_ROWS)), Counter[Reason]())
        else:
            outside = self._offers.count_all(catalogue_ids, offers, counts)
        left_out, every = outside.total(), int(counts.sum())
        reasons = tuple(OutsideReason(plain(words), n, known) for (words, known), n in most_first(outside))
        return _Tally(every - left_out, left_out, total - settled, settled - every, reasons)

    def _total(self, where: Where) -> int:
        return int(self._store.decisions.tally(where, self.through)[2].sum())


def decision_labels(columns: DecisionColumns, kinds: Mapping[int, str]) -> DecisionLabels:
    """Return the groups and the policies of some decisions."""
    ids, which = np.unique(columns.policy_id, return_inverse=True)
    names = object_array([kinds.get(number, f"policy {number}") for number in ids.tolist()])
    return DecisionLabels(columns.group, names[which])
