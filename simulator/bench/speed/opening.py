"""The cost of opening an engine at several sizes of the log: open, the first decision, close.

One log grows through all sizes and is copied at each. All sizes take turns, so that a busy machine slows all of them
alike. Whether the cost grows with the log shows in the ratio to the smallest log, in processor time, which other
programs do not lengthen much. Customers are few and facts are categories, so that the policy's state, which is read on
opening, has the same size at every size of the log.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from bandit import Catalogue, Engine, ThompsonSampling
from bandit.domain import MICROSECONDS, FloatArray
from bandit.errors import InputError
from bandit.store import file_size
from simulator.bench.engines import BENCH_KEY, BENCH_START

LOG_SIZES = (2_000, 20_000, 200_000)
ROUNDS_A_SIZE = 31

_CATALOGUE: Mapping[str, object] = {
    "name": "opening",
    "objective": {"kind": "profit", "event": "purchase", "margin": 0.4, "window": "7d"},
    "context": {
        "segment": {"type": "categorical", "values": ["new", "regular", "lapsed"]},
        "loyal": {"type": "boolean"},
    },
    "dimensions": [
        {"name": "discount", "options": [{"name": str(rate), "rate": rate / 100} for rate in (0, 5, 10, 20)]},
        {"name": "channel", "options": [{"name": "email"}, {"name": "sms", "contact_cost": 0.1}]},
    ],
}

_BATCH = 1_000
"""Decisions of one batch, and the events recorded with it."""

_LEARN_EVERY = 10_000
"""Decisions after which the engine learns, and once more at the end of each size."""

_CONVERSION = 0.1
_CUSTOMERS = 300

_DAYS = 90
"""Days that the log of each size has grown by, so that most windows are over."""

_STEPS = ("open", "first decision", "close", "all", "of it CPU")


@dataclass(frozen=True, slots=True)
class OpeningTiming:
    """Medians at one size of the log, in milliseconds; `whole` is all three steps, `cpu` the processor time of them.

    `ratio` is `cpu` over that of the smallest log, `megabytes` the size of the file, `state` the kilobytes of the
    policy's state.
    """

    decisions: int
    events: int
    megabytes: float
    state: float
    rounds: int
    open: float
    decide: float
    close: float
    whole: float
    cpu: float
    ratio: float

    def to_dict(self) -> dict[str, int | float]:
        """Return plain JSON values."""
        return asdict(self)


class GrowingLog:
    """A log that grows in steps by decisions, purchases and learning."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.catalogue = Catalogue.from_dict(_CATALOGUE)
        self.decisions = 0
        self._seed = seed
        self._rng = np.random.default_rng(seed)
        self.now = BENCH_START

    def grow_to(self, decisions: int) -> None:
        """Grow the log to so many decisions, the new ones spread over `_DAYS`, and learn them."""
        missing = decisions - self.decisions
        tick = _DAYS * 86_400 * MICROSECONDS // max(missing, 1)
        with self.engine(self.path) as engine:
            while self.decisions < decisions:
                n = min(_BATCH, decisions - self.decisions)
                self._add(engine, n)
                self.now += n * tick
                if self.decisions % _LEARN_EVERY == 0 or self.decisions == decisions:
                    engine.learn()

    def engine(self, path: Path) -> Engine:
        """Open an engine on the log or a copy, with durability "process": a disk's flush would dominate the rest."""
        return Engine.open(
            path,
            self.catalogue,
            ThompsonSampling(self.catalogue),
            seed=self._seed,
            customer_key=BENCH_KEY,
            durability="process",
            clock=lambda: self.now,
            sync=None,
        )

    def _add(self, engine: Engine, n: int) -> None:
        rng = self._rng
        made = engine.decide_batch(_customers(rng, n), _facts(rng, n))
        bought = np.flatnonzero(rng.random(n) < _CONVERSION).tolist()
        revenue = np.round(rng.lognormal(4.0, 0.5, len(bought)), 2)
        engine.record_batch([made.decision_ids[row] for row in bought], "purchase", revenue=revenue)
        self.decisions += n


