"""The worlds by name; each is made once in a process."""

from __future__ import annotations

from functools import cache

import numpy as np

from bandit.errors import InputError
from simulator.validation.calibration.classes import CLASS_SETS, class_world
from simulator.validation.calibration.markets import market_world
from simulator.validation.calibration.replicate import seed_of
from simulator.validation.calibration.world import CalibrationWorld

MARKET_WORLDS = ("retail", "rugged", "sparse", "heavy-tail", "loyalty", "null")

NULL_MARKET = "null"
"""The market where every policy is worth the same, so that a difference found there is false."""


@cache
def world_named(name: str) -> CalibrationWorld:
    """Return a world; the same name gives the same world. InputError for an unknown name."""
    seed = np.random.SeedSequence(seed_of(f"world {name}"))
    if name in MARKET_WORLDS:
        return market_world(name, seed)
    if name in CLASS_SETS:
        return class_world(name, seed)
    raise InputError(
        f'"{name}" is not a world of the calibration; worlds are {", ".join((*MARKET_WORLDS, *CLASS_SETS))}'
    )
