"""With a customer key set, no error, warning, note or problem names a customer."""

import hashlib
import json
import sqlite3
import warnings
from contextlib import closing

import numpy as np
import pytest

import bandit
from bandit.cli import main
from bandit.decide import with_fallback
from bandit.governance.verify import verify
from bandit.logfiles.row_names import ContentNames
from bandit.logfiles.sources.source import SourceChunk
from bandit.store import Store
from bandit.store.tables.customers import Customers
from tests.conftest import SPRING

KEY = b"a key for our tests"
MARKER = "ada.lovelace@example.org"
FACTS = {"gender": "f", "recency": 1.0, "loyal": True}
ROWS = ("--fact", "gender=f", "--fact", "recency=1", "--fact", "loyal=true")
STRICT = SPRING | {
    "rules": [{"when": "loyal", "forbid": {"channel": ["email", "sms"]}, "reason": "none for the loyal"}]
}
STRICT = {name: value for name, value in STRICT.items() if name != "fallback"}

CATALOGUE = """
name = "shop"
[objective]
kind = "conversion"
event = "purchase"
window = "7d"
[context.age]
type = "numeric"
min = 0
max = 120
outside = "refuse"
[[dimensions]]
name = "gift"
options = [{name = "none"}, {name = "tote"}]
"""
MAPPING = """
[columns]
customer = "who"
decision_id = "id"
time = "time"
propensity = "p"
[context]
age = "age"
[offer]
gift = { column = "gift" }
[[outcomes]]
event = "purchase"
when = "bought"
"""


class Fails:
    """A policy whose fault quotes the customers that it was given."""

    def __init__(self, catalogue):
        self._uniform = bandit.Uniform(catalogue)

    def __getattr__(self, name):
        return getattr(self._uniform, name)

    def probabilities(self, contexts, eligible, rng):
        raise ValueError(f"cannot decide for {contexts.customers.tolist()}")


@pytest.fixture
def said():
    """What was said so far: texts of errors with their causes, and warnings."""
    texts = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield texts
    texts += [str(each.message) for each in caught]
    assert texts
    assert [text for text in texts if "lovelace" in text] == []


def note_errors(said, call, *arguments, **options):
    with pytest.raises(bandit.OfferBanditError) as caught:
        call(*arguments, **options)
    fault = caught.value
    while fault is not None:  # as a traceback shows it
        said.append(f"{type(fault).__name__}: {fault}")
        fault = fault.__cause__ if fault.__suppress_context__ else fault.__cause__ or fault.__context__


def test_errors_of_an_engine_name_no_customer(tmp_path, catalogue, said):
    path = tmp_path / "offers.db"
    with bandit.Engine.open(path, catalogue, bandit.Uniform(catalogue), customer_key=KEY) as engine:
        for customer in (f"{MARKER}\ud800", f"{MARKER}\0", MARKER * 1_000, {MARKER}, [MARKER], MARKER.encode()):
            note_errors(said, engine.decide, customer, FACTS)
            note_errors(said, engine.decide_batch, [customer, "b"], [FACTS, FACTS])
            if "\0" not in str(customer):
                note_errors(said, engine.group_of, customer)
        note_errors(said, engine.decide_batch, MARKER, [FACTS])
        note_errors(said, engine.decide_batch, [MARKER], [FACTS, FACTS])
        note_errors(said, engine.decide, MARKER, FACTS | {"recency": "much"})
        note_errors(said, engine.decide, MARKER, FACTS | {"surname": "L"})
        note_errors(said, engine.decide, MARKER, FACTS, time="soon")
        note_errors(said, engine.decide, MARKER, FACTS, group=4.2)
        note_errors(said, engine.decide, MARKER, FACTS, decision_id="")
        engine.decide(MARKER, FACTS, decision_id="d1")
        note_errors(said, engine.decide, MARKER, FACTS | {"recency": 2.0}, decision_id="d1")
        note_errors(said, engine.decide, "another", FACTS, decision_id="d1")
        note_errors(said, engine.explain, "no such decision")
    note_errors(said, engine.decide, MARKER, FACTS)
    note_errors(said, Store.open, path, customer_key=b"another key for our tests")


