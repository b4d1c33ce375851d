"""Which decisions of a store the lift of groups is computed from: one experiment's, settled, of the groups compared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bandit.errors import InputError
from bandit.evaluate.diagnostics import sample_ratio
from bandit.store import Activation, StoreLog, Where
from bandit.store.group_counts import GroupCounts, GroupSource
from bandit.store.paged_log import GroupedLog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import LogPart, PartRunner, Progress
    from bandit.evaluate.lift_results import Look
    from bandit.evaluate.lift_weights import LiftWeights
    from bandit.ope.lift import LiftUnit
    from bandit.store import Store
    from bandit.store.paged_log import PagedLog
    from bandit.store.translated import LoggedCatalogues

_POLICY = "policy"

_USUAL_BASELINES = ("rules", "holdout")


@dataclass(frozen=True, slots=True)
class LiftLogOptions:
    """Which decisions of a log are compared, and how.

    Groups are compared with `baseline`: by default "rules", else "holdout", else the one with the most customers apart
    from "policy". `groups` are the only ones compared with it, by default all. `shares` are those that the groups were
    meant to have, where the catalogue declares none. `since` is the time of the first decision that counts, `by` are
    facts by whose values the comparison is repeated, and `weeks` repeats it by week. `level`, `look` and `unit` are
    those of `LiftOptions`. `weights` are "trajectory", "means", or "auto": weights where they can be had.
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
    weights: LiftWeights = "auto"


@dataclass(frozen=True, slots=True, eq=False)
class LiftSelection:
    """The decisions to compare: their groups by name with the shares meant, and what is not compared.

    `log` has the settled decisions of the groups `names`; `every_group` filters those of all groups of the experiment,
    by which customers seen in several are found.
    """

    names: tuple[str, ...]
    baseline: str
    shares: Mapping[str, float]
    shares_known: bool
    log: PagedLog
    where: Where
    every_group: Where
    other_groups: Mapping[str, int]
    other_assignment: int

    @staticmethod
    def of(source: GroupSource, catalogue: Catalogue, options: LiftLogOptions, now: int) -> LiftSelection:
        """Return what the options select of the decisions settled at `now`; InputError where nothing can be compared.

        Which decisions of a dataset are settled, it says itself.
        """
        everything = Where(
            after_time=options.since,
            settled_before=now - catalogue.objective.window,
            activation=Activation.of(catalogue.objective),
        )
        where = replace(everything, catalogue_ids=same_assignment(source.catalogues, catalogue))
        seen = source.decisions.decisions_by_group(where)
        other = sum(source.decisions.decisions_by_group(everything).values()) - sum(seen.values())
        declared = _declared_shares(catalogue, options.shares)
        every = tuple(declared or sorted(seen))
        compared = {name: seen[name] for name in every if name in seen}
        _require_two(source, where, compared, other)
        every_group = replace(where, groups=every)
        _require_unweighted(source, every_group)
        customers, _ = source.decisions.customers_by_group(every_group)
        baseline = _baseline(options.baseline, every, compared, customers)
        for name in options.groups:
            _require_known(name, every, "group")
        names = tuple(name for name in every if not options.groups or name in {*options.groups, baseline})
        if len(names) < 2:
            raise InputError(f'only the baseline "{baseline}" is to be compared; name another group with --group')
        # Without known shares, those seen stand for them; the sizes are then not checked.
        shares = declared or {name: float(max(customers.get(name, 0), 1)) for name in every}
        where = replace(where, groups=names)
        return LiftSelection(
            names=names,
            baseline=baseline,
            shares={name: shares[name] for name in names},
            shares_known=bool(declared),
            log=source.open(where),
            where=where,
            every_group=every_group,
            other_groups={name: n for name, n in seen.items() if name not in every},
            other_assignment=other,
        )


def same_assignment(versions: LoggedCatalogues, catalogue: Catalogue) -> tuple[int, ...] | None:
    """Return the logged versions that assign customers as this catalogue does; None, for all, if it has no groups."""
    groups = catalogue.groups
    if groups is None:
        return None
    wanted, found = (groups.names, groups.shares, groups.salt), []
    for row in versions.all():
        each = versions.get(row.id).groups
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


def stored_groups(store: Store, catalogue: Catalogue) -> GroupSource:
    """Return a database as a source of groups."""
    return GroupSource(
        store.path, store.decisions, store.catalogues, lambda where: StoreLog(store, catalogue, where=where)
    )


def counted_groups(
    log: GroupedLog, options: LiftLogOptions, runner: PartRunner, progress: Progress | None = None
) -> GroupSource:
    """Return a log in parts as a source of groups, after counting the decisions and customers of each part."""
    catalogue = log.catalogue
    shares = _declared_shares(catalogue, options.shares)
    where = Where(catalogue_ids=same_assignment(log.catalogues, catalogue), groups=tuple(shares) or None)
    chosen, total = log.chosen(Where(after_time=options.since)), GroupCounts(where)
    for found in runner.map(_count_part, chosen.parts, progress, where):
        total = total + found
    return GroupSource(log.address, total, log.catalogues, log.chosen)


def _count_part(part: LogPart, of_customers: Where) -> GroupCounts:
    return GroupCounts.of(grouped(part.open()).read_few(), of_customers)


def grouped(log: object) -> GroupedLog:
    """Return a log whose groups are compared part by part; InputError for another log."""
    if not isinstance(log, GroupedLog):
        raise InputError("this log does not say part by part who was in which group; export it to a dataset")
    return log


def _require_two(source: GroupSource, where: Where, compared: Mapping[str, int], other: int) -> None:
    """Raise InputError unless two groups have settled decisions."""
    if len(compared) > 1:
        return
    settled = sum(source.decisions.decisions_by_group(replace(where, activation=None)).values())
    waiting = sum(source.decisions.decisions_by_group(replace(where, activation=None, settled_before=None)).values())
    waiting -= settled
    rest = f"; {waiting:,} are still open (their window has not ended)" if waiting else ""
    never = settled - sum(source.decisions.decisions_by_group(where).values())
    if where.activation is not None and never:
        rest += f'; on {never:,} the event "{where.activation.event}" was never recorded'
    rest += f"; {other:,} were made under another assignment of customers to groups" if other else ""
    if not compared:
        raise InputError(f"{source.path}: there are no settled decisions of the groups to compare{rest}")
    ((name, n),) = compared.items()
    raise InputError(
        f'{source.path}: lift compares groups, and all {n:,} settled decisions are of the group "{name}"{rest}; '
        "declare [groups] in the catalogue, or import a column of groups"
    )


def _require_unweighted(source: GroupSource, where: Where) -> None:
    """Raise InputError where decisions stand for others."""
    weighted = source.decisions.weighted(where)
    if weighted:
        raise InputError(
            f"{source.path}: {weighted:,} of the decisions stand for several, since a logger kept a part of them, and "
            "groups are compared by their customers, of whom some may have no decision left; see what a decision of "
            "each group earned with `offer-bandit results --by group`, which weighs them"
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
