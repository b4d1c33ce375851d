"""Incrementality of the groups of a stored log against its holdout, which is read page by page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import InProcessRunner
from bandit.errors import InputError
from bandit.evaluate.diagnostics import Finding, notice_findings, sample_ratio
from bandit.evaluate.incrementality import IncrementNames, incrementality
from bandit.evaluate.incrementality_reader import IncrementRead, IncrementReader
from bandit.evaluate.incrementality_results import IncrementOptions
from bandit.evaluate.lift_selection import LiftLogOptions, LiftSelection, counted_groups, grouped, stored_groups
from bandit.evaluate.option_probabilities import OptionProbabilities, UnknownOptions
from bandit.store import Where
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import LogPart, PartRunner, Progress
    from bandit.evaluate.incrementality_results import Incrementality
    from bandit.evaluate.lift_results import Look
    from bandit.store import Store
    from bandit.store.group_counts import GroupSource
    from bandit.store.paged_log import GroupedLog
    from bandit.tabular import Cell

__all__ = ["IncrementLogOptions", "IncrementalityReport", "incrementality_of", "incrementality_of_parts"]

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
    source = stored_groups(store, catalogue)
    selection = _selection(source, catalogue, options, now)
    offer = _served_offer(source, catalogue, selection)
    groups = _measured(selection)
    probabilities = OptionProbabilities(store, catalogue, groups, np.random.default_rng(_SEED))
    several = source.decisions.customers_in_several_groups(selection.every_group)
    reader = IncrementReader(catalogue, groups, selection.baseline, several, probabilities)
    done, total = 0, selection.log.n + selection.log.left_out
    for offers, page in selection.log.pages(batch_size):
        reader.read(offers, page)
        done += len(page)
        if progress is not None:
            progress(done, total)
    return _report(selection, catalogue, options, reader.result(), offer)


def incrementality_of_parts(
    log: GroupedLog,
    options: IncrementLogOptions | None = None,
    *,
    runner: PartRunner | None = None,
    progress: Progress | None = None,
    batch_size: int = _BATCH,
) -> IncrementalityReport:
    """Return what each group of a dataset's customers bought beyond the holdout, and what it cost.

    As `incrementality_of`, but without what is computed from the states of policies, which a dataset does not have: the
    same by option, and what was wasted on purchases that would have come anyway. The parts are read twice where
    `runner` says, and their sums are merged; neither the parts nor the runner change more than the last digits.
    """
    options = options or IncrementLogOptions()
    catalogue = log.catalogue
    runner = InProcessRunner() if runner is None else runner
    source = counted_groups(log, _asked(options, options.baseline or HOLDOUT), runner)
    selection = _selection(source, catalogue, options, now=0)
    offer = _served_offer(source, catalogue, selection)
    several = source.decisions.customers_in_several_groups(selection.every_group)
    asked = (_measured(selection), selection.baseline, several, batch_size)
    found = runner.map(_read_part, grouped(selection.log).parts, progress, *asked)
    return _report(selection, catalogue, options, reduce(add, found), offer)


def _read_part(
    part: LogPart, groups: tuple[str, ...], baseline: str, several: frozenset[str], size: int
) -> IncrementRead:
    log = grouped(part.open())
    reader = IncrementReader(log.catalogue, groups, baseline, several, UnknownOptions(groups))
    for offers, page in log.pages(size):
        reader.read(offers, page)
    return reader.result()


def _measured(selection: LiftSelection) -> tuple[str, ...]:
    return tuple(name for name in selection.names if name != selection.baseline)


def _report(
    selection: LiftSelection,
    catalogue: Catalogue,
    options: IncrementLogOptions,
    read: IncrementRead,
    control_offer: int,
) -> IncrementalityReport:
    """Return what the sums of a selection say."""
    groups = _measured(selection)
    sides = {**{name: place for place, name in enumerate(groups)}, selection.baseline: None}
    counts = {name: read.tally.customers(side) for name, side in sides.items()}
    findings = (
        *notice_findings(selection.log),
        *_findings(counts, selection, read.several),
        *_histories(read.personal),
    )
    names = IncrementNames(
        groups=groups,
        control=selection.baseline,
        value="reward" if catalogue.objective.kind == "reward" else "profit",
        dimensions={dimension.name: dimension.names for dimension in catalogue.dimensions},
        unknown=read.unknown,
    )
    log = selection.log
    return IncrementalityReport(
        found=incrementality(read.tally, names, IncrementOptions(options.level, options.look), findings),
        control_offer=catalogue.label(control_offer),
        shares_known=selection.shares_known,
        several=read.several,
        still_open=log.still_open,
        left_out=read.left_out,
        other_groups=selection.other_groups,
        other_assignment=selection.other_assignment,
        activation=log.activation,
        not_activated=log.not_activated,
    )


def _selection(source: GroupSource, catalogue: Catalogue, options: IncrementLogOptions, now: int) -> LiftSelection:
    """Return the decisions to compare; InputError without a control."""
    baseline = options.baseline or HOLDOUT
    declared = catalogue.groups
    known = declared.names if declared is not None else tuple(source.decisions.decisions_by_group(Where()))
    if options.baseline is None and HOLDOUT not in known:
        raise InputError(
            f"{source.path}: there is no holdout to say what would have been bought anyway; declare one in [groups], "
            "or name a group that gave everyone one cheap offer with --baseline"
        )
    return LiftSelection.of(source, catalogue, _asked(options, baseline), now)


def _asked(options: IncrementLogOptions, baseline: str) -> LiftLogOptions:
    return LiftLogOptions(baseline=baseline, groups=options.groups, shares=options.shares, since=options.since)


def _served_offer(source: GroupSource, catalogue: Catalogue, selection: LiftSelection) -> int:
    """Return the one offer of the control; InputError where it served several."""
    groups = catalogue.groups
    if groups is not None and selection.baseline == HOLDOUT and groups.holdout is not None:
        return groups.holdout
    where = replace(selection.where, groups=(selection.baseline,))
    ids, offers, counts = source.decisions.tally(where, source.decisions.last_seq())
    labels = {
        tuple(source.catalogues.get(number).offer(offer).items()): n
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
