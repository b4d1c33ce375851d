"""Changes of a roll-out: each is a row in the log with who made it, when and why, and the state after it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from numbers import Integral, Real
from typing import TypeVar

from bandit.catalogue import Catalogue
from bandit.catalogue.live_schema import RolloutMode
from bandit.catalogue.plain_values import shown
from bandit.clock import now
from bandit.domain import MICROSECONDS
from bandit.errors import InputError, OfferBanditError, PolicyError
from bandit.policies import build
from bandit.rollout.state import Halt, LivePolicy, RolloutState, declared_state
from bandit.store import RolloutChangeRow, Store
from bandit.store.holdings import HoldingScope

Written = TypeVar("Written")

MODES: tuple[RolloutMode, ...] = ("shadow", "apprentice", "ramp", "full")

MAX_AUTHOR = 200
"""Most characters of the name of whoever makes a change."""

MAX_REASON = 2_000

LEAST_REST = 1e-12
"""Least share that challengers leave to the champion."""


@dataclass(frozen=True, slots=True)
class RolloutChange:
    """A change: its number, its time (microseconds since 1970 UTC), who made it and why, and the state after it.

    `action` is declare, set, challenge, promote, rollback, kill, stop (by a guardrail) or resume.
    """

    id: int
    time: int
    author: str
    action: str
    reason: str
    state: RolloutState

    @property
    def words(self) -> str:
        """The change in words, as `kill by Ann at 2026-03-01T09:30:00Z: wrong prices`."""
        time = datetime.fromtimestamp(self.time // MICROSECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"{self.action} by {self.author} at {time}{f': {self.reason}' if self.reason else ''}"

    @staticmethod
    def of(row: RolloutChangeRow) -> RolloutChange:
        """Return a stored row as a change."""
        return RolloutChange(row.id, row.time, row.author, row.action, row.reason, RolloutState.from_json(row.state))


class RolloutStates:
    """Returns the state after a change by its number, and reads each from the store once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[int, RolloutState] = {}

    def __call__(self, change_id: int) -> RolloutState:
        """Return the state after a change; the state before any change for a number that the store does not have."""
        if change_id not in self._known:
            row = self._store.rollout_changes.get(change_id)
            self._known[change_id] = RolloutState() if row is None else RolloutChange.of(row).state
        return self._known[change_id]


