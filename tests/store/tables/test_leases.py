"""Leases, by a clock of whole numbers."""


def test_a_lease_has_one_owner_until_it_runs_out(store):
    """Taken at 0 for 10: not free at 9, free at 10."""
    leases = store.leases
    assert leases.take("x", "one", 0, 10)
    assert not leases.take("x", "two", 9, 10)
    assert leases.take("y", "two", 9, 10)
    assert leases.take("x", "two", 10, 10)
    assert not leases.renew("x", "one", 11, 10)
    assert leases.get("x").owner == "two"
    assert leases.get("x").until == 20


def test_renewing_makes_it_longer_and_never_shorter(store):
    leases = store.leases
    assert leases.take("x", "one", 0, 10)
    assert leases.renew("x", "one", 8, 10)
    assert not leases.take("x", "two", 17, 10)
    assert leases.renew("x", "one", 2, 10)
    assert leases.get("x").until == 18


def test_a_lease_that_ran_out_is_still_ones_own_until_another_takes_it(store):
    leases = store.leases
    assert leases.take("x", "one", 0, 10)
    assert leases.renew("x", "one", 99, 10)
    assert leases.take("x", "one", 99, 10)


def test_only_the_owner_gives_it_back(store):
    leases = store.leases
    assert leases.take("x", "one", 0, 10)
    leases.release("x", "two")
    assert leases.get("x") is not None
    leases.release("x", "one")
    assert leases.get("x") is None
    assert leases.take("x", "two", 1, 10)


def test_a_lease_of_a_clock_that_was_wrong_does_not_last_for_ever(store):
    leases = store.leases
    assert leases.take("x", "from the future", 10**15, 10)
    assert leases.take("x", "one", 100, 10)
