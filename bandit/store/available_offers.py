"""Which stored decisions have an offer that a policy of one catalogue could choose, by its options and its rules."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bandit.catalogue.offer_costs import costs_of, joined_costs
from bandit.catalogue.unavailable import removed_by, why_unavailable
from bandit.domain import LoggedBatch
from bandit.store.catalogue_translation import stored_weights

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue, Option
    from bandit.catalogue.objective import Money
    from bandit.domain import BoolArray, Contexts, IntArray
    from bandit.store.catalogue_translation import CatalogueTranslation
    from bandit.store.records import DecisionColumns
    from bandit.store.translated import TranslatedLog

Reason: TypeAlias = tuple[str, bool]
"""Why the offer of a decision is not available, in words, and whether its costs are known."""


class AvailableOffers:
    """Splits stored decisions into those whose offer a policy of a catalogue could choose, and the others.

    Decisions under the version of the catalogue itself had its rules applied when they were made. To those under other
    versions its rules with a condition are applied here, on the facts as they were stored; to all where it has stopped
    options, since an import may have stored decisions with these under it.
    """

    def __init__(self, store: TranslatedLog, translation: CatalogueTranslation) -> None:
        self._store, self._translation = store, translation
        self._catalogue: Catalogue = translation.catalogue
        self._has_rules = any(rule.when is not None for rule in self._catalogue.rules)
        self._has_stopped = bool(self._catalogue.stopped.any())
        self._reads_facts = any(rule.when is not None for rule in self._catalogue.file.rules)

    def depend_on_facts(self, catalogue_ids: IntArray) -> bool:
        """Say whether it depends on the facts which of the decisions under these versions have available offers."""
        return self._reads_facts and bool(self._others(catalogue_ids).any())

    def decisions(self, page: DecisionColumns) -> tuple[IntArray, LoggedBatch]:
        """Return the rows of a page whose offer the catalogue has, and these decisions without eligible sets."""
        return self._translation.decisions(page, masks=False)

    def inside(self, page: DecisionColumns) -> tuple[IntArray, LoggedBatch]:
        """Return the rows of a page whose offer is available, and these decisions as a batch."""
        rows, batch = self._translation.decisions(page)
        others = self._others(page.catalogue_id[rows]) if self._has_rules else np.zeros(0, dtype=np.bool_)
        if not others.any():
            return rows, batch
        eligible = batch.eligible.copy()
        eligible[others] = self._judged(batch.contexts.take(others), eligible[others])
        kept = np.flatnonzero(eligible[np.arange(len(batch)), batch.offer])
        return rows[kept], replace(batch, eligible=eligible).take(kept)

    def outside(self, page: DecisionColumns) -> tuple[DecisionColumns, LoggedBatch]:
        """Return the other decisions of a page, as they are stored and as a batch, in which their offers are -1."""
        columns = self._outside(page)
        batch = self._without_offers(columns)
        logged = self._translation.offer_map.masks(columns.catalogue_id, columns.eligible_set_id)
        return columns, replace(batch, eligible=self._judged(batch.contexts, logged))

    def every(self, page: DecisionColumns) -> LoggedBatch:
        """Return all decisions of a page without eligible sets; offers that the catalogue does not have are -1."""
        rows, batch = self._translation.decisions(page, masks=False)
        if len(rows) == len(page):
            return batch
        others = np.setdiff1d(np.arange(len(page)), rows)
        order = np.argsort(np.concatenate([rows, others]))
        return LoggedBatch.concat([batch, self._without_offers(page.take(others))]).take(order)

    def _without_offers(self, columns: DecisionColumns) -> LoggedBatch:
        """Return some decisions with offer -1 and no eligible sets, rewarded by the costs of their own offers."""
        which, money = self._money(columns)
        return LoggedBatch(
            contexts=self._translation.contexts.read(columns.context, columns.customer),
            offer=np.full(len(columns), -1, dtype=np.int64),
            eligible=np.zeros((len(columns), 0), dtype=np.bool_),
            propensity=self._translation.propensity(columns),
            converted=columns.converted,
            revenue=columns.revenue,
            reward=self._translation.objective.reward(money, which, columns.converted, columns.revenue, columns.value),
            time=columns.time,
            weight=stored_weights(columns.weight),
            stages=self._translation.stages(columns),
        )

    def count(self, page: DecisionColumns) -> Counter[Reason]:
        """Return the numbers of decisions of a page whose offer is not available, by the reason."""
        columns = self._outside(page)
        if not len(columns):
            return Counter()
        mapped = self._translation.offer_map.offers(columns.catalogue_id, columns.offer)
        unknown = mapped < 0
        ones = np.ones(int(unknown.sum()), dtype=np.int64)
        counts = self.count_all(columns.catalogue_id[unknown], columns.offer[unknown], ones)
        removed, left = mapped[~unknown], np.ones(int((~unknown).sum()), dtype=np.bool_)
        contexts = self._translation.contexts.read(columns.context[~unknown], columns.customer[~unknown])
        for rule in self._catalogue.rules:
            if rule.when is not None and left.any():
                hit = left & rule.forbids[removed] & rule.when(contexts)
                counts[removed_by(self._catalogue, rule), True] += int(hit.sum())
                left &= ~hit
        return counts

    def count_all(self, catalogue_ids: IntArray, offers: IntArray, numbers: IntArray) -> Counter[Reason]:
        """Return the numbers of decisions whose offer is not available, by the reason, without a look at facts.

        There are `numbers` (n,) decisions under each version with each offer, (n,).
        """
        counts: Counter[Reason] = Counter()
        if not len(offers):
            return counts
        mapped = self._translation.offer_map.offers(catalogue_ids, offers)
        stopped = {rule.number: rule for rule in self._catalogue.rules if rule.number > len(self._catalogue.file.rules)}
        others = self._others(catalogue_ids)
        extensions = {row.id for row in self._store.catalogues.all() if row.extends is not None}
        for catalogue_id, offer, here, other, n in zip(
            catalogue_ids.tolist(), offers.tolist(), mapped.tolist(), others.tolist(), numbers.tolist(), strict=True
        ):
            if here < 0:
                older = self._store.catalogues.get(catalogue_id)
                why = why_unavailable(self._catalogue, older.offer(offer))
                counts[why.words, not (why.unknown and catalogue_id in extensions)] += n
            elif other and stopped and self._catalogue.stopped[here]:
                rule = next(rule for rule in stopped.values() if rule.forbids[here])
                counts[removed_by(self._catalogue, rule), True] += n
        return counts

    def _outside(self, page: DecisionColumns) -> DecisionColumns:
        """Return the decisions of a page whose offer is not available."""
        outside = np.ones(len(page), dtype=np.bool_)
        outside[self.inside(page)[0]] = False
        return page.take(outside)

    def _others(self, catalogue_ids: IntArray) -> BoolArray:
        """Return to which decisions the rules are to be applied here, (n,)."""
        if self._has_stopped:
            return np.ones(len(catalogue_ids), dtype=np.bool_)
        own = [
            number
            for number in np.unique(catalogue_ids).tolist()
            if self._store.catalogues.get(number).version == self._catalogue.version
        ]
        return ~np.isin(catalogue_ids, own)

    def _judged(self, contexts: Contexts, logged: BoolArray) -> BoolArray:
        """Return the masks of what was eligible then and passes the rules; where nothing does, of what the rules leave.

        Where they leave nothing it is the fallback, as the engine serves it, or without one what was eligible then.
        """
        allowed = self._catalogue.eligible(contexts) if self._has_rules else np.ones_like(logged)
        both = allowed & logged
        both |= allowed & _empty(both)
        if self._catalogue.fallback is not None:
            both[_empty(both)[:, 0], self._catalogue.fallback] = True
        both |= logged & _empty(both)
        return np.asarray(both | _empty(both))

    def _money(self, columns: DecisionColumns) -> tuple[IntArray, Money]:
        """Return the costs of the distinct offers of some decisions, and which of them each decision has, (n,)."""
        pairs, which = np.unique(np.stack([columns.catalogue_id, columns.offer]), axis=1, return_inverse=True)
        parts = []
        for number in np.unique(pairs[0]).tolist():
            older = self._store.catalogues.get(number)
            offers = pairs[1][pairs[0] == number]
            parts.append(costs_of(self._levers(older), older.options[offers], self._catalogue.file.objective.stacking))
        return which.reshape(-1), joined_costs(parts)

    def _levers(self, older: Catalogue) -> list[list[Option]]:
        """Return the options of an older version, those that the catalogue has with its costs."""
        known = {
            (dimension.name, option.name): option
            for dimension in self._catalogue.dimensions
            for option in dimension.options
        }
        return [
            [known.get((dimension.name, option.name), option) for option in dimension.options]
            for dimension in older.dimensions
        ]


def _empty(masks: BoolArray) -> BoolArray:
    """Return which rows of (n, N) masks have no offer, (n, 1)."""
    return np.asarray(~masks.any(axis=1, keepdims=True))


def most_first(counts: Counter[Reason]) -> list[tuple[Reason, int]]:
    """Return the reasons with their numbers, the most frequent first, those of the same number by their words."""
    return sorted(((reason, n) for reason, n in counts.items() if n), key=lambda each: (-each[1], each[0]))
