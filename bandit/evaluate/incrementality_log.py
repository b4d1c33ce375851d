"""Incrementality of the groups of a stored log against its holdout, which is read page by page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.objective import Money
from bandit.errors import InputError
from bandit.evaluate.diagnostics import Finding, notice_findings, sample_ratio
from bandit.evaluate.incrementality import INCREMENT_MEASURES, VALUE, IncrementNames, incrementality
from bandit.evaluate.incrementality_results import IncrementOptions
from bandit.evaluate.lift_selection import LiftLogOptions, LiftSelection
from bandit.evaluate.option_probabilities import OptionProbabilities
from bandit.ope.clusters import ClusterIndex
from bandit.ope.incremental import ControlBatch, ControlOptions, IncrementTally, ServedBatch
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, FloatArray, IntArray, LoggedBatch, Progress
    from bandit.evaluate.incrementality_results import Incrementality
    from bandit.evaluate.lift_results import Look
    from bandit.store import DecisionColumns, Store
    from bandit.tabular import Cell

__all__ = ["IncrementLogOptions", "IncrementalityReport", "incrementality_of"]

HOLDOUT = "holdout"
"""The group that incrementality is measured against by default."""

_BATCH = 16_384
_SEED = 20_261_127
"""Of the generator that policies are asked again with."""


@dataclass(frozen=True, slots=True)
class IncrementLogOptions:
    """Which decisions of a log are compared, and how.

    `baseline` is the group to measure against: by default "holdout". `groups` are the only ones measured, by default
    all. `shares` are those that the groups were meant to have, where the catalogue declares none, and `since` is the
    time of the first decision that counts. `level` and `look` are those of `IncrementOptions`.
    """

    baseline: str | None = None
    groups: Sequence[str] = ()
    shares: Mapping[str, float] | None = None
    since: int | None = None
    level: float = 0.95
    look: Look = "daily"


@dataclass(frozen=True, slots=True)
class IncrementalityReport(Tabular):
    """The incrementality of a log's groups, and what was left out.

    `control_offer` is the offer that the control got. Left out are `several` customers seen in more than one group,
    `still_open` decisions, `left_out` decisions whose offer the catalogue does not have, the decisions of
    `other_groups` by label, and `other_assignment` decisions made while customers were assigned in another way.
    `shares_known` says whether the sizes of the groups were checked. Where the objective has an `activation`,
    `not_activated` decisions were left out since that event was never recorded on them.
    """

    found: Incrementality
    control_offer: str
    shares_known: bool
    several: int
    still_open: int
    left_out: int
    other_groups: Mapping[str, int]
    other_assignment: int
    activation: str | None = None
    not_activated: int = 0

    def html_title(self) -> str:
        """Return the line above the table in a notebook."""
        return self.found.html_title()

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a group and measure, with its offers, anyway and added; then one an option of each group."""
        return self.found.to_rows()

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return self.found.to_dict() | {
            "control_offer": self.control_offer,
            "shares_known": self.shares_known,
            "several": self.several,
            "open": self.still_open,
            "left_out": self.left_out,
            "other_groups": dict(self.other_groups),
            "other_assignment": self.other_assignment,
            **({} if self.activation is None else {"not_activated": self.not_activated}),
        }


