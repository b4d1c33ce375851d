"""Lift between the groups of a stored log, which is read page by page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from bandit.domain import InProcessRunner
from bandit.errors import InputError, OfferBanditError
from bandit.evaluate.diagnostics import notice_findings, sample_ratio
from bandit.evaluate.group_probabilities import PROBABILITY_PAGE
from bandit.evaluate.lift import LiftOptions, lift
from bandit.evaluate.lift_reader import LiftQuestion, LiftRead, LiftReader
from bandit.evaluate.lift_selection import LiftLogOptions, LiftSelection, counted_groups, grouped, stored_groups
from bandit.evaluate.lift_weights import LIFT_WEIGHTS, LiftWeighting, TrajectoryStream, obstacle
from bandit.ope.estimate import interval_cells
from bandit.tabular import RowTable, Tabular

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import LogPart, PartRunner, Progress
    from bandit.evaluate.diagnostics import Finding, SampleRatioTest
    from bandit.evaluate.lift import Lift
    from bandit.evaluate.lift_weights import LiftWeights
    from bandit.evaluate.segments import FactSegmentation
    from bandit.ope.lift import LiftMethod
    from bandit.store import Store
    from bandit.store.group_counts import GroupSource
    from bandit.store.paged_log import GroupedLog
    from bandit.tabular import Cell

__all__ = ["LiftLogOptions", "LiftReport", "lift_of", "lift_of_parts"]

_BATCH = 16_384

_NO_STATES = (
    "a dataset does not have the states of the policies, so what each group would have been served is not known; "
    "compare on the database that it was exported from for narrower intervals"
)

_METHODS: Mapping[LiftWeights, LiftMethod | None] = {"auto": None, "trajectory": "balanced", "means": "means"}
"""The method of the verdicts where there are weights; None leaves it to their calibration."""


@dataclass(frozen=True, slots=True)
class LiftReport(Tabular):
    """The lift of a log's groups, the way in which it was computed, and what was left out.

    Rows of the method "balanced" are by trajectory weights. `sample_ratio` is None where no shares are known. Left out
    are `several` customers seen in more than one group, `still_open` decisions, the decisions of `other_groups` by
    label, and `other_assignment` decisions made while customers were assigned in another way (other shares, another
    salt, or no groups); by trajectory weights, which need the offers, also `left_out` decisions whose offer the
    catalogue does not have. Where the objective has an `activation`, `not_activated` decisions were left out since that
    event was never recorded on them.
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
    _check_weights(options)
    source = stored_groups(store, catalogue)
    selection = LiftSelection.of(source, catalogue, options, now)
    why_not = "means were asked for" if options.weights == "means" else obstacle(store, catalogue, selection)
    read = None
    if why_not is None:
        try:
            read = _stored_sums(store, catalogue, selection, options, progress, batch_size, weighted=True)
        except OfferBanditError as fault:
            why_not = str(fault)
    _require_weights(options, why_not)
    if read is None:
        read = _stored_sums(store, catalogue, selection, options, progress, batch_size, weighted=False)
    return _report(selection, catalogue, options, read, why_not)


def lift_of_parts(
    log: GroupedLog,
    options: LiftLogOptions | None = None,
    *,
    runner: PartRunner | None = None,
    progress: Progress | None = None,
    batch_size: int = _BATCH,
) -> LiftReport:
    """Return what each group of a dataset's customers earned more than another, by differences of means.

    Decisions and customers are chosen as by `lift_of`; settled are those whose window was over at the last export.
    The parts are read twice where `runner` says, first for the numbers of customers, and their sums are merged: neither
    the parts nor the runner change more than the last digits, and the database compared by means says the same. Raises
    InputError as `lift_of`, and where weights are asked for, which need the states of the policies.
    """
    options = options or LiftLogOptions()
    _check_weights(options)
    why_not = "means were asked for" if options.weights == "means" else _NO_STATES
    _require_weights(options, why_not)
    runner = InProcessRunner() if runner is None else runner
    source = counted_groups(log, options, runner)
    selection = LiftSelection.of(source, log.catalogue, options, now=0)
    read = _sums_of_parts(source, log.catalogue, selection, options, runner, progress, batch_size)
    return _report(selection, log.catalogue, options, read, why_not)


def _check_weights(options: LiftLogOptions) -> None:
    if options.weights not in LIFT_WEIGHTS:
        raise InputError(f'there is no way "{options.weights}"; choose from {", ".join(LIFT_WEIGHTS)}')


def _require_weights(options: LiftLogOptions, why_not: str | None) -> None:
    if why_not is not None and options.weights == "trajectory":
        raise InputError(f"trajectory weights cannot be computed: {why_not}; compare by means")


def _report(
    selection: LiftSelection, catalogue: Catalogue, options: LiftLogOptions, read: LiftRead, why_not: str | None
) -> LiftReport:
    """Return the comparison of the sums of a selection."""
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
        left_out=read.left_out,
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


def _stored_sums(
    store: Store,
    catalogue: Catalogue,
    selection: LiftSelection,
    options: LiftLogOptions,
    progress: Progress | None,
    size: int,
    *,
    weighted: bool,
) -> LiftRead:
    """Return the sums of a database's log and what was met in it, with trajectory weights or without weights."""
    several = store.decisions.customers_in_several_groups(selection.every_group)
    reader = LiftReader(LiftQuestion.of(selection, options), catalogue, several, weighted=weighted)
    stream = None
    if weighted:
        stream = TrajectoryStream(store, catalogue, selection, store.decisions.last_seq(), reader.customers)
    done, total = 0, selection.log.n + selection.log.left_out
    size = min(size, PROBABILITY_PAGE) if weighted else size  # for progress while states are computed
    for offers, page in selection.log.pages(size):
        reader.add(offers, page, None if stream is None else stream.of(page))
        done += len(page)
        if progress is not None:
            progress(done, total)
    return reader.result(None if stream is None else stream.probabilities.largest)


def _sums_of_parts(
    source: GroupSource,
    catalogue: Catalogue,
    selection: LiftSelection,
    options: LiftLogOptions,
    runner: PartRunner,
    progress: Progress | None,
    size: int,
) -> LiftRead:
    """Return the sums of a log in parts, merged from those of the parts."""
    log = grouped(selection.log)
    several = source.decisions.customers_in_several_groups(selection.every_group)
    reader = LiftReader(LiftQuestion.of(selection, options), catalogue, several)
    reader.start(log.pages(size), size)
    found = runner.map(_read_part, log.parts, progress, reader.question, several, reader.segmentations, size)
    return reduce(add, found, reader.result())


def _read_part(
    part: LogPart,
    question: LiftQuestion,
    several: frozenset[str],
    segmentations: Sequence[FactSegmentation],
    size: int,
) -> LiftRead:
    log = grouped(part.open())
    reader = LiftReader(question, log.catalogue, several, segmentations)
    for offers, page in log.pages(size):
        reader.add(offers, page)
    return reader.result()
