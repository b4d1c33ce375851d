"""The command `dashboard`: the file it writes, the command it prints, and what it refuses."""

import json
import sqlite3
from contextlib import closing
from importlib import util

import pytest

from tests.cli.conftest import run


def test_it_writes_the_file_beside_the_database_and_prints_the_command(capsys, db):
    ran = run(capsys, "dashboard", db)
    file = db.with_name("offers-dashboard.json")
    assert ran.code == 0
    assert ran.out.splitlines()[0] == f"wrote {file}"
    assert f"datasette serve {db} --metadata {file} --host 127.0.0.1 --port 8001" in ran.out
    metadata = json.loads(file.read_text(encoding="utf-8"))
    assert metadata["title"] == "Offers: spring"
    assert "offers" in metadata["databases"]
    assert run(capsys, "dashboard", db).out.splitlines()[0] == f"uses {file}"


def test_json_and_another_file(capsys, db, tmp_path):
    file = tmp_path / "mine.json"
    ran = run(capsys, "dashboard", db, "--metadata", file, "--json")
    assert ran.json["metadata_is"] == "written"
    assert ran.json["command"].startswith("datasette serve ")
    assert not db.with_name("offers-dashboard.json").exists()


def test_a_changed_file_is_kept_with_a_note_and_renewed_when_asked(capsys, db):
    run(capsys, "dashboard", db)
    file = db.with_name("offers-dashboard.json")
    file.write_text("{}", encoding="utf-8")
    assert "--renew writes it anew" in run(capsys, "dashboard", db).err
    assert file.read_text(encoding="utf-8") == "{}"
    assert run(capsys, "dashboard", db, "--renew").out.startswith("wrote")


def test_an_address_that_others_reach_is_said_to_show_everything(capsys, db):
    assert "no login" in run(capsys, "dashboard", db, "--host", "192.168.0.7").err
    assert run(capsys, "dashboard", db).err == ""


def test_customers_in_the_clear_are_said_to_be_shown(capsys, example):
    assert "in the clear" in run(capsys, "dashboard", "offers.db").err
    assert "in the clear" in json.loads((example / "offers-dashboard.json").read_text())["description"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.db"], "there is no such database"),
        (["offers.db", "--metadata", "offers.db", "--renew"], "is no JSON file of metadata"),
        (["offers.db", "--serve", "--json"], "exclude each other"),
        (["offers.db", "--port", "99999"], "--port"),
        (["catalogue.toml"], "is not a database"),
    ],
)
def test_bad_input_is_one_sentence(capsys, example, arguments, says):
    ran = run(capsys, "dashboard", *arguments)
    assert ran.code == 2
    assert says in ran.sentence
    assert not (example / "offers-dashboard.json").exists()
    with closing(sqlite3.connect("offers.db")) as raw:
        assert raw.execute("SELECT count(*) FROM decisions").fetchone() == (2_000,)


def test_serving_without_the_extra_names_it(capsys, db, monkeypatch):
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    ran = run(capsys, "dashboard", db, "--serve")
    assert ran.code == 2
    assert 'pip install "offer-bandit[dashboard]"' in ran.sentence
    assert "not installed" in run(capsys, "dashboard", db).err


def test_serving_hands_the_arguments_to_datasette(capsys, db, monkeypatch):
    cli = pytest.importorskip("datasette.cli")
    given = []
    monkeypatch.setattr(cli.cli, "main", lambda arguments, **_: given.extend(arguments))
    assert run(capsys, "dashboard", db, "--serve", "--port", "0").code == 0
    assert given[:2] == ["serve", str(db)]
    assert given[given.index("--port") + 1] == "0"
