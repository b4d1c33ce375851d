"""Results, a cell each: one contestant at one place. Kept as JSON lines, so that a run can be resumed and extended."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TypeAlias

from bandit.errors import InputError
from simulator.bench.earnings.world import WorldSpec

UNIFORM, BEST_RULE, FACTS_CLAIRVOYANT, CLAIRVOYANT = "uniform", "segment rule", "facts-clairvoyant", "clairvoyant"
REFERENCES = (UNIFORM, BEST_RULE, FACTS_CLAIRVOYANT, CLAIRVOYANT)
"""What needs no learning and is known exactly."""

CellKey: TypeAlias = tuple[WorldSpec, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TournamentCell:
    """One contestant at one place.

    `all`, `last` and `first` are its exact expected objective a decision over all visits, the last quarter and the
    first 2,000. `realised` is the mean reward that came, `error` its standard error. `decide` and `learn` are
    microseconds of processor time a decision and a learned outcome (0 for a reference), `seconds` what the cell took.
    `fault` says why there is no result. `stamp` is the place's when it was played.
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
        """Where it was played."""
        return WorldSpec(self.scenario, self.seed, self.draw, self.customers, self.visits)

    @property
    def key(self) -> CellKey:
        """What a later cell of the same contestant at the same place replaces."""
        return self.spec, self.contestant

    def value(self, window: str) -> float:
        """Return the expected objective a decision in a window: "all", "last" or "first"."""
        return {"all": self.all, "last": self.last, "first": self.first}[window]


def read(path: Path) -> dict[CellKey, TournamentCell]:
    """Return the cells of a file, the last of each key; none where there is no file.

    Raises InputError for a line that is none of ours.
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
                f"{path}, line {number}: this is no result of the benchmark ({fault}); delete the line or the file"
            ) from fault
        cells[cell.key] = cell
    return cells


def append(path: Path, cells: Iterable[TournamentCell]) -> None:
    """Add cells at the end of a file."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(cell)) + "\n" for cell in cells)


def valid(cells: Mapping[CellKey, TournamentCell]) -> dict[CellKey, TournamentCell]:
    """Return the cells whose scenario is still as it was when they were played."""
    stamps = {spec: spec.stamp for spec in {cell.spec for cell in cells.values()}}
    return {key: cell for key, cell in cells.items() if stamps[cell.spec] == cell.stamp}