def _customers(rng: Generator, n: int) -> list[str]:
    return [f"customer-{number}" for number in rng.integers(0, _CUSTOMERS, n).tolist()]


def _facts(rng: Generator, n: int) -> dict[str, list[object]]:
    segments = ("new", "regular", "lapsed")
    return {
        "segment": [segments[place] for place in rng.integers(0, len(segments), n).tolist()],
        "loyal": (rng.random(n) < 0.4).tolist(),
    }


def measure(
    decisions: Sequence[int] = LOG_SIZES,
    rounds: int = ROUNDS_A_SIZE,
    seed: int = 1,
    built: Callable[[int, float], None] | None = None,
) -> tuple[OpeningTiming, ...]:
    """Time open, first decision and close at each size, smallest first; `built` is called with size and seconds.

    InputError for a size or a number of rounds below 1.
    """
    if rounds < 1 or not decisions or min(decisions) < 1:
        raise InputError("sizes of the log and rounds are whole numbers of at least 1")
    with tempfile.TemporaryDirectory() as folder:
        log = GrowingLog(Path(folder) / "growing.db", seed)
        copies: dict[int, Path] = {}
        for size in sorted(set(decisions)):
            begun = time.perf_counter()
            log.grow_to(size)
            copies[size] = Path(folder) / f"{size}.db"
            shutil.copyfile(log.path, copies[size])
            if built is not None:
                built(size, time.perf_counter() - begun)
        return _timings(log, copies, rounds)


def _timings(log: GrowingLog, copies: Mapping[int, Path], rounds: int) -> tuple[OpeningTiming, ...]:
    taken: dict[int, list[tuple[float, ...]]] = {size: [] for size in copies}
    for number in range(rounds + 1):
        for size, path in copies.items():
            once = _once(log, path)
            if number:  # the first round brings the file into memory
                taken[size].append(once)
    smallest = float(np.median(np.array(taken[min(copies)])[:, -1]))
    return tuple(_timing(log, path, size, np.array(taken[size]), smallest) for size, path in copies.items())


def _once(log: GrowingLog, path: Path) -> tuple[float, ...]:
    """Return the milliseconds of open, the first decision and close, and of processor time for all three."""
    worked = time.process_time()
    marks = [time.perf_counter()]
    engine = log.engine(path)
    marks.append(time.perf_counter())
    try:
        engine.decide("customer-1", {"segment": "regular", "loyal": True})
        marks.append(time.perf_counter())
    finally:
        engine.close()
    marks.append(time.perf_counter())
    return tuple(1e3 * float(lap) for lap in (*np.diff(marks), time.process_time() - worked))


def _timing(log: GrowingLog, path: Path, size: int, taken: FloatArray, smallest: float) -> OpeningTiming:
    with log.engine(path) as engine:
        events, state = engine.store.counts().events, len(engine.policy.dumps())
    opened, decided, closed, worked = np.median(taken, axis=0).tolist()
    return OpeningTiming(
        decisions=size,
        events=events,
        megabytes=file_size(path) / 1e6,
        state=state / 1e3,
        rounds=len(taken),
        open=opened,
        decide=decided,
        close=closed,
        whole=float(np.median(taken[:, :-1].sum(axis=1))),
        cpu=worked,
        ratio=worked / smallest,
    )


def markdown(timings: Sequence[OpeningTiming]) -> str:
    """Return the timings as a Markdown table."""
    heads = ("decisions", "events", "file, MB", "policy's state, kB", *(f"{step}, ms" for step in _STEPS))
    lines = [f"| {' | '.join(heads)} | smallest = 1 |", "|" + "---:|" * (len(heads) + 1)]
    for each in timings:
        cells = (
            f"{each.decisions:,}",
            f"{each.events:,}",
            f"{each.megabytes:.1f}",
            f"{each.state:.0f}",
            *(f"{number:.2f}" for number in (each.open, each.decide, each.close, each.whole, each.cpu, each.ratio)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    rounds = timings[0].rounds
    return "\n".join(lines) + f'\n\nMedians of {rounds} rounds in which all sizes take turns; durability "process".\n'