def incrementality_of(
    store: Store,
    catalogue: Catalogue,
    options: IncrementLogOptions | None = None,
    *,
    now: int,
    progress: Progress | None = None,
    batch_size: int = _BATCH,
) -> IncrementalityReport:
    """Return what each group of a store's customers bought beyond the holdout, what it cost, and the same by option.

    Decisions and customers are chosen as by `lift_of`: settled ones of one assignment, without customers seen in
    several groups. What a group would have given the holdout's customers is computed again for each of the holdout's
    decisions, from the state that the policy had then, which folds the policy's log once. The log is read page by page;
    memory grows with the number of customers by their names only. Raises InputError without a holdout, for a baseline
    that served several offers, and as `lift_of`.
    """
    options = options or IncrementLogOptions()
    selection = _selection(store, catalogue, options, now)
    reader = _Reader(store, catalogue, selection, _served_offer(store, catalogue, selection))
    done, total = 0, selection.log.n + selection.log.left_out
    for page in _pages(store, catalogue, selection, batch_size):
        reader.read(page)
        done += len(page)
        if progress is not None:
            progress(done, total)
    counts = {name: reader.tally.customers(side) for name, side in reader.sides.items()}
    findings = (
        *notice_findings(selection.log),
        *_findings(counts, selection, len(reader.met)),
        *_histories(reader.probabilities.personal),
    )
    names = IncrementNames(
        groups=reader.groups,
        control=selection.baseline,
        value="reward" if catalogue.objective.kind == "reward" else "profit",
        dimensions={dimension.name: dimension.names for dimension in catalogue.dimensions},
        unknown=reader.probabilities.unknown,
    )
    log = selection.log
    return IncrementalityReport(
        found=incrementality(reader.tally, names, IncrementOptions(options.level, options.look), findings),
        control_offer=catalogue.label(reader.control_offer),
        shares_known=selection.shares_known,
        several=len(reader.met),
        still_open=log.still_open,
        left_out=log.left_out,
        other_groups=selection.other_groups,
        other_assignment=selection.other_assignment,
        activation=log.activation,
        not_activated=log.not_activated,
    )


class _Reader:
    """Adds pages of stored decisions to the tally, without the customers seen in several groups."""

    def __init__(self, store: Store, catalogue: Catalogue, selection: LiftSelection, control_offer: int) -> None:
        self.groups = tuple(name for name in selection.names if name != selection.baseline)
        self.sides: dict[str, int | None] = {name: place for place, name in enumerate(self.groups)}
        self.sides[selection.baseline] = None
        self.control_offer = control_offer
        self.met: set[str] = set()
        self.probabilities = OptionProbabilities(store, catalogue, self.groups, np.random.default_rng(_SEED))
        self._several = store.decisions.customers_in_several_groups(selection.every_group)
        self._log, self._catalogue = selection.log, catalogue
        self._customers = {name: ClusterIndex() for name in selection.names}
        self._sizes = [len(dimension.options) for dimension in catalogue.dimensions]
        every = [option for dimension in catalogue.dimensions for option in dimension.options]
        self._money = Money(
            rate=np.array([option.rate for option in every]),
            contact_cost=np.array([option.contact_cost for option in every]),
            redemption_cost=np.array([option.redemption_cost for option in every]),
        )
        self.tally = IncrementTally(len(self.groups), INCREMENT_MEASURES, len(every), by_option=(0, VALUE))

    def read(self, page: DecisionColumns) -> None:
        """Add one page."""
        rows, logged = self._log.decisions(page, masks=False)
        customer, group = page.customer[rows], page.group[rows]
        if self._several:
            single = ~np.fromiter(map(self._several.__contains__, customer), dtype=np.bool_, count=len(rows))
            self.met.update(customer[~single].tolist())
            kept = np.flatnonzero(single)
            rows, logged, customer, group = rows[kept], logged.take(kept), customer[kept], group[kept]
        for name, side in self.sides.items():
            chosen = np.flatnonzero(group == name)
            if not len(chosen):
                continue
            part = logged.take(chosen)
            ids, _ = self._customers[name].read(customer[chosen], len(chosen))
            numbers = np.empty(0, dtype=np.int64) if ids is None else ids
            if side is None:
                self.tally.add_control(self._control(numbers, part, page.take(rows[chosen])))
            else:
                weight = self.probabilities.weights(name, page.take(rows[chosen]))
                self.tally.add_served(side, self._served(numbers, part, weight))

    def _served(self, customer: IntArray, part: LoggedBatch, weight: FloatArray | None) -> ServedBatch:
        has = self._options_of(part.offer)
        cost = np.where(has, self._money.contact_cost + self._on_purchase(part), 0.0)
        return ServedBatch(customer, self._outcomes(part), has, cost, weight)

    def _control(self, customer: IntArray, part: LoggedBatch, columns: DecisionColumns) -> ControlBatch:
        would_cost = np.where(part.converted[:, None], self._money.contact_cost + self._on_purchase(part), 0.0)
        given = self.probabilities.read(columns)
        options = [None if each is None else ControlOptions(each.pooled, each.served * would_cost) for each in given]
        return ControlBatch(customer, self._outcomes(part), tuple(options))

    def _on_purchase(self, part: LoggedBatch) -> FloatArray:
        """Return the (n, O) discount and redemption cost of each option on what was bought, 0 without a purchase."""
        paid = part.revenue[:, None] * self._money.rate + self._money.redemption_cost
        return np.where(part.converted[:, None], paid, 0.0)

    def _outcomes(self, part: LoggedBatch) -> FloatArray:
        """Return the (n, M) measures."""
        catalogue, every = self._catalogue, np.arange(len(part))
        money = catalogue.money_of(part.offer)
        revenue = np.where(part.converted, part.revenue, 0.0)
        profit = replace(catalogue.objective, kind="profit").reward(money, every, part.converted, part.revenue, revenue)
        value = part.reward if catalogue.objective.kind == "reward" else profit
        spent = revenue * money.rate + np.where(part.converted, money.redemption_cost, 0.0) + money.contact_cost
        unanswered = np.where(part.converted, 0.0, money.contact_cost)
        return np.stack([part.converted.astype(np.float64), revenue, value, spent, unanswered], axis=1)

    def _options_of(self, offer: IntArray) -> BoolArray:
        """Return (n, O): which options the offers have."""
        options = self._catalogue.options[offer]
        return np.concatenate([options[:, [d]] == np.arange(size) for d, size in enumerate(self._sizes)], axis=1)


