"""One contestant in one world: the same visits and noise for all, learning after every batch."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from bandit.domain import FloatArray, Policy
from simulator.bench.earnings.cells import REFERENCES, TournamentCell
from simulator.bench.earnings.contestants import BenchTarget, contestant_of
from simulator.bench.earnings.timed import TimedEngine, TimedPolicy
from simulator.bench.earnings.versions import VersionEngine
from simulator.bench.earnings.world import TOURNAMENT_BATCH, TournamentWorld, WorldSpec, windows
from simulator.simulation.regret import ReferenceValues
from simulator.simulation.run import RunOptions, run


@lru_cache(maxsize=1)
def _world(spec: WorldSpec) -> TournamentWorld:
    return TournamentWorld.draw(spec)


def references(spec: WorldSpec) -> tuple[TournamentCell, ...]:
    """Return the exact values of uniform choice, the best segment rule and the two ceilings in a world."""
    begun = time.perf_counter()
    world = _world(spec)
    reference = ReferenceValues.measure(world.population, world.visits.customers, world.visits.times)
    known = (reference.uniform, reference.segment_rule, reference.facts_clairvoyant, reference.clairvoyant)
    seconds = time.perf_counter() - begun
    return tuple(
        replace(_valued(_blank(spec, name), expected), seconds=seconds / len(known))
        for name, expected in zip(REFERENCES, known, strict=True)
    )


def play(spec: WorldSpec, name: str) -> TournamentCell:
    """Run one contestant on the visits of a world; return its cell, with a fault where it fails."""
    contestant = contestant_of(name)
    begun = time.perf_counter()
    world = _world(spec)
    seeds = spec.sequence(name)
    scenario = world.population.market.scenario
    blank = replace(_blank(spec, name), version=contestant.version)
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), _quiet():
            warnings.simplefilter("ignore")  # warnings of other libraries
            seed = int(seeds.generate_state(1)[0] >> 1)
            with contestant.open(world.population.market.catalogue, seed, Path(folder)) as target:
                timed = _timed(target)
                result = run(
                    timed,
                    world.population,
                    world.visits,
                    np.random.default_rng(seeds),
                    RunOptions(batch=TOURNAMENT_BATCH, delayed=scenario.delayed),
                    noise=world.noise,
                )
    except Exception as fault:  # noqa: BLE001 - a library may raise anything; the table reports it
        return replace(blank, fault=f"{type(fault).__name__}: {fault}"[:500])
    learned = timed.learning.pieces or len(result)
    return replace(
        _valued(blank, result.expected),
        realised=float(result.reward.mean()),
        error=float(result.reward.std() / np.sqrt(len(result))),
        decide=timed.deciding.cpu_microseconds,
        learn=timed.learning.cpu_ns / 1_000 / learned,
        seconds=time.perf_counter() - begun,
    )


def _timed(target: BenchTarget) -> TimedPolicy | TimedEngine:
    if isinstance(target, Policy):
        return TimedPolicy(target)
    return TimedEngine(target, target.cpu_ns) if isinstance(target, VersionEngine) else TimedEngine(target)


def _blank(spec: WorldSpec, name: str) -> TournamentCell:
    return TournamentCell(
        scenario=spec.scenario,
        seed=spec.seed,
        draw=spec.draw,
        customers=spec.customers,
        visits=spec.visits,
        stamp=spec.stamp,
        contestant=name,
    )


def _valued(blank: TournamentCell, expected: FloatArray) -> TournamentCell:
    """Return the cell with the exact means over each window."""
    means = {window: float(expected[rows].mean()) for window, rows in windows(len(expected)).items()}
    return replace(blank, all=means["all"], last=means["last"], first=means["first"])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Discard what a library prints while it works."""
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield
