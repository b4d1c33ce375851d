"""The worlds by name; each is made once a process."""

from __future__ import annotations

from functools import cache

import numpy as np

from bandit.errors import InputError
from simulator.validation.calibration.classes import SETS, class_world
from simulator.validation.calibration.markets import market_world
from simulator.validation.calibration.replicate import seed_of
from simulator.validation.calibration.world import World

MARKETS = ("retail", "rugged", "sparse", "heavy-tail", "loyalty", "null")

NULL = "null"
"""The market where every policy is worth the same: a difference that is found there is false."""


@cache
def world_named(name: str) -> World:
    """Return a world; the same name gives the same world. InputError for a name that is none."""
    seed = np.random.SeedSequence(seed_of(f"world {name}"))
    if name in MARKETS:
        return market_world(name, seed)
    if name in SETS:
        return class_world(name, seed)
    raise InputError(f'"{name}" is no world of the calibration; there are {", ".join((*MARKETS, *SETS))}')
