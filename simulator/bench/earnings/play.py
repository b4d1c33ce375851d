"""One contestant at one place: the same visits, the same chance, learning after every batch."""

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
from simulator.bench.earnings.contestants import CONTESTANTS
from simulator.bench.earnings.timed import TimedEngine, TimedPolicy
from simulator.bench.earnings.world import TOURNAMENT_BATCH, TournamentWorld, WorldSpec, windows
from simulator.simulation.regret import ReferenceValues
from simulator.simulation.run import run


@lru_cache(maxsize=1)
def _world(spec: WorldSpec) -> TournamentWorld:
    return TournamentWorld.draw(spec)


def references(spec: WorldSpec) -> tuple[TournamentCell, ...]:
    """Return what uniform choice, the best segment rule and the two ceilings are worth at a place, exactly."""
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
    """Let one contestant meet the visits of a place; a cell with its fault where it fails."""
    contestant = CONTESTANTS[name]
    begun = time.perf_counter()
    world = _world(spec)
    chance = spec.sequence(name)
    scenario = world.population.market.scenario
    blank = replace(_blank(spec, name), version=contestant.version)
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), _quiet():
            warnings.simplefilter("ignore")  # of the peers, about themselves
            seed = int(chance.generate_state(1)[0] >> 1)
            with contestant.open(world.population.market.catalogue, seed, Path(folder)) as target:
                timed = TimedPolicy(target) if isinstance(target, Policy) else TimedEngine(target)
                played = run(
                    timed,
                    world.population,
                    world.visits,
                    np.random.default_rng(chance),
                    batch=TOURNAMENT_BATCH,
                    delayed=scenario.delayed,
                    noise=world.noise,
                )
    except Exception as fault:  # noqa: BLE001 - whatever a peer raises, the others play on and the table says it
        return replace(blank, fault=f"{type(fault).__name__}: {fault}"[:500])
    learned = timed.learning.pieces or len(played)
    return replace(
        _valued(blank, played.expected),
        realised=float(played.reward.mean()),
        error=float(played.reward.std() / np.sqrt(len(played))),
        decide=timed.deciding.microseconds,
        learn=timed.learning.nanoseconds / 1_000 / learned,
        seconds=time.perf_counter() - begun,
    )


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
    """Keep what a peer writes while it works out of the benchmark's own output."""
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield
