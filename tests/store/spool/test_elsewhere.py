"""The spools of other writers: what is in them is found while lines are withdrawn, and while files come and go."""

import os

import pytest

from bandit.store.spool import elsewhere, file
from bandit.store.spool.elsewhere import OtherSpools
from bandit.store.spool.file import Spool
from bandit.store.spool.records import spooled_decisions
from tests.store.rows import decisions


def line(*ids):
    rows = decisions(1, 10, ids)
    return spooled_decisions(rows, rows.customers, "")


@pytest.fixture
def others(path):
    return OtherSpools(path, lambda: None)


@pytest.fixture
def spool(path):
    made = Spool(path, sync=False)
    yield made
    made.remove()


def found(others, decision_id):
    hit = others.find(decision_id)
    return None if hit is None else hit[0].decision_ids[hit[1]]


def test_a_line_that_its_writer_withdraws_hides_none_of_those_written_in_its_place(spool, others, monkeypatch):
    """The longer line "withdrawn" has been read when it is cut off; "second" begins at its place, "third" within it."""
    spool.append(line("first"))
    names = file._names

    def interrupted(*arguments):
        assert found(others, "withdrawn-0") == "withdrawn-0"
        raise KeyboardInterrupt

    monkeypatch.setattr(file, "_names", interrupted)
    with pytest.raises(KeyboardInterrupt):
        spool.append(line(*(f"withdrawn-{row}" for row in range(40))))
    monkeypatch.setattr(file, "_names", names)
    spool.append(line("second"))
    spool.append(line("third"))
    assert [found(others, name) for name in ("first", "second", "third")] == ["first", "second", "third"]
    assert found(others, "withdrawn-0") is None


def test_of_two_lines_with_one_id_the_first_is_found_as_it_is_folded_first(spool, others):
    spool.append(line("a", "b"))
    spool.append(line("b", "c"))
    rows, row = others.find("b")
    assert (list(rows.decision_ids), row) == (["a", "b"], 1)


def test_what_goes_from_one_spool_to_another_during_a_search_is_found_there(path, spool, others, monkeypatch):
    """An engine takes over the spool of the file before: it writes each line to a new one, then removes the old one."""
    old = Spool(path, sync=False)
    old.append(line("taken-over"))
    assert len(others.paths()) == 1
    open_regular = elsewhere.open_regular

    def taken_over_before(*arguments):
        if len(old):
            spool.append(line("taken-over"))
            old.remove()
        return open_regular(*arguments)

    monkeypatch.setattr(elsewhere, "open_regular", taken_over_before)
    monkeypatch.setattr(elsewhere, "CLOCK_TICK", -(10**18))  # the folder's time alone would not say that it changed
    os.utime(path.parent, ns=(0, 0))
    assert found(others, "taken-over") == "taken-over"


def test_a_search_ends_where_spools_keep_vanishing(path, spool, others, monkeypatch):
    spool.append(line("a"))
    monkeypatch.setattr(elsewhere, "open_regular", lambda *_: (_ for _ in ()).throw(FileNotFoundError))
    assert others.find("a") is None
