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
from simulator.bench.earnings.cells import REFERENCES, Cell
from simulator.bench.earnings.contestants import CONTESTANTS
from simulator.bench.earnings.timed import TimedEngine, TimedPolicy
from simulator.bench.earnings.world import BATCH, Place, World, windows
from simulator.simulation.regret import Yardstick
from simulator.simulation.run import run


@lru_cache(maxsize=1)
def _world(place: Place) -> World:
    return World.draw(place)


def references(place: Place) -> tuple[Cell, ...]:
    """Return what uniform choice, the best segment rule and the two ceilings are worth at a place, exactly."""
    begun = time.perf_counter()
    world = _world(place)
    stick = Yardstick.measure(world.population, world.visits.customers, world.visits.times)
    known = (stick.uniform, stick.segment_rule, stick.facts_clairvoyant, stick.clairvoyant)
    seconds = time.perf_counter() - begun
    return tuple(
        replace(_valued(_blank(place, name), expected), seconds=seconds / len(known))
        for name, expected in zip(REFERENCES, known, strict=True)
    )


def play(place: Place, name: str) -> Cell:
    """Let one contestant meet the visits of a place; a cell with its fault where it fails."""
    contestant = CONTESTANTS[name]
    begun = time.perf_counter()
    world = _world(place)
    chance = place.sequence(name)
    scenario = world.population.market.scenario
    blank = replace(_blank(place, name), version=contestant.version)
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), _quiet():
            warnings.simplefilter("ignore")  # of the peers, about themselves
            seed = int(chance.generate_state(1)[0] >> 1)
            with contestant.open(world.population.market.catalogue, seed, Path(folder)) as target:
                timed = TimedPolicy(target) if isinstance(target, Policy) else TimedEngine(target)
                told = run(
                    timed,
                    world.population,
                    world.visits,
                    np.random.default_rng(chance),
                    batch=BATCH,
                    delayed=scenario.delayed,
                    noise=world.noise,
                )
    except Exception as fault:  # noqa: BLE001 - whatever a peer raises, the others play on and the table says it
        return replace(blank, fault=f"{type(fault).__name__}: {fault}"[:500])
    learned = timed.learning.pieces or len(told)
    return replace(
        _valued(blank, told.expected),
        realised=float(told.reward.mean()),
        error=float(told.reward.std() / np.sqrt(len(told))),
        decide=timed.deciding.microseconds,
        learn=timed.learning.nanoseconds / 1_000 / learned,
        seconds=time.perf_counter() - begun,
    )


def _blank(place: Place, name: str) -> Cell:
    return Cell(
        scenario=place.scenario,
        seed=place.seed,
        draw=place.draw,
        customers=place.customers,
        visits=place.visits,
        stamp=place.stamp,
        contestant=name,
    )


def _valued(blank: Cell, expected: FloatArray) -> Cell:
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
