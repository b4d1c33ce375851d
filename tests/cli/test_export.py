"""The command `export`, and `import` of what it wrote."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import imported_example, run


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """A directory with the example's log in a database."""
    directory = tmp_path_factory.mktemp("share")
    with imported_example(directory, 300):
        return directory


@pytest.fixture(autouse=True)
def _there(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFER_BANDIT_KEY", raising=False)
    for name in ("offers.db", "catalogue.toml"):
        (tmp_path / name).write_bytes((example / name).read_bytes())


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet", "dsjson"])
def test_an_export_is_imported_without_a_mapping(capsys, kind):
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    assert run(capsys, "export", "offers.db", f"out.{kind}").code == 0
    ran = run(capsys, "import", "back.db", f"out.{kind}", "--catalogue", "catalogue.toml", "--json")
    assert (ran.code, ran.json["n_imported"]) == (0, 300)
    ask = ("--policy", "uniform", "--baseline", "logged", "--json")
    back, first = (run(capsys, "evaluate", db, *ask).json for db in ("back.db", "offers.db"))
    assert all(back[key] == first[key] for key in ("n", "customers", "realised", "policies", "verdicts"))


def test_the_export_says_what_it_wrote(capsys):
    ran = run(capsys, "export", "offers.db", "out.csv", "--mapping", "out.toml")
    assert ran.code == 0
    assert ran.out.startswith("Written to out.csv: 300 decisions,")
    assert "Written to out.toml: the mapping that reads it back." in ran.out
    assert "customers are in the clear in out.csv" in ran.err
    files = ("--catalogue", "catalogue.toml", "--mapping", "out.toml")
    assert run(capsys, "import", "back.db", "out.csv", *files).code == 0
    ran = run(capsys, "export", "offers.db", "out", "--format", "dsjson", "--json")
    assert ran.json | {"bytes": 0} == {
        "file": "out",
        "format": "dsjson",
        "decisions": 300,
        "left_out": 0,
        "open": 0,
        "bytes": 0,
        "propensities_known": True,
        "mapping": None,
    }
    first = json.loads(Path("out").read_text().splitlines()[0])
    assert first["_label_cost"] == pytest.approx(-first["offer_bandit"]["reward"])
    assert '[offer.channel]\ncolumn = "channel"' in run(capsys, "export", "offers.db", "2.csv", "--mapping", "-").out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("no.db out.csv", "no.db: there is no such database"),
        ("offers.db out.xls", "out.xls: its name ends in no known format"),
        ("offers.db out.csv --format xls", 'there is no format "xls"'),
        ("offers.db catalogue.toml --format csv", "catalogue.toml: is there already"),
        ("offers.db out.csv --mapping catalogue.toml", "catalogue.toml: is there already"),
        ("offers.db out.csv --mapping - --json", "name a file for it"),
        ("offers.db no/out.csv", "no/out.csv: cannot be written"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_sentence(capsys, tmp_path, arguments, sentence):
    before = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("offers.db-"))
    ran = run(capsys, "export", *arguments.split())
    assert ran.code == 2
    assert sentence in ran.sentence
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("offers.db-")) == before


def test_a_file_of_others_needs_a_mapping(capsys, example):
    ran = run(capsys, "import", "offers.db", example / "log.csv")
    assert ran.code == 2
    assert "give a mapping that says which column has what" in ran.sentence
