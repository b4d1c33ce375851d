"""The protocols of policies and logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.random import Generator

    from bandit.domain.arrays import BoolArray, FloatArray
    from bandit.domain.contexts import Contexts
    from bandit.domain.customer_rows import CustomerRows, CustomerSource
    from bandit.domain.logs import DecisionLabels
    from bandit.domain.offers import EligibleSets, SparseProbabilities
    from bandit.domain.outcomes import LoggedBatch, Outcomes

Progress: TypeAlias = Callable[[int, int], None]
"""Called with (done, total) while a long call runs; total is 0 where it is not known."""


@runtime_checkable
class Policy(Protocol):
    """Anything that turns (contexts, eligible offers) into a probability for each offer."""

    @property
    def name(self) -> str:
        """A short name for tables."""
        ...

    @property
    def learns(self) -> bool:
        """Whether `update` changes anything."""
        ...

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:
        """Return the (n, N) probabilities: rows sum to 1, 0 where not eligible; changes nothing but `rng`."""
        ...

    def update(self, outcomes: Outcomes) -> None:
        """Learn from outcomes; the only mutation."""
        ...

    def spec(self) -> Mapping[str, object]:
        """Return the policy's kind and settings as plain JSON values, enough to build it again."""
        ...

    def dumps(self) -> bytes:
        """Return what was learned as bytes; never a pickle."""
        ...

    def loads(self, state: bytes) -> None:
        """Replace what was learned by what `dumps` returned; PolicyError where the bytes do not fit."""
        ...


@runtime_checkable
class SparsePolicy(Policy, Protocol):
    """A policy that can say what is probable without a number for every offer, for catalogues of many offers."""

    @property
    def sparse(self) -> bool:
        """Whether `shares` is the way to ask, with this catalogue."""
        ...

    def shares(
        self, contexts: Contexts, fired: BoolArray, eligible: EligibleSets, rng: Generator
    ) -> SparseProbabilities:
        """Return what `probabilities` returns densely; `fired` (n, R) are the catalogue's conditional rules that hold.

        An offer that is not in `eligible` has no probability, whatever the rules say.
        """
        ...


@runtime_checkable
class InPlacePolicy(Policy, Protocol):
    """A policy that can be copied at little cost, and that knows which updates are quick enough to be waited for."""

    def copy(self) -> InPlacePolicy:
        """Return a policy with the same state, which changes no more with this one; what never changes is shared."""
        ...

    def is_quick(self, outcomes: Outcomes) -> bool:
        """Whether `update` with these outcomes takes about as long as a decision."""
        ...


@runtime_checkable
class KeyedPolicy(Policy, Protocol):
    """A policy that may know so many customers that their rows are stored one by one, by the customers' keys."""

    def dumps_keyed(self) -> bytes:
        """Return what `dumps` does, without the customers' rows where these are many."""
        ...

    def customers_changed(self, after: int) -> tuple[int, CustomerRows] | None:
        """Return the number of updates, and the rows of customers that one after `after` has changed.

        None where `dumps_keyed` returns the rows of all customers.
        """
        ...

    def customers_expected(self) -> tuple[int, int]:
        """Return how many customers are known, and the digest of their rows (`CustomerRows.digest`)."""
        ...

    def read_customers_from(self, source: CustomerSource) -> None:
        """Read from there the rows of customers that are not in memory."""
        ...


@runtime_checkable
class CheckedPolicy(Policy, Protocol):
    """A policy whose `update` fails, or leaves numbers that are not finite, for no reason but the outcomes.

    Outcomes that make it fail can be set aside, and the others learned.
    """

    @property
    def is_finite(self) -> bool:
        """Whether what was learned is finite; asked after every update, so it takes microseconds."""
        ...


@runtime_checkable
class PooledPolicy(Policy, Protocol):
    """A policy that says how little of the generator its probabilities depend on, so that batches can be joined."""

    @property
    def draw_sets(self) -> int:
        """The probabilities depend on `rng.integers(draw_sets)` alone, which is what is taken from `rng` first."""
        ...


@runtime_checkable
class RewardPredictor(Protocol):
    """Anything that predicts the expected reward of every offer, such as a policy with a reward model."""

    def predict(self, contexts: Contexts) -> FloatArray:
        """Return the (n, N) expected rewards, in the objective's unit."""
        ...


@runtime_checkable
class Log(Protocol):
    """A log of decisions that can be read any number of times, batch by batch.

    Reading twice gives the same decisions in the same order, whatever the size of the batches. `LogDefaults` has what
    follows `batches` for a log that has no more to say than its decisions, `LogView` for one made of another log.
    """

    @property
    def n(self) -> int:
        """The number of decisions that `batches` yields."""
        ...

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the decisions in order, at most `size` at a time."""
        ...

    def outside(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the `left_out` decisions, whose offer no policy of the catalogue can choose; their `offer` is -1.

        They belong into the sums of an evaluation, with target probability 0: without them the log would not be the
        one that was written.
        """
        ...

    @property
    def catalogue(self) -> object:
        """The `bandit.catalogue.Catalogue` that the offers are numbered by, None where the log has none."""
        ...

    @property
    def propensities_known(self) -> bool:
        """Whether each decision has its propensity; where not, some of the batches' propensities are NaN."""
        ...

    @property
    def left_out(self) -> int:
        """The number of decisions that are not among the `n` since the catalogue does not have their offer."""
        ...

    @property
    def still_open(self) -> int:
        """The number of decisions that are not among the `n` since their outcome window is not over."""
        ...

    @property
    def notices(self) -> tuple[str, ...]:
        """What was noticed when the log's files were read and limits what it can say: sentences without a full stop."""
        ...


@runtime_checkable
class LabelledLog(Log, Protocol):
    """A log that also knows who made each decision, and whether its times are those of the decisions."""

    @property
    def times_known(self) -> bool:
        """Whether the times of the decisions are known; where not, they only say in which order the rows are."""
        ...

    def labelled(self, size: int = 65_536) -> Iterator[tuple[LoggedBatch, DecisionLabels]]:
        """Yield what `batches` yields, each batch with the labels of its decisions."""
        ...


@runtime_checkable
class LabelledOutsideLog(LabelledLog, Protocol):
    """A log that also knows who made the decisions whose offer no policy of the catalogue can choose."""

    def labelled_outside(self, size: int = 65_536) -> Iterator[tuple[LoggedBatch, DecisionLabels]]:
        """Yield what `outside` yields, each batch with the labels of its decisions."""
        ...
