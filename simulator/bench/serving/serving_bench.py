"""Requests a second and waits of /decide, beside an empty route and the bare library, all in one run."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

import bandit
from bandit.domain import FloatArray
from simulator.bench.serving.kills import Kills, ServiceCheck, check
from simulator.bench.serving.load_client import ClientReport, LoadSettings, random_context, run_client
from simulator.bench.serving.servers import RunningServer, empty_route, service

BENCH_CUSTOMER_KEY = "the key of the benchmark, in place of a secret"
_EXAMPLE = Path(bandit.__file__).parent / "examples" / "catalogue.toml"
_TAIL = 0.99


@dataclass(frozen=True, slots=True)
class ServingSettings:
    """What is run: clients, seconds of each part, workers, whether workers are killed, and the seed."""

    clients: int = 8
    seconds: float = 60.0
    workers: int = 2
    kill: bool = False
    event_share: float = 0.2
    learn_every: str = "10s"
    seed: int = 1


@dataclass(frozen=True, slots=True)
class ServingRow:
    """One part of the run: decisions a second, milliseconds of one, and processor milliseconds of the server for each.

    For the service every request counts to `per_second`, the events among them; p50 and p99 are those of /decide.
    """

    what: str
    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ServingReport:
    """The parts of one run, and what the database had after it."""

    rows: tuple[ServingRow, ...]
    check: ServiceCheck

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"rows": [row.to_dict() for row in self.rows], "check": self.check.to_dict()}


def measure(settings: ServingSettings) -> ServingReport:
    """Run the bare library, the empty route and the service, one after another, and check what the service wrote."""
    with tempfile.TemporaryDirectory() as name, _with_key():
        folder = Path(name)
        rows = [_bare(folder / "bare.db", settings, 1)]
        if settings.workers > 1:
            rows.append(_bare(folder / "bare-several.db", settings, settings.workers))
        with empty_route(settings.workers, folder / "empty.log") as server:
            _, row = _load(server, settings, "/decide, empty FastAPI route", event_share=0.0)
        rows.append(row)
        database, log = folder / "offers.db", folder / "service.log"
        _create(database)
        serving = service(database, settings.workers, log, settings.learn_every)
        with serving as server, Kills(server, settings.seed) if settings.kill else _nobody_killed() as kills:
            reports, row = _load(server, settings, "/decide of the service", event_share=settings.event_share)
        rows.append(row)
        return ServingReport(tuple(rows), check(database, BENCH_CUSTOMER_KEY.encode(), reports, kills.n))


def _load(
    server: RunningServer, settings: ServingSettings, what: str, *, event_share: float
) -> tuple[list[ClientReport], ServingRow]:
    """Let the clients send requests, and return what they saw."""
    asked = [
        LoadSettings(server.port, settings.seconds, event_share, number, settings.seed)
        for number in range(settings.clients)
    ]
    cpu = server.cpu_seconds()
    reports = _in_processes([partial(run_client, each) for each in asked])
    latencies = np.concatenate([each.latencies for each in reports])
    n = sum(each.requests for each in reports)
    return reports, _row(what, latencies, n, settings.seconds, server.cpu_seconds() - cpu)


def _bare(database: Path, settings: ServingSettings, processes: int) -> ServingRow:
    """Time `engine.decide` in as many processes on one file, without anything around it."""
    _create(database)
    work = [partial(_decide_for, database, settings.seconds, settings.seed, number) for number in range(processes)]
    found: list[tuple[FloatArray, float]] = _in_processes(work)
    latencies = np.concatenate([each[0] for each in found])
    what = "engine.decide" if processes == 1 else f"engine.decide in {processes} processes"
    return _row(what, latencies, len(latencies), settings.seconds, sum(each[1] for each in found))


def _decide_for(database: Path, seconds: float, seed: int, number: int, results: Connection) -> None:
    rng, latencies = np.random.default_rng([seed, number]), []
    with bandit.Engine.resume(database) as engine:
        end, cpu, row = time.perf_counter() + seconds, time.process_time(), 0
        while time.perf_counter() < end:
            customer, context = f"c{rng.integers(100_000)}", random_context(rng)
            begun = time.perf_counter()
            engine.decide(customer, context, decision_id=f"{number}-{row}")
            latencies.append(time.perf_counter() - begun)
            row += 1
        results.send((np.array(latencies), time.process_time() - cpu))


def _row(what: str, latencies: FloatArray, n: int, seconds: float, cpu: float) -> ServingRow:
    p50, p99 = (np.quantile(latencies, [0.5, _TAIL]) * 1e3).tolist()
    return ServingRow(what, n, n / seconds, p50, p99, cpu / n * 1e3)


def _in_processes(work: Sequence[partial[None]]) -> list:  # type: ignore[type-arg]  # what the work sends
    """Run each in a process of its own and return what it sent, in their order."""
    context = get_context("spawn")
    started = []
    for each in work:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=each, args=(theirs,))
        process.start()
        theirs.close()
        started.append((process, ours))
    found = [pipe.recv() for _, pipe in started]
    for process, pipe in started:
        process.join()
        pipe.close()
    return found


def _create(database: Path) -> None:
    catalogue = bandit.Catalogue.from_toml(_EXAMPLE)
    bandit.Engine.open(database, catalogue, bandit.ThompsonSampling(catalogue)).close()


@contextmanager
def _with_key() -> Iterator[None]:
    """Have customers hashed by the benchmark's key, in this process and those that it starts."""
    before = os.environ.get("OFFER_BANDIT_KEY")
    os.environ["OFFER_BANDIT_KEY"] = BENCH_CUSTOMER_KEY
    try:
        yield
    finally:
        if before is None:
            del os.environ["OFFER_BANDIT_KEY"]
        else:
            os.environ["OFFER_BANDIT_KEY"] = before


@dataclass(frozen=True, slots=True)
class _NoKills:
    n: int = 0


@contextmanager
def _nobody_killed() -> Iterator[_NoKills]:
    yield _NoKills()


def markdown(report: ServingReport, settings: ServingSettings) -> str:
    """Return the report as a table and sentences."""
    lines = [
        "| what | requests a second | p50, ms | p99, ms | processor, ms a request |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row.what} | {row.per_second:,.0f} | {row.p50_ms:.2f} | {row.p99_ms:.2f} | {row.cpu_ms:.2f} |"
        for row in report.rows
    ]
    about = f"{settings.clients} clients, {settings.workers} workers, {settings.seconds:g} s each part"
    return "\n".join([*lines, "", f"{about}; durability full. {report.check.sentence}"])
