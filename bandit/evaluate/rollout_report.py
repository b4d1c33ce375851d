"""What a roll-out has shown: the choices in shadow against what was served, and the arms against each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from bandit.evaluate.diagnostics import sample_ratio
from bandit.evaluate.lift import LiftOptions, lift
from bandit.evaluate.shadow import ShadowReport, ShadowTally
from bandit.ope.clusters import ClusterIndex
from bandit.ope.estimate import interval_cells
from bandit.ope.lift import LiftBatch, LiftTally
from bandit.rollout import RolloutChange
from bandit.store import Activation, CatalogueTranslation
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray, Progress
    from bandit.evaluate.diagnostics import Finding, SampleRatioTest
    from bandit.evaluate.lift import Lift
    from bandit.rollout import RolloutState
    from bandit.store import ServedArms, Store
    from bandit.tabular import Cell

_PAGE = 16_384


@dataclass(frozen=True, slots=True)
class ArmComparison(Tabular):
    """The arms of one assignment of customers, compared by their mean rewards.

    `changes` are the changes of the roll-out under which the assignment was in force. `lift` has the arms in place of
    groups: each with its mean and interval, and each difference. `several` customers were served by more than one arm
    and are left out, as are `still_open` decisions, `left_out` ones whose offer the catalogue does not have or that no
    arm served, and `not_activated` ones, on which the objective's activation was never recorded.
    """

    changes: tuple[RolloutChange, ...]
    lift: Lift
    sample_ratio: SampleRatioTest
    findings: tuple[Finding, ...]
    several: int
    still_open: int
    left_out: int
    not_activated: int = 0

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a pair of arms and unit."""
        return self.lift.to_rows()

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return self.lift.to_dict() | {
            "changes": [each.id for each in self.changes],
            "sample_ratio": self.sample_ratio.to_dict(),
            "findings": [each.to_dict() for each in self.findings],
            "several": self.several,
            "open": self.still_open,
            "left_out": self.left_out,
            "not_activated": self.not_activated,
        }


