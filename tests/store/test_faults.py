import json
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bandit
from bandit.catalogue import Catalogue
from bandit.errors import InputError, OfferBanditError, StoreError
from bandit.store import Store, StoreLog, schema
from tests.conftest import SPRING
from tests.store.rows import decisions, events

N = 10
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The bytes of a store with 120 decisions."""
    path = tmp_path_factory.mktemp("sound") / "offers.db"
    with Store.open(path, durability="process") as store:
        number = store.catalogues.register(Catalogue.from_dict(SPRING))
        store.decision_writer.append(decisions(number, N, [f"d{row}" for row in range(120)]))
        store.events.append(events([f"d{row}" for row in range(0, 120, 3)], revenue=3.0))
        store.catalogues.register_policy(number, {"kind": "uniform"})
    return path.read_bytes()


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


def test_wherever_a_bit_is_flipped_it_is_refused_found_or_harmless_and_reading_changes_nothing(tmp_path, sound):
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


def test_a_full_disk_is_said_and_what_was_there_stays(tmp_path, sound):
    path = tmp_path / "offers.db"
    path.write_bytes(sound)
    with Store.open(path, durability="process") as store:
        store._connection.raw.execute("PRAGMA max_page_count = 1")  # SQLite takes the size that it has
        with pytest.raises(StoreError, match=r"disk is full.*nothing was written"):
            store.decision_writer.append(decisions(1, N, [f"e{row}" for row in range(500)]))
        assert store.counts().decisions == 120
        assert store.check() == []


_LIMITED = """
import resource, signal, sys
from bandit.errors import StoreError
from bandit.store import Store
from tests.store.rows import decisions
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store.open(sys.argv[1], durability="process")
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
for turn in range(100):
    try:
        store.decision_writer.append(decisions(1, 10, [f"{turn}-{row}" for row in range(200)]))
    except StoreError as fault:
        print(turn, fault)
        break
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="there are no limits of file sizes here")
def test_a_file_that_may_not_grow_is_said_and_all_that_was_acknowledged_is_there(tmp_path, sound):
    path = tmp_path / "offers.db"
    path.write_bytes(sound)
    run = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", _LIMITED, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    turn, _, sentence = run.stdout.strip().partition(" ")
    assert "look at the disk" in sentence or "disk is full" in sentence
    with Store.open(path) as store:
        assert store.counts().decisions == 120 + 200 * int(turn)
        assert store.check() == []


_NOBODY = """
import os, sys
from bandit.errors import StoreError
from bandit.store import Store
os.chdir(sys.argv[1])
if os.geteuid() == 0: os.setuid(65534)
for name in ("offers.db", "new.db"):
    try:
        Store.open(name)
    except StoreError as fault:
        print(fault)
"""


def test_a_directory_that_may_not_be_written_to_is_said(tmp_path, sound):
    folder = tmp_path / "closed"
    folder.mkdir()
    path = folder / "offers.db"
    path.write_bytes(sound)
    path.chmod(0o444)
    folder.chmod(0o555)
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(0o755)  # another user is to come to it
    run = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", _NOBODY, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    folder.chmod(0o755)
    assert run.returncode == 0, run.stderr
    opened, made = run.stdout.splitlines()
    assert "reading only" in opened or "cannot be opened" in opened
    assert "cannot be opened" in made or "cannot be read" in made
    assert path.read_bytes() == sound
    assert [file.name for file in folder.iterdir()] == ["offers.db"]


WITH_ZERO = {
    "decision id": {"decision_ids": ["a\0b"]},
    "customer": {"customers": ["a\0b"]},
    "context": {"contexts_json": ['{"gender":"\0"}']},
    "group": {"group": "a\0b"},
    "seed": {"seed": "a\0b"},
    "batch": {"batch": "a\0b"},
}


@pytest.mark.parametrize("what", WITH_ZERO)
def test_a_text_with_a_zero_character_is_refused(tmp_path, sound, what):
    path = tmp_path / "offers.db"
    path.write_bytes(sound)
    with Store.open(path) as store:
        with pytest.raises(InputError, match=f"the {what} .* has a zero character"):
            store.decision_writer.append(decisions(1, N, ["new"], **WITH_ZERO[what]))
        assert store.counts().decisions == 120


@pytest.mark.parametrize(
    ("what", "options"),
    [("event", {"event": "a\0b"}), ("event id", {"event_ids": ["a\0b"]}), ("event", {"event": ["a\0b"]})],
)
def test_an_event_with_a_zero_character_is_refused(tmp_path, sound, what, options):
    path = tmp_path / "offers.db"
    path.write_bytes(sound)
    with Store.open(path) as store, pytest.raises(InputError, match=f"the {what} .* has a zero character"):
        store.events.append(events(["d1"], **options))


def test_only_declared_context_is_stored(tmp_path):
    """With undeclared = "drop", what the catalogue does not declare never reaches the file."""
    catalogue = Catalogue.from_dict(SPRING | {"context": SPRING["context"] | {"undeclared": "drop"}})
    with bandit.Engine.open(tmp_path / "offers.db", catalogue, bandit.Uniform(catalogue), customer_key=b"k") as engine:
        engine.decide("c", {"gender": "f", "recency": 1.0, "loyal": True, "email": "anna@example.org"})
        text = engine.store.decisions.page("purchase", 1).context[0]
    assert set(json.loads(text)) == {"gender", "recency", "loyal"}
    assert b"anna@example.org" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_context_that_is_not_json_is_found(tmp_path, sound):
    path = tmp_path / "offers.db"
    path.write_bytes(sound)
    raw = sqlite3.connect(path)
    raw.execute("INSERT INTO meta VALUES ('erasing', '1')")
    raw.execute("UPDATE decisions SET context = '{' WHERE decision_id = 'd5'")
    raw.commit()
    raw.close()
    with Store.open(path) as store:
        assert any('"d5" has a context that is not JSON' in problem for problem in store.check())
        with pytest.raises(StoreError, match="a stored context"):
            list(StoreLog(store, Catalogue.from_dict(SPRING)).batches())
