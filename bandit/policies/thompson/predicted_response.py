"""Predictions with credible intervals: P(convert), expected revenue and expected reward of offers for customers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtri, stdtrit

from bandit.domain import FloatArray, IntArray
from bandit.errors import InputError
from bandit.models.search_bounds import MAX_LOG_REVENUE
from bandit.policies.thompson.posterior import OfferPosterior, ScoreSpread
from bandit.tabular import Cell, Tabular

QUANTILE_POINTS = 1_024
"""Points of the posterior that the interval of a product of two scores is taken from."""

CONSTRAINED_DRAWS = 1_000
"""Posterior draws that intervals are taken from where a constraint or stages make them otherwise unknown."""

INTERVAL_CELLS = 2_000_000
"""Numbers held at once for intervals."""

_SEED = 20_261_127

_GOLDEN = 1.324717957244746  # the plastic number: x^3 = x + 1


@dataclass(frozen=True, slots=True, eq=False)
class PredictedColumn:
    """One predicted quantity with its credible interval, (n, m) each."""

    value: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class PredictedResponse(Tabular):
    """What a belief expects of m offers for n contexts, with central credible intervals of its posterior.

    `offers` (m,) are the offers' numbers and `labels` their names. `p_convert` is the probability of a conversion,
    `revenue` the expected revenue given one, `reward` the expected reward in the objective's unit; `p_convert` is None
    for kind "reward", `revenue` where money does not count. `level` is that of the intervals.
    """

    offers: IntArray
    labels: tuple[str, ...]
    level: float
    p_convert: PredictedColumn | None
    revenue: PredictedColumn | None
    reward: PredictedColumn

    def columns(self) -> dict[str, PredictedColumn]:
        """Return the quantities that there are, by name."""
        named = {"p_convert": self.p_convert, "revenue": self.revenue, "reward": self.reward}
        return {name: column for name, column in named.items() if column is not None}

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a context and offer: their numbers, then each quantity with low and high."""
        n, m = self.reward.value.shape
        parts: dict[str, list[list[float]]] = {}
        for name, column in self.columns().items():
            parts |= {
                name: column.value.tolist(),
                f"{name}_low": column.low.tolist(),
                f"{name}_high": column.high.tolist(),
            }
        rows: list[dict[str, Cell]] = []
        for row in range(n):
            for place in range(m):
                numbers: dict[str, Cell] = {name: part[row][place] for name, part in parts.items()}
                rows.append({"context": row, "offer": self.labels[place], **numbers})
        return rows

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values: lists of n lists of m numbers."""
        return {
            "offers": self.offers.tolist(),
            "labels": list(self.labels),
            "level": self.level,
            **{
                name: {"value": column.value.tolist(), "low": column.low.tolist(), "high": column.high.tolist()}
                for name, column in self.columns().items()
            },
        }


def predicted_response(
    posterior: OfferPosterior, offers: IntArray | Sequence[int] | None, level: float
) -> PredictedResponse:
    """Return the predictions of a posterior for some offers, by default all.

    The posterior of a score is normal, or Student's t, so quantiles of P(convert) and revenue, which rise with their
    scores, are exact. The interval of their product is taken from `QUANTILE_POINTS` points of both posteriors, which
    are independent, spread evenly by the additive recurrence of the plastic number (Roberts 2018, "The unreasonable
    effectiveness of quasirandom sequences"); with a monotone constraint, or stages, all are taken from posterior draws.
    """
    catalogue = posterior.catalogue
    if not 0.0 < level < 1.0:
        raise InputError(f"the level of credible intervals lies between 0 and 1; seen {level}")
    if offers is None:
        chosen = np.arange(catalogue.n_offers, dtype=np.int64)
    else:
        chosen = np.asarray(offers, dtype=np.int64).reshape(-1)
    if len(chosen) and not (chosen.min() >= 0 and chosen.max() < catalogue.n_offers):
        wrong = chosen[(chosen < 0) | (chosen >= catalogue.n_offers)][0]
        raise InputError(f"there is no offer {wrong}; offers have the numbers 0 to {catalogue.n_offers - 1}")
    scores, log_revenue = posterior.scores(chosen), posterior.log_revenue(chosen)
    reward = posterior.rewards(chosen, scores, log_revenue)
    bounds = _exact_bounds if posterior.linear else _drawn_bounds
    p_bounds, revenue_bounds, reward_bounds = bounds(posterior, chosen, level)
    return PredictedResponse(
        chosen,
        tuple(catalogue.label(offer) for offer in chosen.tolist()),
        level,
        None if posterior.is_raw_reward else PredictedColumn(expit(scores), *p_bounds),
        None if log_revenue is None else PredictedColumn(_revenue(log_revenue), *revenue_bounds),
        PredictedColumn(reward, *reward_bounds),
    )


Bounds = tuple[FloatArray, FloatArray]
"""Lower and upper ends, (n, m) each."""


def _exact_bounds(posterior: OfferPosterior, offers: IntArray, level: float) -> tuple[Bounds, Bounds, Bounds]:
    scores, log_revenue = posterior.scores(offers), posterior.log_revenue(offers)
    spread, revenue_spread = posterior.spread(offers), posterior.revenue_spread(offers)
    low, high = _ends(scores, spread, level)
    p_bounds = (expit(low), expit(high))
    if log_revenue is None or revenue_spread is None:
        return p_bounds, p_bounds, (posterior.rewards(offers, low, None), posterior.rewards(offers, high, None))
    revenue_low, revenue_high = _ends(log_revenue, revenue_spread, level)
    main, other = _plane(spread.freedom, revenue_spread.freedom)
    n, m = scores.shape
    ends = np.empty((2, n, m))
    at_once = max(1, INTERVAL_CELLS // (QUANTILE_POINTS * max(m, 1)))
    for start in range(0, n, at_once):
        part = slice(start, start + at_once)
        values = posterior.rewards(
            offers,
            scores[part, None, :] + spread.scale[part, None, :] * main[:, None],
            log_revenue[part, None, :] + revenue_spread.scale[part, None, :] * other[:, None],
        )
        ends[:, part] = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=1)
    return p_bounds, (_revenue(revenue_low), _revenue(revenue_high)), (ends[0], ends[1])


def _drawn_bounds(posterior: OfferPosterior, offers: IntArray, level: float) -> tuple[Bounds, Bounds, Bounds]:
    scores, log_revenue = posterior.draw(offers, CONSTRAINED_DRAWS, np.random.default_rng(_SEED))
    ends = [(1 - level) / 2, (1 + level) / 2]
    reward = np.quantile(posterior.rewards(offers, scores, log_revenue), ends, axis=1)
    low, high = np.quantile(scores, ends, axis=1)
    p_bounds = (expit(low), expit(high))
    revenue = p_bounds if log_revenue is None else tuple(_revenue(np.quantile(log_revenue, ends, axis=1)))
    return p_bounds, (revenue[0], revenue[1]), (reward[0], reward[1])


def _ends(location: FloatArray, spread: ScoreSpread, level: float) -> Bounds:
    upper = 0.5 + level / 2
    z = float(ndtri(upper) if np.isinf(spread.freedom) else stdtrit(spread.freedom, upper))
    return location - z * spread.scale, location + z * spread.scale


def _revenue(log_revenue: FloatArray) -> FloatArray:
    return np.asarray(np.exp(np.minimum(log_revenue, MAX_LOG_REVENUE)))


def _plane(freedom: float, other: float) -> Bounds:
    """Return (M,) standard quantiles of both posteriors that fill their plane evenly."""
    steps = np.arange(QUANTILE_POINTS, dtype=np.float64) + 0.5

    def quantiles(share: FloatArray, freedom: float) -> FloatArray:
        return np.asarray(ndtri(share) if np.isinf(freedom) else stdtrit(freedom, share))

    return quantiles((steps / _GOLDEN) % 1.0, freedom), quantiles((steps / _GOLDEN**2) % 1.0, other)
