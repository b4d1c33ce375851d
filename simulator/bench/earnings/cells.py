"""Results as cells, one contestant in one world, kept as JSON lines so that a run can be resumed and extended."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TypeAlias

from bandit.errors import InputError
from simulator.bench.earnings.world import WorldSpec
from simulator.market.ceilings import CLAIRVOYANT, FACTS_CLAIRVOYANT, UNIFORM

BEST_RULE = "segment rule"
"""The best segment rule that could be written with full knowledge."""

REFERENCES = (UNIFORM, BEST_RULE, FACTS_CLAIRVOYANT, CLAIRVOYANT)
"""The policies that need no learning, whose values are exact."""

CellKey: TypeAlias = tuple[WorldSpec, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TournamentCell:
    """The result of one contestant in one world.

    `all`, `last` and `first` are its exact expected objective a decision over all visits, the last quarter and the
    first 2,000. `realised` is the mean realised reward, `error` its standard error. `decide` and `learn` are
    microseconds of processor time a decision and a learned outcome (0 for a reference), `seconds` the duration of the
    cell. `fault` is the reason for a missing result. `stamp` is the checksum of the scenario at that time.
    """

    scenario: str
    seed: int
    draw: int
    customers: int
    visits: int
    stamp: int
    contestant: str
    version: str = ""
    all: float = 0.0
    last: float = 0.0
    first: float = 0.0
    realised: float = 0.0
    error: float = 0.0
    decide: float = 0.0
    learn: float = 0.0
    seconds: float = 0.0
    fault: str = ""

    @property
    def spec(self) -> WorldSpec:
        """The world of the result."""
        return WorldSpec(self.scenario, self.seed, self.draw, self.customers, self.visits)

    @property
    def key(self) -> CellKey:
        """The key by which a later cell of the same contestant in the same world replaces this one."""
        return self.spec, self.contestant

    def value(self, window: str) -> float:
        """Return the expected objective a decision in a window: "all", "last" or "first"."""
        return {"all": self.all, "last": self.last, "first": self.first}[window]


def read(path: Path) -> dict[CellKey, TournamentCell]:
    """Return the cells of a file, the last of each key; none where there is no file.

    Raises InputError for a line that is not a result.
    """
    if not path.exists():
        return {}
    known = {field.name for field in fields(TournamentCell)}
    cells = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            given = json.loads(line)
            cell = TournamentCell(**{name: value for name, value in given.items() if name in known})
        except (ValueError, TypeError, AttributeError) as fault:
            raise InputError(
                f"{path}, line {number}: not a result of the benchmark ({fault}); delete the line or the file"
            ) from fault
        cells[cell.key] = cell
    return cells


def append(path: Path, cells: Iterable[TournamentCell]) -> None:
    """Add cells at the end of a file."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(cell)) + "\n" for cell in cells)


def valid(cells: Mapping[CellKey, TournamentCell]) -> dict[CellKey, TournamentCell]:
    """Return the cells whose scenario has not changed since."""
    stamps = {spec: spec.stamp for spec in {cell.spec for cell in cells.values()}}
    return {key: cell for key, cell in cells.items() if stamps[cell.spec] == cell.stamp}
