"""A linear regression over context, options and their products, trained by VW and evaluated by numpy."""

from __future__ import annotations

from typing import Literal

import numpy as np

from bandit.domain import BoolArray, FloatArray, IntArray
from bandit.policies.vw.workspace import Workspace

Loss = Literal["logistic", "squared"]

_CELLS = 1_000_000


class Regression:
    """Score of an offer in a context: x' C (1, a) + p' v, trained outcome by outcome by VW's stochastic gradient.

    x are the d context columns with the intercept first, a the K option columns and p the P pairs of an offer. Every
    product is a feature that VW has by number, so that no name gets into its text and no two features share a
    weight; the weights of an outcome's features are read back when it is learned, and all offers of a batch are
    scored at once by numpy. VW runs `--sgd --power_t 0`: a step of constant size, stable since its updates are
    invariant to importance weights (Karampatziakis and Langford 2011, "Online importance weight aware updates"),
    and changing no weights but those of the outcome's features.

    Labels are -1 and 1 with the loss "logistic", where the score is a logit, and any number with "squared".
    """

    def __init__(
        self,
        main: FloatArray,
        pairs: FloatArray,
        n_context: int,
        *,
        loss: Loss,
        rate: float,
        model: bytes | None = None,
    ) -> None:
        """Start from 0 or from a model; `main` is (N, K), `pairs` (N, P)."""
        self._crossed = np.concatenate([np.ones((len(main), 1)), main], axis=1)
        self._pairs = pairs
        self._d = n_context
        self._size = n_context * self._crossed.shape[1] + pairs.shape[1]
        # Features with numbers below 2^bits do not share a weight.
        bits = max(18, int(self._size).bit_length())
        kept = f"--noconstant --sgd --power_t 0 -l {rate!r} --loss_function {loss}"
        self._vw = Workspace(f"{kept} -b {bits}", model)
        self._weights = np.zeros(self._size)
        if model is not None:
            self._weights[:] = self._vw.weights(range(self._size))

    def learn(self, x: FloatArray, offer: IntArray, label: FloatArray, weight: FloatArray | None = None) -> None:
        """Learn n outcomes in order: (n, d) contexts, the offers, the labels, and their importance weights (1)."""
        importance = np.ones(len(offer)) if weight is None else weight
        step = max(1, _CELLS // self._size)
        for start in range(0, len(offer), step):
            rows = slice(start, start + step)
            columns = self._columns(x[rows], offer[rows])
            labelled = zip(columns, label[rows].tolist(), importance[rows].tolist(), strict=True)
            for row, target, times in labelled:
                places = np.flatnonzero(row)
                features = zip(places.tolist(), row[places].tolist(), strict=True)
                text = " ".join([f"{place}:{value:.9g}" for place, value in features])
                self._vw.learn(f"{target:.9g} {times:.9g} | {text}")
            touched = np.flatnonzero(columns.any(axis=0))
            self._weights[touched] = self._vw.weights(touched.tolist())

    def scores(self, x: FloatArray) -> FloatArray:
        """Return the (n, N) scores of every offer."""
        split = self._d * self._crossed.shape[1]
        crossed = x @ self._weights[:split].reshape(self._d, -1)
        return np.asarray(crossed @ self._crossed.T + self._pairs @ self._weights[split:])

    def model(self) -> bytes:
        """Return VW's own model file."""
        return self._vw.model()

    def close(self) -> None:
        """Release VW's memory."""
        self._vw.close()

    def _columns(self, x: FloatArray, offer: IntArray) -> FloatArray:
        crossed = x[:, :, None] * self._crossed[offer][:, None, :]
        return np.concatenate([crossed.reshape(len(x), -1), self._pairs[offer]], axis=1)


def signed_labels(positive: BoolArray) -> FloatArray:
    """Return 1 where true and -1 where false, VW's labels of the logistic loss."""
    return np.where(positive, 1.0, -1.0)
