"""Files that are no store, or a spoiled one, are refused and left as they are."""

import sqlite3

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.errors import OfferBanditError, StoreError
from bandit.store import Store, StoreLog, schema
from tests.conftest import SPRING
from tests.store.rows import fill


def test_what_cannot_be_a_store_is_refused_in_one_sentence(path, tmp_path):
    with pytest.raises(StoreError, match="directory"):
        Store.open(tmp_path)
    with pytest.raises(StoreError, match="does not exist"):
        Store.open(tmp_path / "nowhere" / "offers.db")
    path.write_text("customer,offer\n1,2\n")
    with pytest.raises(StoreError, match="not a database"):
        Store.open(path)
    assert path.read_text() == "customer,offer\n1,2\n"


def test_a_database_of_another_application_is_left_alone(path):
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE theirs (x)")
    raw.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another application"):
        Store.open(path)
    assert path.read_bytes() == before


def test_a_newer_version_is_refused(path):
    fill(path)
    raw = sqlite3.connect(path)
    raw.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    raw.close()
    with pytest.raises(StoreError, match="install a newer"):
        Store.open(path)


def test_a_file_cut_short_is_refused(path):
    fill(path, ids=[f"d{i}" for i in range(500)])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(StoreError, match="cut short"):
        Store.open(path)


N = 10


def changed(content, place, value):
    """The content with other bytes from a place of the header on."""
    return content[:place] + value + content[place + len(value) :]


SPOILED = {
    "cut in half": (lambda sound: sound[: len(sound) // 2], "cut short"),
    "cut in its header": (lambda sound: sound[:50], "not a database|cut short|damaged"),
    "a text": (lambda _: b"customer,offer\n1,2\n", "not a database"),
    "another kind of file": (lambda _: b"PK\x03\x04" + bytes(5_000), "not a database"),
    "its first byte flipped": (lambda sound: changed(sound, 0, bytes([sound[0] ^ 1])), "not a database"),
    "a page size that is none": (lambda sound: changed(sound, 16, b"\x00\x03"), "not a database|damaged|cut short"),
    "of a newer version": (lambda sound: changed(sound, 60, bytes([0, 0, 0, schema.VERSION + 1])), "install a newer"),
    "of another application": (lambda sound: changed(sound, 68, b"\x00\x00\x00\x07"), "another application"),
    "a schema of noise": (lambda sound: sound[:100] + b"\xff" * 3_996 + sound[4_096:], "damaged|not a database"),
}


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("what", SPOILED)
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence_and_left_as_it_is(tmp_path, sound, what, read_only):
    spoil, words = SPOILED[what]
    path = tmp_path / "offers.db"
    path.write_bytes(spoil(sound))
    before = path.read_bytes()
    with pytest.raises(StoreError, match=words) as refused:
        Store.open(path, read_only=read_only)
    assert "\n" not in str(refused.value)
    assert path.read_bytes() == before
    # Who may only read cannot take away again the empty files that SQLite makes to read a write-ahead log.
    beside = {file.name: file.stat().st_size for file in tmp_path.iterdir() if file != path}
    assert beside.get("offers.db-wal", 0) == 0
    assert set(beside) <= ({"offers.db-wal", "offers.db-shm"} if read_only else set())


def read_all(path):
    """What evaluation and `verify` read; the problems that were found."""
    catalogue = Catalogue.from_dict(SPRING)
    with Store.open(path, read_only=True) as store:
        problems = store.check()
        store.counts()
        store.catalogues.policies()
        store.catalogues.latest()
        list(StoreLog(store, catalogue).batches())
    return problems


def test_a_flipped_bit_is_refused_found_or_harmless_and_reading_changes_nothing(tmp_path, sound):
    """150 flips, a third of them in the header; any other fault than the program's own fails the test."""
    rng, path = np.random.default_rng(20), tmp_path / "offers.db"
    seen = {"refused": 0, "found": 0, "not seen": 0}
    for turn in range(150):
        place = int(rng.integers(len(sound) if turn % 3 else 100))
        content = changed(sound, place, bytes([sound[place] ^ (1 << int(rng.integers(8)))]))
        path.write_bytes(content)
        try:
            seen["found" if read_all(path) else "not seen"] += 1
        except OfferBanditError:
            seen["refused"] += 1
        assert path.read_bytes() == content
        for beside in tmp_path.glob("offers.db-*"):
            beside.unlink()
    assert seen["refused"] > 20
    assert seen["found"] > 0


def test_a_sound_file_has_no_problems(tmp_path, sound):
    """The control of the flips."""
    path = tmp_path / "offers.db"
    path.write_bytes(sound)
    assert read_all(path) == []
