"""From the rows of a file to checked decisions: the one way by which an import and a log without a database read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.objective import bounded_amounts
from bandit.domain import (
    BoolArray,
    Contexts,
    DecisionLabels,
    FloatArray,
    IntArray,
    LoggedBatch,
    ObjectArray,
    Progress,
)
from bandit.errors import LogFileError
from bandit.logfiles.columns.coded_text import CodedTexts, hashes_of
from bandit.logfiles.columns.eligibility import RowEligibility, eligibility_reader
from bandit.logfiles.columns.facts import FactReader
from bandit.logfiles.columns.group import GroupReader
from bandit.logfiles.columns.identity import IdentityReader
from bandit.logfiles.columns.offers import OfferReader, PropensityReader
from bandit.logfiles.columns.outcome_events import ReturnSigns
from bandit.logfiles.columns.outcomes import OutcomeEvents, OutcomeReader
from bandit.logfiles.columns.table_propensities import TablePropensities
from bandit.logfiles.columns.time import TimeReader
from bandit.logfiles.columns.weight import WeightReader
from bandit.logfiles.coverage import MappingCoverage
from bandit.logfiles.events.event_rows import EventRowsSource
from bandit.logfiles.known_rows import RowColumns
from bandit.logfiles.outside import OutsideOffers
from bandit.logfiles.rejections import ChunkRejections, ImportFinding, ImportReport, Rejections
from bandit.logfiles.selection import SelectionCheck
from bandit.store.records import object_array

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.logfiles.events.counts import EventRowCounts
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.row_digests import RowDigests
    from bandit.logfiles.row_names import RowNames
    from bandit.logfiles.sources.source import Source, SourceChunk

LOG_POLICY = "log"
"""The label of the policy that wrote a log file."""

ACCEPT_REFUSED = (
    "To use the log all the same put accept_refused = true above the tables of the mapping (for an import, "
    "--accept-refused does it)"
)
"""How a log is used although a finding refuses it."""


@dataclass(frozen=True, slots=True, eq=False)
class CheckedRows:
    """n rows of a file in checked columns; `ok` (n,) marks those that can be used.

    In the other rows what could not be read is missing: NaN, -1 for an offer. `contexts` has no customers. Customers
    and decision ids are None where no column has them and none were to be made. Unknown propensities are NaN. `weight`
    is how many decisions each stands for, empty where each stands for one. `outside` (n,) is the number, in
    `RowReader.outside`, of an offer that no policy of the catalogue can choose, -1 in the other rows; there `offer` is
    that of the catalogue where a rule removes it, else -1.
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
    weight: FloatArray
    outside: IntArray

    def __len__(self) -> int:
        return len(self.ok)


