"""Refused lines of a customer are removed from the file beside the database."""

import pytest

from bandit.store import Store
from tests.store.rows import refused, two_customers

KEY = b"a key for tests"


def test_the_refused_lines_that_stay_are_in_a_file_at_every_moment(path, monkeypatch):
    """Ended while it writes the new file, the old one has all lines; before, it was emptied first."""
    two_customers(path, KEY)
    before = refused(path)
    monkeypatch.setattr("bandit.store.spool.scrub._write", lambda fd, content: (_ for _ in ()).throw(KeyboardInterrupt))
    with Store.open(path, customer_key=KEY) as store:
        with pytest.raises(KeyboardInterrupt):
            store.deletion.remove_refused(["of-anna"])
        assert refused(path) == before
        monkeypatch.undo()
        assert store.deletion.remove_refused(["of-anna"])
    assert refused(path) == before[1:]
