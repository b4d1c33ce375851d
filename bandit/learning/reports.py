"""What learning and rebuilding report to their caller."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LearnReport:
    """Counts of one `learn`: outcomes learned, how many of them were updates, and how many were skipped.

    An outcome of an open decision that has not converted is learned in part. An update (`n_restated`) is an outcome of
    which something was learned before. Skipped are outcomes whose offer this catalogue does not have. `step` is the
    policy's step afterwards. `learner` is False if another engine was learning, so that this one could not learn or
    had to stop. `n_uncounted` of the outcomes have an event that does not count: one of a name that the catalogue does
    not know, or from before the decision or after its window. `n_set_aside` more could not be learned and were set
    aside (`offer-bandit doctor` names them).
    """

    n: int
    n_restated: int
    n_skipped: int
    step: int
    learner: bool = True
    n_uncounted: int = 0
    n_set_aside: int = 0


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """The result of folding the log: steps and outcomes folded, and whether the state was the current one.

    States are the same if they agree up to rounding; a stored state that cannot be read is not the same as any.
    """

    steps: int
    n: int
    same: bool
