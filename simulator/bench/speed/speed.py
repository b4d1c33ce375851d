"""Speed of the engine beside Vowpal Wabbit, timed in one run on one catalogue of each size.

All take turns, a few calls each, so that a busy machine slows all of them.
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
from typing import TypeAlias

import numpy as np
import vowpalwabbit
from rich.table import Table

from bandit.domain import FloatArray, Policy
from bandit.engine import Engine
from bandit.errors import InputError
from bandit.store.connection_setup import Durability
from simulator.bench.engines import BENCH_KEY
from simulator.bench.speed.fixtures import FIXTURE_ROWS, OPTIONS_BY_OFFERS, ProblemSize, SpeedFixture

OFFER_COUNTS, FACT_COUNTS = (48, 144, 1_152, 10_000), (12, 40, 200)

TIMING_ROUNDS, SLOW_ROUNDS = 10, 3
"""Rounds in which all take turns; calls of more than `SLOW_CALL_SECONDS` are made in the first three only."""

SLOW_CALL_SECONDS = 0.3

VW_PREDICT, VW_LEARN = "VW predict, text at hand", "VW learn, text at hand"
VW_VISIT = "VW predict and learn, text at hand"

Call: TypeAlias = Callable[[int], object]
"""A call that is timed, of the number of a row."""

SecondsClock: TypeAlias = Callable[[], float]
"""Returns seconds since any fixed moment, as `time.perf_counter` does."""


@dataclass(frozen=True, slots=True)
class TimedCall:
    """A call that is timed: it does `per` pieces of work and is compared with the call `beside` of VW."""

    name: str
    call: Call
    beside: str
    per: int = 1
    target: float | None = None
    writes: bool = False


@dataclass(frozen=True, slots=True)
class CallTiming:
    """Microseconds a piece of work; `ratio` is the median over VW's median, `target` the largest ratio wanted.

    `written` are the bytes that a piece of work hands to the system, on average; None where it was not counted.
    """

    offers: int
    facts: int
    name: str
    calls: int
    median: float
    p99: float
    beside: str
    ratio: float
    target: float | None
    written: float | None = None

    def to_dict(self) -> dict[str, str | int | float | None]:
        """Return plain JSON values."""
        return asdict(self)


def sizes(offers: Sequence[int] = OFFER_COUNTS, facts: Sequence[int] = FACT_COUNTS) -> Iterator[ProblemSize]:
    """Yield every size of so many offers and so many facts."""
    for n_offers in offers:
        for n_facts in facts:
            yield ProblemSize(n_offers, n_facts)


def measure_apart(size: ProblemSize, seconds: float, seed: int = 1) -> tuple[CallTiming, ...]:
    """Measure a size in a process of its own, limited to half of the machine's memory; InputError where it fails."""
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


def measure(
    size: ProblemSize, seconds: float, seed: int = 1, clock: SecondsClock = time.perf_counter
) -> tuple[CallTiming, ...]:
    """Time all calls at a size for about this many seconds, at least three times each, by `clock`."""
    fixture = SpeedFixture(size, seed)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        return _timings(size, tuple(_timed_calls(fixture, Path(folder), stack)), seconds, clock)


