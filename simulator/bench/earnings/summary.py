"""Tables from cells: shares of the gain from uniform choice to the facts-clairvoyant, with standard errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from simulator.bench.earnings.cells import BEST_RULE, REFERENCES, TournamentCell
from simulator.bench.earnings.contestants import CONTESTANTS, ENGINE
from simulator.bench.earnings.versions import VERSION_PREFIX
from simulator.bench.earnings.world import FIRST_DECISIONS, WorldSpec
from simulator.market.ceilings import CLAIRVOYANT, FACTS_CLAIRVOYANT, UNIFORM

EARNED_WINDOWS = ("all", "last", "first")


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over draws with its standard error (NaN for one draw)."""

    value: float
    error: float

    @staticmethod
    def of(values: Sequence[float]) -> Mean:
        """Return the mean of some values, NaN without any."""
        array = np.array(values, dtype=np.float64)
        error = float(array.std(ddof=1) / np.sqrt(len(array))) if len(array) > 1 else float("nan")
        return Mean(float(array.mean()) if len(array) else float("nan"), error)

    def text(self, decimals: int) -> str:
        """Return the mean and its error for a table."""
        if not np.isfinite(self.value):
            return ""
        error = f" ± {self.error:.{decimals}f}" if np.isfinite(self.error) else ""
        return f"{self.value:.{decimals}f}{error}".replace("-0." + "0" * decimals + " ", "0." + "0" * decimals + " ")


@dataclass(frozen=True, slots=True)
class ContestantRow:
    """One contestant in one scenario, over the draws that have a result.

    `all`, `last` and `first` are shares of the gain from uniform choice (0) to the facts-clairvoyant (1); in a scenario
    where nothing can be gained (`money`) they are differences to uniform choice a decision, in the currency. `regret`
    is the money lost to the facts-clairvoyant in the first 2,000 decisions. `noise` is the standard error of the
    realised reward a decision within one draw.
    """

    scenario: str
    contestant: str
    draws: int
    money: bool
    all: Mean
    last: Mean
    first: Mean
    regret: Mean
    noise: float
    decide: float
    learn: float
    version: str
    faults: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


def rows(cells: Iterable[TournamentCell]) -> tuple[ContestantRow, ...]:
    """Return a row for each scenario and contestant: scenarios in the order of the cells, the best contestant first."""
    specs: dict[WorldSpec, dict[str, TournamentCell]] = {}
    for cell in cells:
        specs.setdefault(cell.spec, {})[cell.contestant] = cell
    scenarios: dict[str, list[Mapping[str, TournamentCell]]] = {}
    for spec, found in specs.items():
        if all(name in found for name in REFERENCES):
            scenarios.setdefault(spec.scenario, []).append(found)
    made: list[ContestantRow] = []
    for name, draws in scenarios.items():
        money = not any(_gain(found, "all") > 1e-9 * max(1.0, abs(found[UNIFORM].all)) for found in draws)
        names = sorted({name for found in draws for name in found}, key=_order)
        mine = [_row(name, who, [found for found in draws if who in found], money) for who in names]
        made += sorted(mine, key=lambda row: -row.all.value if np.isfinite(row.all.value) else np.inf)
    return tuple(made)


def _order(name: str) -> tuple[int, str]:
    known = [*CONTESTANTS, *REFERENCES]
    return (known.index(name) if name in known else len(known)), name


def _gain(found: Mapping[str, TournamentCell], window: str) -> float:
    return found[FACTS_CLAIRVOYANT].value(window) - found[UNIFORM].value(window)


def _row(scenario: str, who: str, draws: Sequence[Mapping[str, TournamentCell]], money: bool) -> ContestantRow:
    complete = [found for found in draws if not found[who].fault]
    mine = [found[who] for found in complete]

    def share(window: str) -> Mean:
        gained = [found[who].value(window) - found[UNIFORM].value(window) for found in complete]
        if money:
            return Mean.of(gained)
        return Mean.of([each / _gain(found, window) for each, found in zip(gained, complete, strict=True)])

    regret = [
        (found[FACTS_CLAIRVOYANT].first - found[who].first) * min(FIRST_DECISIONS, found[who].visits)
        for found in complete
    ]
    return ContestantRow(
        scenario=scenario,
        contestant=who,
        draws=len(complete),
        money=money,
        all=share("all"),
        last=share("last"),
        first=share("first"),
        regret=Mean.of(regret),
        noise=float(np.mean([cell.error for cell in mine])) if mine else 0.0,
        decide=float(np.median([cell.decide for cell in mine])) if mine else 0.0,
        learn=float(np.median([cell.learn for cell in mine])) if mine else 0.0,
        version=next((cell.version for cell in mine if cell.version), ""),
        faults=tuple(sorted({found[who].fault for found in draws if found[who].fault})),
    )


