"""The contestants by name: the engine, Vowpal Wabbit, and the other libraries that are installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from bandit._version import __version__
from bandit.catalogue import Catalogue
from bandit.domain import Policy
from bandit.engine import Engine
from bandit.errors import InputError
from bandit.policies import ThompsonSampling, Uniform, VowpalWabbit
from simulator.bench.earnings.versions import VERSION_PREFIX, VersionEngine, open_version, version_fault
from simulator.bench.engines import BENCH_KEY

ENGINE, VW_CONTESTANT, RANDOM_CONTESTANT = "engine", "vw", "chance"

BenchTarget: TypeAlias = Policy | Engine | VersionEngine
OpenContestant: TypeAlias = Callable[[Catalogue, int, Path], AbstractContextManager[BenchTarget]]
"""Opens a contestant without knowledge from a catalogue, a seed and an empty folder of its own."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A learner that is opened anew for each cell, from a `package`.

    `slow` is the reason for which it takes part only where it is named; empty where it always does.
    """

    name: str
    package: str
    open: OpenContestant
    slow: str = ""

    @property
    def version(self) -> str:
        """Name and version of its package; empty where it is not installed, or where its name has the version."""
        if self.name.startswith(VERSION_PREFIX):
            return ""
        if self.package == "offer-bandit":
            return f"{self.package} {__version__}"
        try:
            return f"{self.package} {version(self.package)}"
        except PackageNotFoundError:
            return ""

    @property
    def missing(self) -> str:
        """The reason for which it cannot take part; empty where it can."""
        if self.name.startswith(VERSION_PREFIX):
            return version_fault(self.name)
        if self.package == "offer-bandit" or find_spec(self.package) is not None:
            return ""
        return f"{self.package} is not installed; `make bench` makes an environment that has it"


@contextmanager
def _engine(catalogue: Catalogue, seed: int, folder: Path) -> Iterator[BenchTarget]:
    """The engine as a service would run it, with durability "process" and default settings."""
    with Engine.open(
        folder / "offers.db",
        catalogue,
        ThompsonSampling(catalogue),
        seed=seed,
        customer_key=BENCH_KEY,
        durability="process",
    ) as engine:
        yield engine


@contextmanager
def _vw(catalogue: Catalogue, seed: int, folder: Path) -> Iterator[BenchTarget]:  # noqa: ARG001 - the same for all
    """Vowpal Wabbit with the arguments of this project's policy, the best of those tried on retail markets."""
    yield VowpalWabbit(catalogue)


@contextmanager
def _chance(catalogue: Catalogue, seed: int, folder: Path) -> Iterator[BenchTarget]:  # noqa: ARG001 - the same for all
    """Uniform choice by random draws: its distance from the exact value is the noise of the draws."""
    yield Uniform(catalogue)


def _peer(module: str, kind: str) -> OpenContestant:
    """Return what opens the adapter of a library; its module, which needs the library, is imported only then."""

    @contextmanager
    def opened(catalogue: Catalogue, seed: int, folder: Path) -> Iterator[BenchTarget]:  # noqa: ARG001 - the same for all
        adapter = getattr(import_module(f"simulator.bench.peers.{module}"), kind)
        policy: Policy = adapter(catalogue, seed)
        yield policy

    return opened


_ALL = (
    Contestant(ENGINE, "offer-bandit", _engine),
    Contestant(VW_CONTESTANT, "vowpalwabbit", _vw),
    Contestant("bayesianbandits", "bayesianbandits", _peer("shared_glm", "SharedGlm")),
    Contestant("mabwiser", "mabwiser", _peer("linear_arms", "LinearArms")),
    Contestant("gittins", "gittins", _peer("hashed", "Hashed")),
    Contestant(
        "pybandits",
        "pybandits",
        _peer("network", "Network"),
        slow="its network is compiled anew at each update, half a minute with 144 offers",
    ),
    Contestant(
        RANDOM_CONTESTANT, "offer-bandit", _chance, slow="the exact value of uniform choice is a reference already"
    ),
)

CONTESTANTS: Mapping[str, Contestant] = MappingProxyType({each.name: each for each in _ALL})


def contestant_of(name: str) -> Contestant:
    """Return the contestant of a name; "engine VERSION-COMMIT" is another version of the engine.

    Raises InputError for an unknown name.
    """
    if name in CONTESTANTS:
        return CONTESTANTS[name]
    if name.startswith(VERSION_PREFIX):
        return Contestant(name, "offer-bandit", partial(open_version, name))
    raise InputError(f'"{name}" is not a contestant; contestants are {", ".join(CONTESTANTS)}')


def named(names: list[str] | None) -> tuple[tuple[Contestant, ...], dict[str, str]]:
    """Return the contestants of these names, and those left out with the reason.

    Without names, all that are installed and not slow. Raises InputError for an unknown name.
    """
    asked = [contestant_of(name) for name in names] if names else list(CONTESTANTS.values())
    absent = {each.name: each.missing for each in asked if each.missing}
    if not names:
        absent |= {each.name: each.slow for each in asked if each.slow and not each.missing}
    absent.pop(RANDOM_CONTESTANT, None)
    return tuple(each for each in asked if not each.missing and (names or not each.slow)), absent
