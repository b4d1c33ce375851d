"""Each group's weights of the logged decisions: the chance of the decision under its policy against the mixture.

A customer belongs to group g with probability s_g, and group g's policy chose the logged offer a with probability
p_g(a). The weight of group g is w_g = P(group g | what is conditioned on) / s_g, so that sum_g s_g w_g = 1 in every row
and w_g is the conditional mean of [the customer is in g] / s_g, which is what the difference of means weights with:
weights of this kind keep the mean of the groups' means and take the noise of the assignment away. (Agarwal, Basu,
Schnabel and Joachims 2017, "Effective evaluation using logged bandit feedback from multiple loggers", the balanced
estimator; Sakhi, Gilotte and Rohde 2025, "Practical improvements of A/B testing with off-policy estimation",
arXiv 2506.10677, for whole trajectories.)

Which weights are right depends on what betrays a customer's group:

- `balanced_weights` conditions on this decision alone: w_g = p_g(a) / sum_h s_h p_h(a). It is right while nothing
  that the probabilities depend on tells the group of the customer. A policy that learns from all customers together
  is nearly so: its own outcomes are a small part of what it learned (in simulated campaigns of 4,000 customers the
  bias was 2 % of the lift, at 2 standard errors). **It is biased where probabilities depend on the customer's own
  history** (a personal effect, or a fact such as "used a voucher before"): the history differs between groups, so
  within it a customer's group no longer has the probabilities s. To leave the personal part out of the probabilities
  is right only if that part did not serve either: weights need the probabilities from which the offers were drawn.
  Otherwise pass no weights; means remain right.
- `TrajectoryWeights` conditions on all the customer's decisions up to this one: w_g = product of p_g over them / sum_h
  s_h (product of p_h). It is right for personal policies too, provided each p_g is what group g's policy would have
  done for this customer with this very history, from the first decision after the assignment on. The longer histories
  are and the less the policies agree, the closer its variance comes to that of means.

`LiftSums.calibration` tests whether weights are right: among decisions with a weight, w_g s_g must be the share of
customers that are in group g.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError, NumberError
from bandit.ope.sums import ClusterSums

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from bandit.domain import FloatArray, IntArray

_IMPOSSIBLE = -700.0
"""The logarithm that stands for probability 0 in a product: it is beyond recovery, and sums of it stay finite."""


def checked_shares(shares: ArrayLike) -> FloatArray:
    """Return the (G,) shares, scaled to sum to 1; InputError for fewer than two groups and shares not above 0."""
    given = np.asarray(shares, dtype=np.float64)
    if given.ndim != 1 or len(given) < 2:
        raise InputError(f"shares have shape {given.shape}; give the share of each of at least two groups")
    if not (np.isfinite(given).all() and (given > 0).all()):
        raise InputError(f"the shares are {given.tolist()}; give numbers above 0")
    return np.asarray(given / given.sum())


def balanced_weights(probabilities: FloatArray, shares: ArrayLike) -> FloatArray:
    """Return the (n, G) weights w_g = p_g / sum_h s_h p_h of each row.

    `probabilities` (n, G) are those with which each group's policy would have chosen the logged offer. Raises
    NumberError for probabilities outside [0, 1] and for an offer that no group could have made.

    Two groups of a half each; the first chose this offer with .9 and the second with .3, and .5 (.9 + .3) = .6:

    >>> balanced_weights(np.array([[0.9, 0.3]]), [0.5, 0.5]).round(6).tolist()
    [[1.5, 0.5]]
    """
    part = checked_shares(shares)
    p = _checked(probabilities, len(part))
    return p / (p @ part)[:, None]


class TrajectoryWeights:
    """Weights of each decision given the customer's decisions so far; rows must come in order of time.

    Keeps one sum of logarithms per customer and group. It begins with the assignment: decisions that are missing from
    the beginning leave out part of what betrays the group.
    """

    def __init__(self, shares: ArrayLike) -> None:
        self.shares = checked_shares(shares)
        self._logs = ClusterSums(len(self.shares))

    def read(self, customer: IntArray, probabilities: FloatArray) -> FloatArray:
        """Return the (n, G) weights of the next n rows, from each group's probability of the logged offer.

        A customer's second decision has weights from the product of the probabilities of both:

        >>> weights = TrajectoryWeights([0.5, 0.5])
        >>> weights.read(np.array([7, 7]), np.array([[0.9, 0.3], [0.5, 0.5]])).round(6).tolist()
        [[1.5, 0.5], [1.5, 0.5]]
        """
        p = _checked(probabilities, len(self.shares))
        with np.errstate(divide="ignore"):
            logs = np.maximum(np.log(p), _IMPOSSIBLE)
        order = np.argsort(customer, kind="stable")
        sorted_ids = customer[order]
        first = np.flatnonzero(np.append(True, sorted_ids[1:] != sorted_ids[:-1]))[: len(order)]
        running = np.cumsum(logs[order], axis=0)
        # Each customer's sums begin anew at its first row of the batch, from what earlier batches left.
        offset = self._logs.sums_of(sorted_ids[first]) - (running[first] - logs[order][first])
        sizes = np.diff(np.append(first, len(order)))
        total = np.empty_like(running)
        total[order] = running + np.repeat(offset, sizes, axis=0)
        self._logs.add(logs.T, customer)
        relative = np.exp(total - total.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(relative / (relative @ self.shares)[:, None])


def _checked(probabilities: FloatArray, groups: int) -> FloatArray:
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] != groups:
        raise InputError(f"probabilities have shape {p.shape}; give one column for each of the {groups} groups")
    # The sum of rounded probabilities may exceed 1 in the last digits.
    bad = ~((p >= 0.0) & (p <= 1.0 + 1e-9)).all(axis=1) | ~(p.sum(axis=1) > 0.0)
    if bad.any():
        row = int(np.argmax(bad))
        raise NumberError(
            f"the groups' probabilities of the offer in row {row} are {p[row].tolist()}; they must lie in [0, 1], and "
            "one of them must be above 0"
        )
    return p
