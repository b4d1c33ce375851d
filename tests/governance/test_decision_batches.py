"""Pages of decisions end where a batch ends."""

import numpy as np
import pytest

from bandit.governance.erasure import erase
from bandit.store import Where, whole_batches
from tests.engine.conftest import DAY, context

SIZES = (5, 1, 1, 3, 7, 2)


@pytest.fixture
def batches(open_engine, clock):
    """An engine's batches of SIZES, and the rows at which they begin."""
    engine = open_engine()
    for number, size in enumerate(SIZES):
        names = [f"c{row % 4}" for row in range(size)]
        engine.decide_batch(names, [context(row) for row in range(size)], decision_ids=ids(number, size))
    return engine


def ids(number, size):
    return [f"{number}-{row}" for row in range(size)]


def read(engine, limit, through=None):
    found = whole_batches(
        engine.store,
        "purchase",
        7 * DAY,
        through_seq=through or engine.store.decisions.last_seq(),
        limit=limit,
        where=Where(),
    )
    pages = []
    for columns, starts in found:
        ends = np.append(starts[1:], len(columns))
        pages.append([columns.decision_id[a:b].tolist() for a, b in zip(starts, ends, strict=True)])
    return pages


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 6, 7, 19, 100])
def test_every_batch_is_whole_whatever_the_length_of_a_page(batches, limit):
    pages = read(batches, limit)
    assert [each for page in pages for each in page] == [ids(number, size) for number, size in enumerate(SIZES)]
    assert all(pages)


def test_a_log_without_decisions_has_no_pages(open_engine):
    assert read(open_engine(), 10) == []


def test_decisions_that_have_lost_their_batch_are_batches_of_their_own(batches):
    """Customer c1 is erased: of the batches that had it, the others remain one by one."""
    erase(batches.store, "c1")
    assert [len(each) for page in read(batches, 4) for each in page] == [1] * 4 + [1, 1] + [1] * 2 + [1] * 5 + [1]
