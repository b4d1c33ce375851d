"""The arrays on which the estimators of this package and of sb-obp are compared.

Every number comes from PCG64's raw integers, whose sequence numpy guarantees for a seed, by sums and products that are
exact in double precision, and by single divisions: the arrays are the same, bit by bit, with every version of numpy
and on every platform. So the answers to them can be stored without the arrays, beside a hash of the arrays.
"""

import hashlib

import numpy as np

ROWS, OFFERS, PARTS = 3_000, 12, 20
EVERY = np.arange(ROWS)


def inputs():
    """Make a log with weights up to about 500, a stochastic and a deterministic target, and a biased reward model."""
    source = np.random.PCG64(20)

    def integers(shape, bits):
        """uniform integers of `bits` bits."""
        raw = source.random_raw(int(np.prod(shape))) >> np.uint64(64 - bits)
        return raw.astype(np.int64).reshape(shape)

    def normal(*shape):
        """About standard normal: twelve uniform numbers of 16 bits less their mean, of mean 0 and variance 1."""
        return integers((*shape, 12), 16).sum(axis=-1) / 2.0**16 - 6.0

    def proportional(power):
        """Probabilities in proportion to powers of two: an exact sum and one division."""
        odds = np.ldexp(1.0, power)
        return odds / odds.sum(axis=1, keepdims=True)

    context = normal(ROWS, 3)
    score = np.rint(2.0 * context @ normal(3, OFFERS)).astype(np.int64)
    logging = proportional(score)
    odds = np.ldexp(1.0, score)
    reached = integers((ROWS, 1), 53) / 2.0**53 * odds.sum(axis=1, keepdims=True)
    offer = (odds.cumsum(axis=1) <= reached).sum(axis=1)
    effect = normal(ROWS, OFFERS) + 2.0
    return {
        "context": context,
        "logging": logging,
        "target": proportional(-score // 3),
        "sure": np.eye(OFFERS)[integers(ROWS, 16) % OFFERS],
        "offer": offer,
        "reward": normal(ROWS) ** 2 + np.maximum(effect[EVERY, offer], 0.0),
        "predicted": 0.5 * effect + normal(ROWS, OFFERS),
        "labels": np.arange(OFFERS) % 4,
        "largest": np.array(5.0),
        "threshold": np.array(5.0),
        "shrinkage": np.array(25.0),
        "clips": np.array([10_000.0, *(4.0**power for power in range(5, -4, -1))]),
        "parts": np.array(PARTS),
    }


def digest(arrays):
    """SHA-256 of the arrays: their names, shapes and numbers as little-endian 8-byte values, by name."""
    summed = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        kind = "<f8" if array.dtype.kind == "f" else "<i8"
        summed.update(f"{name} {array.shape} {kind}\n".encode())
        summed.update(np.ascontiguousarray(array, dtype=kind).tobytes())
    return summed.hexdigest()
