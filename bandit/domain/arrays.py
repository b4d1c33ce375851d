"""Array types and the unit of time."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
"""A numpy array of float64."""
IntArray: TypeAlias = NDArray[np.int64]
"""A numpy array of int64."""
BoolArray: TypeAlias = NDArray[np.bool_]
"""A numpy array of truth values."""
ObjectArray: TypeAlias = NDArray[np.object_]
"""A numpy array of Python objects, as a column of texts."""

MICROSECONDS = 1_000_000
"""Microseconds a second: times are whole microseconds since 1970-01-01 UTC."""
