"""Random feedback of two policies and its tallies, for the tests of intervals."""

import numpy as np

from bandit.ope import Feedback, Tally, resolve

NAMES = ("ips", "snips", "dm", "dr", "sndr", "switch-dr", "dr-os")
# Signed sums of policies: the first one's value, and the difference of the first two.
VALUE = ((1.0, 0),)
DIFFERENCE = ((1.0, 0), (-1.0, 1))
THREE = Feedback([1, 0, 2], [0.5, 0.25, 0.5], [0.5, 0.5, 1.0])


def make(rng, n=60, groups=None):
    """Two policies' feedback on the same n rows with rewards in [0, 1]."""
    propensity, cluster = rng.uniform(0.1, 1.0, n), None if groups is None else rng.integers(0, groups, n)
    reward, logged = rng.uniform(0, 1, n) ** 3, rng.uniform(0, 1, n)
    return [Feedback(reward, propensity, rng.uniform(0, 1, n), logged, rng.uniform(0, 1, n), cluster) for _ in range(2)]


def part_of(feedback, chosen):
    names = ("reward", "propensity", "target", "predicted_logged", "predicted_target", "cluster")
    columns = {name: getattr(feedback, name) for name in names}
    return Feedback(**{name: None if column is None else column[chosen] for name, column in columns.items()})


def tally_of(feedback, names=NAMES):
    tally = Tally(len(feedback), resolve(names, feedback[0].has))
    tally.add(*feedback)
    return tally


def ends(estimates):
    return np.array([[each.value, each.low, each.high] for each in estimates])