def test_no_eligible_offer_names_no_customer(tmp_path, said):
    strict = bandit.Catalogue.from_dict(STRICT)
    contexts = strict.contexts([FACTS], [MARKER])
    note_errors(said, with_fallback, strict, strict.eligible(contexts), contexts)
    with bandit.Engine.open(tmp_path / "o.db", strict, bandit.Uniform(strict), customer_key=KEY) as engine:
        note_errors(said, engine.decide, MARKER, FACTS)
        note_errors(said, engine.decide_batch, [MARKER, "b"], [FACTS, FACTS])


def test_the_fault_of_a_policy_is_logged_with_the_stored_form_alone(tmp_path, catalogue, said):
    path = tmp_path / "offers.db"
    with bandit.Engine.open(path, catalogue, Fails(catalogue), customer_key=KEY) as engine:
        engine.decide(MARKER, FACTS)
        said.append(repr(engine.status()))
    with closing(sqlite3.connect(path)) as raw:
        (fault,) = raw.execute("SELECT fault FROM decisions").fetchone()
    assert "cannot decide for" in fault
    said.append(fault)


def test_problems_of_a_changed_database_name_no_customer(tmp_path, catalogue, said):
    path = tmp_path / "offers.db"
    with bandit.Engine.open(path, catalogue, bandit.Uniform(catalogue), seed=7, customer_key=KEY) as engine:
        for turn in range(5):
            engine.decide(MARKER, FACTS, decision_id=f"d{turn}")
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("INSERT INTO meta VALUES ('erasing', '1')")
        raw.execute("UPDATE decisions SET propensity = 0.5, grp = 'x'")
        raw.execute("UPDATE customers SET key = key || 'x'")
        raw.execute("DELETE FROM meta WHERE name = 'erasing'")
    with Store.open(path, customer_key=KEY) as store:
        said += [*store.check(), *verify(store).problems, *store.check_chain().problems]


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Run a command in a folder with a database under a key; what it printed, on both streams."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OFFER_BANDIT_KEY", KEY.decode())
    known = bandit.Catalogue.from_dict(SPRING)
    with bandit.Engine.open("offers.db", known, bandit.ThompsonSampling(known), customer_key=KEY) as engine:
        engine.decide("another", FACTS, decision_id="d1")

    def run(*arguments):
        code = main([str(each) for each in arguments])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


@pytest.mark.parametrize(
    "command",
    [
        ("erase", "offers.db", MARKER, "--yes"),
        ("erase", "offers.db", MARKER),
        ("export-customer", "offers.db", MARKER),
        ("export-customer", "offers.db", MARKER, "--out", "offers.db"),
        ("why", "offers.db", "--customer", MARKER),
        ("decide", "offers.db", MARKER, "--fact", "recency=much"),
        ("decide", "offers.db", MARKER, "--context", "{"),
        ("decide", "offers.db", MARKER, *ROWS, "--time", "soon"),
        ("decide", "offers.db", MARKER, *ROWS, "--id", "d1"),
        ("decide", "nothing.db", MARKER, *ROWS),
    ],
)
def test_commands_that_fail_name_no_customer(cli, command):
    code, printed = cli(*command)
    assert code == 2
    assert "lovelace" not in printed


BAD_ROWS = {
    "a blank propensity": {"p": ""},
    "an unknown gift": {"gift": "sofa"},
    "no time": {"time": "soon"},
    "an age beyond its bounds": {"age": 1e9},
    "an age in words": {"age": "old"},
    "too long a customer": {"who": MARKER * 500},
    "half a character": {"who": f"{MARKER}\ud800"},
    "a zero character": {"who": f"{MARKER}\0"},
    "two customers": {"who": [MARKER, f"{MARKER}.uk"]},
    "two named customers": {"who": {MARKER: 1, f"{MARKER}.uk": 1}},
    "a customer with features": {"who": {MARKER: {"a": 1}}},
    "an id twice": {"id": "row-0"},
    "an outcome in words": {"bought": "maybe"},
}


