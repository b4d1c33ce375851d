"""Other versions of the engine take part from a process of their own."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bandit.engine import Engine
from bandit.errors import InputError
from bandit.policies import ThompsonSampling
from simulator.bench.earnings import versions
from simulator.bench.earnings.contestants import ENGINE, contestant_of, named
from simulator.bench.earnings.timed import TimedEngine
from simulator.bench.earnings.versions import VersionEngine, prepare
from simulator.bench.earnings.world import TournamentWorld, WorldSpec
from simulator.bench.engines import BENCH_KEY
from simulator.simulation.run import RunOptions, run


@pytest.fixture
def repository(tmp_path):
    """Two commits: one whose version is 1.2.3, and one without a version."""
    folder = tmp_path / "repository"

    def git(*arguments):
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        command = ["git", "-C", str(folder), *who, *arguments]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - git with these arguments

    (folder / "bandit").mkdir(parents=True)
    git("init", "-q")
    (folder / "bandit" / "_version.py").write_text('__version__ = "1.2.3"\n')
    git("add", ".")
    git("commit", "-q", "-m", "one")
    git("tag", "first")
    (folder / "bandit" / "_version.py").write_text("")
    git("commit", "-q", "-a", "-m", "two")
    return folder


def test_a_version_is_named_by_its_number_and_commit_and_installed_once(repository, tmp_path, monkeypatch):
    installed = []

    def install(_source, commit, folder):
        installed.append(commit)
        (folder / "venv" / "bin").mkdir(parents=True)
        (folder / "venv" / "bin" / "python").touch()
        (folder / "installed").touch()

    monkeypatch.setattr(versions, "VERSIONS_FOLDER", tmp_path / "versions")
    monkeypatch.setattr(versions, "_install", install)
    name = prepare("first", repository)
    assert prepare("first", repository) == name == f"engine 1.2.3-{installed[0]}"
    assert len(installed) == 1
    chosen, absent = named([ENGINE, name, "engine 9.9.9-0000000"])
    assert [each.name for each in chosen] == [ENGINE, name]
    assert "has no installed version" in absent["engine 9.9.9-0000000"]
    with pytest.raises(InputError, match='"second" is no commit of'):
        prepare("second", repository)
    with pytest.raises(InputError, match=r"no bandit/_version\.py that names a version"):
        prepare("HEAD", repository)
    with pytest.raises(InputError, match='"engin" is not a contestant'):
        contestant_of("engin")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny", "delayed"])
def test_an_engine_in_a_process_decides_and_learns_as_one_in_this_process_does(name, tmp_path):
    """The same version with the same seed: every offer and every propensity is the same, and another seed's is not."""
    world = TournamentWorld.draw(replace(WorldSpec.of(name, 7, 0), customers=60, visits=300))
    catalogue = world.population.market.catalogue
    options = RunOptions(batch=100, delayed=name == "delayed")

    def played(engine):
        return run(engine, world.population, world.visits, np.random.default_rng(0), options, noise=world.noise)

    results = []
    for number, seed in enumerate((3, 4)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with VersionEngine(Path(sys.executable), catalogue, seed, folder) as engine:
            timed = TimedEngine(engine, engine.cpu_ns)
            results.append(played(timed))
            assert 0 < timed.deciding.cpu_ns + timed.learning.cpu_ns <= engine.cpu_ns()
    with Engine.open(
        tmp_path / "here.db", catalogue, ThompsonSampling(catalogue), seed=3, customer_key=BENCH_KEY
    ) as engine:
        here = played(engine)
    assert np.array_equal(results[0].offer, here.offer)
    assert np.array_equal(results[0].propensity, here.propensity)
    assert np.array_equal(results[0].packed, here.packed)
    assert not np.array_equal(results[1].offer, here.offer)


@pytest.mark.slow
def test_a_process_that_stops_is_reported(tmp_path):
    """A database that is a folder cannot be opened, so that the process ends before its first answer."""
    catalogue = TournamentWorld.draw(WorldSpec.of("tiny", 7, 0, customers=5, visits=5)).population.market.catalogue
    (tmp_path / "offers.db").mkdir()
    with (
        pytest.raises(InputError, match=r"stopped without an answer \(opening\)"),
        VersionEngine(Path(sys.executable), catalogue, 1, tmp_path),
    ):
        pass
