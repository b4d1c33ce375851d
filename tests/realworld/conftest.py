"""What the battery shares: its files, a folder to run commands in, and the campaigns that lie beside the checkout."""

import json
import shutil
from pathlib import Path

import pytest

from bandit.cli import main

FILES = Path(__file__).parent / "files"

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
"""Small files with known values, where they are there; tests that read them skip where they are not."""


class Desk:
    """A folder with the files of a case, in which commands are run as a user runs them."""

    def __init__(self, folder, capsys):
        self.folder, self._capsys = folder, capsys
        self.code, self.out, self.err = 0, "", ""

    def take(self, case):
        """Copy the files of one case of the battery into the folder."""
        shutil.copytree(FILES / case, self.folder, dirs_exist_ok=True)
        return self

    def take_shared(self, *names):
        """Copy files that lie beside the checkout; skip the test where they are not there."""
        for name in names:
            if not (CASES / name).exists():
                pytest.skip(f"{name} is not there")
            shutil.copy(CASES / name, self.folder / name)
        return self

    def write(self, name, text):
        """Write a file."""
        (self.folder / name).write_text(text, encoding="utf-8")
        return self

    def run(self, *arguments):
        """Run a command; `code`, `out` and `err` have what came of it."""
        self._capsys.readouterr()
        self.code = main([str(each) for each in arguments])
        self.out, self.err = self._capsys.readouterr()
        return self

    @property
    def json(self):
        """The JSON that the last command printed."""
        return json.loads(self.out)


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys):
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path, capsys)
