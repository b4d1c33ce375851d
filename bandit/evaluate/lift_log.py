"""Lift between the groups of a stored log, which is read page by page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError, OfferBanditError
from bandit.evaluate.diagnostics import notice_findings, sample_ratio
from bandit.evaluate.group_probabilities import PROBABILITY_PAGE
from bandit.evaluate.lift import LiftOptions, lift
from bandit.evaluate.lift_selection import LiftLogOptions, LiftSelection
from bandit.evaluate.lift_weights import LIFT_WEIGHTS, LiftWeighting, TrajectoryStream, obstacle, pages_of
from bandit.evaluate.segments import FactSegmentation
from bandit.ope.clusters import ClusterIndex
from bandit.ope.estimate import interval_cells
from bandit.ope.lift import LiftBatch, LiftTally
from bandit.tabular import RowTable, Tabular

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import FloatArray, LoggedBatch, Progress
    from bandit.evaluate.diagnostics import Finding, SampleRatioTest
    from bandit.evaluate.lift import Lift
    from bandit.evaluate.lift_weights import LiftWeights
    from bandit.ope.lift import LiftMethod
    from bandit.store import DecisionColumns, Store
    from bandit.tabular import Cell

__all__ = ["LiftLogOptions", "LiftReport", "lift_of"]

_BATCH = 16_384

_METHODS: Mapping[LiftWeights, LiftMethod | None] = {"auto": None, "trajectory": "balanced", "means": "means"}
"""The method of the verdicts where there are weights; None leaves it to their calibration."""


@dataclass(frozen=True, slots=True)
class LiftReport(Tabular):
    """The lift of a log's groups, the way in which it was computed, and what was left out.

    Rows of the method "balanced" are by trajectory weights. `sample_ratio` is None where no shares are known. Left out
    are `several` customers seen in more than one group, `still_open` decisions, `left_out` decisions whose offer the
    catalogue does not have, the decisions of `other_groups` by label, and `other_assignment` decisions made while
    customers were assigned in another way (other shares, another salt, or no groups). Where the objective has an
    `activation`, `not_activated` decisions were left out since that event was never recorded on them.
    """

    lift: Lift
    weighting: LiftWeighting
    sample_ratio: SampleRatioTest | None
    findings: tuple[Finding, ...]
    several: int
    still_open: int
    left_out: int
    other_groups: Mapping[str, int]
    other_assignment: int
    activation: str | None = None
    not_activated: int = 0

    def gate(self) -> int:
        """Return the exit code for a pipeline: that of the verdict furthest from "better"."""
        return self.lift.gate()

    @property
    def by_group(self) -> RowTable:
        """The groups as a table: customers, share, decisions, and the mean reward with its interval for one look."""
        every = max(sum(each.customers for each in self.lift.groups), 1)
        rows: list[dict[str, Cell]] = [
            {
                "group": each.name,
                "customers": each.customers,
                "customer_share": each.customers / every,
                "decisions": each.decisions,
                "earning": each.earning,
                **interval_cells(each.values[self.lift.method]["decision"], "per_decision"),
                **interval_cells(each.values[self.lift.method]["customer"], "per_customer"),
            }
            for each in self.lift.groups
        ]
        return RowTable(tuple(rows))

    def html_title(self) -> str:
        """Return the line above the table in a notebook."""
        return self.lift.html_title()

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a pair of groups and unit, then one a week or segment; intervals are those of the verdicts."""
        return self.lift.to_rows()

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        ratio = self.sample_ratio
        groups = [each.to_dict() for each in self.lift.groups]
        if ratio is None:
            groups = [each | {"share": None} for each in groups]
        return self.lift.to_dict() | {
            "groups": groups,
            "weights": self.weighting.to_dict(),
            "sample_ratio": None if ratio is None else ratio.to_dict(),
            "findings": [each.to_dict() for each in self.findings],
            "several": self.several,
            "open": self.still_open,
            "left_out": self.left_out,
            "other_groups": dict(self.other_groups),
            "other_assignment": self.other_assignment,
            **({} if self.activation is None else {"not_activated": self.not_activated}),
        }


def lift_of(
    store: Store,
    catalogue: Catalogue,
    options: LiftLogOptions | None = None,
    *,
    now: int,
    progress: Progress | None = None,
    batch_size: int = _BATCH,
) -> LiftReport:
    """Return what each group of a store's customers earned more than another.

    By trajectory weights where every group's probability of each offer can be computed again from the log and the
    weights that follow fit who is in which group; otherwise by differences of means (`LiftLogOptions.weights`).

    Only decisions that are settled at the time `now` count: closed, or with their window over. Where the catalogue
    declares groups, only decisions under catalogue versions with the same groups, shares and salt count, since another
    assignment is another experiment. Customers seen in several groups are left out. The log is read page by page;
    memory grows with the number of customers. Raises InputError for an unknown group or baseline, for shares that the
    catalogue declares itself, where there is nothing to compare, and where weights are asked for that cannot be had.
    """
    options = options or LiftLogOptions()
    if options.weights not in LIFT_WEIGHTS:
        raise InputError(f'there is no way "{options.weights}"; choose from {", ".join(LIFT_WEIGHTS)}')
    selection = LiftSelection.of(store, catalogue, options, now)
    why_not = "means were asked for" if options.weights == "means" else obstacle(store, catalogue, selection)
    read = None
    if why_not is None:
        try:
            read = _tally(store, catalogue, selection, options, progress, batch_size, weighted=True)
        except OfferBanditError as fault:
            why_not = str(fault)
    if why_not is not None and options.weights == "trajectory":
        raise InputError(f"trajectory weights cannot be computed: {why_not}; compare by means")
    if read is None:
        read = _tally(store, catalogue, selection, options, progress, batch_size, weighted=False)
    several, order = read.several, read.order
    found = lift(
        read.tally,
        selection.names,
        LiftOptions(
            selection.baseline,
            options.level,
            options.look,
            options.unit,
            method=_METHODS[options.weights] if read.tally.weighted else "means",
            binary=catalogue.objective.kind == "conversion",
        ),
    )
    found = replace(found, segments=tuple(sorted(found.segments, key=lambda part: order[part.name])))
    ratio = sample_ratio(found.sample_ratio.counts, selection.shares, several)
    doubt = ratio.finding()
    extra = () if doubt is None or doubt.check in {each.check for each in found.findings} else (doubt,)
    log = selection.log
    return LiftReport(
        lift=found,
        weighting=_weighting(found, options.weights, why_not, read.largest_difference),
        sample_ratio=ratio if selection.shares_known else None,
        findings=(*notice_findings(log), *found.findings, *extra),
        several=several,
        still_open=log.still_open,
        left_out=log.left_out,
        other_groups=selection.other_groups,
        other_assignment=selection.other_assignment,
        activation=log.activation,
        not_activated=log.not_activated,
    )


