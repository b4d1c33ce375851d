"""Pages of stored decisions that end where a batch of decisions ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.store.records import DecisionColumns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bandit.domain import IntArray
    from bandit.store.records import Where
    from bandit.store.store import Store


def whole_batches(
    store: Store, objective_event: str, window: int, *, through_seq: int, limit: int, where: Where
) -> Iterator[tuple[DecisionColumns, IntArray]]:
    """Yield the decisions in order as pages of whole batches, each with the rows at which its batches begin.

    A page has about `limit` decisions. `where` must select whole batches, as by policy or catalogue. The decisions of
    a batch were made in one call and share one generator; a batch that lost its first decision to an erasure has no
    name any more, and each of its decisions is then a batch of its own.
    """
    carried: DecisionColumns | None = None
    after = 0
    while True:
        page = store.decisions.page(
            objective_event, window, after_seq=after, through_seq=through_seq, limit=limit, where=where
        )
        if not len(page):
            break
        after = int(page.seq[-1])
        # The last batch may continue on the next page, so it is carried over.
        columns = page if carried is None else _joined(carried, page)
        starts = _starts(columns)
        cut = int(starts[-1]) if len(page) == limit else len(columns)
        carried = columns.take(slice(cut, None)) if cut < len(columns) else None
        if cut:
            yield columns.take(slice(0, cut)), starts[starts < cut]
    if carried is not None:
        yield carried, _starts(carried)


def _starts(columns: DecisionColumns) -> IntArray:
    begins = columns.position == 0
    begins[0] = True
    begins[1:] |= columns.batch[1:] != columns.batch[:-1]
    begins |= np.array([seed is None for seed in columns.seed], dtype=np.bool_)
    return np.flatnonzero(begins).astype(np.int64)


def _joined(first: DecisionColumns, second: DecisionColumns) -> DecisionColumns:
    names = DecisionColumns.__dataclass_fields__
    return DecisionColumns(**{name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in names})