@dataclass(frozen=True, slots=True)
class RolloutReport(Tabular):
    """What the newest decisions in shadow and those of the newest assignment to several arms show.

    Each is None where there is none; `waiting` says how many decisions the arms have whose outcomes are still open,
    where too few arms have settled ones.
    """

    shadow: ShadowReport | None
    arms: ArmComparison | None
    waiting: int = 0

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a comparison: the policy in shadow with what served, and each pair of arms per decision."""
        rows = [] if self.shadow is None else [self.shadow.summary_row()]
        if self.arms is not None:
            lift = self.arms.lift
            rows += [
                {
                    "comparison": f"{row.group} minus {row.baseline}",
                    "verdict": row.verdict,
                    "reason": row.reason,
                    **interval_cells(lift.shown(row), "difference"),
                }
                for row in lift.rows
                if (row.method, row.unit) == (lift.method, lift.options.unit)
            ]
        return rows

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "shadow": None if self.shadow is None else self.shadow.to_dict(),
            "arms": None if self.arms is None else self.arms.to_dict(),
            "waiting": self.waiting,
        }


def rollout_report(
    store: Store,
    catalogue: Catalogue,
    *,
    now: int,
    level: float = 0.95,
    progress: Progress | None = None,
    page_size: int = _PAGE,
) -> RolloutReport:
    """Return what a store's roll-out has shown until the time `now` (microseconds since 1970 UTC).

    The decisions in shadow are those since the roll-out last came to shadow with these policies. Arms are compared on
    the decisions since the assignment of customers to arms last changed: a kill and its end do not change it. Rewards
    are those of settled decisions: closed, or with their window over. The log is read page by page.
    """
    runs = _runs(tuple(map(RolloutChange.of, store.rollout_changes.all())))
    served = {each.change_id: each for each in store.served_arms.changes()}
    in_shadow = _newest(runs, [number for number, each in served.items() if each.shadow])
    mixed = _newest([run for run in runs if len(_arms(run[0].state.resumed())) > 1], list(served))
    # The changes of a run may have served nothing yet, as the end of a halt.
    total = sum(served[each.id].decisions for each in (*in_shadow, *mixed) if each.id in served)
    log = _ArmLog(store, catalogue, now, page_size, progress, total)
    shadow = None
    if in_shadow:
        tally = ShadowTally(binary=catalogue.objective.kind == "conversion")
        for page in log.pages(in_shadow):
            tally.add(page.served, page.offer, page.propensity, page.customer, page.reward, page.earned, page.counted)
        shadow = tally.result(in_shadow, level)
    arms, waiting = _compare(log, catalogue, mixed, level) if mixed else (None, 0)
    return RolloutReport(shadow, arms, waiting)


@dataclass(frozen=True, slots=True, eq=False)
class _ArmPage:
    """n decisions with the arms that served them; `offer` is in the numbers of the decision's own catalogue.

    `customer` are integer ids. `settled` says which rows are settled, `activated` which of all rows were activated (all
    where nothing has to be), and `counted` which are both and have an offer of the catalogue. Other rewards are 0.
    """

    served: ServedArms
    customer: IntArray
    offer: IntArray
    propensity: FloatArray
    reward: FloatArray
    earned: BoolArray
    settled: BoolArray
    activated: BoolArray
    counted: BoolArray


class _ArmLog:
    """Reads the decisions of some changes with their rewards, page by page."""

    def __init__(
        self, store: Store, catalogue: Catalogue, now: int, size: int, progress: Progress | None, total: int
    ) -> None:
        self._store, self._catalogue, self._size = store, catalogue, size
        self._settled_before = now - catalogue.objective.window
        self._activation = Activation.of(catalogue.objective)
        self._translation = CatalogueTranslation(store, catalogue)
        self._progress, self._total, self._done = progress, total, 0

    def pages(self, changes: Sequence[RolloutChange]) -> Iterator[_ArmPage]:
        """Yield the decisions made under these changes, in order."""
        numbers, customers, after = [each.id for each in changes], ClusterIndex(), 0
        while len(served := self._store.served_arms.page(numbers, after_seq=after, limit=self._size)):
            after = int(served.seq[-1])
            yield self._page(served, customers)
            self._done += len(served)
            if self._progress is not None:
                self._progress(self._done, self._total)

    def _page(self, served: ServedArms, customers: ClusterIndex) -> _ArmPage:
        objective = self._catalogue.objective
        columns = self._store.decisions.by_seq(served.seq, objective.event, objective.window)
        offer = self._translation.offer_map.offers(columns.catalogue_id, columns.offer)
        ids, _ = customers.read(columns.customer, len(columns))
        settled = columns.closed | (columns.time < self._settled_before)
        activated = np.ones(len(columns), dtype=np.bool_)
        if self._activation is not None:
            activated = self._store.decisions.activated(served.seq, self._activation)
        counted = settled & activated & (offer >= 0)
        rows, reward = np.flatnonzero(counted), np.zeros(len(columns))
        kept = columns.take(rows)
        money = self._catalogue.money_of(offer[rows])
        reward[rows] = objective.reward(money, np.arange(len(rows)), kept.converted, kept.revenue, kept.value)
        return _ArmPage(
            served=served,
            customer=np.zeros(0, dtype=np.int64) if ids is None else ids,
            offer=columns.offer,
            propensity=columns.propensity,
            reward=reward,
            earned=reward != 0.0 if objective.kind == "reward" else columns.converted,
            settled=settled,
            activated=activated,
            counted=counted,
        )


def _runs(history: Sequence[RolloutChange]) -> list[tuple[RolloutChange, ...]]:
    """Return the changes in runs between which customers are served alike; a halt does not end a run."""

    def key(change: RolloutChange) -> object:
        state = change.state.resumed()
        return state.has_shadow, state.policy_share, state.policies, state.substitute, state.salt

    return [tuple(run) for _, run in groupby(history, key)]


def _newest(runs: Sequence[tuple[RolloutChange, ...]], numbers: Sequence[int]) -> tuple[RolloutChange, ...]:
    """Return the changes of the newest run that served some decisions and halted nothing; empty without any."""
    wanted = set(numbers)
    for run in reversed(runs):
        found = tuple(each for each in run if each.state.halted is None)
        if any(each.id in wanted for each in found):
            return found
    return ()


def _arms(state: RolloutState) -> dict[str, float]:
    """Return the shares of the arms that serve somebody, by name."""
    return {arm.name: arm.share for arm in state.arms if arm.share > 0.0}


def _compare(
    log: _ArmLog, catalogue: Catalogue, changes: tuple[RolloutChange, ...], level: float
) -> tuple[ArmComparison | None, int]:
    """Return the comparison of the arms, None where fewer than two have settled decisions, and the open decisions."""
    shares = _arms(changes[0].state)
    names = list(shares)
    batches, still_open, left_out, not_activated = [], 0, 0, 0
    for page in log.pages(changes):
        arm = _places(page.served.arm, names)
        kept = page.counted & (arm >= 0)
        still_open += int((~page.settled).sum())
        left_out += int((page.settled & page.activated & ~kept).sum())
        not_activated += int((page.settled & ~page.activated).sum())
        batches.append(LiftBatch(page.reward[kept], arm[kept], page.customer[kept], page.earned[kept]))
    several = _in_several(batches)
    seen = np.zeros(len(names), dtype=np.bool_)
    batches = [batch.part(~np.isin(batch.customer, several)) for batch in batches]
    for batch in batches:
        seen[batch.group] = True
    compared = [name for name, there in zip(names, seen.tolist(), strict=True) if there]
    if len(compared) < 2:
        return None, still_open
    renumbered = np.cumsum(seen) - 1
    tally = LiftTally([shares[name] for name in compared])
    for batch in batches:
        tally.add(replace(batch, group=renumbered[batch.group]))
    baseline = names[0] if names[0] in compared else compared[0]
    binary = catalogue.objective.kind == "conversion"
    found = lift(tally, compared, LiftOptions(baseline, level, method="means", binary=binary))
    ratio = sample_ratio(found.sample_ratio.counts, shares, len(several))
    doubt = ratio.finding()
    extra = () if doubt is None or doubt.check in {each.check for each in found.findings} else (doubt,)
    findings = (*found.findings, *extra)
    comparison = ArmComparison(changes, found, ratio, findings, len(several), still_open, left_out, not_activated)
    return comparison, still_open


def _places(arms: ObjectArray, names: Sequence[str]) -> IntArray:
    """Return the (n,) places of arms among some names, -1 for others."""
    place = np.full(len(arms), -1, dtype=np.int64)
    for number, name in enumerate(names):
        place[arms == name] = number
    return place


def _in_several(batches: Sequence[LiftBatch]) -> IntArray:
    """Return the customers that were served by more than one arm."""
    if not batches:
        return np.zeros(0, dtype=np.int64)
    pairs = np.unique(
        np.stack([np.concatenate([b.customer for b in batches]), np.concatenate([b.group for b in batches])]), axis=1
    )
    customers, counts = np.unique(pairs[0], return_counts=True)
    return np.asarray(customers[counts > 1])
