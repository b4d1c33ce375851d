"""The decisions of a database that an export writes, page by page in columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.clock import now
from bandit.domain import BoolArray, FloatArray, IntArray, LoggedBatch
from bandit.logfiles.mapping.layout import ExportLayout
from bandit.store import Activation, CatalogueTranslation, StoreLog, Where

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.store import Store
    from bandit.store.records import DecisionColumns

_PAGE_ROWS = 16_384
_MASK_CELLS = 32_000_000


@dataclass(frozen=True, slots=True, eq=False)
class ExportRows:
    """n decisions to write: as stored, and as a batch numbered by the catalogue.

    `sets` (n,) numbers the distinct eligible sets, whose (N,) masks are `masks`; `settled` (n,) marks the decisions
    whose outcome window is over or that are closed. `unknown_policies` are the policy ids that stand for a policy that
    is not known. `batch.eligible` has no columns.
    """

    stored: DecisionColumns
    batch: LoggedBatch
    unknown_policies: Sequence[int]
    sets: IntArray
    masks: Mapping[int, BoolArray]
    settled: BoolArray

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def revenue(self) -> FloatArray:
        """The net revenue of the decisions that converted, 0 for the others, (n,)."""
        return np.where(self.batch.converted, self.batch.revenue, 0.0)


class ExportedLog:
    """The decisions of a database to export, read in pages; memory does not grow with their number."""

    def __init__(self, store: Store, catalogue: Catalogue, *, include_open: bool = False) -> None:
        self.catalogue = catalogue
        self.weighted = store.decisions.weighted() > 0
        self.layout = ExportLayout.of(catalogue, weighted=self.weighted)
        self._store = store
        self._before = now() - catalogue.objective.window
        settled_before = None if include_open else self._before
        self._where = Where(settled_before=settled_before, activation=Activation.of(catalogue.objective))
        self._translation = CatalogueTranslation(store, catalogue)
        self._through = store.decisions.last_seq()
        log = StoreLog(store, catalogue, where=self._where)
        self.n, self.left_out, self.still_open = log.n, log.left_out, log.still_open
        self.activation, self.not_activated = log.activation, log.not_activated
        self.propensities_known = log.propensities_known
        self._version = catalogue.version

    def pages(self, *, masks_wanted: bool, probabilities: bool = False) -> Iterator[ExportRows]:
        """Yield the rows in the order in which they were logged; `masks_wanted` reads the eligible sets, too."""
        objective, after = self.catalogue.objective, 0
        masks: dict[int, BoolArray] = {}
        unknown_policies = self._store.catalogues.unknown_policies()
        while True:
            page = self._store.decisions.page(
                objective.event,
                objective.window,
                after_seq=after,
                through_seq=self._through,
                limit=_PAGE_ROWS,
                where=self._where,
                probabilities=probabilities,
            )
            if not len(page):
                return
            after = int(page.seq[-1])
            rows, batch = self._translation.decisions(page, masks=False)
            if not len(rows):
                continue
            kept = page if len(rows) == len(page) else page.take(rows)
            if len(masks) * self.catalogue.n_offers > _MASK_CELLS:
                masks.clear()
            if masks_wanted:
                self._add_masks(masks, kept)
            settled = kept.closed | (kept.time < self._before)
            yield ExportRows(kept, batch, unknown_policies, kept.eligible_set_id, masks, settled)

    def same_catalogue(self, rows: ExportRows) -> BoolArray:
        """Return which rows were decided under this version of the catalogue, (n,)."""
        ids, back = np.unique(rows.stored.catalogue_id, return_inverse=True)
        same = [self._store.catalogues.get(number).version == self._version for number in ids.tolist()]
        return np.array(same, dtype=np.bool_)[back.reshape(-1)]

    def _add_masks(self, masks: dict[int, BoolArray], rows: DecisionColumns) -> None:
        """Add the masks of the eligible sets that are new."""
        sets, first = np.unique(rows.eligible_set_id, return_index=True)
        new = np.array([number not in masks for number in sets.tolist()], dtype=np.bool_)
        if new.any():
            table = self._translation.offer_map.masks(rows.catalogue_id[first[new]], sets[new])
            masks.update(zip(sets[new].tolist(), table, strict=True))
