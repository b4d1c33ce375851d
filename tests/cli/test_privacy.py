"""The commands erase, retain and export-customer."""

import json

import numpy as np
import pytest

import bandit
from bandit.clock import now
from bandit.store import Store
from tests.cli.conftest import run
from tests.governance.conftest import KEY, RECENCY, WHO, traces
from tests.store.rows import DAY

KEY_TEXT = KEY.decode()


def test_erase_asks_first_and_then_leaves_nothing(db, capsys):
    asked = run(capsys, "erase", db, WHO)
    assert asked.code == 2
    assert "Nothing was changed; give --yes" in asked.sentence
    done = run(capsys, "erase", db, WHO, "--yes")
    assert done.code == 0
    assert "The customer is erased: 15 decisions" in done.out
    assert "Rebuilt without the customer: policy 1." in done.out
    with Store.open(db, customer_key=KEY) as store:
        stored = store.customers.stored(WHO)
    assert [trace for trace in traces(stored) if trace in db.read_bytes()] == []
    again = run(capsys, "erase", db, WHO, "--yes")
    assert (again.code, "no such customer" in again.sentence) == (2, True)
    assert run(capsys, "verify", db).code == 0
    assert run(capsys, "rebuild", db).code == 0


def test_erase_names_the_copies_that_it_does_not_reach(db, capsys):
    copy = db.with_name("copy.db")
    assert run(capsys, "backup", db, copy).code == 0
    erased = run(capsys, "erase", db, WHO, "--yes", "--json").json
    assert erased["older_copies"] == [str(copy)]
    assert (erased["decisions"], erased["refitted"], erased["spools"]) == (15, [1], [])


def test_erase_with_another_key_finds_nobody_and_says_why(db, capsys, monkeypatch):
    monkeypatch.setenv("OFFER_BANDIT_KEY", "another key for our tests")
    refused = run(capsys, "erase", db, WHO, "--yes")
    assert (refused.code, "not the one it was made with" in refused.sentence) == (2, True)


def test_export_has_all_that_is_held_on_one_customer(db, capsys, tmp_path):
    held = run(capsys, "export-customer", db, WHO).json
    assert (held["customer"], len(held["decisions"])) == (WHO, 15)
    first = held["decisions"][0]
    assert first["context"] == {"gender": "m", "recency": RECENCY, "loyal": False}
    assert first["offer"].keys() == {"discount", "channel", "gift"}
    assert 0 < first["propensity"] <= 1
    assert first["events"][0]["event"] == "purchase"
    assert first["events"][0]["corrects"] is None
    (kept,) = held["policies"]
    assert {"base", "discount=10", "channel=sms"} <= kept["deviations"].keys()
    assert kept["deviations"]["base"]["standard_deviation"] > 0
    out = tmp_path / "held.json"
    assert run(capsys, "export-customer", db, WHO, "--out", out).code == 0
    assert json.loads(out.read_text()) == held
    assert run(capsys, "export-customer", db, WHO, "--out", out).code == 2
    said = run(capsys, "export-customer", db, WHO, "--out", tmp_path / "again.json", "--json").json
    assert said["bytes"] == out.stat().st_size
    nobody = run(capsys, "export-customer", db, "nobody")
    assert (nobody.code, "no data on such a customer" in nobody.sentence) == (2, True)


def test_after_an_erasure_there_is_nothing_to_export(db, capsys):
    run(capsys, "erase", db, WHO, "--yes")
    assert run(capsys, "export-customer", db, WHO).code == 2


def test_retain_says_what_would_go_and_removes_it_when_told(db, capsys):
    would = run(capsys, "retain", db, "--days", "400", "--dry-run")
    assert would.code == 0
    assert "To be removed: 540 decisions" in would.out
    refused = run(capsys, "retain", db, "--days", "400")
    assert (refused.code, "540 decisions" in refused.sentence) == (2, True)
    done = run(capsys, "retain", db, "--older-than", "400d", "--yes", "--json").json
    assert (done["decisions"], done["customers"], done["done"]) == (540, 40, True)
    assert run(capsys, "verify", db).code == 0
    assert run(capsys, "rebuild", db).code == 0


@pytest.mark.parametrize("options", [(), ("--days", "3", "--older-than", "3d"), ("--older-than", "soon")])
def test_retain_takes_one_age(db, capsys, options):
    assert run(capsys, "retain", db, *options, "--yes").code == 2


def test_the_key_may_be_in_a_file_that_its_owner_alone_reads(db, capsys, monkeypatch, tmp_path):
    file = tmp_path / "key"
    file.write_text(f"{KEY_TEXT}\n")
    monkeypatch.setenv("OFFER_BANDIT_KEY_FILE", str(file))
    both = run(capsys, "verify", db)
    assert (both.code, "set one of them" in both.sentence) == (2, True)
    monkeypatch.delenv("OFFER_BANDIT_KEY")
    file.chmod(0o600)
    alone = run(capsys, "verify", db)
    assert (alone.code, alone.err) == (0, "")
    file.chmod(0o644)
    shared = run(capsys, "verify", db)
    assert shared.code == 0
    assert "others may read the customer key" in shared.err
    file.write_text("\n")
    assert "is empty" in run(capsys, "verify", db).sentence
    file.unlink()
    assert "cannot be read" in run(capsys, "verify", db).sentence


def test_recent_decisions_stay(db, capsys, catalogue):
    with bandit.Engine.resume(db, customer_key=KEY, durability="process") as engine:
        engine.decide_batch(
            ["a", "b"], [{"gender": "f", "recency": 1.0, "loyal": True}] * 2, time=np.full(2, now() - 10 * DAY)
        )
    assert run(capsys, "retain", db, "--days", "30", "--yes", "--json").json["decisions"] == 540
    assert run(capsys, "verify", db, "--json").json["n_decisions"] == 2
