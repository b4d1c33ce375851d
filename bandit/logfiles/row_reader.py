"""From columns of text to logged batches, with the checks of the import and without a database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import BoolArray, FloatArray, LoggedBatch, ObjectArray
from bandit.logfiles.columns.eligibility import eligibility_reader
from bandit.logfiles.columns.fact_batches import FactBatches
from bandit.logfiles.columns.group import GroupReader
from bandit.logfiles.columns.identity import IdentityReader
from bandit.logfiles.columns.offers import OfferReader, PropensityReader
from bandit.logfiles.columns.outcomes import OutcomeColumns, OutcomeReader
from bandit.logfiles.import_log import TimeReader
from bandit.store.records import object_array

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.rejections import RowRejections
    from bandit.logfiles.sources.source import Chunk

_RETURNED = 1e-6


class BatchReader:
    """The readers of one mapping, and the way of a chunk of rows through them."""

    def __init__(self, catalogue: Catalogue, mapping: LogMapping) -> None:
        """Check the mapping against the catalogue; CatalogueError where it does not fit."""
        self._catalogue = catalogue
        self._identities = IdentityReader(mapping)
        self._times = TimeReader(mapping)
        self._facts = FactBatches(catalogue, mapping)
        self._offers = OfferReader(catalogue, mapping)
        self._propensities = PropensityReader(catalogue, mapping)
        self._outcomes = OutcomeReader(mapping)
        self._eligibility = eligibility_reader(catalogue, mapping, self._facts)
        self._standing = GroupReader(mapping)
        readers = (
            self._times,
            self._facts,
            self._offers,
            self._propensities,
            self._outcomes,
            self._eligibility,
            self._standing,
        )
        self._customer = mapping.file.columns.customer
        once = list(dict.fromkeys(name for reader in readers for name in reader.columns))
        self.columns = [*once, *([self._customer] if self._customer and self._customer not in once else [])]
        self.all_columns = list(dict.fromkeys([*self.columns, *self._identities.columns]))

    def check(self, chunk: Chunk, refused: RowRejections) -> tuple[LoggedBatch, BoolArray]:
        """Return the rows of a chunk and which of them are closed, having refused those that cannot be used.

        To be called once for each chunk of a file, in order: an id that an earlier chunk has is refused.
        """
        _, ids = self._identities.read(chunk, "row", refused)
        batch, closed = self.read(chunk, refused)
        self._identities.refuse_twice(ids, refused)
        refused.close()
        return batch, closed

    def read(self, chunk: Chunk, refused: RowRejections) -> tuple[LoggedBatch, BoolArray]:
        """Return the rows of a chunk, also those that cannot be used, and which of them are closed."""
        customers: ObjectArray | None = None
        if self._customer is not None:
            customers = object_array(list(chunk.columns[self._customer]))
        time = self._times.read(chunk, refused)
        contexts = self._facts.read(chunk, customers, refused)
        offer = self._offers.read(chunk, refused)
        propensity = self._propensities.read(chunk, offer, refused)
        outcomes = self._outcomes.read(chunk, refused)
        closed = self._standing.closed(chunk, refused)
        eligible = self._eligibility.read(chunk, offer, refused)
        offer = np.maximum(offer, 0)
        converted, revenue, value = self._came(outcomes, len(chunk))
        money = self._catalogue.money_of(offer)
        reward = self._catalogue.objective.reward(money, np.arange(len(offer)), converted, revenue, value)
        rows = np.flatnonzero(refused.ok)
        # Refused rows have no facts that rules could look at; they have the mask of another row, and are taken out.
        which = np.zeros(len(chunk), dtype=np.int64)
        which[rows] = np.arange(len(rows))
        masks = eligible.mask(rows)
        n_offers = self._catalogue.n_offers
        if not len(rows):
            masks = np.ones((1, n_offers), dtype=np.bool_)
        if len(masks) == 1:
            masks = np.broadcast_to(masks[0], (len(chunk), n_offers))
        elif len(rows) < len(chunk):
            masks = masks[which]
        return LoggedBatch(contexts, offer, masks, propensity, converted, revenue, reward, time), closed

    def _came(self, outcomes: Sequence[OutcomeColumns], n: int) -> tuple[BoolArray, FloatArray, FloatArray]:
        """Return whether each decision converted, its net revenue and its reward as the log has it, as the store does.

        A conversion all of whose revenue went back is none.
        """
        converted, back = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
        revenue, value = np.zeros(n), np.zeros(n)
        for outcome in outcomes:
            if outcome.event == self._catalogue.objective.event:
                converted |= outcome.happened
            paid = np.where(outcome.happened & np.isfinite(outcome.revenue), outcome.revenue, 0.0)
            revenue += paid
            back |= paid < 0.0
            value += np.where(outcome.happened & np.isfinite(outcome.reward), outcome.reward, 0.0)
        return converted & ~(back & (revenue <= _RETURNED)), revenue, value
