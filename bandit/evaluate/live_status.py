"""The state of a live database at a glance: groups, roll-out, decisions and conversions, learning, spools."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from bandit.domain import MICROSECONDS
from bandit.evaluate.diagnostics import sample_ratio
from bandit.evaluate.event_use import event_uses
from bandit.evaluate.lift_selection import same_assignment
from bandit.learning import CarryReport
from bandit.printable import counted
from bandit.rollout import RolloutControl
from bandit.store import refused_lines, spools
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.evaluate.diagnostics import SampleRatioTest
    from bandit.evaluate.event_use import EventUses
    from bandit.rollout import RolloutChange, RolloutState
    from bandit.store import GroupSizes, Store
    from bandit.tabular import Cell

_DAY = 86_400 * MICROSECONDS


WEEK_DAYS = 7
"""Days that the numbers of the last week cover, today among them."""

_STATELESS = ("uniform", "constant", "rules")
"""Kinds of policies that learn nothing."""


@dataclass(frozen=True, slots=True)
class GroupActivity:
    """A group's customers and decisions, in all and today (UTC); `share` is the one meant, None where none is known.

    Customers seen in several groups are not among its `customers`.
    """

    name: str
    share: float | None
    customers: int
    decisions: int
    customers_today: int
    decisions_today: int


@dataclass(frozen=True, slots=True)
class LearningState:
    """How far a live policy has learned: its newest step, its age in seconds, and what came since it last looked.

    `decisions` and `events` may include those that are not due for learning yet. `learns` is False for a policy that
    never does. `set_aside` decisions have an outcome that it could not learn.
    """

    policy_id: int
    kind: str
    learns: bool
    step: int
    seconds: float
    decisions: int
    events: int
    set_aside: int = 0


@dataclass(frozen=True, slots=True)
class LiveStatus(Tabular):
    """The state of a database that is in use; times are microseconds since 1970 UTC.

    `groups` are those of the assignment in force, with the check of their sizes (None where no shares are declared).
    `change` is the newest change of the roll-out. `week` counts the last seven days, today among them; conversions
    count by the time of their event. `events` says what the recorded events are taken for. `spool_bytes` wait in
    `spools` files beside the database, which did not accept `refused_lines` of earlier ones. `took_over` says what the
    newest policy of the catalogue took over from another one, None where it began untrained. `key_rotated` is when the
    customer key was last rotated, None if it never was.
    """

    path: str
    time: int
    decisions: int
    decisions_today: int
    decisions_week: int
    conversions_today: int
    conversions_week: int
    last_decision: int | None
    groups: tuple[GroupActivity, ...]
    several: int
    sample_ratio: SampleRatioTest | None
    rollout: RolloutState
    change: RolloutChange | None
    learning: tuple[LearningState, ...]
    spools: int
    spool_bytes: int
    events: EventUses
    took_over: str | None = None
    key_rotated: int | None = None
    refused_lines: int = 0

    @property
    def well(self) -> bool:
        """Whether no policy is halted."""
        return self.rollout.halted is None

    def html_title(self) -> str:
        """Return the line above the table in a notebook."""
        return f"{self.path}: {counted(self.decisions, 'decision')}, {self.decisions_today:,} of them today (UTC)"

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a group of customers, its share meant None where none is declared."""
        return [
            {
                "group": each.name,
                "share_meant": each.share,
                "customers": each.customers,
                "customers_today": each.customers_today,
                "decisions": each.decisions,
                "decisions_today": each.decisions_today,
            }
            for each in self.groups
        ]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        simple = (
            "path", "time", "decisions", "decisions_today", "decisions_week", "conversions_today", "conversions_week",
            "last_decision", "several", "spools", "spool_bytes", "took_over", "key_rotated",
            "refused_lines",
        )  # fmt: skip
        return {name: getattr(self, name) for name in simple} | {
            "groups": [asdict(each) for each in self.groups],
            "sample_ratio": None if self.sample_ratio is None else self.sample_ratio.to_dict(),
            "rollout": asdict(self.rollout) | {"arms": [asdict(each) for each in self.rollout.arms]},
            "change": None if self.change is None else asdict(self.change),
            "learning": [asdict(each) for each in self.learning],
            "events": self.events.to_dict(),
        }


