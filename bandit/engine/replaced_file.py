"""What an engine does when another file takes the place of its database, or it gets another key: it opens that."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bandit.catalogue import Catalogue
from bandit.domain import Policy
from bandit.errors import OfferBanditError, PolicyError
from bandit.policies import build
from bandit.store import SpooledWriter
from bandit.store.file_identity import FileChange

_Numbers = Mapping[int, int]
"""The numbers that a file has for those of another one."""

REOPEN_INTERVAL = 1.0
"""Seconds after which a file that could not be used is tried again."""


class ReplacedFile:
    """Whether the database of an engine was replaced, and by what; `words` is a sentence once it was.

    The engine begins on the new file as if it had been opened on it: with what the policy has learned there, or
    untrained. What was decided since the replacement waits in the engine's spool and goes to the new file; what only
    the old one has is not in it.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy, self._spec = policy, policy.spec()
        self._next_try = 0.0
        self.words: str | None = None
        self.unusable: str | None = None

    def is_due(self) -> bool:
        """Say whether it is time to try to open the new file."""
        return time.monotonic() >= self._next_try

    def fresh_policy(self, catalogue: Catalogue) -> Policy:
        """Return the engine's policy as it was before it learned; itself if it is of a class that cannot be built."""
        try:
            return build(catalogue, self._spec)
        except PolicyError:
            return self._policy

    def failed(self, path: object, fault: Exception, *, rekeyed: bool = False) -> None:
        """Note that the new file cannot be used, or that the new customer key of the database is not known."""
        self._next_try = time.monotonic() + REOPEN_INTERVAL
        if rekeyed:
            self.unusable = f"{path}: {FileChange.REKEYED.value} ({fault})"
            return
        self.unusable = f"{path}: was replaced by another file while it was open, which cannot be used ({fault})"

    def taken(self, path: object, *, rekeyed: bool = False) -> None:
        """Note that the engine serves from the new file, or under the new customer key."""
        at = datetime.now(tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        self.unusable = None
        if rekeyed:
            self.words = (
                f"{path}: was given another customer key while it was open, and is served under that since {at}"
            )
            return
        self.words = (
            f"{path}: was replaced by another file while it was open, and is served from that since {at}: what only "
            "the file before had is not in it"
        )


@dataclass(slots=True)
class LeftSpools:
    """Spools of writers to files that were replaced, until the writer to the present file has continued them.

    A full disk may keep it from that. They stay locked by this process, so nobody else folds them meanwhile.
    """

    _left: list[tuple[SpooledWriter, _Numbers, _Numbers]] = field(default_factory=list)

    def add(self, writer: SpooledWriter, catalogues: _Numbers, policies: _Numbers) -> None:
        """Add the writer to the file that was just replaced, with the numbers that the present one has for its own."""
        self._left = [
            (older, _through(catalogues_then, catalogues), _through(policies_then, policies))
            for older, catalogues_then, policies_then in self._left
        ]
        self._left.append((writer, catalogues, policies))

    def continue_by(self, present: SpooledWriter) -> None:
        """Let the writer to the present file continue them, the oldest first, as far as that can be done now."""
        while self._left:
            try:
                present.take_over(*self._left[0])
            except (OfferBanditError, OSError):
                return
            del self._left[0]

    def release(self) -> None:
        """Leave them to the next process that opens the database, or to the parent after a fork."""
        for writer, _, _ in self._left:
            writer.release()
        self._left = []


def _through(first: _Numbers, second: _Numbers) -> _Numbers:
    """Return the numbers of a third file, given those of the second for the first and of the third for the second."""
    return {number: second.get(then, then) for number, then in first.items()}
