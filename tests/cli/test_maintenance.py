"""The commands verify, rebuild, backup and doctor."""

import dataclasses
from importlib import metadata

import numpy as np

import bandit
from bandit.store import Store
from bandit.store.schema import VERSION
from bandit.store.spool.records import spooled_events
from tests.cli.conftest import FACTS, run
from tests.governance.conftest import KEY, WHO
from tests.store.rows import decisions, events


def test_verify_finds_a_clean_log_clean_and_a_changed_one_not(example, capsys):
    assert run(capsys, "decide", "offers.db", "anna", *FACTS).code == 0
    clean = run(capsys, "verify", "offers.db", "--json")
    assert clean.code == 0
    assert clean.json == {"ok": True, "n_decisions": 2_001, "n_recomputed": 1, "problems": [], "notes": []}
    assert "No problem found" in run(capsys, "verify", "offers.db").out
    data = bytearray((example / "offers.db").read_bytes())
    data[8_192:9_000] = bytes(808)
    (example / "offers.db").write_bytes(bytes(data))
    broken = run(capsys, "verify", "offers.db")
    assert broken.code == 2
    assert broken.out + broken.err
    assert "Traceback" not in broken.out + broken.err


def test_doctor_describes_the_installation_and_a_database(example, capsys):
    alone = run(capsys, "doctor", "--json")
    assert alone.code == 0
    assert alone.json["installation"]["offer-bandit"] == bandit.__version__
    plain = run(capsys, "doctor", "offers.db", "--json").json
    assert plain["ok"] is True
    assert plain["database"]["decisions"] == 2_000
    assert plain["left to learn"] == {"policy 1 (thompson)": "outcomes: 0"}
    assert any("in the clear" in each for each in plain["notes"])
    assert "in the clear" in run(capsys, "doctor", "offers.db").out


def test_doctor_finds_the_security_linter_of_the_same_name(example, capsys, monkeypatch):
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "1.8.0" if name == "bandit" else version(name))
    said = run(capsys, "doctor", "--json")
    assert said.code == 2
    assert "pip uninstall bandit" in said.json["problems"][0]


def test_rebuild_compares_with_the_live_state(db, capsys):
    same = run(capsys, "rebuild", db, "--json").json
    assert same["ok"]
    assert same["policies"] == [{"policy_id": 1, "steps": 3, "n": 540, "same": True}]
    assert "the same as the stored state" in run(capsys, "rebuild", db).out
    assert run(capsys, "rebuild", db, "--policy-id", "9").code == 2


def test_backup_needs_no_key_and_overwrites_only_by_force(db, capsys, monkeypatch):
    monkeypatch.delenv("OFFER_BANDIT_KEY")
    copy = db.with_name("copy.db")
    made = run(capsys, "backup", db, copy, "--json").json
    assert (made["rows"]["decisions"], made["recorded"]) == (540, True)
    assert run(capsys, "backup", db, copy).code == 2
    assert run(capsys, "backup", db, copy, "--force").code == 0
    assert run(capsys, "backup", db.with_name("nothing.db"), copy, "--force").code == 2


def test_doctor_shows_the_state_of_upkeep(db, capsys):
    run(capsys, "backup", db, db.with_name("copy.db"))
    run(capsys, "erase", db, WHO, "--yes")
    found = run(capsys, "doctor", db, "--json").json
    database = found["database"]
    assert database["schema version"] == VERSION
    assert (database["erasures"], database["retention runs"], database["spools beside it"]) == (1, 0, 0)
    assert database["last backup"] is not None
    assert any("copy.db" in note for note in found["notes"])


def refused_lines(db):
    """What a retry leaves behind that was answered twice: one id has another propensity in a spool."""
    rows = decisions(1, 10, ["id-0-customer-0-0", "new\x1b[31m"], propensity=np.full(2, 0.5))
    rows = dataclasses.replace(rows, customer_keys=["a", "b"])
    with Store.open(db, customer_key=KEY) as store:
        writer = store.writer()
        assert writer.spool_decisions(rows, ["a", "b"]) is None
        writer._spool.append(spooled_events(events(["nobody"]), correct=False))
        writer._spool.append({"type": "nonsense"})
        writer.fold_all()


def test_doctor_and_status_name_what_the_database_refused_until_the_file_is_deleted(db, capsys):
    """One line of two decisions, one of an event of none, and one that is none: three ids, one of them hostile."""
    refused_lines(db)
    found = run(capsys, "doctor", db, "--json")
    assert (found.code, found.json["ok"]) == (2, False)
    (said,) = (each for each in found.json["problems"] if "refused" in each)
    assert "refused 3 spooled lines (1 of decisions, 1 of events, 1 damaged)" in said
    assert 'which name 3 decisions: "id-0-customer-0-0", "new\\x1b[31m", "nobody"' in said
    assert "already there with another" in found.json["refused spool lines"]["id-0-customer-0-0"]
    assert set(found.json["refused spool lines"]) == {"id-0-customer-0-0", "new\\x1b[31m", "nobody"}
    assert "\x1b" not in run(capsys, "doctor", db).out
    assert run(capsys, "status", db, "--json").json["refused_lines"] == 3
    assert "3 spooled lines not accepted by the database" in run(capsys, "status", db).out
    db.with_name(db.name + "-spool-refused").unlink()
    assert run(capsys, "doctor", db).code == 0
    assert run(capsys, "status", db, "--json").json["refused_lines"] == 0
