"""What policies learn from an outcome: which stages of the funnel it passed, and whether its revenue says anything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bandit.domain import BoolArray, FloatArray, LoggedBatch
from bandit.errors import InputError


def stage_steps(stages: BoolArray, converted: BoolArray, n_stages: int) -> BoolArray:
    """Return which of S stages and the conversion n outcomes have passed, (n, S + 1): a later one implies the earlier.

    `stages` (n, S) may be empty, where none were learned.

    >>> stage_steps(np.array([[False, True]]), np.array([False]), 2).tolist()
    [[True, True, False]]
    """
    known = stages if len(stages) else np.zeros((len(converted), n_stages), dtype=np.bool_)
    every = np.concatenate([known, converted[:, None]], axis=1)
    return np.asarray(np.logical_or.accumulate(every[:, ::-1], axis=1)[:, ::-1])


def batch_steps(batch: LoggedBatch, names: Sequence[str]) -> BoolArray:
    """Return which stages the decisions of a batch have passed, (n, S + 1); InputError where the log has no stages."""
    n_stages = len(names) - 1
    if len(batch) and batch.stages.shape != (len(batch), n_stages):
        listed = ", ".join(f'"{name}"' for name in names[:-1])
        raise InputError(
            f"the objective has the stages {listed}, and the log says of {batch.stages.shape[1]} stages which decisions"
            " reached them; name a column for each stage, or leave stages out of [objective]"
        )
    return stage_steps(batch.stages, batch.converted, n_stages)


def has_revenue(revenue: FloatArray, converted: BoolArray) -> BoolArray:
    """Return which outcomes (n,) inform revenue given a response: those with revenue above 0, for its logarithm."""
    return converted & (revenue > 0.0)