class RowReader:
    """Reads a source of rows by one mapping: checks each column and rejects the rows that cannot be used.

    The checks of a row have a fixed order, and the first that fails is the reason: number of fields, decision id,
    customer, time, facts, offer, propensity, weight, outcomes, group, closed, eligible offers, an id that an earlier
    row has.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        mapping: LogMapping,
        name: str,
        *,
        max_listed: int = 1_000,
        own_weights: bool = False,
    ) -> None:
        """Check the mapping against the catalogue; CatalogueError where it does not fit.

        `name` is for messages; `own_weights` says that the source has a weight of its own for each line.
        """
        self._catalogue, self._name = catalogue, name
        self._identity = IdentityReader(mapping)
        self._time = TimeReader(mapping)
        self._facts = FactReader(catalogue, mapping)
        self._offers = OfferReader(catalogue, mapping)
        self._propensities = PropensityReader(catalogue, mapping)
        self._table = None if mapping.file.table is None else TablePropensities(catalogue, mapping, mapping.file.table)
        self._weights = WeightReader(mapping, own=own_weights)
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
            *(() if self._table is None else (self._table,)),
            self._weights,
            self._outcomes,
            self._eligibility,
            self._group,
        )
        self._columns = list(dict.fromkeys(name for reader in readers for name in reader.columns))
        # A digest of few rows is kept, by which a value that is not to be kept could be guessed.
        told = [name for name in self._columns if name not in self._facts.private_columns]
        self.row_columns = RowColumns.of(mapping, told, self._outcomes.columns, self._offers.columns)
        needed = {name for reader in readers[1:] for name in reader.columns} | {self._identity.customer}
        self._columns_again = [name for name in self._columns if name in needed]
        self._selection = SelectionCheck(catalogue, mapping)
        self._rejections = Rejections(max(max_listed, 1))
        self._coverage = MappingCoverage(catalogue, mapping, name)
        self._accepts_refused = mapping.file.accept_refused
        self._n_rows = 0
        self._event_rows: EventRowCounts | None = None

    @property
    def outside(self) -> OutsideOffers:
        """The offers seen so far that no policy of the catalogue can choose."""
        return self._offers.outside

    def read(
        self,
        source: Source,
        size: int,
        progress: Progress | None = None,
        *,
        names: RowNames | None = None,
        digests: RowDigests | None = None,
    ) -> Iterator[CheckedRows]:
        """Yield all rows of a source in order, at most `size` at a time; to be called once.

        With `names`, customers and decision ids that no column has are made; `digests` gets all rows. LogFileError
        where the source is malformed, has no rows, or lacks what the mapping names in all of them.
        """
        for chunk in source.chunks(self._columns, size, progress):
            self._coverage.add(chunk)
            rejections = self._rejections.chunk(chunk.lines)
            for line, n_fields in chunk.misfits:
                message = f"it has {n_fields} fields where the header has {chunk.n_fields}"
                rejections.add(line, "wrong number of fields", message)
            self._n_rows += len(chunk) + len(chunk.misfits)
            if digests is not None:
                digests.add(chunk)
            customers, ids = self._identity.read(chunk, rejections)
            rows = self._check(chunk, ids, customers, rejections)
            if names is not None:
                customers, ids = self._identity.named(chunk, rows.time, (customers, ids), names)
                rows = replace(rows, customers=customers, decision_ids=ids)
            self._identity.reject_repeated(ids, rejections)
            rejections.close()
            self._coverage.add_outcomes(rows.events)
            self.outside.check_distinct(self._name)
            self.outside.count(rows.outside[rows.ok & (rows.outside >= 0)])
            self._selection.add(chunk, rows)
            yield rows
        if isinstance(source, EventRowsSource):
            self._event_rows = source.counts
        self._coverage.check(source)
        self.outside.check_share(self._name, self._n_rows - self._rejections.n)
        self._facts.refuse_undeclared(self._name)

    def read_again(self, source: Source, size: int, kept: BoolArray) -> Iterator[LoggedBatch]:
        """Yield the decisions of a source that was read before, at most `size` at a time, never an empty batch.

        `kept` marks, of all rows that `read` yielded, those that are wanted: they must be rows that can be used.
        """
        for batch, _ in self.read_labelled(source, size, kept):
            yield batch

    def read_labelled(self, source: Source, size: int, kept: BoolArray) -> Iterator[tuple[LoggedBatch, DecisionLabels]]:
        """Yield what `read_again` yields, each batch with the groups of its decisions and one and the same policy."""
        start = 0
        for chunk in source.chunks(self._columns_again, size, None):
            keep = kept[start : start + len(chunk)]
            start += len(chunk)
            read = self._labelled(chunk, keep) if keep.any() else None
            del chunk  # whoever reads the batch may need the memory
            if read is not None:
                yield read

    def _labelled(self, chunk: SourceChunk, keep: BoolArray) -> tuple[LoggedBatch, DecisionLabels]:
        """Return the rows of a chunk that are marked in `keep` (n,), which were read before."""
        known = Rejections(0).chunk(chunk.lines)
        known.ok = keep.copy()
        rows = self._check(chunk, None, self._identity.customers(chunk), known)
        places = np.flatnonzero(keep)
        policy = np.full(len(places), LOG_POLICY, dtype=object)
        return self._batch(rows, places), DecisionLabels(_objects(rows.groups, places), policy)

    @property
    def n_rows(self) -> int:
        """The number of rows read so far."""
        return self._n_rows

    def report(self, n_repeated: int = 0, findings: Sequence[ImportFinding] = ()) -> ImportReport:
        """Return the numbers of the rows read so far, of which `n_repeated` were in the log before.

        `findings` are those of the caller, which come first.
        """
        rejections = self._rejections
        self._signs.warn(self._name)
        n_imported = self._n_rows - rejections.n - n_repeated
        by_reason = dict(rejections.by_reason.most_common())
        return ImportReport(
            self._n_rows,
            n_imported,
            n_repeated,
            rejections.n,
            tuple(rejections.listed),
            by_reason,
            self._coverage.left_out,
            self._coverage.notices(),
            self.outside.reasons(),
            (*findings, *self._identity.findings(), *(self._selection.findings(by_reason) if rejections.n else ())),
            event_rows=self._event_rows,
            undeclared=self._facts.undeclared,
        )

    def reject_findings(self, report: ImportReport, *, accepted: bool = False) -> None:
        """LogFileError for the first finding that refuses the log, unless it is `accepted` here or by the mapping."""
        refusing = next((finding for finding in report.findings if finding.refuses), None)
        if refusing is not None and not (accepted or self._accepts_refused):
            raise LogFileError(f"{self._name}: {refusing.sentence}. {ACCEPT_REFUSED}")

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
        found = self._offers.read(chunk, rejections)
        offer, outside = found.offer, found.outside
        propensity = self._propensities.read(chunk, offer, rejections)
        if self._table is not None and customers is not None:
            propensity = self._table.read(chunk, customers, contexts, offer, propensity, rejections)
        weight = self._weights.read(chunk, rejections)
        events = self._signs.apply(self._outcomes.read(chunk, rejections), rejections.ok)
        groups = self._group.groups(chunk, rejections)
        closed = self._group.closed(chunk, rejections)
        eligible = self._eligibility.read(chunk, contexts, offer, rejections)
        self._number_removed(eligible.removed, offer, outside)
        return CheckedRows(
            rejections.ok,
            ids,
            customers,
            time,
            contexts,
            offer,
            propensity,
            events,
            closed,
            groups,
            eligible,
            weight,
            outside,
        )

    def _number_removed(self, removed: IntArray, offer: IntArray, outside: IntArray) -> None:
        """Number in `outside` the offers of the rows that rules with a condition remove."""
        rows = np.flatnonzero(removed)
        if not len(rows):
            return
        pairs, which = np.unique(np.stack([offer[rows], removed[rows]]), axis=1, return_inverse=True)
        rules = {rule.number: rule for rule in self._catalogue.rules}
        numbers = [self.outside.removed(one, rules[rule]) for one, rule in pairs.T.tolist()]
        outside[rows] = np.array(numbers, dtype=np.int64)[which.reshape(-1)]

    def _batch(self, rows: CheckedRows, kept: IntArray) -> LoggedBatch:
        """Return some rows that can be used as decisions with their outcomes, rewarded by the catalogue's objective.

        Either all rows have offers that a policy can choose, or none has; the offers of the latter are -1.
        """
        contexts = self._catalogue.kept(rows.contexts)
        contexts = contexts if len(kept) == len(rows) else contexts.take(kept)
        if rows.customers is not None:
            hashes = hashes_of(rows.customers)[kept]
            contexts = replace(contexts, customers=_objects(rows.customers, kept), customer_hashes=hashes)
        offer, objective = rows.offer[kept], self._catalogue.objective
        converted, revenue, value = self._outcome(rows.events, rows.time, kept)
        outside = rows.outside[kept]
        if len(outside) and outside[0] >= 0:
            offer = np.full(len(kept), -1, dtype=np.int64)
            reward = objective.reward(self.outside.money(), outside, converted, revenue, value)
        else:
            money = self._catalogue.money_of(offer)
            reward = objective.reward(money, np.arange(len(offer)), converted, revenue, value)
        masks = rows.eligible.judged(kept)
        if len(masks) == 1:
            masks = np.broadcast_to(masks[0], (len(kept), self._catalogue.n_offers))
        weight = rows.weight[kept] if len(rows.weight) else rows.weight
        return LoggedBatch(
            contexts,
            offer,
            masks,
            rows.propensity[kept],
            converted,
            revenue,
            reward,
            rows.time[kept],
            weight,
            self._stages(rows.events, rows.time, kept),
        )

    def _stages(self, events: Sequence[OutcomeEvents], time: IntArray, kept: IntArray) -> BoolArray:
        """Return which of the objective's stages each decision reached, (n, S), empty where the log lacks one."""
        objective = self._catalogue.objective
        if not set(objective.stages) <= self._outcomes.names:
            return np.empty((0, 0), dtype=np.bool_)
        found = np.zeros((len(kept), len(objective.stages)), dtype=np.bool_)
        for event in events:
            here = self._within_window(event, time, kept)
            if event.event == objective.event:
                found |= here[:, None]
            elif event.event in objective.stages:
                found[:, : objective.stages.index(event.event) + 1] |= here[:, None]
        return found

    def _within_window(self, event: OutcomeEvents, time: IntArray, kept: IntArray) -> BoolArray:
        here = event.happened[kept]
        return (
            here if event.time is None else here & (event.time[kept] <= time[kept] + self._catalogue.objective.window)
        )

    def _outcome(
        self, events: Sequence[OutcomeEvents], time: IntArray, kept: IntArray
    ) -> tuple[BoolArray, FloatArray, FloatArray]:
        """Return whether each decision converted, its net revenue, and its reward as the log has it, (n,) each."""
        n, objective = len(kept), self._catalogue.objective
        happened, returned = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
        revenue, value = np.zeros(n), np.zeros(n)
        for event in events:
            here = self._within_window(event, time, kept)
            if event.event == objective.event:
                happened |= here
            paid = np.where(here & np.isfinite(event.revenue[kept]), event.revenue[kept], 0.0)
            revenue += paid
            returned |= paid < 0.0
            value += np.where(here & np.isfinite(event.reward[kept]), event.reward[kept], 0.0)
        revenue, value = bounded_amounts(revenue), bounded_amounts(value)
        return objective.conversions(happened, returned, revenue), revenue, value


def _objects(texts: Sequence[str], rows: IntArray) -> ObjectArray:
    """Return the texts of some rows as an array of Python's own, (n,), each distinct one once where they are coded."""
    if isinstance(texts, CodedTexts):
        return object_array(texts.distinct)[texts.codes[rows]]
    every = object_array(list(texts))
    return every if len(rows) == len(every) else every[rows]
