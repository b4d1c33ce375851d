"""The state of one offer model: plain values and arrays, under the format's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bandit.models import BayesianLinear
from bandit.models.moving_draws import MovingDraws
from bandit.models.tail_weights import RememberedWeights
from bandit.policies.thompson.offer_scores import AmountScale

if TYPE_CHECKING:
    from bandit.policies.thompson.offer_model import OfferModel

RATES_PART = "rates/"
"""The beginning of the names of arrays of rates of change in a state."""

RATES_OF_WEIGHTS = tuple(RATES_PART + name for name in ("means", "looser", "sums", "evidence"))
"""Those of the arrays that are of these weights, in this order."""


def state_of_offer_model(model: OfferModel) -> tuple[dict[str, object], dict[str, NDArray[np.generic]]]:
    """Return plain values and arrays, for `restore_offer_model`."""
    meta: dict[str, object] = {
        "center": model.amount_scale.center,
        "scale": model.amount_scale.scale,
        "learned": model.n_learned,
        "due": model.next_estimate,
    }
    if isinstance(model.model, BayesianLinear):
        meta |= {"shape": model.model.shape, "rate": model.model.rate}
    weights = model.model.weights
    arrays: dict[str, NDArray[np.generic]] = {
        "active": model.active,
        "mean": weights.mean,
        **weights.state(),
        "variances": model.prior.variances,
        **({} if weights.draws is None else weights.draws.state()),
        **({} if model.crosses is None else model.crosses.state()),
        **({} if model.remembered is None else model.remembered.state()),
    }
    if model.model.rates is not None:
        meta["rates"], parts = model.model.rates.state()
        arrays |= {f"{RATES_PART}{name}": array for name, array in parts.items()}
    return meta, arrays


def restore_offer_model(
    model: OfferModel, meta: Mapping[str, object], arrays: Mapping[str, NDArray[np.generic]]
) -> None:
    """Load a state; ValueError or KeyError where it does not fit these offers."""
    active = np.asarray(arrays["active"], dtype=np.int64)
    if not len(active) or active[0] != 0 or active.max() >= model.encoder.n_context or (np.diff(active) < 1).any():
        raise ValueError("it is of another context")
    mean = np.array(arrays["mean"], dtype=np.float64)
    variances = np.array(arrays["variances"], dtype=np.float64)
    model.reset(active)
    if model.crosses is not None:
        model.crosses.restore(arrays)
        model.lay_out_crosses()
        model.start_model()
    if variances.shape != model.prior.variances.shape or not (variances > 0.0).all():
        raise ValueError("its prior is of other offers")
    if not np.isfinite(variances).all():
        raise ValueError("it has numbers that are not finite")
    model.prior.variances = variances
    model.amount_scale = AmountScale(_number(meta, "center"), _number(meta, "scale"))
    model.n_learned, model.next_estimate = int(_number(meta, "learned")), int(_number(meta, "due"))
    model.model.weights.restore(mean, arrays, model.prior.variance)
    if model.moving is not None:
        draws = MovingDraws.restored(model.moving.count, model.design.size, arrays)
        model.moving = model.model.weights.draws = draws
    if isinstance(model.model, BayesianLinear):
        model.model.shape, model.model.rate = _number(meta, "shape"), _number(meta, "rate")
    if model.model.rates is not None and "rates" in meta:  # the state carried from another policy may have none
        rates = meta["rates"]
        if not isinstance(rates, dict):
            raise TypeError("its rates of change are not a mapping")
        parts = {name.removeprefix(RATES_PART): array for name, array in arrays.items() if name.startswith(RATES_PART)}
        model.model.rates.restore(rates, parts, model.model.weights, model.prior.variance)
    if model.remembered is not None:
        model.remembered = RememberedWeights.restored(arrays)


def _number(meta: Mapping[str, object], key: str) -> float:
    value = meta[key]
    if not isinstance(value, (int, float)) or not np.isfinite(value):
        raise ValueError(f"its {key} is not a finite number")
    return float(value)
