"""The public surface has the types that `surface.py` states, as mypy sees them, and mypy would see wrong ones."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("mypy")

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def checked(path, cache):
    """[(line, code)] of the errors in one file, with the settings of the project."""
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context", f"--cache-dir={cache}", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    name = re.escape(str(path.relative_to(ROOT)))
    found = re.findall(rf"^{name}:(\d+): error: .*\[([\w-]+)\]$", done.stdout, flags=re.MULTILINE)
    assert len(found) == done.stdout.count(": error: "), done.stdout
    return [(int(line), code) for line, code in found]


def expected(path):
    """[(line, code)] of the errors that the comments of a file announce."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [
        (number, code)
        for number, line in enumerate(lines, 1)
        if "# error: " in line
        for code in line.partition("# error: ")[2].split()
    ]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.slow
def test_the_public_surface_has_the_types_that_are_stated(cache):
    assert checked(HERE / "surface.py", cache) == []


@pytest.mark.slow
def test_wrong_calls_and_wrong_statements_are_errors_of_the_type_checker(cache):
    """The negative control: one error for each that a comment announces, and no other."""
    announced = expected(HERE / "wrong.py")
    assert len(announced) >= 12
    assert sorted(checked(HERE / "wrong.py", cache)) == announced


def test_make_types_checks_the_stated_surface():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "tests/typing/surface.py" in project["tool"]["mypy"]["files"]


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "bandit" / "py.typed").exists()
