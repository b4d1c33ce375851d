"""From the rows of a file to checked decisions: the one way by which an import and a log without a database read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import BoolArray, Contexts, DecisionLabels, FloatArray, IntArray, LoggedBatch, Progress
from bandit.errors import LogFileError
from bandit.logfiles.columns.eligibility import RowEligibility, eligibility_reader
from bandit.logfiles.columns.facts import FactReader
from bandit.logfiles.columns.group import GroupReader
from bandit.logfiles.columns.identity import IdentityReader
from bandit.logfiles.columns.offers import OfferReader, PropensityReader
from bandit.logfiles.columns.outcome_events import ReturnSigns
from bandit.logfiles.columns.outcomes import OutcomeEvents, OutcomeReader
from bandit.logfiles.columns.time import TimeReader
from bandit.logfiles.rejections import ChunkRejections, ImportReport, Rejections
from bandit.store.records import object_array

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.sources.source import Source, SourceChunk

LOG_POLICY = "log"
"""The label of the policy that wrote a log file."""


@dataclass(frozen=True, slots=True, eq=False)
class CheckedRows:
    """n rows of a file in checked columns; `ok` (n,) marks those that can be used.

    In the other rows what could not be read is missing: NaN, -1 for an offer. `contexts` has no customers. Customers
    and decision ids are None where no column has them and none were to be made. Unknown propensities are NaN.
    """

    ok: BoolArray
    decision_ids: Sequence[str] | None
    customers: Sequence[str] | None
    time: IntArray
    contexts: Contexts
    offer: IntArray
    propensity: FloatArray
    events: Sequence[OutcomeEvents]
    closed: BoolArray
    groups: Sequence[str]
    eligible: RowEligibility

    def __len__(self) -> int:
        return len(self.ok)


class RowReader:
    """Reads a source of rows by one mapping: checks each column and rejects the rows that cannot be used.

    The checks of a row have a fixed order, and the first that fails is the reason: number of fields, decision id,
    customer, time, facts, offer, propensity, outcomes, group, closed, eligible offers, an id that an earlier row has.
    """

    def __init__(self, catalogue: Catalogue, mapping: LogMapping, name: str, *, max_listed: int = 1_000) -> None:
        """Check the mapping against the catalogue; CatalogueError where it does not fit. `name` is for messages."""
        self._catalogue, self._name = catalogue, name
        self._identity = IdentityReader(mapping)
        self._time = TimeReader(mapping)
        self._facts = FactReader(catalogue, mapping)
        self._offers = OfferReader(catalogue, mapping)
        self._propensities = PropensityReader(catalogue, mapping)
        self._outcomes = OutcomeReader(mapping)
        self._signs = ReturnSigns(catalogue.events)
        self._eligibility = eligibility_reader(catalogue, mapping)
        self._group = GroupReader(mapping)
        readers = (
            self._identity,
            self._time,
            self._facts,
            self._offers,
            self._propensities,
            self._outcomes,
            self._eligibility,
            self._group,
        )
        self._columns = list(dict.fromkeys(name for reader in readers for name in reader.columns))
        needed = {name for reader in readers[1:] for name in reader.columns} | {self._identity.customer}
        self._columns_again = [name for name in self._columns if name in needed]
        self._rejections = Rejections(max(max_listed, 1))
        self._n_rows = 0

    def read(
        self, source: Source, size: int, progress: Progress | None = None, *, digest: str | None = None
    ) -> Iterator[CheckedRows]:
        """Yield all rows of a source in order, at most `size` at a time; to be called once.

        With `digest`, the name of the file's content, customers and decision ids that no column has are made.
        LogFileError where the source is malformed or has no rows.
        """
        for chunk in source.chunks(self._columns, size, progress):
            rejections = self._rejections.chunk(chunk.lines)
            for line, n_fields in chunk.misfits:
                message = f"it has {n_fields} fields where the header has {chunk.n_fields}"
                rejections.add(line, "wrong number of fields", message)
            self._n_rows += len(chunk) + len(chunk.misfits)
            customers, ids = self._identity.read(chunk, digest, rejections)
            rows = self._check(chunk, ids, customers, rejections)
            self._identity.reject_repeated(ids, rejections)
            rejections.close()
            yield rows
        if self._n_rows == 0:
            raise LogFileError(f"{self._name}: has no rows; give a log with at least one decision")

    def read_again(self, source: Source, size: int, kept: BoolArray) -> Iterator[LoggedBatch]:
        """Yield the decisions of a source that was read before, at most `size` at a time, never an empty batch.

        `kept` marks, of all rows that `read` yielded, those that are wanted: they must be rows that can be used.
        """
        for batch, _ in self.read_labelled(source, size, kept):
            yield batch

    def read_labelled(self, source: Source, size: int, kept: BoolArray) -> Iterator[tuple[LoggedBatch, DecisionLabels]]:
        """Yield what `read_again` yields, each batch with the groups of its decisions and one and the same policy."""
        rejections = Rejections(0)
        start = 0
        for chunk in source.chunks(self._columns_again, size, None):
            keep = kept[start : start + len(chunk)]
            start += len(chunk)
            if keep.any():
                known = rejections.chunk(chunk.lines)
                known.ok = keep.copy()
                rows = self._check(chunk, None, self._identity.customers(chunk), known)
                places = np.flatnonzero(keep)
                policy = np.full(len(places), LOG_POLICY, dtype=object)
                yield self._batch(rows, places), DecisionLabels(object_array(rows.groups)[places], policy)

    def report(self, n_repeated: int = 0) -> ImportReport:
        """Return the numbers of the rows read so far, of which `n_repeated` were in the log before."""
        rejections = self._rejections
        self._signs.warn(self._name)
        n_imported = self._n_rows - rejections.n - n_repeated
        by_reason = dict(rejections.by_reason.most_common())
        return ImportReport(self._n_rows, n_imported, n_repeated, rejections.n, tuple(rejections.listed), by_reason)

    def _check(
        self,
        chunk: SourceChunk,
        ids: Sequence[str] | None,
        customers: Sequence[str] | None,
        rejections: ChunkRejections,
    ) -> CheckedRows:
        """Return the rows of a chunk, having rejected those that cannot be used."""
        time = self._time.read(chunk, rejections)
        contexts = self._facts.read(chunk, rejections)
        offer = self._offers.read(chunk, rejections)
        propensity = self._propensities.read(chunk, offer, rejections)
        events = self._signs.apply(self._outcomes.read(chunk, rejections), rejections.ok)
        groups = self._group.groups(chunk, rejections)
        closed = self._group.closed(chunk, rejections)
        eligible = self._eligibility.read(chunk, contexts, offer, rejections)
        return CheckedRows(
            rejections.ok, ids, customers, time, contexts, offer, propensity, events, closed, groups, eligible
        )

    def _batch(self, rows: CheckedRows, kept: IntArray) -> LoggedBatch:
        """Return some rows that can be used as decisions with their outcomes, rewarded by the catalogue's objective."""
        contexts = rows.contexts.take(kept)
        if rows.customers is not None:
            contexts = replace(contexts, customers=object_array(rows.customers)[kept])
        offer, objective = rows.offer[kept], self._catalogue.objective
        converted, revenue, value = self._outcome(rows.events, kept)
        money = self._catalogue.money_of(offer)
        reward = objective.reward(money, np.arange(len(offer)), converted, revenue, value)
        masks = rows.eligible.mask(kept)
        if len(masks) == 1:
            masks = np.broadcast_to(masks[0], (len(kept), self._catalogue.n_offers))
        return LoggedBatch(contexts, offer, masks, rows.propensity[kept], converted, revenue, reward, rows.time[kept])

    def _outcome(self, events: Sequence[OutcomeEvents], kept: IntArray) -> tuple[BoolArray, FloatArray, FloatArray]:
        """Return whether each decision converted, its net revenue, and its reward as the log has it, (n,) each."""
        n, objective = len(kept), self._catalogue.objective
        happened, returned = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
        revenue, value = np.zeros(n), np.zeros(n)
        for event in events:
            here = event.happened[kept]
            if event.event == objective.event:
                happened |= here
            paid = np.where(here & np.isfinite(event.revenue[kept]), event.revenue[kept], 0.0)
            revenue += paid
            returned |= paid < 0.0
            value += np.where(here & np.isfinite(event.reward[kept]), event.reward[kept], 0.0)
        return objective.conversions(happened, returned, revenue), revenue, value
