"""Base classes of logs: the attributes of the `Log` protocol that are not its decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bandit.domain.arrays import BoolArray, IntArray, ObjectArray
    from bandit.domain.outcomes import LoggedBatch
    from bandit.domain.protocols import Log


@dataclass(frozen=True, slots=True, eq=False)
class DecisionLabels:
    """Who made n decisions: the group of each customer and the policy that was live, as (n,) texts."""

    group: ObjectArray
    policy: ObjectArray

    def __len__(self) -> int:
        return len(self.group)

    def take(self, rows: IntArray | BoolArray | slice) -> DecisionLabels:
        """Return the chosen rows."""
        return DecisionLabels(self.group[rows], self.policy[rows])


@dataclass(frozen=True, slots=True)
class OutsideReason:
    """Why `n` decisions of a log have an offer that no policy of the catalogue can choose, such as "variant v2".

    `costs_known` is false where the offer has an option whose costs nothing says: they count as 0.
    """

    words: str
    n: int
    costs_known: bool = True

    def to_dict(self) -> dict[str, str | int | bool]:
        """Return plain JSON values."""
        return {"words": self.words, "n": self.n, "costs_known": self.costs_known}


class LogDefaults:
    """The attributes of a log that has no catalogue, knows all propensities and leaves no decision out.

    A log of your own is a subclass with `n` and `batches`, and overrides what it knows better. A dataclass with a field
    `catalogue` declares it as `catalogue: Catalogue = field()`, since the property here would be taken for its default.
    """

    __slots__ = ()

    def outside(self, size: int = 65_536) -> Iterator[LoggedBatch]:  # noqa: ARG002 - as the protocol has it
        """Yield nothing: each decision has an offer of the catalogue."""
        return iter(())

    @property
    def catalogue(self) -> object:
        """None: the log has no catalogue of its own."""
        return None

    @property
    def propensities_known(self) -> bool:
        """True: each decision has its propensity."""
        return True

    @property
    def left_out(self) -> int:
        """The number of decisions left out since the catalogue does not have their offer: 0."""
        return 0

    @property
    def still_open(self) -> int:
        """The number of decisions left out since their outcome window is not over: 0."""
        return 0

    @property
    def notices(self) -> tuple[str, ...]:
        """Nothing was noticed when the log was read."""
        return ()


class LogView:
    """The attributes of a log that is made of another log, `log`: those of the other.

    `left_out` and `still_open` are numbers of the whole other log, also where the view has only a part of it: which
    part a decision that was left out would be in is not known.
    """

    __slots__ = ()

    log: Log

    def outside(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the decisions of the other log that were left out since the catalogue does not have their offer."""
        return self.log.outside(size)

    @property
    def catalogue(self) -> object:
        """The catalogue of the other log, None where it has none."""
        return self.log.catalogue

    @property
    def propensities_known(self) -> bool:
        """Whether each decision of the other log has its propensity."""
        return self.log.propensities_known

    @property
    def left_out(self) -> int:
        """The number of decisions of the other log that were left out since the catalogue does not have their offer."""
        return self.log.left_out

    @property
    def still_open(self) -> int:
        """The number of decisions of the other log that were left out since their outcome window is not over."""
        return self.log.still_open

    @property
    def notices(self) -> tuple[str, ...]:
        """What was noticed when the files of the other log were read."""
        return self.log.notices
