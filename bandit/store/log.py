"""The decisions of a store as a `bandit.domain.Log`, in the numbers of one catalogue."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from bandit.domain import OutsideReason
from bandit.errors import StoreError
from bandit.printable import plain
from bandit.store.available_offers import AvailableOffers, Reason, most_first
from bandit.store.catalogue_translation import CatalogueTranslation
from bandit.store.paged_log import LogCounts, PagedLog
from bandit.store.records import Activation, Where

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bandit.catalogue import Catalogue
    from bandit.catalogue.objective import Objective
    from bandit.store.records import DecisionColumns
    from bandit.store.store import Store

_IMPORTED = "import"
"""The label of the policy of decisions that were imported with their propensities."""

_COUNTED_ROWS = 65_536
"""Decisions read at a time to be counted."""


class StoreLog(PagedLog):
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

    def policy_labels(self) -> dict[int, str]:
        """Return the label of each policy, by its number."""
        kinds = {row.id: f"{row.spec.get('kind', 'policy')} {row.id}" for row in self._store.catalogues.policies()}
        return kinds | {-1: _IMPORTED}

    def pages(self, size: int) -> Iterator[tuple[AvailableOffers, DecisionColumns]]:
        """Yield all decisions of the filter in order, whatever their offer, with what translates them."""
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
            yield self._offers, page

    @cached_property
    def counts(self) -> LogCounts:
        """The numbers of decisions; the whole log is counted once."""
        where = self.where
        catalogue_ids, offers, counts = self._store.decisions.tally(where, self.through)
        settled = total = int(counts.sum())
        if where.activation is not None:
            settled = total = self._total(replace(where, activation=None))
        if where.settled_before is not None:
            total = self._total(replace(where, activation=None, settled_before=None))
        if self._offers.depend_on_facts(catalogue_ids):
            outside = sum((offers.count(page) for offers, page in self.pages(_COUNTED_ROWS)), Counter[Reason]())
        else:
            outside = self._offers.count_all(catalogue_ids, offers, counts)
        left_out, every = outside.total(), int(counts.sum())
        reasons = tuple(OutsideReason(plain(words), n, known) for (words, known), n in most_first(outside))
        return LogCounts(every - left_out, left_out, total - settled, settled - every, reasons)

    def _total(self, where: Where) -> int:
        return int(self._store.decisions.tally(where, self.through)[2].sum())
