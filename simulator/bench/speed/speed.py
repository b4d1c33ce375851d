"""The engine's speed beside Vowpal Wabbit's, side by side in one run on one catalogue of each size.

All contestants take turns, a few calls each, so that a busy machine slows all of them.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Literal

import numpy as np
from rich.table import Table

from bandit.domain import FloatArray, Policy
from bandit.engine import Engine
from bandit.errors import InputError
from simulator.bench.speed.fixtures import KNOWN, LEVERS, Size, Stage

OFFERS, FACTS = (48, 144, 1_152, 10_000), (12, 40, 200)

ROUNDS, LEAST = 10, 3
"""Rounds in which all take turns; a call of more than `LONG` seconds is made in the first three only."""

LONG = 0.3
KEY = b"bench"

VW_PREDICT, VW_LEARN = "VW predict, text at hand", "VW learn, text at hand"

Call = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Timed:
    """Something timed call by call; a call does `per` pieces of work and is compared with VW's `beside`."""

    name: str
    call: Call
    beside: str
    per: int = 1
    target: float | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Microseconds a piece of work; `ratio` is the median in units of VW's median, `target` the most it should be."""

    offers: int
    facts: int
    name: str
    calls: int
    median: float
    p99: float
    beside: str
    ratio: float
    target: float | None

    def to_dict(self) -> dict[str, str | int | float | None]:
        """Return plain JSON values."""
        return asdict(self)


def sizes(offers: Sequence[int] = OFFERS, facts: Sequence[int] = FACTS) -> Iterator[Size]:
    """Yield every size of so many offers and so many facts."""
    for n_offers in offers:
        for n_facts in facts:
            yield Size(n_offers, n_facts)


