"""When repeated looks at a growing log first show a true difference: the exact distribution of the first such look.

Look k sees the estimate in units of its standard error, Z_k, and shows the difference where Z_k reaches the half-width
h_k of the interval used. With the information I_k = 1 / error_k^2, Z_k is normal with mean signal sqrt(I_k / I_K) and
variance 1, and Z_k sqrt(I_k) has independent increments: the mean of a growing sample, and of a fixed sample of
customers who are observed more and more often. So the density of Z_k on the paths that no look has stopped follows from
that of Z_{k-1} by one integral (Armitage, McPherson and Rowe 1969, "Repeated significance tests on accumulating data"),
here by Gauss-Legendre quadrature on [-h_k, h_k].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

if TYPE_CHECKING:
    from bandit.domain import FloatArray, IntArray

LOOK_RATIO = 1.03
"""From one look to the next, information grows by at least this factor; looks in between are left out.

A path that only they would have stopped counts as stopped at the next one, so that a plan is late by at most 3 %.
"""

_NODES = 96
"""Nodes of the quadrature. Neighbours are at most .13 apart for a half-width of 4; the kernel's deviation is .17."""


def spaced_looks(information: FloatArray, *, to_the_end: bool) -> IntArray:
    """Return the indices of the looks that are kept, by the (K,) information at each, which increases.

    With `to_the_end` the last one is kept, in place of one shortly before it.

    >>> spaced_looks(np.arange(64.0, 73.0), to_the_end=True).tolist()
    [0, 2, 4, 8]
    """
    last = len(information) - 1
    kept = [0]
    while (further := max(kept[-1] + 1, int(np.searchsorted(information, information[kept[-1]] * LOOK_RATIO)))) <= last:
        kept.append(further)
    if to_the_end and kept[-1] < last:
        if information[last] < information[kept[-1]] * LOOK_RATIO:
            kept.pop()
        kept.append(last)
    return np.array(kept, dtype=np.int64)


def first_look_distribution(fractions: FloatArray, half_widths: FloatArray, signal: float) -> FloatArray:
    """Return the (K,) probabilities that one of the looks 1 .. k has shown a true difference, by look k.

    `fractions` (K,) are the information at each look relative to that at the last one, increasing and ending with 1;
    `half_widths` (K,) those of the intervals in standard errors, and `signal` above 0 is the true difference in
    standard errors at the last look. A look that shows the opposite stops the path too.

    One look with the half-width 1.96 and a difference of 1.96 + 0.8416 standard errors shows it in 80 %:

    >>> first_look_distribution(np.array([1.0]), np.array([1.959964]), 1.959964 + 0.841621).round(4).tolist()
    [0.8]
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    means = signal * np.sqrt(fractions)
    found = np.empty(len(fractions))
    shown = found[0] = float(ndtr(means[0] - half_widths[0]))
    at = nodes * half_widths[0]
    mass = weights * half_widths[0] * _normal_density(at - means[0])
    for look in range(1, len(fractions)):
        kept = fractions[look - 1] / fractions[look]
        slope, deviation = np.sqrt(kept), np.sqrt(1.0 - kept)
        moved = means[look] + slope * (at - means[look - 1])
        shown += float(mass @ ndtr((moved - half_widths[look]) / deviation))
        found[look] = shown
        at = nodes * half_widths[look]
        density = _normal_density((at[:, None] - moved) / deviation) @ mass / deviation
        mass = weights * half_widths[look] * density
    return found


def signal_needed(fractions: FloatArray, half_widths: FloatArray, power: float) -> float:
    """Return the difference, in standard errors at the last look, that some look shows with probability `power`."""
    from scipy.optimize import brentq  # noqa: PLC0415 - slow to import

    # The last look alone shows this much.
    enough = float(half_widths[-1] + ndtri(power))
    if len(fractions) == 1:
        return enough
    return float(
        brentq(lambda signal: first_look_distribution(fractions, half_widths, signal)[-1] - power, 1e-6, enough + 0.01)
    )


def _normal_density(z: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi))
