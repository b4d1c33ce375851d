"""The page on lift: its example runs as it stands there."""

import re
from pathlib import Path

from tests.evaluate.test_lift_log import LOG, catalogue_with, write

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "lift.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "offers.db", catalogue_with(), LOG, key=b"a key for tests")
    exec(compile(example, "lift.md", "exec"), {})  # noqa: S102 - it is our own page
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["holdout", "policy"]
    assert all("cannot tell: there are only 2 customers" in line for line in said)
