"""Names and ids of a log that would steer a terminal or run in a spreadsheet."""

import csv
import gzip
import io
import json
import re
import sys
import tomllib

import pytest

from bandit import Catalogue, Engine, Uniform
from bandit.logfiles import export, export_mapping, import_log, mapping_toml, open_log
from bandit.store import Store
from tests.cli.conftest import run

STEERING = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil"
FORMULA = '=HYPERLINK("http://example.invalid","x")'
ORDERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")

pytestmark = pytest.mark.filterwarnings("ignore:customers are stored in the clear")


def catalogue_with(name):
    return Catalogue.from_dict(
        {
            "name": name,
            "objective": {"kind": "revenue", "event": name, "window": "1d"},
            "context": {"fact": {"type": "categorical", "values": [name, "b"]}},
            "dimensions": [{"name": name, "options": [{"name": name}, {"name": "b"}]}],
        }
    )


def filled(path, name, group=None):
    """Return the id of the last of 40 decisions, each named after `name` throughout, with one event each."""
    catalogue = catalogue_with(name)
    with Engine.open(path, catalogue, Uniform(catalogue), seed=1, group=group, durability="process") as engine:
        for number in range(40):
            mine = f"{name}{number}"
            engine.decide(f"{name}{number}", {"fact": name}, decision_id=mine)
            engine.record(mine, name, revenue=1.0, event_id=mine)
            engine.record(mine, "closed")
    return mine


@pytest.fixture(scope="module")
def steering(tmp_path_factory):
    """A database whose every name and id has escape sequences in it, and the id of a decision."""
    path = tmp_path_factory.mktemp("steering") / "offers.db"
    return path, filled(path, STEERING, STEERING)


COMMANDS = (
    "status {db}",
    "doctor {db}",
    "verify {db}",
    "decide {db} someone",
    "why {db} {id}",
    "evaluate {db}",
    "evaluate {db} --segments",
    "results {db} --by option",
    "importance {db}",
    "exploration {db}",
    "guardrails {db}",
    "rollout status {db}",
    "lift {db}",
    "catalogue show {db}",
    "export-customer {db} {customer}",
    "record {db} {id} {name}",
    "export {db} {out}",
)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("style", [(), ("--json",), ("--format", "csv"), ("--format", "md")], ids=" ".join)
def test_no_command_lets_names_steer_the_terminal(steering, capsys, monkeypatch, command, style):
    path, mine = steering
    monkeypatch.setenv("COLUMNS", "90")
    places = {"db": path, "id": mine, "customer": mine, "name": STEERING, "out": path.parent / f"out{STEERING}.csv"}
    if "csv" in style:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    done = run(capsys, *(word.format(**places) for word in command.split()), *style)
    assert not ORDERS.search(done.out), done.out
    assert not ORDERS.search(done.err), done.err
    if "--json" in style and done.out:
        json.loads(done.out)


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
@pytest.mark.parametrize("with_mapping", [False, True])
def test_a_formula_does_not_run_in_an_export_and_comes_back_as_it_was(tmp_path, ending, with_mapping):
    mine = filled(tmp_path / "offers.db", FORMULA, FORMULA)
    catalogue, out = catalogue_with(FORMULA), tmp_path / f"log.{ending}"
    with Store.open(tmp_path / "offers.db", durability="process") as store:
        written = export(store, catalogue, out)
    content = gzip.decompress(out.read_bytes()) if ending.endswith("gz") else out.read_bytes()
    header, *rows = csv.reader(io.StringIO(content.decode(), newline=""))
    assert len(rows) == 40
    assert not [cell for row in (header, *rows) for cell in row if cell.startswith(("=", "@", "+", "-"))]
    mapping = tomllib.loads(mapping_toml(catalogue, written)) if with_mapping else None
    (batch,) = open_log(out, catalogue, mapping).batches()
    assert mine in batch.contexts.customers.tolist()
    assert set(batch.contexts.text["fact"].tolist()) == {FORMULA}
    with Store.open(tmp_path / "back.db", durability="process") as store:
        assert import_log(store, catalogue, export_mapping(out, catalogue), out).n_imported == 40
        assert store.decisions.one(mine, FORMULA, 10).group[0] == FORMULA
