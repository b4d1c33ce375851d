"""What the command-line tests share: running a command and reading what it says."""

import json
from dataclasses import dataclass

from bandit.cli import main
from bandit.store import Store


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