def _selection(store: Store, catalogue: Catalogue, options: IncrementLogOptions, now: int) -> LiftSelection:
    """Return the decisions to compare; InputError without a control."""
    baseline = options.baseline or HOLDOUT
    declared = catalogue.groups
    known = declared.names if declared is not None else tuple(store.decisions.decisions_by_group())
    if options.baseline is None and HOLDOUT not in known:
        raise InputError(
            f"{store.path}: there is no holdout to say what would have been bought anyway; declare one in [groups], or "
            "name a group that gave everyone one cheap offer with --baseline"
        )
    asked = LiftLogOptions(baseline=baseline, groups=options.groups, shares=options.shares, since=options.since)
    return LiftSelection.of(store, catalogue, asked, now)


def _served_offer(store: Store, catalogue: Catalogue, selection: LiftSelection) -> int:
    """Return the one offer of the control; InputError where it served several."""
    groups = catalogue.groups
    if groups is not None and selection.baseline == HOLDOUT and groups.holdout is not None:
        return groups.holdout
    where = replace(selection.where, groups=(selection.baseline,))
    ids, offers, counts = store.decisions.tally(where, store.decisions.last_seq())
    labels = {
        tuple(store.catalogues.get(number).offer(offer).items()): n
        for number, offer, n in zip(ids.tolist(), offers.tolist(), counts.tolist(), strict=True)
    }
    if len(labels) > 1:
        raise InputError(
            f'the group "{selection.baseline}" served {len(labels):,} different offers, so it does not show what would '
            "have been bought anyway; measure against a group that gave everyone one cheap offer"
        )
    if not labels:
        raise InputError(f'the group "{selection.baseline}" has no settled decisions to compare with')
    return int(catalogue.offer_index(dict(next(iter(labels)))))


def _pages(store: Store, catalogue: Catalogue, selection: LiftSelection, size: int) -> Iterator[DecisionColumns]:
    objective = catalogue.objective
    through, after = store.decisions.last_seq(), 0
    while True:
        page = store.decisions.page(
            objective.event,
            objective.window,
            after_seq=after,
            through_seq=through,
            limit=size,
            where=selection.where,
        )
        if not len(page):
            return
        after = int(page.seq[-1])
        yield page


def _findings(counts: Mapping[str, int], selection: LiftSelection, several: int) -> tuple[Finding, ...]:
    """Return what is wrong with the groups' sizes, where it is known what they were meant to be."""
    if not selection.shares_known:
        return ()
    finding = sample_ratio(dict(counts), selection.shares, several).finding()
    return () if finding is None else (finding,)


def _histories(groups: Collection[str]) -> tuple[Finding, ...]:
    """Return the doubt about what was wasted by policies that look at customers' own histories."""
    sentence = (
        'the policy of "{}" uses each customer\'s own history, and customers of the control have had other offers: '
        "what it wasted is an approximation, good to about 10 % for a single option"
    )
    return tuple(Finding("histories", "doubt", sentence.format(name)) for name in sorted(groups))