class RolloutControl:
    """Reads and changes the roll-out of a catalogue's policies in a store; every engine on it takes the change over."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        clock: Callable[[], int] = now,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the store and the catalogue; `on_change` is called once a change is written."""
        self._store = store
        self._catalogue = catalogue
        self._clock = clock
        self._on_change = on_change

    @property
    def initial(self) -> RolloutState:
        """The state before any change: what the catalogue declares, or one policy that serves everybody."""
        return declared_state(self._catalogue)

    def latest(self) -> RolloutChange | None:
        """Return the newest change; None if there is none."""
        row = self._store.rollout_changes.latest()
        return None if row is None else RolloutChange.of(row)

    @property
    def state(self) -> RolloutState:
        """The state in force."""
        latest = self.latest()
        return self.initial if latest is None else latest.state

    def history(self) -> tuple[RolloutChange, ...]:
        """Return all changes, oldest first."""
        return tuple(map(RolloutChange.of, self._store.rollout_changes.all()))

    def halting_change(self) -> RolloutChange | None:
        """Return the change that halted the policies; None where they are not halted."""
        if self.state.halted is None:
            return None
        return next(change for change in reversed(self.history()) if change.action in {"kill", "stop"})

    def declare(self, author: str = "catalogue") -> RolloutChange | None:
        """Put what the catalogue declares in force, once for each version that declares something else than the last.

        None where nothing is to be changed. Live policies of an earlier version leave with it; a halt stays.
        """
        declared = self._catalogue.rollout
        if declared is None:
            return None

        def written() -> RolloutChange | None:
            changes = [change for change in self.history() if change.action == "declare"]
            initial = self.initial
            if any(change.state.declared == initial.declared for change in changes):
                return None
            if changes and _same_declaration(changes[-1].state, initial):
                return None
            latest = self.latest()
            halted = None if latest is None else latest.state.halted
            number = 0 if latest is None else latest.id
            state = replace(initial, halted=halted, previous=number)
            return self._append(author, "declare", "the catalogue declares it", state)

        return self._write(written)

    def set_mode(
        self, mode: RolloutMode, share: float | None = None, *, author: str, reason: str = ""
    ) -> RolloutChange:
        """Set the mode; a ramp needs its share of the customers, above 0 and at most 1."""
        _check_mode(mode)
        share = None if share is None else _number("share", share)
        if mode == "ramp":
            if share is None or not 0.0 < share <= 1.0:
                seen = "none" if share is None else f"{share:g}"
                raise InputError(
                    f"a ramp needs its share of the customers, above 0 and at most 1, such as 0.1; seen {seen}"
                )
        elif share is not None:
            raise InputError(f'a share is given with the mode "ramp" only; seen with "{mode}"')
        return self._change(
            author, "set", reason, lambda state: replace(state, mode=mode, share=1.0 if share is None else share)
        )

    def challenge(
        self, policy_id: int, share: float, *, champion: int | None = None, author: str, reason: str = ""
    ) -> RolloutChange:
        """Serve a share of the policies' customers by a challenger; a share of 0 takes it out again.

        `champion` is the policy that is live now, where the state does not name it yet.
        """
        share, policy_id = _number("share", share), _policy_number(policy_id)
        champion = None if champion is None else _policy_number(champion)
        if not 0.0 <= share < 1.0:
            raise InputError(f"a challenger has a share of at least 0 and below 1; seen {share}")
        if share > 0.0:  # one that cannot be built any more can be taken out
            self._check_policy(policy_id)

        def after(state: RolloutState) -> RolloutState:
            first = state.champion if state.champion is not None else champion
            if first is None:
                raise InputError("the champion is not known yet; say which policy is live with champion=")
            if first == policy_id:
                raise InputError(f"policy {policy_id} is the champion; a challenger is another policy")
            self._check_policy(first)
            shares = {each.policy_id: each.share for each in state.policies[1:]} | {policy_id: share}
            challengers = [LivePolicy(number, part) for number, part in shares.items() if part > 0.0]
            rest = 1.0 - sum(each.share for each in challengers)
            if rest <= LEAST_REST:
                raise InputError(
                    f"the challengers' shares sum to {1.0 - rest:g}, which leaves the champion nothing; give less"
                )
            return replace(state, policies=(LivePolicy(first, rest), *challengers))

        return self._change(author, "challenge", reason, after)

    def promote(self, policy_id: int | None = None, *, author: str, reason: str = "") -> RolloutChange:
        """Make a challenger the champion, the only live policy; without challengers, roll the policy out in full."""
        policy_id = None if policy_id is None else _policy_number(policy_id)

        def after(state: RolloutState) -> RolloutState:
            challengers = [each.policy_id for each in state.policies[1:]]
            if policy_id is None and not challengers:
                if state.mode == "full":
                    raise InputError(
                        "the policy is rolled out in full and has no challenger; there is nothing to promote"
                    )
                return replace(state, mode="full", share=1.0)
            if policy_id is None and len(challengers) > 1:
                named = ", ".join(map(str, challengers))
                raise InputError(f"there are several challengers ({named}); say which policy to promote")
            chosen = challengers[0] if policy_id is None else policy_id
            self._check_policy(chosen)
            return replace(state, policies=(LivePolicy(chosen, 1.0),))

        return self._change(author, "promote", reason, after)

    def rollback(self, *, author: str, reason: str = "") -> RolloutChange:
        """Return to the state before the last set, challenge, promote or declare; a halt stays until `resume`."""

        def written() -> RolloutChange:
            latest = self.latest()
            if latest is None:
                raise InputError("the roll-out was never changed; there is nothing to roll back")
            row = self._store.rollout_changes.get(latest.state.previous) if latest.state.previous else None
            if row is None and latest.state == self.initial:
                raise InputError("the roll-out is as it was in the beginning; there is nothing to roll back")
            before = self.initial if row is None else RolloutChange.of(row).state
            return self._append(author, "rollback", reason, replace(before, halted=latest.state.halted))

        return self._write(written)

    def kill(self, *, author: str, reason: str = "") -> RolloutChange:
        """Serve the fallback to every customer from the next decision on, in every process."""
        return self._halt(author, "kill", reason, "kill")

    def stop(self, *, author: str, reason: str) -> RolloutChange:
        """Serve the substitute (rules, or the fallback) in place of the policies, as a broken guardrail does."""
        return self._halt(author, "stop", reason, "guardrail")

    def stop_once(self, *, author: str, reason: str) -> RolloutChange | None:
        """Do what `stop` does unless the policies are halted already; None then."""

        def written() -> RolloutChange | None:
            state = self.state
            if state.halted is not None:
                return None
            return self._append(author, "stop", reason, replace(state, halted="guardrail"))

        return self._write(written)

    def resume(self, *, author: str, reason: str = "") -> RolloutChange:
        """Let the policies serve again, in the mode in which they were; InputError where nothing is halted."""

        def written() -> RolloutChange:
            state = self.state
            if state.halted is None:
                raise InputError("the policies are not halted; there is nothing to resume")
            return self._append(author, "resume", reason, state.resumed())

        return self._write(written)

    def _halt(self, author: str, action: str, reason: str, halt: Halt) -> RolloutChange:
        return self._write(lambda: self._append(author, action, reason, replace(self.state, halted=halt)))

    def _change(
        self, author: str, action: str, reason: str, after: Callable[[RolloutState], RolloutState]
    ) -> RolloutChange:

        def written() -> RolloutChange:
            latest = self.latest()
            state = self.initial if latest is None else latest.state
            number = 0 if latest is None else latest.id
            return self._append(author, action, reason, replace(after(state), previous=number, declared=""))

        return self._write(written)

    def _write(self, write: Callable[[], Written]) -> Written:
        """Read and write in one transaction, then say that there is a change."""
        try:
            with HoldingScope():
                with self._store.transaction():
                    change = write()
                self._on_change()
        except OfferBanditError:
            raise
        except BaseException:  # of a signal's handler: the change may be written all the same
            with contextlib.suppress(OfferBanditError), HoldingScope():
                self._on_change()
            raise
        return change

    def _append(self, author: str, action: str, reason: str, state: RolloutState) -> RolloutChange:
        for what, text, most in (("author", author, MAX_AUTHOR), ("reason", reason, MAX_REASON)):
            if not isinstance(text, str):
                raise InputError(f"the {what} of a change is a text; seen {shown(text)}")
            if len(text) > most:
                raise InputError(f"the {what} of a change has at most {most:,} characters; seen {len(text):,}")
        if not author.strip():
            raise InputError("say who makes the change: author= or --by is a name; seen an empty one")
        row = self._store.rollout_changes.append(self._clock(), author, action, reason, state.to_json())
        return RolloutChange.of(row)

    def _check_policy(self, policy_id: int) -> None:
        """Raise InputError unless the database has this policy, for this version of the catalogue."""
        version = self._catalogue.version
        known = {row.id: row for row in self._store.catalogues.policies()}
        if policy_id not in known:
            named = ", ".join(map(str, known)) or "none yet"
            raise InputError(f"there is no policy {policy_id} in {self._store.path}; known are {named}")
        catalogue_id, spec = self._store.catalogues.policy_spec(policy_id)
        if self._store.catalogues.get(catalogue_id).version != version:
            raise InputError(
                f"policy {policy_id} ({spec.get('kind')}) is of another version of the catalogue; start one with this "
                "version first"
            )
        try:
            build(self._catalogue, spec)
        except PolicyError as fault:
            raise InputError(
                f"policy {policy_id} cannot be built from what the database has of it ({fault}), so other processes "
                "could not serve it; use one of the library's policies"
            ) from fault


def _check_mode(mode: object) -> None:
    """Raise InputError for what is none of the modes."""
    if not isinstance(mode, str) or mode not in MODES:
        seen = f'"{mode}"' if isinstance(mode, str) else shown(mode)
        raise InputError(f"a roll-out has one of the modes {', '.join(MODES)}; seen {seen}")


def _number(what: str, value: object) -> float:
    """Return a number of any numeric type as a float; InputError for anything else."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError(f"a {what} is a number, such as 0.1; seen {shown(value)}")
    try:
        return float(value)
    except OverflowError as fault:
        raise InputError(f"a {what} is at most 1; seen {shown(value)}") from fault


def _policy_number(value: object) -> int:
    """Return the number of a policy as an int; InputError for anything that is no whole number."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputError(f"a policy is named by its number in the database; seen {shown(value)}")
    return int(value)


def _same_declaration(first: RolloutState, second: RolloutState) -> bool:
    return (first.mode, first.share, first.substitute, first.salt) == (
        second.mode, second.share, second.substitute, second.salt,
    )  # fmt: skip
