"""Lift between the groups of a stored log: which decisions are compared, read page by page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError
from bandit.evaluate.diagnostics import sample_ratio
from bandit.evaluate.lift import LiftOptions, lift
from bandit.evaluate.segments import FactSegmentation
from bandit.ope.clusters import ClusterIndex
from bandit.ope.lift import LiftBatch, LiftSums, LiftTally
from bandit.store import StoreLog, Where

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import LoggedBatch, Progress
    from bandit.evaluate.diagnostics import Finding, SampleRatioTest
    from bandit.evaluate.lift import Lift
    from bandit.evaluate.lift_results import Look
    from bandit.ope.lift import LiftUnit
    from bandit.store import DecisionColumns, Store

_POLICY = "policy"

_USUAL_BASELINES = ("rules", "holdout")

_BATCH = 65_536


@dataclass(frozen=True, slots=True)
class LiftLogOptions:
    """Which decisions of a log are compared, and how.

    Groups are compared with `baseline`: by default "rules", else "holdout", else the one with the most customers apart
    from "policy". `groups` are the only ones compared with it, by default all. `shares` are those that the groups were
    meant to have, where the catalogue declares none. `since` is the time of the first decision that counts, `by` are
    facts by whose values the comparison is repeated, and `weeks` repeats it by week. `level`, `look` and `unit` are
    those of `LiftOptions`.
    """

    baseline: str | None = None
    groups: Sequence[str] = ()
    shares: Mapping[str, float] | None = None
    since: int | None = None
    by: Sequence[str] = ()
    weeks: bool = False
    level: float = 0.95
    look: Look = "daily"
    unit: LiftUnit = "decision"


@dataclass(frozen=True, slots=True)
class LiftReport:
    """The lift of a log's groups by differences of means, and what was left out.

    `sample_ratio` is None where no shares are known. Left out are `several` customers seen in more than one group,
    `still_open` decisions, `left_out` decisions whose offer the catalogue does not have, the decisions of
    `other_groups` by label, and `other_assignment` decisions made while customers were assigned in another way (other
    shares, another salt, or no groups).
    """

    lift: Lift
    sample_ratio: SampleRatioTest | None
    findings: tuple[Finding, ...]
    several: int
    still_open: int
    left_out: int
    other_groups: Mapping[str, int]
    other_assignment: int

    def gate(self) -> int:
        """Return the exit code for a pipeline: that of the verdict furthest from "better"."""
        return self.lift.gate()

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        ratio = self.sample_ratio
        groups = [each.to_dict() for each in self.lift.groups]
        if ratio is None:
            groups = [each | {"share": None} for each in groups]
        return self.lift.to_dict() | {
            "groups": groups,
            "sample_ratio": None if ratio is None else ratio.to_dict(),
            "findings": [each.to_dict() for each in self.findings],
            "several": self.several,
            "open": self.still_open,
            "left_out": self.left_out,
            "other_groups": dict(self.other_groups),
            "other_assignment": self.other_assignment,
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
    """Return what each group of a store's customers earned more than another, by differences of their means.

    Only decisions that are settled at the time `now` count: closed, or with their window over. Where the catalogue
    declares groups, only decisions under catalogue versions with the same groups, shares and salt count, since another
    assignment is another experiment. Customers seen in several groups are left out. The log is read page by page;
    memory grows with the number of customers. Raises InputError for an unknown group or baseline, for shares that the
    catalogue declares itself, and where there is nothing to compare.
    """
    options = options or LiftLogOptions()
    selection = _Selection.of(store, catalogue, options, now)
    tally, several, order = _tally(store, catalogue, selection, options, progress, batch_size)
    found = lift(
        tally,
        selection.names,
        LiftOptions(
            selection.baseline,
            options.level,
            options.look,
            options.unit,
            method="means",
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
        sample_ratio=ratio if selection.shares_known else None,
        findings=(*found.findings, *extra),
        several=several,
        still_open=log.still_open,
        left_out=log.left_out,
        other_groups=selection.other_groups,
        other_assignment=selection.other_assignment,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Selection:
    """The decisions to compare: their groups by name with the shares meant, and what is not compared.

    `log` has the settled decisions of the groups `names`; `every_group` filters those of all groups of the experiment,
    by which customers seen in several are found.
    """

    names: tuple[str, ...]
    baseline: str
    shares: Mapping[str, float]
    shares_known: bool
    log: StoreLog
    where: Where
    every_group: Where
    other_groups: Mapping[str, int]
    other_assignment: int

    @staticmethod
    def of(store: Store, catalogue: Catalogue, options: LiftLogOptions, now: int) -> _Selection:
        """Return what the options select; InputError where that cannot be compared."""
        everything = Where(after_time=options.since, settled_before=now - catalogue.objective.window)
        where = replace(everything, catalogue_ids=_same_assignment(store, catalogue))
        seen = store.decisions.decisions_by_group(where)
        other = sum(store.decisions.decisions_by_group(everything).values()) - sum(seen.values())
        declared = _declared_shares(catalogue, options.shares)
        every = tuple(declared or sorted(seen))
        compared = {name: seen[name] for name in every if name in seen}
        _require_two(store, where, compared, other)
        every_group = replace(where, groups=every)
        customers, _ = store.decisions.customers_by_group(every_group)
        baseline = _baseline(options.baseline, every, compared, customers)
        for name in options.groups:
            _require_known(name, every, "group")
        names = tuple(name for name in every if not options.groups or name in {*options.groups, baseline})
        if len(names) < 2:
            raise InputError(f'only the baseline "{baseline}" is to be compared; name another group with --group')
        # Without known shares, those seen stand for them; the sizes are then not checked.
        shares = declared or {name: float(max(customers.get(name, 0), 1)) for name in every}
        where = replace(where, groups=names)
        return _Selection(
            names=names,
            baseline=baseline,
            shares={name: shares[name] for name in names},
            shares_known=bool(declared),
            log=StoreLog(store, catalogue, where=where),
            where=where,
            every_group=every_group,
            other_groups={name: n for name, n in seen.items() if name not in every},
            other_assignment=other,
        )


def _same_assignment(store: Store, catalogue: Catalogue) -> tuple[int, ...] | None:
    """Return the stored versions that assign customers as this catalogue does; None, for all, if it has no groups."""
    groups = catalogue.groups
    if groups is None:
        return None
    wanted, found = (groups.names, groups.shares, groups.salt), []
    for row in store.catalogues.all():
        each = store.catalogues.get(row.id).groups
        if each is not None and (each.names, each.shares, each.salt) == wanted:
            found.append(row.id)
    return tuple(found)


def _declared_shares(catalogue: Catalogue, given: Mapping[str, float] | None) -> dict[str, float]:
    """Return the shares above 0 that the groups were meant to have, empty where they are not known."""
    if catalogue.groups is not None:
        if given is not None:
            raise InputError("the catalogue declares the shares of its groups; leave out the shares given")
        return {n: share for n, share in zip(catalogue.groups.names, catalogue.groups.shares, strict=True) if share > 0}
    if given is None:
        return {}
    sample_ratio({}, given)  # raises InputError for fewer than two groups and for shares that are not above 0
    return dict(given)


def _require_two(store: Store, where: Where, compared: Mapping[str, int], other: int) -> None:
    """Raise InputError unless two groups have settled decisions."""
    if len(compared) > 1:
        return
    waiting = sum(store.decisions.decisions_by_group(replace(where, settled_before=None)).values())
    waiting -= sum(store.decisions.decisions_by_group(where).values())
    rest = f"; {waiting:,} are still open (their window has not ended)" if waiting else ""
    rest += f"; {other:,} were made under another assignment of customers to groups" if other else ""
    if not compared:
        raise InputError(f"{store.path}: there are no settled decisions of the groups to compare{rest}")
    ((name, n),) = compared.items()
    raise InputError(
        f'{store.path}: lift compares groups, and all {n:,} settled decisions are of the group "{name}"{rest}; '
        "declare [groups] in the catalogue, or import a column of groups"
    )


def _require_known(name: str, names: Sequence[str], what: str) -> None:
    if name not in names:
        raise InputError(f'there is no {what} "{name}"; the groups are {", ".join(names)}')


def _baseline(
    given: str | None, every: Sequence[str], compared: Mapping[str, int], customers: Mapping[str, int]
) -> str:
    """Return the group to compare with: the one given, else rules, holdout, or the one with the most customers."""
    if given is not None:
        _require_known(given, every, "baseline")
        return given
    for name in _USUAL_BASELINES:
        if name in compared:
            return name
    return max((name for name in compared if name != _POLICY), key=lambda name: customers.get(name, 0))


class _Reader:
    """Turns pages of stored decisions into batches of lift, without the customers seen in several groups."""

    def __init__(
        self, selection: _Selection, catalogue: Catalogue, facts: Sequence[str], several: frozenset[str]
    ) -> None:
        self._log, self._several = selection.log, several
        self._codes = {name: code for code, name in enumerate(selection.names)}
        self._counts_rewards = catalogue.objective.kind == "reward"
        self._customers = ClusterIndex()
        self._segmentations = [FactSegmentation(catalogue, fact) for fact in dict.fromkeys(facts)]
        self.met: set[str] = set()
        self.order: dict[str, tuple[int, int]] = {}

    def read(self, page: DecisionColumns) -> tuple[LiftBatch, list[tuple[str, LiftBatch]]]:
        """Return the page as a batch, and the part of it in each segment."""
        rows, logged = self._log.decisions(page, masks=False)
        customer, group = page.customer[rows], page.group[rows]
        single = np.ones(len(rows), dtype=np.bool_)
        if self._several:
            single = ~np.fromiter(map(self._several.__contains__, customer), dtype=np.bool_, count=len(rows))
            self.met.update(customer[~single].tolist())
            logged, customer, group = logged.take(np.flatnonzero(single)), customer[single], group[single]
        ids, _ = self._customers.read(customer, len(customer))
        batch = LiftBatch(
            reward=logged.reward,
            group=np.fromiter(map(self._codes.__getitem__, group), dtype=np.int64, count=len(group)),
            customer=np.empty(0, dtype=np.int64) if ids is None else ids,
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
    selection: _Selection,
    options: LiftLogOptions,
    progress: Progress | None,
    size: int,
) -> tuple[LiftTally, int, Mapping[str, tuple[int, int]]]:
    """Return the sums of the log, the number of customers in several groups, and the order of the segments."""
    several = store.decisions.customers_in_several_groups(selection.every_group)
    reader = _Reader(selection, catalogue, options.by, several)
    tally = LiftTally(list(selection.shares.values()))
    objective, total = catalogue.objective, selection.log.n + selection.log.left_out
    through, after, done = store.decisions.last_seq(), 0, 0
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
            return tally, len(reader.met), reader.order
        after, done = int(page.seq[-1]), done + len(page)
        batch, segments = reader.read(page)
        tally.add(batch if options.weeks else replace(batch, time=None))
        for label, part in segments:
            tally.segments.setdefault(label, LiftSums(tally.shares, weighted=False)).add(replace(part, time=None))
        if progress is not None:
            progress(done, total)
