"""A deletion leaves the hashes of what it deleted, without the salts, and the chain whole."""

import sqlite3

import pytest

import bandit
from bandit.governance.erasure import erase
from bandit.governance.retention import retain
from bandit.store import ChainAnchor, Store
from bandit.store.chain.links import read_entries
from tests.conftest import SPRING
from tests.governance.conftest import KEY, WHO, explored_log
from tests.store.chain.conftest import change


@pytest.fixture(scope="module")
def learned_bytes(tmp_path_factory):
    """A database with decisions, events and a policy that learned from them."""
    path, catalogue = tmp_path_factory.mktemp("learned") / "a.db", bandit.Catalogue.from_dict(SPRING)
    explored_log(path, catalogue, bandit.ThompsonSampling(catalogue), rounds=2, n=60)
    return path.read_bytes()


@pytest.fixture
def learned(tmp_path, learned_bytes):
    """A copy of that database, opened."""
    (tmp_path / "a.db").write_bytes(learned_bytes)
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        yield store


def entries(path):
    raw = sqlite3.connect(path)
    found = [read_entries(blob) for (blob,) in raw.execute("SELECT entries FROM chain ORDER BY id")]
    raw.close()
    return found


def test_an_erasure_keeps_the_chain_whole_and_an_earlier_anchor_in_it(learned):
    """Every deleted row is counted, and the note says that a deletion came after the anchor."""
    anchor = learned.chain_head()
    erased = erase(learned, WHO)
    report = learned.check_chain(anchor)
    assert report.problems == ()
    assert report.anchored
    assert report.n_deleted >= erased.decisions + erased.events + 1
    assert report.notes[0].startswith("since the anchor, 1 deletion")


def test_an_erased_row_leaves_its_hash_and_no_salt(learned):
    """The hashes are those of before; where a row went, half of the salt is zero and half the number of the run."""
    before = entries(learned.path)
    erase(learned, WHO)
    after = entries(learned.path)
    marks = 0
    for (parts, salts, hashes), (new_parts, new_salts, new_hashes) in zip(before, after, strict=False):
        assert (new_parts, new_hashes) == (parts, hashes)
        for at in range(0, len(salts), 16):
            if salts[at : at + 16] != new_salts[at : at + 16]:
                assert new_salts[at : at + 16] == bytes(15) + b"\x01"
                marks += 1
    assert marks == learned.check_chain().n_deleted


def test_a_retention_run_keeps_the_chain_whole(learned):
    anchor, times = learned.chain_head(), learned.counts()
    retained = retain(learned, (times.first_time + times.last_time) // 2)
    assert retained.decisions > 0
    report = learned.check_chain(anchor)
    assert report.problems == ()
    assert report.anchored


def test_two_erasures_and_a_retention_run_are_told_apart(learned):
    erase(learned, WHO)
    erase(learned, "customer-1" if WHO != "customer-1" else "customer-2")
    times = learned.counts()
    retain(learned, (times.first_time + times.last_time) // 2)
    assert learned.check_chain().problems == ()


def test_a_row_that_others_mark_as_erased_is_named(learned):
    """Zeros in place of a salt are not enough: the recorded run names the places that it deleted by their digest."""
    erase(learned, WHO)
    path = learned.path
    number, blob = next(
        (number, blob)
        for number, (parts, salts, _) in enumerate(entries(path), start=1)
        if any(part[0] == 1 for part in parts) and any(salts[:8])
        for blob in [_blob(path, number)]
    )
    salts = read_entries(blob)[1]
    forged = blob.replace(salts[:16], bytes(15) + b"\x01", 1)
    learned.close()
    change(path, f"UPDATE chain SET entries = X'{forged.hex()}' WHERE id = {number}")  # noqa: S608 - digits
    with Store.open(path, read_only=True, unnamed_customers=True) as store:
        assert any("marked as deleted by maintenance run 1" in each for each in store.check_chain().problems)


def test_a_backup_has_the_chain_of_its_original(learned, tmp_path):
    erase(learned, WHO)
    anchor = ChainAnchor.parse(str(learned.chain_head()))
    learned.backup(tmp_path / "copy.db")
    with Store.open(tmp_path / "copy.db", read_only=True, unnamed_customers=True) as copy:
        report = copy.check_chain(anchor)
    assert report.problems == ()
    assert report.head == anchor
    assert learned.check_chain(anchor).problems == ()


def _blob(path, number):
    raw = sqlite3.connect(path)
    found = raw.execute("SELECT entries FROM chain WHERE id = ?", (number,)).fetchone()[0]
    raw.close()
    return found