class StatusReader:
    """Reads the status of a store again and again; the sizes of groups are brought up to date, not counted anew."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._store, self._catalogue = store, catalogue
        versions = same_assignment(store.catalogues, catalogue)
        self._sizes: GroupSizes = store.activity.group_sizes(versions)
        self._events = store.event_use.counts()

    def read(self, now: int) -> LiveStatus:
        """Return the status at a time, in microseconds since 1970 UTC."""
        store, objective = self._store, self._catalogue.objective
        control = RolloutControl(store, self._catalogue)
        today = now // _DAY * _DAY
        week = today - (WEEK_DAYS - 1) * _DAY
        self._sizes.update()
        groups, several, ratio = self._groups(today)
        conversions = [store.activity.conversions_since(objective.event, objective.window, at) for at in (today, week)]
        files = spools(store.path)
        change = control.latest()
        state = control.initial if change is None else change.state
        return LiveStatus(
            path=str(store.path),
            time=now,
            decisions=store.activity.decisions(),
            decisions_today=store.activity.decisions_since(today),
            decisions_week=store.activity.decisions_since(week),
            conversions_today=conversions[0],
            conversions_week=conversions[1],
            last_decision=store.activity.last_decision_time(),
            groups=groups,
            several=several,
            sample_ratio=ratio,
            rollout=state,
            change=change,
            learning=self._learning(state, now),
            spools=len(files),
            spool_bytes=sum(each.stat().st_size for each in files if each.exists()),
            refused_lines=len(refused_lines(store.path)),
            events=event_uses(store, self._events),
            took_over=self._took_over(),
            key_rotated=max((run.time for run in self._store.journal() if run.kind == "rotate key"), default=None),
        )

    def _took_over(self) -> str | None:
        catalogues = {row.id for row in self._store.catalogues.all() if row.version == self._catalogue.version}
        here = {row.id for row in self._store.catalogues.policies() if row.catalogue_id in catalogues}
        rows = [row for row in self._store.carried.all() if row.policy_id in here]
        return CarryReport.of(rows[-1]).words if rows else None

    def _groups(self, today: int) -> tuple[tuple[GroupActivity, ...], int, SampleRatioTest | None]:
        """Return the groups, the number of customers in several, and the check of the sizes."""
        customers, several = self._sizes.customers()
        now = self._store.activity.groups_since(today, self._sizes.catalogue_ids)
        declared = self._catalogue.groups
        shares = {} if declared is None else dict(zip(declared.names, declared.shares, strict=True))
        names = [*shares, *sorted(set(self._sizes.decisions) - set(shares))]
        rows = tuple(
            GroupActivity(
                name=name,
                share=shares.get(name),
                customers=customers.get(name, 0),
                decisions=self._sizes.decisions.get(name, 0),
                customers_today=now.get(name, (0, 0))[1],
                decisions_today=now.get(name, (0, 0))[0],
            )
            for name in names
        )
        meant = {name: share for name, share in shares.items() if share > 0.0}
        if len(meant) < 2:
            return rows, several, None
        return rows, several, sample_ratio({name: customers.get(name, 0) for name in meant}, meant, several)

    def _learning(self, state: RolloutState, now: int) -> tuple[LearningState, ...]:
        """Return the learning of the live policies; of that of the newest decision where the state names none."""
        specs = {row.id: row.spec for row in self._store.catalogues.policies()}
        numbers: list[int | None] = [each.policy_id for each in state.policies]
        numbers = numbers or [self._store.decisions.newest_policy()]
        found = []
        for number in numbers:
            if number is None or number not in specs:
                continue
            lag, kind = self._store.activity.learning_lag(number), str(specs[number].get("kind"))
            if lag is not None:
                age = (now - lag.learned_at) / MICROSECONDS
                learns = kind not in _STATELESS
                aside = len(self._store.ledger.set_aside.decisions(number))
                found.append(LearningState(number, kind, learns, lag.step, age, lag.decisions, lag.events, aside))
        return tuple(found)
