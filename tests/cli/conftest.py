"""Fixtures of the command-line tests, running a command, and reading what it printed."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import bandit
from bandit.cli import main
from bandit.store import Store
from tests.governance.conftest import KEY, explored_log

FACTS = ("--fact", "gender=f", "--fact", "recency=2.5", "--fact", "loyal=true")
FILES = ("--catalogue", "catalogue.toml", "--mapping", "mapping.toml")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def sentence(self):
        """The one line on stderr that is not a note."""
        (line,) = [line for line in self.err.splitlines() if not line.startswith("note:")]
        return line


def run(capsys, *arguments):
    capsys.readouterr()
    code = main([str(each) for each in arguments])
    said = capsys.readouterr()
    return Ran(code, said.out, said.err)


def content(directory):
    """Everything that a command could have written: the files, and what the database has."""
    files = {
        path.name: path.read_bytes()
        for path in sorted(directory.iterdir())
        if path.is_file() and not path.name.startswith("offers.db")
    }
    counts = None
    if (directory / "offers.db").exists():
        with Store.open(directory / "offers.db", read_only=True) as store:
            known = store.counts()
            counts = (known.decisions, known.events, known.catalogues, known.policies)
    return files, counts


@contextmanager
def imported_example(directory, rows, database="offers.db"):
    """In a directory, without a customer key: the files of `init`, with the first rows of its log imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        patch.delenv("OFFER_BANDIT_KEY", raising=False)
        assert main(["init"]) == 0
        head = Path("log.csv").read_text(encoding="utf-8").splitlines(keepends=True)[: rows + 1]
        Path("log.csv").write_text("".join(head), encoding="utf-8")
        assert main(["import", database, "log.csv", *FILES]) == 0
        yield


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """A terminal on which no table or sentence is broken, unless a test asks for another."""
    monkeypatch.setenv("COLUMNS", "250")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A directory with the example, 2,000 rows of its log imported, and a policy that has learned them."""
    directory = tmp_path_factory.mktemp("example")
    with imported_example(directory, 2_000):
        assert main(["learn", "offers.db", "--policy", "thompson"]) == 0
    return directory


@pytest.fixture
def example(prepared, tmp_path, monkeypatch):
    """A copy of the prepared directory for one test, which is also the working directory."""
    shutil.copytree(prepared, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("OFFER_BANDIT_KEY", raising=False)
    return tmp_path / "here"


@pytest.fixture
def db(tmp_path, catalogue, monkeypatch):
    """A database under a key, with 540 decisions of 2023 and one customer to erase."""
    path = tmp_path / "offers.db"
    explored_log(path, catalogue, bandit.ThompsonSampling(catalogue), n=180)
    monkeypatch.setenv("OFFER_BANDIT_KEY", KEY.decode())
    return path