def markdown(table: Sequence[ContestantRow], absent: Mapping[str, str], text: str) -> str:
    """Return the result as Markdown: what was run, the short table, a table for each scenario, who was left out."""
    scenarios = list(dict.fromkeys(row.scenario for row in table))
    parts = [f"# What engine and peers earn\n\n{text}\n", _LEGEND, _short(table, scenarios)]
    parts += [_scenario([row for row in table if row.scenario == name]) for name in scenarios]
    versions = sorted({row.version for row in table if row.version})
    parts.append("Versions: " + ", ".join(versions) + ".\n" if versions else "")
    parts += [f"- {name} was left out: {why}.\n" for name, why in absent.items()]
    return "\n".join(part for part in parts if part)


_LEGEND = f"""Exact expected values of the offers that were made, on a scale of {UNIFORM} choice (0) and the best policy
that sees the observed facts only (1). Mean over draws of market, customers, visits and noise, ± its standard error.
All contestants meet the same visits with the same noise, in batches of 100 decisions, and learn after each batch.
Regret is the money lost to the {FACTS_CLAIRVOYANT} policy in the first {FIRST_DECISIONS:,} decisions. Microseconds are
processor time a decision and a learned outcome, medians over draws; the engine's include its log and its events.
"""


def _short(table: Sequence[ContestantRow], scenarios: Sequence[str]) -> str:
    """Return one line for each scenario: the engine, its other versions, the best peer, best rule, clairvoyant.

    The best peer is the best over all decisions; where another one is best in the first 2,000, that one is named there.
    """
    versions = sorted({row.contestant for row in table if row.contestant.startswith(VERSION_PREFIX)})
    ours = [ENGINE, *versions]
    last, first = "last quarter", f"first {FIRST_DECISIONS:,}"
    titles = ["scenario"]
    for name in ours:
        titles += [name, last, first]
    titles += ["best peer", "all", last, first, BEST_RULE, last, CLAIRVOYANT]
    lines = [
        "## In short\n",
        "| " + " | ".join(titles) + " |",
        "|---|" + "---:|" * (3 * len(ours)) + "---|" + "---:|" * 6,
    ]
    for scenario in scenarios:
        found = {row.contestant: row for row in table if row.scenario == scenario}
        peers = [row for row in found.values() if row.contestant not in (*ours, *REFERENCES) and row.draws]
        decimals = 4 if found[BEST_RULE].money else 3
        cells = [scenario + (" (money)" if found[BEST_RULE].money else "")]
        for name in ours:
            cells += _texts(found.get(name), decimals)
        best = max(peers, key=lambda row: row.all.value) if peers else None
        cells += [best.contestant if best else "", *_texts(best, decimals)[:2], _best_first(peers, best, decimals)]
        rule = found[BEST_RULE]
        cells += [rule.all.text(decimals), rule.last.text(decimals), found[CLAIRVOYANT].all.text(decimals)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _texts(row: ContestantRow | None, decimals: int) -> list[str]:
    """Return the means over all decisions, the last quarter and the first 2,000; empty texts without a row."""
    means = () if row is None else (row.all, row.last, row.first)
    return [mean.text(decimals) for mean in means] or ["", "", ""]


def _best_first(peers: Sequence[ContestantRow], best: ContestantRow | None, decimals: int) -> str:
    """Return the most that any peer earned in the first 2,000 decisions, with its name where it is not the best."""
    if best is None:
        return ""
    quickest = max(peers, key=lambda row: row.first.value)
    name = "" if quickest is best else f" ({quickest.contestant})"
    return quickest.first.text(decimals) + name


def _scenario(found: Sequence[ContestantRow]) -> str:
    """Return the table of one scenario."""
    money = found[0].money
    unit = ", money above uniform a decision" if money else ""
    first = f"first {FIRST_DECISIONS:,}"
    lines = [
        f"## {found[0].scenario}\n",
        f"| contestant | draws | all{unit} | last quarter | {first} | regret | µs to decide | to learn |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    decimals = 4 if money else 3
    for row in found:
        fault = f" (failed: {row.faults[0]})" if row.faults else ""
        speed = [f"{row.decide:,.0f}", f"{row.learn:,.0f}"] if row.decide else ["", ""]
        values = [row.all.text(decimals), row.last.text(decimals), row.first.text(decimals), row.regret.text(0)]
        lines.append("| " + " | ".join([row.contestant + fault, str(row.draws), *values, *speed]) + " |")
    if money:
        noise = max(row.noise for row in found)
        lines.append(
            f"\nNothing can be gained here, so differences are in money; the mean realised reward has a standard "
            f"error of {noise:.4f} within one draw."
        )
    return "\n".join(lines) + "\n"
