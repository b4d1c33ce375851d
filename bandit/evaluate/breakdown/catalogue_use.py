"""How the catalogue is used: options and offers that are never or hardly ever served, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from bandit.errors import InputError
from bandit.evaluate.breakdown.option_weights import OptionPlaces
from bandit.evaluate.breakdown.pages import LogScan
from bandit.evaluate.diagnostics.findings import to_json
from bandit.evaluate.distinct_masks import DistinctMasks
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import FloatArray, Log, Progress
    from bandit.evaluate.breakdown.pages import BreakdownPage
    from bandit.tabular import Cell

UseFinding: TypeAlias = Literal["served", "hardly ever served", "never served", "never eligible"]
"""How much of an option was served, and whether it could be."""

HARDLY_EVER = 0.1
"""An option or offer is hardly ever served below this part of an even share of the decisions that allow it."""


@dataclass(frozen=True, slots=True)
class OptionUse(Tabular):
    """One option: how often it was served, and in which share of the decisions it was eligible.

    `share` is that of all decisions, `eligible` NaN where the log has no eligible sets. An option is "hardly ever
    served" below a tenth of an even share of the decisions that allow it: with three options that are all eligible,
    below 3.3 % of them. `reason` says why it is not served, as far as the log shows.
    """

    dimension: str
    option: str
    n: int
    share: float
    eligible: float
    finding: UseFinding
    reason: str

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return the option as one row."""
        names = ("dimension", "option", "n", "share", "eligible", "finding", "reason")
        return [{name: getattr(self, name) for name in names}]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {name: to_json(value) for name, value in self.to_rows()[0].items()}


@dataclass(frozen=True, slots=True)
class CatalogueUse(Tabular):
    """The options in the catalogue's order, and the numbers of offers never and hardly ever served.

    `offers_never` of the `n_offers` offers were never served, `offers_never_eligible` of them since no decision of the
    log allowed them; `offers_rarely` were served, but in less than a tenth of an even share of the decisions that
    allow them. `n` is the number of decisions.
    """

    options: tuple[OptionUse, ...]
    offers_never: int
    offers_never_eligible: int
    offers_rarely: int
    n_offers: int
    n: int

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row an option."""
        return [row for option in self.options for row in option.to_rows()]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        names = ("offers_never", "offers_never_eligible", "offers_rarely", "n_offers", "n")
        return {name: getattr(self, name) for name in names} | {"options": [each.to_dict() for each in self.options]}


def catalogue_use(log: Log, *, catalogue: Catalogue | None = None, progress: Progress | None = None) -> CatalogueUse:
    """Return which options and offers a log never or hardly ever serves, and why; one pass. InputError if empty."""
    scan = LogScan(log, catalogue, progress=progress)
    reader = UseReader(scan.catalogue)
    scan.read([reader])
    return reader.result()


class UseReader:
    """Counts how often offers are served and eligible; memory grows with the number of distinct eligible sets."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._masks = DistinctMasks()
        self._with_mask = np.zeros(0, dtype=np.int64)
        self._n, self._masked = 0, 0
        self.counts = np.zeros(catalogue.n_offers, dtype=np.int64)
        self._decisions, self._counted = 0.0, np.zeros(catalogue.n_offers)  # by how many decisions each stands for

    def add(self, page: BreakdownPage) -> None:
        """Add a page."""
        batch = page.batch
        self.counts += np.bincount(batch.offer, minlength=len(self.counts))
        self._n += len(page)
        self._decisions += float(batch.weights.sum())
        self._counted += np.bincount(batch.offer, weights=batch.stands_for, minlength=len(self.counts))
        if batch.eligible.shape[1]:
            numbers = np.bincount(self._masks.number(batch.eligible))
            size = max(len(numbers), len(self._with_mask))
            self._with_mask = np.pad(self._with_mask, (0, size - len(self._with_mask)))
            self._with_mask[: len(numbers)] += numbers
            self._masked += len(page)

    def result(self) -> CatalogueUse:
        """Return the use so far."""
        if not self._n:
            raise InputError("the log has no decisions to break down")
        columns, counts = OptionPlaces(self._catalogue), self.counts
        served, decisions = (
            np.bincount(
                columns.of(np.arange(len(counts))).ravel(),
                weights=np.repeat(each, len(self._catalogue.dimensions)),
                minlength=len(columns),
            )
            for each in (counts, self._counted)
        )
        known = self._masked == self._n
        if known:
            eligible, even, offer_even = self._eligible(columns)
        else:
            eligible, even, offer_even = (
                np.full(len(columns), np.nan),
                np.full(len(columns), np.nan),
                np.ones(len(counts)),
            )
        options = tuple(
            replace(
                self._option(columns, place, int(served[place]), float(eligible[place]), float(even[place])),
                share=float(decisions[place]) / self._decisions,
            )
            for place in range(len(columns))
        )
        return CatalogueUse(
            options=options,
            offers_never=int((counts == 0).sum()),
            offers_never_eligible=int((offer_even == 0.0).sum()),
            offers_rarely=int(((counts > 0) & (counts < HARDLY_EVER * offer_even)).sum()) if known else 0,
            n_offers=len(counts),
            n=self._n,
        )

    def _eligible(self, columns: OptionPlaces) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return by option the decisions that allow it and its even share of them; by offer its even share."""
        masks, times = self._masks.stack(), self._with_mask.astype(np.float64)
        has = columns.totals(masks, np.ones(masks.shape[1])) > 0.0
        even = np.zeros(len(columns))
        for place in range(len(self._catalogue.dimensions)):
            own = columns.dimension == place
            even[own] = (times[:, None] * has[:, own] / np.maximum(has[:, own].sum(axis=1, keepdims=True), 1)).sum(
                axis=0
            )
        offer_even = (times / np.maximum(masks.sum(axis=1), 1)) @ masks
        return times @ has, even, offer_even

    def _option(self, columns: OptionPlaces, place: int, n: int, eligible: float, even: float) -> OptionUse:
        dimension, option = columns.names[place]
        finding: UseFinding = "served"
        reason = ""
        if eligible == 0.0 and not n:
            finding, reason = "never eligible", self._rules_against(columns, place)
        elif not n:
            finding, reason = "never served", f"not chosen: {eligible / self._n:.0%} of the decisions allow it"
            if not np.isfinite(eligible):
                reason = "not chosen, or not eligible: the log has no eligible sets"
        elif n < HARDLY_EVER * even:
            finding = "hardly ever served"
            reason = f"not chosen: {eligible / self._n:.0%} of the decisions allow it"
            if eligible < HARDLY_EVER * self._n:
                reason = f"hardly ever chosen where it is eligible, which is {eligible / self._n:.2%} of the decisions"
        return OptionUse(dimension, option, n, n / self._n, eligible / self._n, finding, reason)

    def _rules_against(self, columns: OptionPlaces, place: int) -> str:
        """Return which rules forbid every offer with an option, or that it takes several of them."""
        offers = (columns.of(np.arange(len(self.counts))) == place).any(axis=1)
        if not offers.any():
            return "the rules without a condition forbid all its combinations"
        rules = [rule for rule in self._catalogue.rules if rule.when is not None and rule.forbids[offers].all()]
        if not rules:
            return "no decision allows it: several rules together forbid all its combinations"
        return "forbidden in every decision by " + ", ".join(f'rule {rule.number} ("{rule.reason}")' for rule in rules)
