"""Frozen records and protocols that cross every border of the engine; imports numpy and nothing of ours.

Shapes: n rows of a batch, N offers of the catalogue. Times are whole microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.random import Generator

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
ObjectArray: TypeAlias = NDArray[np.object_]

MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Contexts:
    """A checked batch of n contexts, column by column; built by `Catalogue.contexts` and nowhere else.

    `columns` holds one array a declared fact: categorical facts as int64 codes into the declared values
    (-1 missing, `len(values)` a value unseen), numeric facts as float64 (NaN missing), boolean facts as float64
    (0, 1, NaN missing). `text` keeps the categorical facts as they were given (None where missing), for the log.
    `customers` has the n customer keys, or is empty where no customer is known.
    """

    n: int
    columns: Mapping[str, IntArray | FloatArray]
    text: Mapping[str, ObjectArray]
    customers: ObjectArray = field(default_factory=lambda: np.empty(0, dtype=object))

    def __len__(self) -> int:
        return self.n

    def take(self, rows: IntArray | BoolArray | slice) -> Contexts:
        """Return the chosen rows as a batch of its own."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        text = {name: column[rows] for name, column in self.text.items()}
        n = len(np.arange(self.n)[rows])
        return Contexts(n, columns, text, self.customers[rows] if len(self.customers) else self.customers)


