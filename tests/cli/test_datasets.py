"""Datasets on the command line: written, continued, read in place of a database, and erased from."""

import shutil
from pathlib import Path

import pytest

from bandit.logfiles.dataset.export import export_dataset
from bandit.logfiles.dataset.manifest import MANIFEST_NAME
from bandit.store import Store
from tests.cli.conftest import FILES, imported_example, run

pytest.importorskip("pyarrow")

GROUPS = "policy=0.8,rules=0.2"
ASK = ("--policy", "uniform", "--baseline", "logged", "--json")


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """A directory with the example's log in a database, and in a dataset of two partitions."""
    directory = tmp_path_factory.mktemp("datasets")
    with imported_example(directory, 300):
        with Store.open(directory / "offers.db", durability="process", read_only=True) as store:
            export_dataset(store, store.catalogues.latest()[1], directory / "log", partitions=2)
        return directory


@pytest.fixture(autouse=True)
def _there(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFER_BANDIT_KEY", raising=False)
    for name in ("offers.db", "catalogue.toml", "mapping.toml", "log.csv"):
        (tmp_path / name).write_bytes((example / name).read_bytes())
    shutil.copytree(example / "log", tmp_path / "log")


def test_a_dataset_is_written_continued_and_read_as_the_database(capsys):
    shutil.rmtree("log")
    ran = run(capsys, "export", "offers.db", "log", "--partitions", 3)
    assert ran.code == 0
    assert "300 decisions and" in ran.out
    assert "3 partitions and 6 files" in ran.out
    assert "note: customers are in the clear in" in ran.err
    again = run(capsys, "export", "offers.db", "log", "--since", "last", "--json").json
    assert (again["decisions"], again["decisions_in_all"], again["partitions"]) == (0, 300, 3)
    assert "Nothing is new" in run(capsys, "export", "offers.db", "log", "--since", "last").out
    found, expected = (run(capsys, "evaluate", each, *ASK).json for each in ("log", "offers.db"))
    assert found["verdicts"] == expected["verdicts"]
    assert found["realised"]["value"] == pytest.approx(expected["realised"]["value"], rel=1e-12)
    assert (found["n"], found["customers"]) == (expected["n"], expected["customers"])


def test_a_log_file_becomes_a_dataset(capsys):
    ran = run(capsys, "export", "log.csv", "of_file", *FILES, "--partitions", 2, "--json")
    assert (ran.code, ran.json["decisions"]) == (0, 300)
    assert run(capsys, "evaluate", "of_file", *ASK).json["n"] == 300


def test_a_policy_is_fitted_to_a_dataset_as_to_its_database(capsys):
    fitted = [run(capsys, "fit", each, "--into", f"{each}.new.db", "--json").json for each in ("log", "offers.db")]
    assert fitted[0]["n"] == fitted[1]["n"] == 300
    assert fitted[0]["favourites"][0]["offer"] == fitted[1]["favourites"][0]["offer"]
    learned = run(capsys, "learn-offline", "log", "--into", "learned.db", "--json")
    assert (learned.code, learned.json["n"]) == (0, 300)
    assert "is there already" in run(capsys, "fit", "log", "--into", "learned.db").sentence


def test_a_customer_is_erased_from_the_database_and_from_its_datasets(capsys):
    shutil.copytree("log", "other")
    name = _customer()
    ran = run(capsys, "erase", "offers.db", name, "--dataset", "log", "--yes", "--json")
    assert ran.json["decisions"] == ran.json["datasets"][0]["decisions"] > 0
    ran = run(capsys, "erase", "other", name, "--yes")
    assert "Erased from" in ran.out
    assert "2 files written again." in ran.out
    assert "has no decisions in this dataset" in run(capsys, "erase", "other", name, "--yes").out
    assert run(capsys, "export", "offers.db", "log", "--since", "last", "--json").json["decisions"] == 0


def _customer():
    """The first customer of the example's log."""
    header, first = Path("log.csv").read_text().splitlines()[:2]
    return first.split(",")[header.split(",").index("customer")]


@pytest.mark.parametrize(
    "arguments",
    [
        ("status", "log"),
        ("guardrails", "log"),
        ("why", "log", "first"),
        ("decide", "log", "anna"),
        ("record", "log", "first", "purchase"),
        ("learn", "log", "--policy", "thompson"),
        ("kill", "log"),
        ("half-life", "log"),
        ("exploration", "log"),
        ("verify", "log"),
        ("anchor", "log"),
        ("rebuild", "log"),
        ("backup", "log", "copy.db"),
        ("retain", "log", "--older-than", "30d", "--yes"),
        ("export-customer", "log", "anna"),
        ("export", "log", "log.parquet"),
        ("serve", "log"),
        ("dashboard", "log"),
        ("import", "log", "log.csv", *FILES),
    ],
)
def test_what_needs_the_policies_of_a_database_says_so(capsys, arguments):
    ran = run(capsys, *arguments)
    assert ran.code == 2
    assert "log: is a dataset, which has a log's decisions and outcomes but not its policies; this needs the" in ran.err


def test_a_dataset_is_examined_and_what_is_damaged_is_named(capsys):
    ran = run(capsys, "doctor", "log", "--json").json
    assert ran["ok"]
    assert (ran["dataset"]["decisions"], ran["dataset"]["partitions"], ran["dataset"]["files"]) == (300, 2, 4)
    assert ran["notes"][-1] == "customers are stored in the clear in log"
    first, second = sorted(Path("log").rglob("decisions*.parquet"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    (second.parent / "decisions-1-0a0a0a0a.parquet").write_bytes(b"left by an export that was killed")
    found = run(capsys, "doctor", "log", "--json")
    assert found.code == 2
    assert "is not there" in found.json["problems"][0]
    assert "is not as it was written" in found.json["problems"][1]
    assert "1 file in log are of no finished export" in found.json["notes"][0]


def test_an_audience_is_searched_in_a_dataset_as_in_its_database(capsys):
    asked = ("--baseline", "logged", "--json")
    one, other = (run(capsys, "audience", each, *asked).json for each in ("log", "offers.db"))
    assert one == other


def test_intervals_are_checked_on_the_dataset_that_was_evaluated(capsys):
    found = run(capsys, "evaluate", "log", *ASK, "--calibrate", "100").json["calibration"]
    assert {row["of"] for row in found["rows"]} == {"value", "difference"}
    assert all(row["resamples"] == 100 for row in found["rows"])
    ran = run(capsys, "evaluate", "log", *ASK[:-1], "--calibrate", "100")
    assert "Calibration: 100 samples of the log's customers were judged" in ran.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("export", "offers.db", "log"), "is a dataset of 300 decisions already; --since last adds what is new"),
        (("export", "offers.db", "new", "--partitions", "1000"), "a dataset has 1 to 256 partitions; seen 1000"),
        (("export", "offers.db", "new", "--partitions", "2", "--format", "csv"), "a dataset is written as Parquet"),
        (("export", "offers.db", "new", "--partitions", "2", "--mapping", "m"), "a dataset says itself what its"),
        (("export", "offers.db", "new", "--since", "soon"), 'the time "soon" is not an ISO 8601 time'),
        (("export", "log.csv", "new", "--partitions", "2"), "a log file has no catalogue; give one with --catalogue"),
        (("export", "log.csv", "new", "--since", "last", *FILES), "--since is for databases"),
        (("export", "offers.db", "catalogue.toml", "--partitions", "2"), "is a file, and a dataset is a folder"),
        (("evaluate", "log", *ASK, "--mapping", "mapping.toml"), "is read as a dataset, which needs no mapping"),
        (("evaluate", "log", *ASK, "--written-by", "7"), "no policy 7 has decided in this log; known are none"),
        (("evaluate", "empty", *ASK), "is no dataset: it has no _offer_bandit.json"),
        (("evaluate", "offers.db", *ASK, "--cluster", "local"), "--cluster is for datasets"),
        (("evaluate", "log", *ASK, "--cluster", "here"), 'there is no cluster "here"'),
        (("lift", "log"), "all 300 settled decisions are of the group"),
        (("incrementality", "log"), "there is no holdout to say what would have been bought anyway"),
        (("lift", "log.csv", *FILES[:2]), "lift needs a database or a dataset"),
        (("lift", "log", "--weights", "trajectory"), "a dataset does not have the states of the policies"),
        (("lift", "offers.db", "--cluster", "local"), "--cluster is for datasets"),
        (("incrementality", "offers.db", "--cluster", "local"), "--cluster is for datasets"),
        (("plan", "catalogue.toml", "--from", "offers.db", "--groups", GROUPS, "--cluster", "off"), "is for datasets"),
        (("evaluate", "log", *ASK, "--calibrate", "7"), "7 resamples were asked for; give 100 to 100,000"),
        (("import", "new.db", "log", "--catalogue", "catalogue.toml"), "import reads log files; a dataset is read as"),
        (("catalogue", "diff", "log", "catalogue.toml"), "log: is a directory; give a catalogue (TOML) or a database"),
        (("doctor", "empty"), "empty: is no dataset"),
        (("erase", "empty", "anna", "--yes"), "is no dataset"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(capsys, arguments, says):
    Path("empty").mkdir()
    before = Path("log", MANIFEST_NAME).read_bytes()
    ran = run(capsys, *arguments)
    assert ran.code == 2
    assert says in ran.sentence
    assert Path("log", MANIFEST_NAME).read_bytes() == before
    assert not Path("new").exists()
