"""Whole numbers mixed into numbers that look random: the same on every machine, and without a generator."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

UnsignedArray: TypeAlias = NDArray[np.uint64]
"""Whole numbers of 64 bits without a sign."""


def mixed(x: UnsignedArray) -> UnsignedArray:
    """Return well mixed 64-bit numbers, (n,) as given: the finaliser of SplitMix64.

    Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators", OOPSLA, section 5.
    """
    x = x * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