@pytest.mark.parametrize("what", BAD_ROWS)
def test_rows_that_cannot_be_imported_are_listed_without_their_customers(cli, tmp_path, what):
    rows = [
        {"who": f"{MARKER}.{row}", "id": f"row-{row}", "time": f"2026-01-0{row + 1}", "p": 0.5, "age": 30}
        | {"gift": ("none", "tote")[row % 2], "bought": row % 2}
        for row in range(4)
    ]
    rows[2] |= BAD_ROWS[what]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "catalogue.toml").write_text(CATALOGUE)
    (tmp_path / "mapping.toml").write_text(MAPPING)
    for command in (("import", "new.db", "log.jsonl"), ("evaluate", "log.jsonl", "--policy", "uniform")):
        code, printed = cli(*command, "--catalogue", "catalogue.toml", "--mapping", "mapping.toml")
        assert "row" in printed or "line" in printed, printed
        assert "lovelace" not in printed, (command, code)


@pytest.mark.parametrize(("written", "shown"), [("1.23e+15", "1.23e"), ("1234567890123{}000", "12345678901")])
def test_damaged_customers_are_reported_without_examples(cli, tmp_path, written, shown):
    header = "who,id,time,p,age,gift,bought\n"
    lines = (f"{written.format(row)},r{row},2026-01-01,0.5,30,none,0\n" for row in range(10, 70))
    (tmp_path / "log.csv").write_text(header + "".join(lines))
    (tmp_path / "catalogue.toml").write_text(CATALOGUE)
    (tmp_path / "mapping.toml").write_text(MAPPING)
    _, printed = cli("import", "new.db", "log.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml")
    assert "customer" in printed
    assert shown not in printed


def test_decision_ids_made_of_customers_tell_nobody_without_the_key_who_they_are(cli, tmp_path):
    """An id made of customer, time and offer is not the plain hash of them, and the same file adds nothing again."""
    (tmp_path / "log.csv").write_text("who,time,p,age,gift,bought\nada,2026-01-01,0.5,30,none,0\n")
    (tmp_path / "catalogue.toml").write_text(CATALOGUE)
    (tmp_path / "mapping.toml").write_text(MAPPING.replace('decision_id = "id"\n', ""))
    files = ("log.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml")
    for _ in range(2):
        code, printed = cli("import", "new.db", *files)
        assert code == 0, printed
    with closing(sqlite3.connect("new.db")) as raw:
        ((made, time),) = raw.execute("SELECT decision_id, time FROM decisions")
    plain = hashlib.blake2b(f"{time}\x1fada\x1fnone".encode(), digest_size=12)
    assert len(made) == 24
    assert made != plain.hexdigest()
    names = ContentNames(("who", "gift"))
    chunk = SourceChunk(np.array([1]), {"who": ["ada"], "gift": ["none"]}, (), 2)
    assert names.ids(chunk, np.array([time])) == [plain.hexdigest()]  # control: without a key it is


def test_a_database_with_ids_from_an_earlier_version_recognises_their_rows(cli, tmp_path, monkeypatch):
    """The first import makes its id without the key, as before; the longer file then has one row again and one new."""
    row = "{},2026-01-01,0.5,30,none,0\n"
    (tmp_path / "catalogue.toml").write_text(CATALOGUE)
    (tmp_path / "mapping.toml").write_text(MAPPING.replace('decision_id = "id"\n', ""))
    files = ("log.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml", "--json")
    (tmp_path / "log.csv").write_text("who,time,p,age,gift,bought\n" + row.format("ada"))
    with monkeypatch.context() as patch:
        patch.setattr(Customers, "ids_key", None)
        assert cli("import", "new.db", *files)[0] == 0
    (tmp_path / "log.csv").write_text("who,time,p,age,gift,bought\n" + row.format("ada") + row.format("bob"))
    assert cli("import", "new.db", *files)[0] == 0
    with Store.open("new.db", customer_key=KEY) as store:
        assert (store.counts().decisions, store.counts().customers) == (2, 2)
