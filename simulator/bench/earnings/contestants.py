"""Who plays: the engine, Vowpal Wabbit, and the peers that are installed, each by a name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from bandit.catalogue import Catalogue
from bandit.domain import Policy
from bandit.engine import Engine
from bandit.errors import InputError
from bandit.policies import ThompsonSampling, Uniform, VowpalWabbit

ENGINE, VW_CONTESTANT, CHANCE = "engine", "vw", "chance"

BenchTarget: TypeAlias = Policy | Engine
OpenContestant: TypeAlias = Callable[[Catalogue, int, Path], AbstractContextManager[BenchTarget]]
"""Opens a contestant that knows nothing: of a catalogue, a seed and an empty folder of its own."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A learner that can be opened anew for each cell; `package` is where it comes from, `slow` says why it waits.

    One that is `slow` plays only where it is named.
    """

    name: str
    package: str
    open: OpenContestant
    slow: str = ""

    @property
    def version(self) -> str:
        """Name and version of its package; empty where it is not installed."""
        try:
            return f"{self.package} {version(self.package)}"
        except PackageNotFoundError:
            return ""

    @property
    def missing(self) -> str:
        """Why it cannot play here; empty where it can."""
        if self.package == "offer-bandit" or find_spec(self.package) is not None:
            return ""
        return f"{self.package} is not installed; `make bench` makes an environment that has it"


@contextmanager
def _engine(catalogue: Catalogue, seed: int, folder: Path) -> Iterator[BenchTarget]:
    """The engine as a service would run it, its log in the hands of the operating system; nothing is set."""
    with Engine.open(
        folder / "offers.db",
        catalogue,
        ThompsonSampling(catalogue),
        seed=seed,
        customer_key=b"bench",
        durability="process",
    ) as engine:
        yield engine


@contextmanager
def _vw(catalogue: Catalogue, seed: int, folder: Path) -> Iterator[BenchTarget]:  # noqa: ARG001 - the same for all
    """Vowpal Wabbit with the arguments of this project's policy, the best of those tried on retail markets."""
    yield VowpalWabbit(catalogue)


@contextmanager
def _chance(catalogue: Catalogue, seed: int, folder: Path) -> Iterator[BenchTarget]:  # noqa: ARG001 - the same for all
    """Uniform choice that draws: its distance from the exact value is the luck of the draws."""
    yield Uniform(catalogue)


def _peer(module: str, kind: str) -> OpenContestant:
    """Return how to open a peer's adapter, whose module is imported only then: it needs the peer."""

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
    Contestant(CHANCE, "offer-bandit", _chance, slow="the exact value of uniform choice is a reference already"),
)

CONTESTANTS: Mapping[str, Contestant] = MappingProxyType({each.name: each for each in _ALL})


def named(names: list[str] | None) -> tuple[tuple[Contestant, ...], dict[str, str]]:
    """Return who plays and who does not, with the reason; all that are installed and not slow where none is named.

    Raises InputError for a name that is none.
    """
    unknown = [name for name in names or [] if name not in CONTESTANTS]
    if unknown:
        raise InputError(f'"{unknown[0]}" is not a contestant; contestants are {", ".join(CONTESTANTS)}')
    asked = [CONTESTANTS[name] for name in names] if names else list(CONTESTANTS.values())
    absent = {each.name: each.missing for each in asked if each.missing}
    if not names:
        absent |= {each.name: each.slow for each in asked if each.slow and not each.missing}
    absent.pop(CHANCE, None)
    return tuple(each for each in asked if not each.missing and (names or not each.slow)), absent
