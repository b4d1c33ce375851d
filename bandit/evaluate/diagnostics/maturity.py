"""Check that outcomes are complete: decisions whose customers may still convert bias what is judged."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from scipy.special import ndtr

from bandit.domain import MICROSECONDS
from bandit.evaluate.diagnostics.findings import SIGNIFICANCE, DiagnosticCheck, Finding, share
from bandit.printable import counted

if TYPE_CHECKING:
    from bandit.domain import BoolArray, IntArray

MAX_OPEN_SHARE = 0.5
"""With a larger share of open decisions, the judged part of the log is in doubt."""

_DAY_MICROSECONDS = 86_400 * MICROSECONDS


@dataclass(frozen=True, slots=True)
class OutcomeMaturity(DiagnosticCheck):
    """How many decisions are still open, and how old the judged ones are; ages and `window` in microseconds.

    `left_open` decisions are not judged. Of the `judged` ones `young` were closed before their window ended, and
    `young_converted` of these and `old_converted` of the others converted. `youngest` is the age of the youngest
    judged decision, None where there is none.
    """

    judged: int
    left_open: int
    window: int
    youngest: int | None
    young: int
    young_converted: int
    old_converted: int

    @property
    def name(self) -> str:
        """What was checked, as a key."""
        return "maturity"

    @property
    def open_share(self) -> float:
        """The share of all decisions that are still open."""
        return self.left_open / max(self.judged + self.left_open, 1)

    def finding(self) -> Finding | None:
        """Return a doubt where young decisions were judged only if they converted, a note where some are open."""
        old = self.judged - self.young
        if self.left_open and self.young and old and self._p_value(old) < SIGNIFICANCE:
            return self._finding(
                "doubt",
                f"{self.young:,} decisions are judged before their window ended, because they were closed, and "
                f"{share(self.young_converted / self.young)} of them converted, compared with "
                f"{share(self.old_converted / old)} of the older ones, while {self.left_open:,} are still open: "
                "customers who convert early may be counted while the others are left out",
            )
        if not self.left_open:
            return None
        every, are = self.judged + self.left_open, "is" if self.left_open == 1 else "are"
        youngest = "" if self.youngest is None else f", and the youngest judged is {_days(self.youngest)} old"
        return self._finding(
            "doubt" if self.open_share > MAX_OPEN_SHARE else "note",
            f"{self.left_open:,} of {counted(every, 'decision')} ({share(self.open_share)}) {are} left out "
            f"as still open: the window of {_days(self.window)} has not ended{youngest}",
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values without the age of the youngest, so that the same log gives the same document."""
        fields = ("judged", "left_open", "open_share", "window", "young", "young_converted")
        return self._to_json(*fields, "old_converted")

    def _p_value(self, old: int) -> float:
        """Return the two-sided p-value of equal shares of conversion, by the pooled z-test."""
        pooled = (self.young_converted + self.old_converted) / self.judged
        error = sqrt(pooled * (1.0 - pooled) * (1.0 / self.young + 1.0 / old))
        if error == 0.0:
            return 1.0
        off = self.young_converted / self.young - self.old_converted / old
        return float(2.0 * ndtr(-abs(off) / error))


class MaturityCounts:
    """Counts young and old decisions, batch by batch."""

    def __init__(self, now: int, window: int) -> None:
        self.now, self.window = now, window
        self._n, self._young, self._young_converted, self._converted = 0, 0, 0, 0
        self._newest: int | None = None

    def add(self, time: IntArray, converted: BoolArray) -> None:
        """Add n decisions with their times and whether they converted, (n,) each."""
        if not len(time):
            return
        young = time > self.now - self.window
        self._n += len(time)
        self._young += int(young.sum())
        self._young_converted += int((young & converted).sum())
        self._converted += int(converted.sum())
        newest = int(time.max())
        self._newest = newest if self._newest is None else max(self._newest, newest)

    def __add__(self, other: MaturityCounts) -> MaturityCounts:
        both = MaturityCounts(self.now, self.window)
        both._n, both._young = self._n + other._n, self._young + other._young
        both._young_converted = self._young_converted + other._young_converted
        both._converted = self._converted + other._converted
        both._newest = max((each for each in (self._newest, other._newest) if each is not None), default=None)
        return both

    def result(self, left_open: int = 0) -> OutcomeMaturity:
        """Return what was seen; `left_open` decisions of the log were not added."""
        return OutcomeMaturity(
            judged=self._n,
            left_open=left_open,
            window=self.window,
            youngest=None if self._newest is None else self.now - self._newest,
            young=self._young,
            young_converted=self._young_converted,
            old_converted=self._converted - self._young_converted,
        )


def _days(microseconds: int) -> str:
    days = microseconds / _DAY_MICROSECONDS
    return f"{days:,.0f} days" if days >= 10 else f"{days:.2g} days"
