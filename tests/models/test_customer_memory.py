import copy

import numpy as np
import pytest

from bandit.domain.customer_rows import CustomerRows, row_hash
from bandit.errors import PolicyError
from bandit.models import customer_memory
from bandit.models.customer_memory import CustomerMemory


class Stored:
    """Rows as a store has them after one snapshot, by name, and how often they were asked for."""

    def __init__(self, rows, saved):
        self.rows, self.saved, self.asked = rows, saved, []

    def read(self, customers, version):
        self.asked += customers
        at = [place for place, name in enumerate(self.rows.customers) if name in customers]
        rows = self.rows
        names = [rows.customers[place] for place in at]
        return CustomerRows(names, rows.number[at], rows.version[at], rows.epoch[at], rows.factors[at])

    def saved_version(self):
        return self.saved

    def all_rows(self, version):
        yield self.rows


@pytest.fixture
def bounds(monkeypatch):
    monkeypatch.setattr(customer_memory, "MOST_WHOLE", 3)
    monkeypatch.setattr(customer_memory, "KEPT_CUSTOMERS", 4)


def filled(names="abcdef", update=1):
    """A memory of customers a, b, ... whose row is (1, 1), (2, 2), ... in naturals and halves of that in precisions."""
    memory = CustomerMemory(2, by_key=True)
    memory.update = update
    places = memory.find_or_add(list(names))
    memory.touch(places)
    memory.natural[places] = np.arange(1, len(names) + 1)[:, None]
    memory.precision[places] = memory.natural[places] / 2
    memory.version = update
    return memory


def test_the_digest_is_the_sum_of_the_rows_hashes_in_any_order(bounds):
    """By hand: the hash of ("a", number 0, epoch 0, [1, 1, 1/2, 1/2]) and that of "b"; then "a" becomes 7 alone."""

    def by_hand(name, number, value):
        return row_hash(name, number, 0, np.array([value, value, value / 2, value / 2], dtype="<f4").tobytes())

    memory = filled("ab")
    assert memory.digest() == (by_hand("a", 0, 1.0) + by_hand("b", 1, 2.0)) % 2**128
    memory.touch_one(0)
    memory.natural[0], memory.precision[0] = 7.0, 3.5
    assert memory.digest() == (by_hand("a", 0, 7.0) + by_hand("b", 1, 2.0)) % 2**128
    assert memory.digest() == memory.all_rows().digest()


def test_noted_steps_of_decay_give_the_bits_of_those_that_are_taken_at_once(bounds, monkeypatch):
    """Rows of six customers, decayed three times, one of them changed between: by notes, and by every row each time."""
    noted, shares = filled(), (0.97, 0.961, 0.93)
    monkeypatch.setattr(customer_memory, "MOST_WHOLE", 100)
    taken = filled()
    for number, share in enumerate(shares):
        for memory, most in ((noted, 3), (taken, 100)):
            monkeypatch.setattr(customer_memory, "MOST_WHOLE", most)
            memory.decay(share)
            if number == 1:
                memory.touch_one(2)
                memory.natural[2] += np.float32(0.1)
    places = np.arange(6)
    for one, other in zip(noted.rows(places), taken.rows(places), strict=True):
        assert one.tobytes() == other.tobytes()
    assert noted.decayed_rows().factors.tobytes() == taken.all_rows().factors.tobytes()
    assert noted.natural[0, 0] == 1.0  # not changed, so not decayed yet


def test_rows_that_are_stored_are_dropped_and_read_again(bounds):
    """Six customers, stored after update 1; "f" changes in update 2. Asking for a seventh drops all but "f" and what is
    asked for; asking for "a" reads it. What changed stays, and the digest is that of all six."""
    memory = filled()
    source = memory.source = Stored(memory.all_rows(), 1)
    expected = memory.digest()
    memory.update = memory.version = 2
    memory.touch_one(5)
    memory.natural[5] = 60.0
    memory.n += 1  # one more that is known and not in memory
    assert memory.find(["b", "nobody"]).tolist() == [0, -1]
    assert sorted(memory.places) == ["b", "f"]
    memory.n -= 1
    assert memory.rows(memory.find(["a"]))[0].tolist() == [[1.0, 1.0]]
    assert memory.rows(memory.find(["f"]))[0].tolist() == [[60.0, 60.0]]
    assert source.asked == ["nobody", "a"]
    memory.natural[memory.find(["f"])] = 6.0
    assert memory.digest() == expected


def test_what_is_stored_by_a_newer_state_is_not_taken_for_ones_own(bounds):
    memory = filled()
    memory.source = Stored(memory.all_rows(), 5)  # another process has stored update 5; this one is at 1
    memory.drop_stored()
    assert len(memory.places) == 6


def test_a_copy_changes_no_more_with_the_original(bounds):
    memory = filled()
    other = copy.deepcopy(memory)
    memory.touch_one(0)
    memory.natural[0] = 9.0
    memory.find_or_add(["g"])
    assert (other.n, other.natural[0, 0]) == (6, 1.0)
    assert other.digest() != memory.digest()


def test_without_a_source_unknown_customers_are_named_as_what_they_are(bounds):
    memory = CustomerMemory(2, by_key=True)
    memory.restore_keyed(10, 123, np.zeros(0, dtype=np.float32))
    with pytest.raises(PolicyError, match="in the database that it is from"):
        memory.find(["a"])
    with pytest.raises(PolicyError, match="in the database that it is from"):
        memory.all_rows()