@dataclass(frozen=True, slots=True, eq=False)
class SharedColumns:
    """(N, K) columns that are sums over the options of an offer: `columns[offer]` are the (n, K) of some offers.

    `options` (N, dimensions) says which option an offer has, `by_option` what it adds, (options, K) a dimension.
    """

    options: IntArray
    by_option: tuple[FloatArray, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """(N, K)."""
        return len(self.options), self.by_option[0].shape[1]

    def __getitem__(self, offer: IntArray | BoolArray | slice) -> FloatArray:
        chosen = self.options[offer]
        columns = self.by_option[0][chosen[:, 0]]
        for place in range(1, len(self.by_option)):
            columns += self.by_option[place][chosen[:, place]]
        return columns

    def with_intercept(self) -> SharedColumns:
        """Return the (N, 1 + K) columns with a 1 in front."""
        first, *others = (np.pad(added, ((0, 0), (1, 0))) for added in self.by_option)
        first[:, 0] = 1.0
        return SharedColumns(self.options, (first, *others))


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What a policy learns from: n decisions with what came of each.

    `offer` indexes the catalogue's offers; `eligible` is (n, N), or (n, 0) of more than 100,000 offers, where no policy
    looks at it; `propensity` is in (0, 1], NaN where nobody knows it; `converted` is the objective's event within its
    window, `revenue` the net revenue and `reward` the money (the objective's unit).
    Where `restated` is true the policy has learned this decision before, as `was_converted`, `was_revenue` and
    `was_reward`, and must now hold the belief it would hold had it learned the new outcome instead.
    `time` (n,) is when each was decided; it is empty where times are not known.
    `weight` (n,) is how much of a whole outcome is known, in (0, 1]: below 1 for a decision that is still open and
    has not converted, of which a policy learns that part of a silence. `was_weight` (n,) is how much of it was learned
    before, 0 where it is new. Left empty, every outcome is whole, and so is what was learned before; `weights` and
    `was_weights` are always (n,).
    """

    contexts: Contexts
    offer: IntArray
    eligible: BoolArray
    propensity: FloatArray
    converted: BoolArray
    revenue: FloatArray
    reward: FloatArray
    restated: BoolArray
    was_converted: BoolArray
    was_revenue: FloatArray
    was_reward: FloatArray
    time: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    weight: FloatArray = field(default_factory=lambda: np.empty(0))
    was_weight: FloatArray = field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        return len(self.offer)

    @property
    def weights(self) -> FloatArray:
        """How much of each outcome is known, (n,) in (0, 1]."""
        return self.weight if len(self.weight) else np.ones(len(self))

    @property
    def was_weights(self) -> FloatArray:
        """How much of each outcome was learned before, (n,) in [0, 1], 0 where it is new."""
        return self.was_weight if len(self.was_weight) else self.restated.astype(np.float64)

    def whole(self) -> Outcomes:
        """Return those that are known in full, new where only a part was learned before: for who learns no parts."""
        if not len(self.weight) and not len(self.was_weight):
            return self
        kept = self.take(self.weights == 1.0)
        restated = kept.restated & (kept.was_weights == 1.0)
        return replace(
            kept,
            restated=restated,
            was_converted=kept.was_converted & restated,
            was_revenue=np.where(restated, kept.was_revenue, 0.0),
            was_reward=np.where(restated, kept.was_reward, 0.0),
            weight=np.empty(0),
            was_weight=np.empty(0),
        )

    @staticmethod
    def first(
        contexts: Contexts,
        offer: IntArray,
        eligible: BoolArray,
        propensity: FloatArray,
        converted: BoolArray,
        revenue: FloatArray,
        reward: FloatArray,
        time: IntArray | None = None,
    ) -> Outcomes:
        """Return outcomes none of which was learned before."""
        n = len(offer)
        no, zero = np.zeros(n, dtype=np.bool_), np.zeros(n)
        times = np.empty(0, dtype=np.int64) if time is None else time
        return Outcomes(contexts, offer, eligible, propensity, converted, revenue, reward, no, no, zero, zero, times)

    def take(self, rows: IntArray | BoolArray | slice) -> Outcomes:
        """Return the chosen rows."""
        return Outcomes(
            self.contexts.take(rows),
            self.offer[rows],
            self.eligible[rows],
            self.propensity[rows],
            self.converted[rows],
            self.revenue[rows],
            self.reward[rows],
            self.restated[rows],
            self.was_converted[rows],
            self.was_revenue[rows],
            self.was_reward[rows],
            self.time[rows] if len(self.time) else self.time,
            self.weight[rows] if len(self.weight) else self.weight,
            self.was_weight[rows] if len(self.was_weight) else self.was_weight,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Removal:
    """One reason why offers are not eligible: the number of the rule, its words, the offers it removed.

    `mask` gives the offers as an (N,) mask; it is asked for when `offers` is, since there may be millions.
    """

    rule: int
    reason: str
    mask: Callable[[], BoolArray]

    @property
    def offers(self) -> tuple[int, ...]:
        """The numbers of the offers removed."""
        return tuple(np.flatnonzero(self.mask()).tolist())


@dataclass(frozen=True, slots=True, eq=False)
class EligibleSets:
    """The eligible offers of n rows, each distinct set once: `masks` (u, N), read-only, and which row has which.

    `counts` (u,) is how many offers each set has, `which` (n,) the set of each row.
    """

    masks: BoolArray
    counts: IntArray
    which: IntArray

    def __len__(self) -> int:
        return len(self.which)

    @property
    def n_eligible(self) -> IntArray:
        """How many offers each row may have, (n,)."""
        return self.counts[self.which]

    def has(self, offer: IntArray) -> BoolArray:
        """Return for (n, m) offers which are eligible in their row; one below 0 is not."""
        return np.asarray(self.masks[self.which[:, None], np.maximum(offer, 0)] & (offer >= 0))

    def dense(self) -> BoolArray:
        """Return the (n, N) masks; read-only, and no copy, where all rows share one set."""
        if len(self.masks) == 1:
            return np.broadcast_to(self.masks[0], (len(self.which), self.masks.shape[1]))
        return self.masks[self.which]


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """Probabilities of n rows over offers of which all but a few are equally probable.

    `offers` (n, m) are the few, all of them eligible; one may be there more than once, and where its `share` (n, m)
    is 0 it is not counted. `floor` (n,) is spread evenly over the `n_eligible` (n,) offers of the row, so a row's
    shares and its floor sum to 1.
    """

    offers: IntArray
    share: FloatArray
    floor: FloatArray
    n_eligible: IntArray

    def __len__(self) -> int:
        return len(self.offers)

    def of(self, offer: IntArray) -> FloatArray:
        """Return the probability of one eligible offer a row, (n,)."""
        own = np.where(self.offers == offer[:, None], self.share, 0.0).sum(axis=1)
        return np.asarray(own + self.floor / self.n_eligible)

    def dense(self, eligible: BoolArray) -> FloatArray:
        """Return the (n, N) probabilities; `eligible` is (n, N)."""
        table: FloatArray = np.where(eligible, (self.floor / self.n_eligible)[:, None], 0.0)
        np.add.at(table, (np.arange(len(table))[:, None], self.offers), self.share)
        return table


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """One request answered.

    `offer` maps each dimension to the chosen option, `offer_index` is its number in the catalogue, `eligible` is
    the (N,) mask it was chosen from, `drawn_from` the (N,) vector of probabilities or, of many offers, their shares.
    `fault` says why the fallback was served instead of the policy's choice, and is None otherwise. `logged` is False
    where neither the database nor the spool beside it could be written: nothing will be learned from this decision.
    """

    decision_id: str
    customer: str
    offer: Mapping[str, str]
    offer_index: int
    propensity: float
    eligible: BoolArray
    reasons: tuple[Removal, ...]
    drawn_from: FloatArray | Shares
    time: int
    group: str
    fault: str | None = None
    logged: bool = True

    @property
    def probabilities(self) -> FloatArray:
        """The (N,) vector it was drawn from; NaN where it was not kept with a decision that is told again."""
        if isinstance(self.drawn_from, Shares):
            return np.asarray(self.drawn_from.dense(self.eligible[None, :])[0])
        return self.drawn_from


@dataclass(frozen=True, slots=True, eq=False)
class DecisionBatch:
    """n requests answered, column by column; the fields are those of `Decision`, with n rows.

    `probabilities` is None unless the engine was asked to keep whole vectors. `fault` is the first of any part's, and
    `logged` is False where some part could be written nowhere.
    """

    decision_ids: tuple[str, ...]
    customers: tuple[str, ...]
    offers: Mapping[str, ObjectArray]
    offer_index: IntArray
    propensity: FloatArray
    eligible: BoolArray
    probabilities: FloatArray | None
    time: IntArray
    group: str
    fault: str | None = None
    logged: bool = True

    def __len__(self) -> int:
        return len(self.decision_ids)


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
        """Return the policy's kind and settings as plain JSON values, enough to build it anew."""
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

    def shares(self, contexts: Contexts, fired: BoolArray, eligible: EligibleSets, rng: Generator) -> Shares:
        """Return what `probabilities` returns densely; `fired` (n, R) are the catalogue's conditional rules that hold.

        An offer that is not in `eligible` has no probability, whatever the rules say.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LoggedBatch:
    """n decisions read from a log with what came of each, in order of decision; fields as in `Outcomes`."""

    contexts: Contexts
    offer: IntArray
    eligible: BoolArray
    propensity: FloatArray
    converted: BoolArray
    revenue: FloatArray
    reward: FloatArray
    time: IntArray

    def __len__(self) -> int:
        return len(self.offer)

    def outcomes(self) -> Outcomes:
        """Return what a policy would learn from these decisions, each for the first time."""
        return Outcomes.first(
            self.contexts,
            self.offer,
            self.eligible,
            self.propensity,
            self.converted,
            self.revenue,
            self.reward,
            self.time,
        )

    def take(self, rows: IntArray | BoolArray | slice) -> LoggedBatch:
        """Return the chosen rows."""
        return LoggedBatch(
            self.contexts.take(rows),
            self.offer[rows],
            self.eligible[rows],
            self.propensity[rows],
            self.converted[rows],
            self.revenue[rows],
            self.reward[rows],
            self.time[rows],
        )


@runtime_checkable
class Log(Protocol):
    """A log of decisions that can be read again and again, batch by batch, in order of decision."""

    @property
    def n(self) -> int:
        """The number of decisions."""
        ...

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the decisions in order, at most `size` at a time."""
        ...
