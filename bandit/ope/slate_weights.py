"""Importance weights of mips and pi, computed exactly from the logging policy's probabilities of all offers.

Shapes: n rows, N offers, K options of all dimensions together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError, NumberError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bandit.domain import FloatArray, IntArray

_CELLS = 2_000_000
# Tolerance for sums of probabilities, and the relative size below which a singular value counts as 0.
_TOLERANCE = 1e-6
_RANK = 1e-13


def marginal_weights(logging: FloatArray, target: FloatArray, offer: IntArray, labels: IntArray) -> FloatArray:
    """Return the (n,) marginal weights: the ratio of target to logging probability of the logged offer's label.

    This is w(x, e) of Saito and Joachims 2022, "Off-policy evaluation for large action spaces via embeddings".
    `logging` and `target` (n, N) are probabilities, `offer` (n,) the logged offers and `labels` (N,) integers, the same
    for offers with the same embedding (the same options of the chosen dimensions). With one label per offer it is the
    importance weight of ips, with one label for all offers it is 1.

    Raises InputError for shapes and offer indices that do not fit, NumberError for rows that are not probabilities and
    for a logged offer of probability 0.
    """
    logging, target, offer = _checked(logging, target, offer)
    labels = np.asarray(labels)
    if labels.shape != (logging.shape[1],) or labels.dtype.kind not in "iu":
        raise InputError(
            f"labels has shape {labels.shape} and dtype {labels.dtype}; give one integer for each of the "
            f"{logging.shape[1]} offers"
        )
    weights = np.empty(len(offer))
    for rows in _chunks(len(offer), logging.shape[1]):
        same = (labels[offer[rows], None] == labels).astype(np.float64)
        above, below = (np.einsum("ij,ij->i", each[rows], same) for each in (target, logging))
        weights[rows] = above / below
    return weights


def slate_weights(logging: FloatArray, target: FloatArray, offer: IntArray, columns: FloatArray) -> FloatArray:
    """Return the (n,) weights q' G^+ s of the pseudo-inverse estimator.

    Swaminathan et al. 2017, "Off-policy evaluation for slate recommendation". `columns` (N, K) has a 1 for each
    option of an offer: one in each dimension, so that all offers have as many. In each row s is that of the logged
    offer, q = sum over a of target(a) columns[a], and G = sum over a of logging(a) columns[a] columns[a]', whose
    pseudo-inverse is computed once for rows with the same `logging`. Where logging draws the L dimensions
    independently, the weight is the sum over dimensions of the probability ratio of the logged option, minus (L - 1).
    Rows are processed in chunks of bounded memory. Other arguments and errors are those of `marginal_weights`.
    """
    logging, target, offer = _checked(logging, target, offer)
    columns = np.asarray(columns, dtype=np.float64)
    if columns.ndim != 2 or len(columns) != logging.shape[1]:
        raise InputError(f"columns has shape {columns.shape}; give a row for each of the {logging.shape[1]} offers")
    if not (((columns == 0) | (columns == 1)).all() and len(np.unique(columns.sum(axis=1))) <= 1):
        raise InputError("columns is not one option a dimension; give a 1 for the option an offer has and 0 otherwise")
    options = columns.shape[1]
    weights = np.empty(len(offer))
    for rows in _chunks(len(offer), max(logging.shape[1], options * options)):
        distinct, which = _distinct(logging[rows])
        inverse = np.linalg.pinv(_second_moments(distinct, columns), rcond=_RANK, hermitian=True)
        wanted = (target[rows] @ columns)[:, None, :]
        weights[rows] = (wanted @ inverse[which] @ columns[offer[rows]][:, :, None])[:, 0, 0]
    return weights


def _second_moments(logging: FloatArray, columns: FloatArray) -> FloatArray:
    """Return the (n, K, K) means of s s' under the logging policy."""
    moments = np.empty((len(logging), columns.shape[1], columns.shape[1]))
    for option, column in enumerate(columns.T):
        # Only offers with the option contribute to its row.
        having = np.flatnonzero(column)
        moments[:, option] = logging[:, having] @ columns[having]
    return moments


def _distinct(table: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the distinct rows and the index of each row among them."""
    # Compared as bytes: several times faster than by number, with the same result.
    as_bytes = np.ascontiguousarray(table).view(np.dtype((np.void, table.itemsize * table.shape[1])))[:, 0]
    _, first, which = np.unique(as_bytes, return_index=True, return_inverse=True)
    return table[first], which


def _chunks(n: int, cells: int) -> Iterator[slice]:
    """Yield slices of n rows of `cells` numbers each, of bounded memory."""
    size = max(1, _CELLS // max(1, cells))
    return (slice(start, start + size) for start in range(0, n, size))


def _checked(logging: FloatArray, target: FloatArray, offer: IntArray) -> tuple[FloatArray, FloatArray, IntArray]:
    logging, target = np.asarray(logging, dtype=np.float64), np.asarray(target, dtype=np.float64)
    offer = np.asarray(offer)
    if logging.ndim != 2 or logging.shape != target.shape or not logging.shape[1]:
        raise InputError(
            f"logging has shape {logging.shape} and target {target.shape}; give (rows, offers) arrays of one shape"
        )
    n, n_offers = logging.shape
    if offer.shape != (n,) or offer.dtype.kind not in "iu":
        raise InputError(f"offer has shape {offer.shape} and dtype {offer.dtype}; give one integer for each row")
    if n and not (offer.min() >= 0 and offer.max() < n_offers):
        raise InputError(f"offer has numbers from {offer.min()} to {offer.max()}; there are {n_offers} offers")
    for name, table in (("logging", logging), ("target", target)):
        # Every comparison with NaN is false.
        if n and not (table.min() >= 0.0 and np.abs(table.sum(axis=1) - 1.0).max() <= _TOLERANCE):
            raise NumberError(f"{name} has rows that are no probabilities; give numbers of at least 0 that sum to 1")
    drawn = logging[np.arange(n), offer]
    if not (drawn > 0).all():
        row = int(np.argmin(drawn > 0))
        raise NumberError(
            f"logging gives the offer logged in row {row} probability 0; give the probabilities the row was drawn from"
        )
    return logging, target, offer
