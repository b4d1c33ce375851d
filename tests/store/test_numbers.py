"""No number of a customer, a decision or an event is given twice, whatever is deleted."""

import sqlite3

import pytest

from bandit.governance.erasure import erase
from bandit.store import Store
from bandit.store.numbers import noted_number
from tests.store.rows import decisions, events


def numbers(path):
    """The last number of each table."""
    raw = sqlite3.connect(path)
    found = [
        raw.execute(f"SELECT MAX({column}) FROM {table}").fetchone()[0]  # noqa: S608
        for table, column in (("customers", "id"), ("decisions", "seq"), ("events", "id"))
    ]
    raw.close()
    return found


@pytest.fixture
def erased(store, number, path):
    """A store that had three decisions and events, of customers 0 to 2, and has lost the last of each."""
    store.decision_writer.append(decisions(number, 10, ["a", "b", "c"]))
    store.events.append(events(["a", "b", "c"]))
    assert numbers(path) == [3, 3, 3]
    erase(store, "customer-2")
    assert numbers(path) == [2, 2, 2]
    return store


def write(store, number, ids):
    """Decisions of customers that are new, and an event of each."""
    customers = [f"new-{name}" for name in ids]
    seqs = store.decision_writer.append(decisions(number, 10, ids, customers=customers))
    store.events.append(events(ids))
    return seqs.tolist()


@pytest.mark.parametrize("n", [1, 2, 70])
def test_new_rows_get_numbers_above_those_of_deleted_ones(erased, number, path, n):
    """3, 3 and 3 are gone: the next n of each are 4 to n + 3; 70 are more than two statements take at once."""
    assert write(erased, number, [f"x{row}" for row in range(n)]) == list(range(4, n + 4))
    assert numbers(path) == [n + 3] * 3
    assert erased.check() == []
    assert erased.check_chain().problems == ()


def test_without_the_note_the_numbers_would_be_given_again_and_the_chain_says_so(erased, number, path):
    raw = sqlite3.connect(path)
    raw.execute("DELETE FROM meta WHERE name LIKE 'last number of %'")
    raw.commit()
    raw.close()
    assert "the counter of decisions is 2, and the last number that was given is 3" in erased.check_chain().problems
    assert write(erased, number, ["x"]) == [3]


def test_a_deletion_of_the_only_rows_leaves_their_numbers_noted(store, number, path):
    store.decision_writer.append(decisions(number, 10, ["a"]))
    erase(store, "customer-0")
    assert numbers(path) == [None, None, None]
    with Store.open(path, customer_key=b"a key for our tests") as again:
        assert write(again, number, ["b", "c"]) == [2, 3]
        assert write(again, number, ["d"]) == [4]


def test_a_later_deletion_raises_what_is_noted(erased, number, path):
    """4 is the last decision at the second deletion, and 5 the next one."""
    write(erased, number, ["x"])
    erase(erased, "new-x")
    raw = sqlite3.connect(path)
    assert [noted_number(raw, table) for table in ("customers", "decisions", "events")] == [4, 4, 4]
    raw.close()
    assert write(erased, number, ["y"]) == [5]


def test_a_repeated_decision_takes_no_number(erased, number):
    """x is 4; the same again is 4 still, alone and in a batch, and y is 5."""
    assert write(erased, number, ["x"]) == [4]
    same = decisions(number, 10, ["x"], customers=["new-x"])
    assert erased.decision_writer.append(same).tolist() == [4]
    both = decisions(number, 10, ["x", "y"], customers=["new-x", "new-y"])
    assert erased.decision_writer.append(both).tolist() == [4, 5]
