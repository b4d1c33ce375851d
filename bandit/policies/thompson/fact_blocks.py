"""The blocks in which the covariance of very many weights is held: what has no fact, and each fact's weights."""

from __future__ import annotations

import numpy as np

from bandit.domain import IntArray
from bandit.encoding.encoder import Encoder

FULL_WEIGHTS = 1_200
"""Most weights of a model whose covariance is held whole; learning one outcome takes time by their square."""

BLOCK_WEIGHTS = 400
"""Most weights of a fact's block, where the fact has several columns: more columns make further blocks."""


def context_blocks(encoder: Encoder) -> IntArray:
    """Return the (d,) block of each context column: 0 for the intercept, then one or several of each fact's.

    They depend on the encoder alone, so that a column that comes into use later does not move the others.
    """
    at_once = max(1, BLOCK_WEIGHTS // (1 + len(encoder.offers.main_names)))
    found, n_blocks = np.zeros(encoder.n_context, dtype=np.int64), 1
    for fact in range(len(encoder.catalogue.facts)):
        own = np.flatnonzero(encoder.context_fact == fact)
        found[own] = n_blocks + np.arange(len(own)) // at_once
        n_blocks += -(-len(own) // at_once)
    return found