def _timed_calls(fixture: SpeedFixture, folder: Path, stack: ExitStack) -> Iterator[TimedCall]:
    workspace, pupil = fixture.workspace(), fixture.workspace()
    policy = fixture.policy()  # one for all: with many facts its state is large
    texts = [fixture.text(row) for row in range(100)]
    labelled = [fixture.labelled(row) for row in range(100)]
    rng = np.random.default_rng(2)
    one = [fixture.contexts.take(slice(row, row + 1)) for row in range(FIXTURE_ROWS)]
    eligible = fixture.outcomes.eligible
    single = [fixture.outcomes.take(slice(row, row + 1)) for row in range(FIXTURE_ROWS)]
    batch = 512 if fixture.size.offers < 5_000 else 64
    several = [
        fixture.outcomes.take(slice(start, start + batch)) for start in range(0, FIXTURE_ROWS - batch + 1, batch)
    ]

    yield TimedCall(VW_PREDICT, lambda row: workspace.predict(texts[row % len(texts)]), VW_PREDICT)
    yield TimedCall("VW predict, with building the text", lambda row: workspace.predict(fixture.text(row)), VW_PREDICT)
    yield TimedCall(
        "Thompson sampling, probabilities alone",
        lambda row: policy.probabilities(one[row], eligible[row : row + 1], rng),
        VW_PREDICT,
    )
    targets = _targets(fixture.size)
    for durability, safe in (("full", "log on the disk"), ("process", "log handed to the system")):
        engine = stack.enter_context(_engine(fixture, policy, folder, durability))
        yield TimedCall(f"decide, {safe}", _decide(fixture, engine), VW_PREDICT, target=targets.get("decide"))
    engine = stack.enter_context(_engine(fixture, policy, folder, "batch"))
    yield TimedCall(
        f"decide_batch of {batch}, a customer",
        _decide_batch(fixture, engine, batch),
        VW_PREDICT,
        batch,
        targets.get("decide_batch"),
    )
    yield TimedCall(VW_LEARN, lambda row: pupil.learn(labelled[row % len(labelled)]), VW_LEARN)
    yield TimedCall(
        "learning one outcome", lambda row: policy.update(single[row]), VW_LEARN, target=targets.get("learn")
    )
    yield TimedCall(
        f"learning {batch}, an outcome", lambda row: policy.update(several[row % len(several)]), VW_LEARN, batch
    )
    yield TimedCall(
        f"fit to {FIXTURE_ROWS:,}, an outcome", lambda _row: policy.fit(fixture.log), VW_LEARN, FIXTURE_ROWS
    )
    yield TimedCall(VW_VISIT, lambda row: _vw_visit(workspace, pupil, texts, labelled, row), VW_VISIT)
    for durability, safe in (("full", "log on the disk"), ("process", "log handed to the system")):
        engine = stack.enter_context(_engine(fixture, policy.copy(), folder, durability, "visit-"))
        target = targets.get(f"visit {durability}")
        yield TimedCall(f"decide, record and learn, {safe}", _visit(engine, fixture), VW_VISIT, 1, target, True)


def _targets(size: ProblemSize) -> dict[str, float]:
    """Return the targets at this size: of the usual size, and of very many offers."""
    if (size.offers, size.facts) == (144, 12):
        return {"decide": 1 / 3, "decide_batch": 1 / 20, "learn": 1 / 4, "visit full": 1.5, "visit process": 1.0}
    return {"decide": 1 / 20} if size.offers >= 10_000 else {}


def _engine(fixture: SpeedFixture, policy: Policy, folder: Path, name: str, prefix: str = "") -> Engine:
    """Open an engine with a policy that has learned."""
    durability: Durability = "process" if name == "process" else "full"
    path = folder / f"{prefix}{name}.db"
    return Engine.open(path, fixture.catalogue, policy, seed=1, customer_key=BENCH_KEY, durability=durability)


def _decide(fixture: SpeedFixture, engine: Engine) -> Call:
    return lambda row: engine.decide(fixture.customers[row], fixture.rows[row])


def _decide_batch(fixture: SpeedFixture, engine: Engine, batch: int) -> Call:
    customers = fixture.customers[:batch]
    columns = {name: column[:batch] for name, column in fixture.columns.items()}
    return lambda _row: engine.decide_batch(customers, columns)


def _vw_visit(
    workspace: vowpalwabbit.Workspace,
    pupil: vowpalwabbit.Workspace,
    texts: Sequence[list[str]],
    labelled: Sequence[list[str]],
    row: int,
) -> None:
    workspace.predict(texts[row % len(texts)])
    pupil.learn(labelled[row % len(labelled)])


def _visit(engine: Engine, fixture: SpeedFixture) -> Call:
    """Return a call that decides, records what came of it and learns that; one visit in twenty converts."""

    def call(row: int) -> None:
        decision = engine.decide(fixture.customers[row], fixture.rows[row])
        if row % 20:
            engine.record(decision.decision_id, "closed")
        else:
            engine.record(decision.decision_id, "purchase", revenue=50.0)
        engine.learn()

    return call


