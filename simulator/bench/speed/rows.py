"""Evaluation of a long log in a Parquet file: processor time and memory, by the numbers of offers and estimators.

The log is made once and kept. Each measurement is a process of its own, which opens the log, checks every row, and
estimates the values of two policies with intervals by customer. With the tree of another version both are measured, and
their numbers compared. What was measured is not measured again while neither the version nor the log has changed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bandit.errors import InputError
from simulator.bench.speed.rows_log import ROW_OFFERS, RowsCase, catalogue_structure, rules_structure, write_rows_log

if TYPE_CHECKING:
    from rich.console import Console

ROWS_A_CUSTOMER = 20
"""Rows of a customer on average, where the number of customers is not given."""

ROWS_ESTIMATORS = ("ips", "snips", "dm", "dr", "sndr", "switch-dr", "dr-os")
"""The estimators that are computed unless others are named."""

_THIS_TREE = Path(__file__).resolve().parents[3]
_PROGRAM = Path(__file__).with_name("rows_program.py")
_KNOWN = "rows.jsonl"
_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class RowsTask:
    """What is measured: the log, the names of the estimators, the tree of the version and what it is called."""

    case: RowsCase
    estimators: tuple[str, ...]
    version: str
    tree: Path

    @property
    def key(self) -> str:
        """A digest of the log, the estimators and the sources of the version."""
        sources = hashlib.blake2b(digest_size=8)
        for path in sorted((self.tree / "bandit").rglob("*.py")):
            sources.update(str(path.relative_to(self.tree)).encode() + path.read_bytes())
        return f"{self.case.file_name} {','.join(self.estimators)} {sources.hexdigest()}"


@dataclass(frozen=True, slots=True)
class RowsTiming:
    """One measurement: seconds of the processor in all and until the log was open, bytes of memory at most.

    `apart` is the largest relative difference of a value or a bound from those of the version before, NaN without one.
    """

    version: str
    rows: int
    customers: int
    offers: int
    policies: int
    estimators: int
    seconds: float
    opened: float
    elapsed: float
    peak: int
    apart: float = math.nan

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self) | {"apart": None if math.isnan(self.apart) else self.apart}


def measure(
    cases: Sequence[RowsCase],
    estimators: Sequence[str],
    out: Path,
    before: Path | None,
    console: Console,
    *,
    again: bool = False,
) -> Iterator[RowsTiming]:
    """Yield the measurements of each log, that of the tree `before` first; InputError where that is no tree.

    The logs and what was measured are kept in the folder `out`; `again` measures all the same.
    """
    if before is not None and not (before / "bandit" / "__init__.py").exists():
        raise InputError(f"{before}: has no package bandit; give the tree of another version, as of `git worktree add`")
    out.mkdir(parents=True, exist_ok=True)
    trees = {"now": _THIS_TREE} if before is None else {"before": before.absolute(), "now": _THIS_TREE}
    known = {} if again else _read_known(out / _KNOWN)
    for case in cases:
        _make(case, out / case.file_name, console)
        first: dict[str, Any] | None = None
        for version, tree in trees.items():
            task = RowsTask(case, tuple(estimators), version, tree)
            key = task.key
            if key not in known:
                known[key] = _run(task, out / case.file_name)
                with (out / _KNOWN).open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": key, "answer": known[key]}) + "\n")
            apart = math.nan if first is None else largest_difference(first, known[key])
            first = known[key] if version == "before" else first
            yield _timing(task, known[key], apart)


def offers_checked(offers: Sequence[int]) -> Sequence[int]:
    """Return the numbers of offers; InputError for one that no catalogue is declared for."""
    for number in offers:
        if number not in ROW_OFFERS:
            raise InputError(
                f"there is no catalogue of {number:,} offers; choose from {', '.join(map(str, ROW_OFFERS))}"
            )
    return offers


def largest_difference(one: dict[str, Any], two: dict[str, Any]) -> float:
    """Return the largest relative difference of the values and bounds of two answers; infinite where names differ."""
    first, second = _numbers(one), _numbers(two)
    if first.keys() != second.keys():
        return math.inf
    values, others = (np.array(list(each.values())) for each in (first, {key: second[key] for key in first}))
    same = (values == others) | (np.isnan(values) & np.isnan(others))
    with np.errstate(invalid="ignore"):
        return float(np.max(np.abs(values - others)[~same] / np.abs(values[~same]), initial=0.0))


def markdown(timings: Sequence[RowsTiming]) -> str:
    """Return the measurements as Markdown."""
    head = (
        "rows",
        "customers",
        "offers",
        "policies",
        "estimators",
        "version",
        "processor s",
        "of it to open the log",
        "microseconds a row",
        "peak memory, MB",
        "largest relative difference",
    )
    lines = [f"| {' | '.join(head)} |", f"|{'---:|' * 5}---|{'---:|' * 5}"]
    for each in timings:
        shown = (
            *(f"{number:,}" for number in (each.rows, each.customers, each.offers, each.policies, each.estimators)),
            each.version,
            f"{each.seconds:.1f}",
            f"{each.opened:.1f}",
            f"{1e6 * each.seconds / each.rows:.2f}",
            f"{each.peak / _MEGABYTE:,.0f}",
            "" if math.isnan(each.apart) else f"{each.apart:.1e}",
        )
        lines.append(f"| {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def _make(case: RowsCase, path: Path, console: Console) -> None:
    """Make the file of a log unless it is there."""
    if path.exists():
        return
    console.print(f"{path} is made", markup=False)
    tenths = 0

    def written(rows: int) -> None:
        nonlocal tenths
        if 10 * rows // case.rows > tenths:
            tenths = 10 * rows // case.rows
            console.print(f"{rows:,} of {case.rows:,} rows are written")

    write_rows_log(path, case, written)


def _run(task: RowsTask, path: Path) -> dict[str, Any]:
    """Measure in a process of its own and return its answer."""
    given = {
        "path": str(path.absolute()),
        "catalogue": catalogue_structure(task.case.offers),
        "policies": [rules_structure(task.case.offers, other=other) for other in (False, True)],
        "estimators": list(task.estimators),
    }
    environment = os.environ | {"PYTHONPATH": str(task.tree), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, str(_PROGRAM)],
        input=json.dumps(given) + "\n",
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InputError(f"{task.version}: the evaluation failed; its error is above")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _timing(task: RowsTask, answer: dict[str, Any], apart: float) -> RowsTiming:
    case = task.case
    return RowsTiming(
        task.version,
        case.rows,
        answer["customers"],
        case.offers,
        len(answer["rows"]),
        len(task.estimators),
        answer["seconds"],
        answer["opened"],
        answer["elapsed"],
        answer["peak"],
        apart,
    )


def _numbers(answer: dict[str, Any]) -> dict[tuple[str, str, str, int], float]:
    """Return the values and bounds of an answer by policy, kind, estimator and place."""
    return {
        (row["policy"], kind, name, place): number
        for row in answer["rows"]
        for kind in ("values", "differences")
        for name, numbers in row[kind].items()
        for place, number in enumerate(numbers)
    }


def _read_known(path: Path) -> dict[str, dict[str, Any]]:
    """Return what was measured before, by its key."""
    if not path.exists():
        return {}
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {entry["key"]: entry["answer"] for entry in entries}