def measure_apart(size: Size, seconds: float, seed: int = 1) -> tuple[Timing, ...]:
    """Measure a size in a process of its own with half of the machine's memory; InputError where it fails."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_bound_memory) as pool:
        try:
            return pool.submit(measure, size, seconds, seed).result()
        except Exception as fault:
            what = f"{type(fault).__name__}: {fault}"[:300]
            raise InputError(
                f"{size} could not be measured ({what}); leave it out, or take a larger machine"
            ) from fault


def _bound_memory() -> None:
    half = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    resource.setrlimit(resource.RLIMIT_AS, (half, half))


def measure(size: Size, seconds: float, seed: int = 1) -> tuple[Timing, ...]:
    """Time every contestant at a size for about this many seconds, three calls of each at the least."""
    stage = Stage(size, seed)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        return _timings(size, tuple(_contestants(stage, Path(folder), stack)), seconds)


def _contestants(stage: Stage, folder: Path, stack: ExitStack) -> Iterator[Timed]:
    workspace, pupil = stage.workspace(), stage.workspace()
    policy = stage.policy()  # one for all: with many facts a belief is large
    texts = [stage.text(row) for row in range(100)]
    labelled = [stage.labelled(row) for row in range(100)]
    rng = np.random.default_rng(2)
    one = [stage.contexts.take(slice(row, row + 1)) for row in range(KNOWN)]
    eligible = stage.outcomes.eligible
    single = [stage.outcomes.take(slice(row, row + 1)) for row in range(KNOWN)]
    batch = 512 if stage.size.offers < 5_000 else 64
    several = [stage.outcomes.take(slice(start, start + batch)) for start in range(0, KNOWN - batch + 1, batch)]

    yield Timed(VW_PREDICT, lambda row: workspace.predict(texts[row % len(texts)]), VW_PREDICT)
    yield Timed("VW predict, with building the text", lambda row: workspace.predict(stage.text(row)), VW_PREDICT)
    yield Timed(
        "Thompson sampling, probabilities alone",
        lambda row: policy.probabilities(one[row], eligible[row : row + 1], rng),
        VW_PREDICT,
    )
    targets = _targets(stage.size)
    for durability, safe in (("full", "log on the disk"), ("process", "log handed to the system")):
        engine = stack.enter_context(_engine(stage, policy, folder, durability))
        yield Timed(f"decide, {safe}", _decide(stage, engine), VW_PREDICT, target=targets.get("decide"))
    engine = stack.enter_context(_engine(stage, policy, folder, "batch"))
    yield Timed(
        f"decide_batch of {batch}, a customer",
        _decide_batch(stage, engine, batch),
        VW_PREDICT,
        batch,
        targets.get("decide_batch"),
    )
    yield Timed(VW_LEARN, lambda row: pupil.learn(labelled[row % len(labelled)]), VW_LEARN)
    yield Timed("learning one outcome", lambda row: policy.update(single[row]), VW_LEARN, target=targets.get("learn"))
    yield Timed(
        f"learning {batch}, an outcome", lambda row: policy.update(several[row % len(several)]), VW_LEARN, batch
    )
    yield Timed(f"fit to {KNOWN:,}, an outcome", lambda _row: policy.fit(stage.log), VW_LEARN, KNOWN)


def _targets(size: Size) -> dict[str, float]:
    """Return the targets of this size: for the size that most have, and for very many offers."""
    if (size.offers, size.facts) == (144, 12):
        return {"decide": 1 / 3, "decide_batch": 1 / 20, "learn": 1 / 4}
    return {"decide": 1 / 20} if size.offers >= 10_000 else {}


def _engine(stage: Stage, policy: Policy, folder: Path, name: str) -> Engine:
    """Open an engine that only decides, with what the policy has learned."""
    durability: Literal["full", "process"] = "process" if name == "process" else "full"
    path = folder / f"{name}.db"
    return Engine.open(path, stage.catalogue, policy, seed=1, customer_key=KEY, durability=durability)


def _decide(stage: Stage, engine: Engine) -> Call:
    return lambda row: engine.decide(stage.customers[row], stage.rows[row])


def _decide_batch(stage: Stage, engine: Engine, batch: int) -> Call:
    customers = stage.customers[:batch]
    columns = {name: column[:batch] for name, column in stage.columns.items()}
    return lambda _row: engine.decide_batch(customers, columns)


def _timings(size: Size, contestants: Sequence[Timed], seconds: float) -> tuple[Timing, ...]:
    """Let all take turns in rounds; each has its share of the seconds."""
    taken: dict[str, list[float]] = {each.name: [] for each in contestants}
    rows = {each.name: count() for each in contestants}
    turns: dict[str, int] = {}
    least: dict[str, int] = {}
    for each in contestants:  # what a first call sets up is not timed; the second tells how many there is time for
        each.call(next(rows[each.name]))
        begun = time.perf_counter()
        each.call(next(rows[each.name]))
        once = max(time.perf_counter() - begun, 1e-7)
        turns[each.name] = int(np.clip(seconds / len(contestants) / once / ROUNDS, 0, 500))
        least[each.name] = ROUNDS if once < LONG else LEAST
    for number in range(ROUNDS):
        for each in contestants:
            for _turn in range(max(turns[each.name], int(number < least[each.name]))):
                row = next(rows[each.name]) % KNOWN
                begun = time.perf_counter()
                each.call(row)
                taken[each.name].append((time.perf_counter() - begun) * 1e6 / each.per)
    found = {name: np.array(microseconds) for name, microseconds in taken.items()}
    return tuple(_timing(size, each, found) for each in contestants)


def _timing(size: Size, each: Timed, found: Mapping[str, FloatArray]) -> Timing:
    mine = found[each.name]
    median, p99 = (float(value) for value in np.percentile(mine, [50, 99]))
    ratio = median / float(np.median(found[each.beside]))
    return Timing(size.offers, size.facts, each.name, len(mine), median, p99, each.beside, ratio, each.target)


def table(timings: Sequence[Timing]) -> Table:
    """Return the timings of one size as a table."""
    size = Size(timings[0].offers, timings[0].facts)
    shown = Table(title=f"{size} ({' x '.join(map(str, LEVERS[size.offers]))} options)", title_justify="left")
    shown.add_column("what", no_wrap=True)
    for heading in ("calls", "median, µs", "99th percentile, µs", "VW's = 1", "target"):
        shown.add_column(heading, justify="right")
    for each in timings:
        if each.name == VW_LEARN:
            shown.add_section()
        shown.add_row(*_row(each))
    return shown


def markdown(timings: Sequence[Timing]) -> str:
    """Return the timings of all sizes as one Markdown table."""
    lines = ["| offers | facts | what | calls | median, µs | 99th percentile, µs | VW's = 1 | target |"]
    lines.append("|" + "---:|" * 2 + "---|" + "---:|" * 5)
    lines += [f"| {each.offers:,} | {each.facts} | " + " | ".join(_row(each)) + " |" for each in timings]
    return "\n".join(lines) + "\n"


def _row(each: Timing) -> tuple[str, str, str, str, str, str]:
    target = "" if each.target is None else f"at most {each.target:.2f}"
    ratio = "1" if each.name == each.beside else f"{each.ratio:.3g}"
    return each.name, f"{each.calls:,}", f"{each.median:,.1f}", f"{each.p99:,.1f}", ratio, target
