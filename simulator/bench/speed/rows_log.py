"""A log of any length as one Parquet file, in the layout of an export, with its catalogue and two rule policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from bandit.catalogue import Catalogue
from bandit.domain import MICROSECONDS, BoolArray, IntArray
from bandit.logfiles.columns.arrow import arrow
from bandit.logfiles.columns.logged_eligibility import mask_text
from bandit.policies import SegmentRules
from simulator.bench.engines import BENCH_START

CHUNK_ROWS = 250_000
"""Rows that are made at a time; each chunk is a row group of the file."""

ROW_OFFERS = {12: (4, 3), 48: (4, 4, 3), 144: (4, 6, 6)}
"""Numbers of options of the dimensions, by the number of offers."""

_EXPLORATION = 0.3
_COUNTRIES, _DEVICES, _TIERS, _SOURCES = 8, 4, 5, 6
_DAY = 86_400 * MICROSECONDS


@dataclass(frozen=True, slots=True)
class RowsCase:
    """What the log has: rows, customers, offers, and the seed of all numbers."""

    rows: int
    customers: int
    offers: int
    seed: int

    @property
    def file_name(self) -> str:
        """A name that differs with every number."""
        return f"rows-{self.rows}-{self.customers}-{self.offers}-{self.seed}.parquet"


def catalogue_structure(offers: int) -> dict[str, Any]:
    """Return the structure of the catalogue: a dozen facts, and a rule with a condition."""
    dimensions = [
        {"name": f"d{place}", "options": [{"name": f"d{place}o{option}"} for option in range(count)]}
        for place, count in enumerate(ROW_OFFERS[offers])
    ]
    words = {
        "country": _names("country", _COUNTRIES),
        "device": _names("device", _DEVICES),
        "tier": _names("tier", _TIERS),
        "source": _names("source", _SOURCES),
    }
    facts: dict[str, Any] = {name: {"type": "categorical", "values": values} for name, values in words.items()}
    facts |= {name: {"type": "numeric"} for name in ("age", "tenure", "spend", "recency", "orders", "distance", "hour")}
    facts["member"] = {"type": "boolean"}
    return {
        "objective": {"kind": "conversion"},
        "dimensions": dimensions,
        "context": facts,
        "rules": [
            {
                "reason": "no last option for devices of this kind",
                "when": 'device == "device0"',
                "forbid": {"d0": ["d0o0"]},
            }
        ],
    }


def rules_structure(offers: int, *, other: bool) -> dict[str, Any]:
    """Return the structure of one of the two rule policies."""
    counts = ROW_OFFERS[offers]

    def offer(*options: int) -> dict[str, str]:
        chosen = [options[place % len(options)] % count for place, count in enumerate(counts)]
        return {f"d{place}": f"d{place}o{option}" for place, option in enumerate(chosen)}

    if other:
        segments = [
            {"when": 'country in ["country1", "country2"] and age < 40', "offer": offer(3, 1)},
            {"when": "recency > 30", "offer": offer(1, 2)},
        ]
        return {"name": "other", "segments": segments, "otherwise": offer(2, 0), "exploration": 0.1}
    segments = [
        {"when": "member and spend > 60", "offer": offer(1, 0)},
        {"when": 'tier == "tier2"', "offer": offer(2, 1)},
        {"when": "orders >= 3", "offer": offer(3, 2)},
    ]
    return {"name": "rules", "segments": segments, "otherwise": offer(1, 1), "exploration": _EXPLORATION}


def write_rows_log(path: Path, case: RowsCase, written: Callable[[int], None]) -> None:
    """Write the file, complete or not at all; `written` is called with the number of rows so far.

    MissingExtraError without pyarrow.
    """
    pa = arrow("writing Parquet")
    from pyarrow import parquet  # noqa: PLC0415 - an optional extra

    made = _RowsMaker(case)
    unfinished = path.with_suffix(".unfinished")
    writer: Any = None
    for start in range(0, case.rows, CHUNK_ROWS):
        table = pa.table(made.chunk(start, min(CHUNK_ROWS, case.rows - start)))
        if writer is None:
            writer = parquet.ParquetWriter(unfinished, table.schema, compression="zstd")
        writer.write_table(table)
        written(start + table.num_rows)
    writer.close()
    unfinished.rename(path)


class _RowsMaker:
    """Makes the rows chunk by chunk; a chunk depends on the seed and its place only."""

    def __init__(self, case: RowsCase) -> None:
        self._case = case
        self._catalogue = Catalogue.from_dict(catalogue_structure(case.offers))
        self._logging = SegmentRules.from_dict(self._catalogue, rules_structure(case.offers, other=False))
        rng = np.random.default_rng(case.seed)
        self._customers = _customers(case.customers, rng)
        self._appeal = 0.3 * rng.standard_normal(case.offers)

    def chunk(self, start: int, n: int) -> Mapping[str, Any]:
        """Return n rows from a place on, as columns in the layout of an export."""
        pa, case, catalogue = arrow("writing Parquet"), self._case, self._catalogue
        rng = np.random.default_rng([case.seed, start])
        customer = rng.integers(case.customers, size=n)
        facts = self._facts(customer, rng)
        contexts = catalogue.contexts({name: np.asarray(values) for name, values in _plain(facts).items()})
        eligible = catalogue.eligible(contexts)
        table = self._logging.probabilities(contexts, eligible, rng)
        offer = (table.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, case.offers - 1)
        propensity = table[np.arange(n), offer]
        converted = self._converted(facts, offer, rng)
        revenue = np.where(converted, np.round(rng.gamma(2.0, 20.0, n), 2), np.nan)
        time = BENCH_START + (np.arange(start, start + n) * (300 * _DAY // case.rows)).astype(np.int64)
        columns = {
            "decision_id": pa.array(_hex_ids(n, rng)),
            "time": pa.array(time, pa.timestamp("us", tz="UTC")),
            "customer": pa.array(np.char.add("customer-", customer.astype(str)).astype(object)),
            "group": pa.array(np.full(n, "policy", dtype=object)),
        }
        for place, dimension in enumerate(catalogue.dimensions):
            columns[dimension.name] = _text_column(dimension.names, catalogue.options[offer, place])
        for name, values in facts.items():
            columns[name] = _text_column(*values) if isinstance(values, tuple) else pa.array(values, from_pandas=True)
        return columns | {
            "propensity": pa.array(propensity),
            "converted": pa.array(converted),
            "revenue": pa.array(revenue, from_pandas=True),
            "eligible": _mask_column(eligible),
            "settled": pa.array(np.ones(n, dtype=np.bool_)),
        }

    def _facts(self, customer: IntArray, rng: Generator) -> dict[str, Any]:
        """Return the facts: most belong to the customer, three to the visit."""
        n, own = len(customer), self._customers
        facts = {
            name: (values[0], values[1][customer]) if isinstance(values, tuple) else values[customer]
            for name, values in own.items()
        }
        facts["device"] = (_names("device", _DEVICES), rng.integers(_DEVICES, size=n))
        facts["recency"] = np.where(rng.random(n) < 0.1, np.nan, np.round(rng.exponential(20.0, n), 1))
        facts["hour"] = rng.integers(24, size=n).astype(np.float64)
        return facts

    def _converted(self, facts: Mapping[str, Any], offer: IntArray, rng: Generator) -> BoolArray:
        score = -3.0 + self._appeal[offer] + 0.01 * (facts["age"] - 40.0) + 0.3 * (facts["tier"][1] == offer % _TIERS)
        return np.asarray(rng.random(len(offer)) < 1.0 / (1.0 + np.exp(-score)))


def _customers(n: int, rng: Generator) -> dict[str, Any]:
    """Return the facts that a customer has at every visit: texts as (names, codes), numbers, truth values."""
    return {
        "country": (_names("country", _COUNTRIES), rng.integers(_COUNTRIES, size=n)),
        "tier": (_names("tier", _TIERS), rng.integers(_TIERS, size=n)),
        "source": (_names("source", _SOURCES), rng.integers(_SOURCES, size=n)),
        "age": rng.integers(18, 90, size=n).astype(np.float64),
        "tenure": np.round(rng.exponential(400.0, n)),
        "spend": np.round(rng.gamma(2.0, 25.0, n), 2),
        "orders": rng.poisson(2.0, n).astype(np.float64),
        "distance": np.round(rng.lognormal(2.0, 1.0, n), 3),
        "member": rng.random(n) < 0.4,
    }


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts as a catalogue reads them."""
    plain = {}
    for name, values in facts.items():
        plain[name] = np.array(values[0], dtype=object)[values[1]] if isinstance(values, tuple) else values
    return plain


def _text_column(names: list[str] | tuple[str, ...], codes: IntArray) -> Any:  # noqa: ANN401 - pyarrow has no types
    pa = arrow("writing Parquet")
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(list(names))).cast(pa.string())


def _mask_column(eligible: BoolArray) -> Any:  # noqa: ANN401 - pyarrow has no types
    masks, which = np.unique(eligible, axis=0, return_inverse=True)
    return _text_column([mask_text(mask) for mask in masks], which.reshape(-1))


def _hex_ids(n: int, rng: Generator) -> list[str]:
    text = rng.bytes(16 * n).hex()
    return [text[place : place + 32] for place in range(0, 32 * n, 32)]


def _names(prefix: str, n: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(n)]
