"""What is installed: the wheel's content, and the ranges of versions that are declared."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
TESTED = [*PROJECT["dependencies"], *EXTRAS["parquet"], *EXTRAS["notebooks"], *EXTRAS["test"]]
STAYS = ("bench", "validation")
"""Parts of the simulator that stay in the repository."""

IMPORT_ALL = """
import importlib, pkgutil
import bandit, simulator

for package in (bandit, simulator):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not found.name.endswith("__main__"):
            try:
                importlib.import_module(found.name)
            except bandit.errors.MissingExtraError as fault:
                print(found.name, "needs", str(fault).partition("[")[2].partition("]")[0])
            else:
                print(found.name)
"""


def pinned(name):
    """The version of each package in a constraints file."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(package): Version(version) for package, version in pairs}


@pytest.mark.parametrize("needed", TESTED)
def test_the_lowest_declared_version_is_the_one_that_is_tested(needed):
    """Each requirement has one lower bound; `make lowest` installs that one, `make install` one within the range."""
    requirement = Requirement(needed)
    name = canonicalize_name(requirement.name)
    (lowest,) = (Version(each.version) for each in requirement.specifier if each.operator == ">=")
    assert pinned("constraints-lowest.txt")[name] == lowest
    assert pinned("constraints.txt")[name] in requirement.specifier


class Installed:
    """A fresh environment with the project in it, and an empty directory to work in."""

    def __init__(self, place):
        self.work = place / "work"
        self.work.mkdir()
        self.environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        subprocess.run([sys.executable, "-m", "venv", place / "env"], check=True)  # noqa: S603 - our own interpreter
        self.scripts = place / "env" / ("Scripts" if os.name == "nt" else "bin")
        done = self.run("python", "-m", "pip", "install", "--constraint", ROOT / "constraints.txt", ROOT)
        if done.returncode and "after connection broken by" in done.stderr and "(from versions: none)" in done.stderr:
            pytest.skip("pip reaches no package index")
        assert done.returncode == 0, done.stderr

    def run(self, program, *arguments, **variables):
        """Run a program of the environment in the empty directory."""
        return subprocess.run(  # noqa: S603 - the programs of our own environment
            [self.scripts / program, *arguments],
            cwd=self.work,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def python(self, code, **variables):
        """Run code; return what it prints."""
        done = self.run("python", "-c", code, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return Installed(tmp_path_factory.mktemp("package"))


@pytest.mark.slow
def test_the_readmes_example_runs_where_only_the_package_is(installed):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"## As a library\n+```python\n(.*?)```", readme, flags=re.DOTALL)
    printed = installed.python(example + "\nprint(bandit.__file__)\n", OFFER_BANDIT_KEY="a key for our tests")
    assert "discount" in printed
    assert Path(printed.splitlines()[-1]).is_relative_to(installed.scripts.parent)
    assert (installed.work / "offers.db").exists()


@pytest.mark.slow
def test_the_command_tells_its_version(installed):
    version = installed.python("import bandit; print(bandit.__version__)").strip()
    assert installed.run("offer-bandit", "--version").stdout.split() == ["offer-bandit", version]


@pytest.mark.slow
def test_the_wheel_has_what_users_need_and_no_more(installed):
    listed = "import importlib.metadata as m; print(*m.files('offer-bandit'), sep='\\n')"
    files = [Path(line) for line in installed.python(listed).splitlines()]
    names = {file.as_posix() for file in files}
    assert {file.parts[0] for file in files if file.suffix == ".py"} == {"bandit", "simulator"}
    assert {"bandit/__init__.py", "bandit/py.typed", "bandit/examples/catalogue.toml", "simulator/py.typed"} <= names
    assert {"bandit/report/html/templates/report.html.j2", "bandit/report/html/templates/style.css.j2"} <= names
    assert [file for file in files if file.parts[0] == "simulator" and file.parts[1] in STAYS] == []


@pytest.mark.slow
def test_every_module_of_the_wheel_imports_what_is_in_it(installed):
    """All are imported without any extra, but for classes of the OpenFeature SDK's, which name theirs.

    An import inside a function is looked up in the text.
    """
    imported = installed.python(IMPORT_ALL).splitlines()
    assert [each for each in imported if " needs " in each] == [
        "bandit.service.openfeature_provider needs openfeature",
        "bandit.service.openfeature_telemetry needs openfeature",
    ]
    assert {"bandit.engine", "bandit.cli.app", "simulator.simulation.command"} <= set(imported)
    left_out = re.compile(rf"^\s*(?:from|import)\s+simulator(?:\.|\s+import\s+)(?:{'|'.join(STAYS)})\b", re.MULTILINE)
    sources = [*(ROOT / "bandit").rglob("*.py"), *(ROOT / "simulator").rglob("*.py")]
    kept = [each for each in sources if each.relative_to(ROOT).parts[1] not in STAYS]
    assert [str(each) for each in kept if left_out.search(each.read_text(encoding="utf-8"))] == []


@pytest.mark.slow
def test_the_versions_installed_fit_each_other(installed):
    done = installed.run("python", "-m", "pip", "check")
    assert done.returncode == 0, done.stdout