def _weighting(found: Lift, asked: LiftWeights, why_not: str | None, largest_difference: float | None) -> LiftWeighting:
    if why_not is None and found.method == "means":
        why_not = next(each.sentence for each in found.findings if each.check == "weights")
    if why_not is not None:
        return LiftWeighting(asked, "means", why_not, largest_difference)
    reason = "the probability of every offer under each group's policy was computed again from the log"
    return LiftWeighting(asked, "trajectory", reason, largest_difference)


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """The sums of a log, its customers in several groups, the order of its segments, and how well weights fit it."""

    tally: LiftTally
    several: int
    order: Mapping[str, tuple[int, int]]
    largest_difference: float | None


class _Reader:
    """Turns pages of stored decisions into batches of lift, without the customers seen in several groups."""

    def __init__(
        self, selection: LiftSelection, catalogue: Catalogue, facts: Sequence[str], several: frozenset[str]
    ) -> None:
        self._log, self._several = selection.log, several
        self._codes = {name: code for code, name in enumerate(selection.names)}
        self._counts_rewards = catalogue.objective.kind == "reward"
        self.customers = ClusterIndex()
        self._segmentations = [FactSegmentation(catalogue, fact) for fact in dict.fromkeys(facts)]
        self.met: set[str] = set()
        self.order: dict[str, tuple[int, int]] = {}

    def read(self, page: DecisionColumns, weights: FloatArray | None) -> tuple[LiftBatch, list[tuple[str, LiftBatch]]]:
        """Return the page as a batch, with its rows' weights if there are any, and the part of it in each segment."""
        rows, logged = self._log.decisions(page, masks=False)
        weights = None if weights is None else weights[rows]
        customer, group = page.customer[rows], page.group[rows]
        single = np.ones(len(rows), dtype=np.bool_)
        if self._several:
            single = ~np.fromiter(map(self._several.__contains__, customer), dtype=np.bool_, count=len(rows))
            self.met.update(customer[~single].tolist())
            logged, customer, group = logged.take(np.flatnonzero(single)), customer[single], group[single]
            weights = None if weights is None else weights[single]
        ids, _ = self.customers.read(customer, len(customer))
        batch = LiftBatch(
            reward=logged.reward,
            group=np.fromiter(map(self._codes.__getitem__, group), dtype=np.int64, count=len(group)),
            customer=np.empty(0, dtype=np.int64) if ids is None else ids,
            weights=weights,
            earned=logged.reward != 0.0 if self._counts_rewards else logged.converted,
            time=logged.time,
        )
        return batch, list(self._segments(batch, logged))

    def _segments(self, batch: LiftBatch, logged: LoggedBatch) -> list[tuple[str, LiftBatch]]:
        found = []
        for place, segmentation in enumerate(self._segmentations):
            codes, names = segmentation.assign(logged.contexts)
            for code in np.unique(codes).tolist():
                label = f"{segmentation.fact} = {names[code]}"
                self.order[label] = (place, code)
                found.append((label, batch.part(codes == code)))
        return found


def _tally(
    store: Store,
    catalogue: Catalogue,
    selection: LiftSelection,
    options: LiftLogOptions,
    progress: Progress | None,
    size: int,
    *,
    weighted: bool,
) -> _Read:
    """Return the sums of the log and what was met in it, with trajectory weights or without weights."""
    several = store.decisions.customers_in_several_groups(selection.every_group)
    through, done = store.decisions.last_seq(), 0
    reader = _Reader(selection, catalogue, options.by, several)
    stream = TrajectoryStream(store, catalogue, selection, through, reader.customers) if weighted else None
    tally = LiftTally(list(selection.shares.values()), weighted=weighted, trajectory=weighted)
    total = selection.log.n + selection.log.left_out
    size = min(size, PROBABILITY_PAGE) if weighted else size  # for progress while states are computed
    for page in pages_of(store, catalogue, selection.where, through, size):
        batch, segments = reader.read(page, None if stream is None else stream.of(page))
        tally.add(batch if options.weeks else replace(batch, time=None))
        for label, part in segments:
            tally.segments.setdefault(label, tally.empty()).add(replace(part, time=None))
        done += len(page)
        if progress is not None:
            progress(done, total)
    largest = None if stream is None else stream.probabilities.largest
    return _Read(tally, len(reader.met), reader.order, largest)
