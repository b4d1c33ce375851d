"""What a dataset is written from, page by page: the decisions and events of a database, or the rows of a log file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.context_json import contexts_json
from bandit.domain import IntArray, Progress
from bandit.logfiles.columns.conditional_rules import MASK_CELLS
from bandit.logfiles.dataset.tables import DatasetRows
from bandit.logfiles.mapping.mapping import CLOSED
from bandit.store import ContextDecoder, Where
from bandit.store.records import object_array
from bandit.store.tables.event_pages import EventPage

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import FloatArray, ObjectArray
    from bandit.logfiles.row_names import RowNames
    from bandit.logfiles.row_reader import CheckedRows, RowReader
    from bandit.logfiles.sources.source import Source
    from bandit.store import DecisionColumns, Store
    from bandit.store.customer_hash import CustomerHash

_PAGE_ROWS = 16_384
_MASKS = 4_096
"""Most masks that are kept for the next page."""


class StoredRows:
    """The decisions of a database with numbers from `after` to `through`, made at `since` or later, and their events.

    Facts are those of `catalogue`, read as the analysis of a log reads them.
    """

    def __init__(self, store: Store, catalogue: Catalogue, after: int, since: int) -> None:
        self._store, self._catalogue = store, catalogue
        self._after, self._since = after, since
        self.through, self.through_event = store.decisions.last_seq(), store.event_pages.last_id()
        self._decoder = ContextDecoder(catalogue, exact=False)
        self._masks: dict[int, bytes] = {}

    def pages(self, progress: Progress | None) -> Iterator[tuple[DatasetRows, EventPage]]:
        """Yield the new decisions in order, each page with the events on them."""
        after, where = self._after, Where(after_time=self._since)
        objective = self._catalogue.objective
        unknown = self._store.catalogues.unknown_policies()
        while True:
            page = self._store.decisions.page(
                objective.event,
                objective.window,
                after_seq=after,
                through_seq=self.through,
                limit=_PAGE_ROWS,
                where=where,
                outcomes=False,
            )
            if not len(page):
                return
            last = int(page.seq[-1])
            events = self._store.event_pages.of_decisions(after, last, self.through_event, self._since)
            after = last
            yield self._rows(page, unknown), events
            if progress is not None:
                progress(last - self._after, self.through - self._after)

    def late(self, after_event: int) -> Iterator[EventPage]:
        """Yield the events after a number on decisions that were written before."""
        return self._store.event_pages.new_of_known(after_event, self.through_event, self._after, self._since)

    def _rows(self, page: DecisionColumns, unknown: tuple[int, ...]) -> DatasetRows:
        if len(self._masks) > _MASKS:
            self._masks.clear()
        for number in set(page.eligible_set_id.tolist()) - self._masks.keys():
            self._masks[number] = np.packbits(self._store.eligible_sets.mask(number)).tobytes()
        no_propensity = np.isin(page.policy_id, unknown)
        return DatasetRows(
            row=page.seq,
            decision_id=page.decision_id,
            time=page.time,
            customer=page.customer,
            group=page.group,
            policy=page.policy_id,
            step=page.policy_step,
            catalogue=page.catalogue_id,
            offer=page.offer,
            propensity=np.where(no_propensity, np.nan, page.propensity),
            weight=page.weight,
            fault=page.fault,
            sets=page.eligible_set_id,
            masks=self._masks,
            contexts=self._decoder.read(page.context, page.customer),
        )


class FileRows:
    """The rows of a log file that can be used, as decisions under one catalogue version, numbered from 1."""

    def __init__(self, reader: RowReader, source: Source, catalogue: Catalogue, number: int) -> None:
        """Offers are numbered by `catalogue`, whose number in the dataset is `number`."""
        self._reader, self._source, self._catalogue, self._number = reader, source, catalogue, number
        self._decoder = ContextDecoder(catalogue, exact=False)
        self._written = self._n_events = 0

    @property
    def n(self) -> int:
        """The number of decisions so far."""
        return self._written

    @property
    def n_events(self) -> int:
        """The number of events so far."""
        return self._n_events

    def pages(
        self, names: RowNames, hashing: CustomerHash, recorded_at: int, progress: Progress | None
    ) -> Iterator[tuple[DatasetRows, EventPage]]:
        """Yield the rows in order with their events; customers are stored as `hashing` says.

        Yields nothing more once a row has an offer that no policy can choose: the rest is read to learn all of them.
        """
        size = min(_PAGE_ROWS, max(1, MASK_CELLS // self._catalogue.n_offers))
        for rows in self._reader.read(self._source, size, progress, names=names):
            if self._reader.outside.n:
                continue
            yield self._page(rows, hashing, recorded_at)

    def _page(self, rows: CheckedRows, hashing: CustomerHash, recorded_at: int) -> tuple[DatasetRows, EventPage]:
        kept = np.flatnonzero(rows.ok)
        n = len(kept)
        number = np.arange(self._written + 1, self._written + 1 + n, dtype=np.int64)
        self._written += n
        customers = object_array([hashing.of(each) for each in compress(rows.customers or [], rows.ok)])
        given = rows.contexts.take(kept)
        # By way of the stored form, so that a fact is kept as a database keeps it.
        contexts = self._decoder.read(object_array(contexts_json(self._catalogue.facts, given)), customers)
        mask = rows.eligible.mask(kept) if n else np.zeros((1, self._catalogue.n_offers), dtype=np.bool_)
        distinct, sets = np.unique(np.packbits(mask, axis=1), axis=0, return_inverse=True)
        sets = sets.reshape(-1) if len(mask) == n else np.zeros(n, dtype=np.int64)
        decisions = DatasetRows(
            row=number,
            decision_id=object_array(list(compress(rows.decision_ids or [], rows.ok))),
            time=rows.time[kept],
            customer=customers,
            group=object_array(list(compress(rows.groups, rows.ok))),
            policy=np.full(n, -1, dtype=np.int64),
            step=np.zeros(n, dtype=np.int64),
            catalogue=np.full(n, self._number, dtype=np.int64),
            offer=rows.offer[kept],
            propensity=rows.propensity[kept],
            weight=rows.weight[kept] if len(rows.weight) else np.ones(n),
            fault=np.full(n, None, dtype=object),
            sets=sets,
            masks={place: bits.tobytes() for place, bits in enumerate(distinct)},
            contexts=contexts,
        )
        return decisions, self._events(rows, kept, number, recorded_at)

    def _events(self, rows: CheckedRows, kept: IntArray, number: IntArray, recorded_at: int) -> EventPage:
        """Return the events of some rows, and one that closes each row that the log says is closed."""
        parts: list[tuple[IntArray, str, ObjectArray | None, IntArray, FloatArray, FloatArray]] = []
        for event in rows.events:
            here = np.flatnonzero(event.happened[kept])
            at = kept[here]
            time = rows.time if event.time is None else event.time
            ids = None if event.ids is None else event.ids[at]
            parts.append((here, event.event, ids, time[at], event.revenue[at], event.reward[at]))
        closed = np.flatnonzero(rows.closed[kept])
        none = np.full(len(closed), np.nan)
        parts.append((closed, CLOSED, None, rows.time[kept[closed]], none, none))
        place = np.concatenate([part[0] for part in parts])
        name = np.concatenate([np.full(len(part[0]), part[1], dtype=object) for part in parts])
        ids = np.concatenate([np.full(len(p[0]), p[1], dtype=object) if p[2] is None else p[2] for p in parts])
        order = np.argsort(place, kind="stable")
        first = self._n_events + 1
        self._n_events += len(place)
        place = place[order]
        return EventPage(
            id=np.arange(first, first + len(place), dtype=np.int64),
            seq=number[place],
            customer=np.full(len(place), None, dtype=object),
            event_id=ids[order],
            event=name[order],
            time=np.concatenate([part[3] for part in parts])[order],
            recorded_at=np.full(len(place), recorded_at, dtype=np.int64),
            revenue=np.concatenate([part[4] for part in parts])[order],
            reward=np.concatenate([part[5] for part in parts])[order],
            corrects=np.full(len(place), -1, dtype=np.int64),
        )
