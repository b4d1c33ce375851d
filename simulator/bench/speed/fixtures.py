"""Fixtures of the speed table: a catalogue of a given size, contexts in every form, outcomes to learn.

The outcomes are random noise; only sizes matter. Facts are numbers, so that a context has as many columns as facts
(the engine adds one for each that may be missing). One offer in twenty converts.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import vowpalwabbit

from bandit.catalogue import Catalogue
from bandit.domain import LoggedBatch, Outcomes
from bandit.errors import InputError
from bandit.policies import ThompsonSampling
from simulator.simulation.log import MemoryLog

VW_ARGUMENTS = "--cb_explore_adf -q ca --quiet --random_seed 1"
"""The simplest contextual bandit of VW with interactions of context and option, as the engine has them."""

OPTIONS_BY_OFFERS: Mapping[int, tuple[int, ...]] = {
    6: (3, 2),
    48: (6, 4, 2),
    144: (6, 4, 3, 2),
    1_152: (6, 4, 4, 4, 3),
    10_000: (10, 10, 10, 10),
}
"""Options of each dimension, by the number of offers that they combine to."""

FIXTURE_ROWS = 2_000
"""Rows of a fixture: outcomes learned before the timing, or as many as are learned in `TEACHING_SECONDS`."""

TEACHING_SECONDS = 5.0
"""Most seconds of learning before the timing."""


@dataclass(frozen=True, slots=True)
class ProblemSize:
    """The size of a problem: offers of a catalogue and facts of a context."""

    offers: int
    facts: int

    def __str__(self) -> str:
        return f"{self.offers:,} offers, {self.facts} facts"


class SpeedFixture:
    """A catalogue, contexts in the form of each contestant, and outcomes."""

    def __init__(self, size: ProblemSize, seed: int) -> None:
        if size.offers not in OPTIONS_BY_OFFERS:
            raise InputError(
                f"{size.offers} offers are not among the sizes; choose one of {', '.join(map(str, OPTIONS_BY_OFFERS))}"
            )
        rng = np.random.default_rng(seed)
        self.size = size
        self.catalogue = Catalogue.from_dict(catalogue_mapping(size))
        self.columns: dict[str, Any] = {
            f"fact{place}": np.round(rng.standard_normal(FIXTURE_ROWS), 3) for place in range(size.facts)
        }
        self.customers = [f"c{row:05d}" for row in range(FIXTURE_ROWS)]
        names = list(self.columns)
        self.rows = [
            dict(zip(names, row, strict=True)) for row in np.column_stack(list(self.columns.values())).tolist()
        ]
        self.contexts = self.catalogue.contexts(self.columns, self.customers)
        offer = rng.integers(0, size.offers, FIXTURE_ROWS)
        converted = rng.random(FIXTURE_ROWS) < 0.05
        revenue = np.where(converted, np.exp(4.0 + 0.5 * rng.standard_normal(FIXTURE_ROWS)), 0.0)
        reward = self.catalogue.objective.reward(
            self.catalogue.money, offer, converted, revenue, np.zeros(FIXTURE_ROWS)
        )
        eligible = np.broadcast_to(np.ones(size.offers, dtype=np.bool_), (FIXTURE_ROWS, size.offers))
        self.outcomes = Outcomes.new(
            self.contexts, offer, eligible, np.full(FIXTURE_ROWS, 1.0 / size.offers), converted, revenue, reward
        )
        times = np.arange(FIXTURE_ROWS)
        propensity = self.outcomes.propensity
        self.log = MemoryLog(LoggedBatch(self.contexts, offer, eligible, propensity, converted, revenue, reward, times))
        self.offer_lines = [self._offer_line(number) for number in range(size.offers)]

    def _offer_line(self, number: int) -> str:
        return "|a " + " ".join(f"{dimension}={option}" for dimension, option in self.catalogue.offer(number).items())

    def policy(self) -> ThompsonSampling:
        """Return a Thompson sampling policy that has learned the outcomes."""
        policy = ThompsonSampling(self.catalogue)
        until = time.perf_counter() + TEACHING_SECONDS
        for start in range(0, FIXTURE_ROWS, 200):
            policy.update(self.outcomes.take(slice(start, start + 200)))
            if time.perf_counter() > until:
                break
        return policy

    def workspace(self) -> vowpalwabbit.Workspace:
        """Return a workspace of VW that has learned the outcomes."""
        workspace = vowpalwabbit.Workspace(VW_ARGUMENTS)
        until = time.perf_counter() + TEACHING_SECONDS
        for row in range(FIXTURE_ROWS):
            workspace.learn(self.labelled(row))
            if time.perf_counter() > until:
                break
        return workspace

    def text(self, row: int) -> list[str]:
        """Return one decision in VW's text format."""
        shared = "shared |c " + " ".join(f"{name}:{value:.6g}" for name, value in self.rows[row].items())
        return [shared, *self.offer_lines]

    def labelled(self, row: int) -> list[str]:
        """Return one outcome in VW's text format."""
        lines = self.text(row)
        offer = 1 + int(self.outcomes.offer[row])
        lines[offer] = f"0:{-self.outcomes.reward[row]:.6g}:{self.outcomes.propensity[row]:.6g} {lines[offer]}"
        return lines


def catalogue_mapping(size: ProblemSize) -> dict[str, object]:
    """Return the catalogue of a size as a mapping; the first dimension is a discount."""
    dimensions = [
        {
            "name": f"lever{place}",
            "options": [
                {"name": f"o{number}", "rate": 0.02 * number if place == 0 else 0.0, "contact_cost": 0.01 * place}
                for number in range(options)
            ],
        }
        for place, options in enumerate(OPTIONS_BY_OFFERS[size.offers])
    ]
    return {
        "name": f"speed-{size.offers}-{size.facts}",
        "objective": {"kind": "profit", "margin": 0.4},
        "context": {f"fact{place}": {"type": "numeric", "center": 0.0, "scale": 1.0} for place in range(size.facts)},
        "dimensions": dimensions,
    }
