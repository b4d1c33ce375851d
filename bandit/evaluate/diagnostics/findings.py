"""The result of a check: nothing where all is well, else a finding of one sentence with its severity."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bandit.domain import Log
    from bandit.evaluate.diagnostics.cures import Cure

Severity: TypeAlias = Literal["note", "doubt", "fatal"]
"""A note changes nothing, a doubt limits the verdict, and with a fatal finding the verdict is "cannot tell"."""

SIGNIFICANCE = 0.001
"""The p-value below which a check has a finding: of a thousand sound logs at most one has a false alarm."""

_GRAVITY: dict[Severity, int] = {"fatal": 0, "doubt": 1, "note": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding of one check; `sentence` begins in lower case and has no full stop, and `cure` says what would help."""

    check: str
    severity: Severity
    sentence: str
    cure: Cure | None = None

    def to_dict(self) -> dict[str, str | None]:
        """Return plain JSON values."""
        return {"check": self.check, "severity": self.severity, "sentence": self.sentence, "cure": self.cure}


class DiagnosticCheck(ABC):
    """The record of one check: its numbers, and the finding they lead to."""

    __slots__ = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """What was checked, as a key."""

    @abstractmethod
    def finding(self) -> Finding | None:
        """Return what is wrong, None where nothing is."""

    @abstractmethod
    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values; None where a number is not finite."""

    def sentence(self) -> str | None:
        """Return what is wrong in one sentence, None where nothing is."""
        found = self.finding()
        return None if found is None else found.sentence

    @property
    def severity(self) -> Severity | None:
        """The severity of the finding, None where nothing is wrong."""
        found = self.finding()
        return None if found is None else found.severity

    def _finding(self, severity: Severity, sentence: str, cure: Cure | None = None) -> Finding:
        return Finding(self.name, severity, sentence, cure)

    def _to_json(self, *fields: str) -> dict[str, object]:
        """Return the severity, the sentence and some fields as plain JSON values."""
        found = self.finding()
        head: dict[str, object] = {"severity": None, "sentence": None}
        if found is not None:
            head = {"severity": found.severity, "sentence": found.sentence}
        return head | {field: to_json(getattr(self, field)) for field in fields}


def findings(checks: Iterable[DiagnosticCheck | None]) -> tuple[Finding, ...]:
    """Return the findings of some checks, the gravest first; a check that was not made is None."""
    found = [finding for check in checks if check is not None and (finding := check.finding()) is not None]
    return tuple(sorted(found, key=lambda each: _GRAVITY[each.severity]))


def notice_findings(log: Log) -> tuple[Finding, ...]:
    """Return what was noticed when the log's files were read: doubts, since rows that are missing bias the others."""
    return tuple(Finding("import", "doubt", sentence) for sentence in log.notices)


def gravest(found: Iterable[Finding]) -> Severity | None:
    """Return the severity of the gravest finding, None where there is none."""
    return min((each.severity for each in found), key=_GRAVITY.__getitem__, default=None)


def to_json(value: object) -> object:
    """Return None in place of a number that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def share(part: float) -> str:
    """Return a share as a percentage with at least one significant figure."""
    if part in {0.0, 1.0}:
        return f"{part:.0%}"
    if part < 0.000_1:
        return "less than 0.01%"
    digits = 2 if part < 0.01 else 1 if part < 0.1 else 0
    return f"{part:.{digits}%}"
