"""The small synthetic log that `init` writes: segment rules with most offers drawn at random."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from bandit.policies.probabilities import mix_floor

if TYPE_CHECKING:
    from numpy.random import Generator

    from bandit.catalogue import Catalogue
    from bandit.domain import Policy

N_ROWS = 12_000
SAMPLE_EXPLORATION = 0.8

_HEADER = "id,sent_at,customer,gender,months_since_purchase,club,discount,channel,gift,probability,bought,amount"
_START = datetime(2026, 3, 1, 9, tzinfo=UTC)
_BUYS = {"discount": (0.0, 0.45, 0.9), "channel": (0.0, 0.15), "gift": (0.0, 0.3)}


def sample_log(catalogue: Catalogue, rules: Policy, rng: Generator) -> str:
    """Return the log of a synthetic campaign of the example catalogue as CSV text."""
    customer = rng.integers(0, N_ROWS // 3, N_ROWS)
    people = rng.random((N_ROWS, 3))[customer]
    female, loyal = people[:, 0] < 0.55, people[:, 1] < 0.4
    recency = np.round(-4.0 * np.log1p(-0.99 * people[:, 2]), 1)
    facts = {"gender": np.where(female, "f", "m").astype(object), "recency": recency, "loyal": loyal}
    contexts = catalogue.contexts(facts)
    eligible = catalogue.eligible(contexts)
    table = mix_floor(rules.probabilities(contexts, eligible, rng), eligible, SAMPLE_EXPLORATION)
    draw = rng.random((N_ROWS, 1)) * table.sum(axis=1, keepdims=True)
    offer = np.minimum((np.cumsum(table, axis=1) <= draw).sum(axis=1), catalogue.n_offers - 1)
    chance = _chance(catalogue, offer, female, loyal, recency)
    bought = rng.random(N_ROWS) < chance
    amount = np.where(bought, np.round(np.exp(rng.normal(3.7, 0.3, N_ROWS)), 2), 0.0)
    named = catalogue.offers(offer)
    words = {"0": "no", "10": "10 %", "20": "20 %"}
    columns = [
        [f"s{row:05d}" for row in range(N_ROWS)],
        [(_START + timedelta(minutes=7 * row)).strftime("%Y-%m-%dT%H:%M:%S") for row in range(N_ROWS)],
        [f"customer-{number}" for number in customer.tolist()],
        facts["gender"].tolist(),
        recency.tolist(),
        np.where(loyal, "member", "guest").tolist(),
        [words[option] for option in named["discount"].tolist()],
        named["channel"].tolist(),
        named["gift"].tolist(),
        table[np.arange(N_ROWS), offer].tolist(),
        bought.astype(int).tolist(),
        amount.tolist(),
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER.split(","))
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue()


def _chance(
    catalogue: Catalogue,
    offer: np.ndarray[tuple[int], np.dtype[np.int64]],
    female: np.ndarray[tuple[int], np.dtype[np.bool_]],
    loyal: np.ndarray[tuple[int], np.dtype[np.bool_]],
    recency: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the chance of a purchase: discounts move men, text messages women, totes the loyal."""
    options = catalogue.options[offer]
    weights = {
        "discount": 0.1 + 1.6 * ~female,
        "channel": np.where(female, 7.0, -4.0),
        "gift": np.where(loyal, 3.0, 0.0),
    }
    score = -2.0 + 0.4 * loyal - 0.06 * np.minimum(recency, 12.0)
    for place, dimension in enumerate(catalogue.dimensions):
        score = score + np.array(_BUYS[dimension.name])[options[:, place]] * weights[dimension.name]
    return np.asarray(1.0 / (1.0 + np.exp(-score)))