def _bytes_written() -> int | None:
    """Return how many bytes this process has handed to the system, None where the system does not say."""
    try:
        lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


def _timings(
    size: ProblemSize, calls: Sequence[TimedCall], seconds: float, clock: SecondsClock
) -> tuple[CallTiming, ...]:
    """Time the calls in turns, in rounds; each has an equal share of the seconds."""
    taken: dict[str, list[float]] = {each.name: [] for each in calls}
    written: dict[str, int] = {}
    rows = {each.name: count() for each in calls}
    turns: dict[str, int] = {}
    least: dict[str, int] = {}
    for each in calls:  # the first call, which may set things up, is not timed; the second tells the number of turns
        each.call(next(rows[each.name]))
        begun = clock()
        each.call(next(rows[each.name]))
        once = max(clock() - begun, 1e-7)
        turns[each.name] = int(np.clip(seconds / len(calls) / once / TIMING_ROUNDS, 0, 500))
        least[each.name] = TIMING_ROUNDS if once < SLOW_CALL_SECONDS else SLOW_ROUNDS
    for number in range(TIMING_ROUNDS):
        for each in calls:
            bytes_before = _bytes_written() if each.writes else None
            for _turn in range(max(turns[each.name], int(number < least[each.name]))):
                row = next(rows[each.name]) % FIXTURE_ROWS
                begun = clock()
                each.call(row)
                taken[each.name].append((clock() - begun) * 1e6 / each.per)
            bytes_after = None if bytes_before is None else _bytes_written()
            if bytes_before is not None and bytes_after is not None:
                written[each.name] = written.get(each.name, 0) + bytes_after - bytes_before
    found = {name: np.array(microseconds) for name, microseconds in taken.items()}
    return tuple(_timing(size, each, found, written.get(each.name)) for each in calls)


def _timing(size: ProblemSize, each: TimedCall, found: Mapping[str, FloatArray], written: int | None) -> CallTiming:
    mine = found[each.name]
    median, p99 = (float(value) for value in np.percentile(mine, [50, 99]))
    ratio = median / float(np.median(found[each.beside]))
    share = None if written is None else written / (len(mine) * each.per)
    return CallTiming(
        size.offers, size.facts, each.name, len(mine), median, p99, each.beside, ratio, each.target, share
    )


def table(timings: Sequence[CallTiming]) -> Table:
    """Return the timings of one size as a table."""
    size = ProblemSize(timings[0].offers, timings[0].facts)
    shown = Table(
        title=f"{size} ({' x '.join(map(str, OPTIONS_BY_OFFERS[size.offers]))} options)", title_justify="left"
    )
    shown.add_column("what", no_wrap=True)
    for heading in ("calls", "median, µs", "99th percentile, µs", "VW's = 1", "target", "kB written"):
        shown.add_column(heading, justify="right")
    for each in timings:
        if each.name in {VW_LEARN, VW_VISIT}:
            shown.add_section()
        shown.add_row(*_row(each))
    return shown


def markdown(timings: Sequence[CallTiming]) -> str:
    """Return the timings of all sizes as one Markdown table."""
    lines = ["| offers | facts | what | calls | median, µs | 99th percentile, µs | VW's = 1 | target | kB written |"]
    lines.append("|" + "---:|" * 2 + "---|" + "---:|" * 6)
    lines += [f"| {each.offers:,} | {each.facts} | " + " | ".join(_row(each)) + " |" for each in timings]
    return "\n".join(lines) + "\n"


def _row(each: CallTiming) -> tuple[str, ...]:
    target = "" if each.target is None else f"at most {each.target:.2f}"
    ratio = "1" if each.name == each.beside else f"{each.ratio:.3g}"
    written = "" if each.written is None else f"{each.written / 1_000:,.1f}"
    return each.name, f"{each.calls:,}", f"{each.median:,.1f}", f"{each.p99:,.1f}", ratio, target, written
