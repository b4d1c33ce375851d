"""Conversion to and from the feedback of the Open Bandit Pipeline, a dict of arrays (Saito et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import MICROSECONDS, BoolArray, FloatArray, IntArray, LogDefaults, LoggedBatch
from bandit.encoding.encoder import Encoder
from bandit.errors import InputError, NumberError

if TYPE_CHECKING:
    from bandit.domain import Contexts, Log

_NEEDED = ("action", "reward", "pscore", "n_actions")


@dataclass(frozen=True, slots=True, eq=False)
class ArrayLog(LogDefaults):
    """A `bandit.domain.Log` of decisions in memory, with the catalogue that their offers are numbered by."""

    decisions: LoggedBatch
    catalogue: Catalogue = field()

    @property
    def n(self) -> int:
        """The number of decisions."""
        return len(self.decisions)

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the decisions in order, at most `size` at a time."""
        if size < 1:
            raise InputError(f"a batch has at least one decision; seen size {size}")
        for start in range(0, self.n, size):
            yield self.decisions.take(slice(start, start + size))


def to_obp(log: Log, catalogue: Catalogue | None = None) -> dict[str, Any]:
    """Return a log as OBP's `BanditFeedback`, all of it in memory.

    `action` numbers the catalogue's offers, N of them; `reward` is by the catalogue's objective. `context` has a
    column for each numeric or boolean fact (0 where missing) and for each value of a categorical fact (all 0 where the
    value is undeclared or missing), then one for each fact that is missing somewhere, 1 where it is. `action_context`
    has the offers' (N, K) columns, one for each option and numeric attribute. `position` is None: one offer a decision.

    OBP has no eligible sets: a policy evaluated there must keep to them by itself. Raises InputError for an empty log,
    for one whose decisions have weights, and where no catalogue is given and the log has none.
    """
    known = log.catalogue if catalogue is None else catalogue
    if not isinstance(known, Catalogue):
        raise InputError("the log has no catalogue of its own; pass the one its offers are numbered by as catalogue=")
    batches = [batch for batch in log.batches() if len(batch)]
    if not batches:
        raise InputError("the log has no decisions to hand to OBP")
    if any(batch.stands_for is not None for batch in batches):
        raise InputError(
            "some decisions of the log stand for several, and OBP's feedback has no weights, so its estimates would be "
            "wrong; evaluate the log with bandit.evaluate"
        )
    columns = [_context_columns(known, batch.contexts) for batch in batches]
    absences = [np.concatenate([missing[place] for _, missing in columns]) for place in range(len(known.facts))]
    present = np.concatenate([values for values, _ in columns])
    missing = [column.astype(np.float64) for column in absences if column.any()]
    action = np.concatenate([batch.offer for batch in batches])
    return {
        "n_rounds": len(action),
        "n_actions": known.n_offers,
        "context": np.column_stack([present, *missing]),
        "action_context": Encoder(known, {}, pairs=False).offers.main.copy(),
        "action": action,
        "position": None,
        "reward": np.concatenate([batch.reward for batch in batches]),
        "pscore": np.concatenate([batch.propensity for batch in batches]),
    }


def from_obp(feedback: Mapping[str, Any], *, position: int | None = None) -> ArrayLog:
    """Return OBP's `BanditFeedback` as a log, with a catalogue made for it.

    The catalogue has one dimension, "action", with the options a0, a1, ..., always all eligible; the columns of
    `action_context` are numeric attributes of the options, c0, c1, ...; the columns of `context` are numeric facts, x0,
    x1, ...; the objective is the reward as it is. Where actions were shown at several positions, only the rounds of
    `position` are taken. OBP has neither customers nor times: each round is a customer of its own, a second after the
    one before.

    >>> feedback = {"n_actions": 2, "action": [0, 1, 1], "reward": [1.0, 0.0, 1.0], "pscore": [0.5, 0.5, 0.5]}
    >>> log = from_obp(feedback)
    >>> log.n, log.catalogue.n_offers, to_obp(log)["action"].tolist()
    (3, 2, [0, 1, 1])

    Raises InputError for a missing key, a wrong shape and actions outside 0 to n_actions - 1; NumberError for numbers
    that are not finite and propensities outside (0, 1].
    """
    absent = [name for name in _NEEDED if feedback.get(name) is None]
    if absent:
        raise InputError(f'the feedback has no "{absent[0]}"; OBP\'s feedback has {", ".join(_NEEDED)} and context')
    n_actions = int(feedback["n_actions"])
    action = _whole("action", feedback["action"])
    n = len(action)
    reward, pscore = (_numbers(name, feedback[name], (n,)) for name in ("reward", "pscore"))
    context = np.zeros((n, 0)) if feedback.get("context") is None else _numbers("context", feedback["context"], (n, -1))
    attributes = None
    if feedback.get("action_context") is not None:
        attributes = _numbers("action_context", feedback["action_context"], (n_actions, -1))
    if n == 0:
        raise InputError("the feedback has no rounds")
    if not ((action >= 0) & (action < n_actions)).all():
        raise InputError(f"the actions are numbers from 0 to {n_actions - 1}; seen {_outside(action, n_actions)}")
    if not ((pscore > 0) & (pscore <= 1)).all():
        bad = pscore[~((pscore > 0) & (pscore <= 1))][0]
        raise NumberError(f"pscore is a probability above 0 and at most 1; seen {bad}")
    rows = _rows(feedback.get("position"), position, n)
    catalogue = _catalogue(n_actions, context.shape[1], attributes)
    chosen = action[rows]
    contexts = catalogue.contexts({f"x{place}": column for place, column in enumerate(context[rows].T)}, None)
    if not context.shape[1]:
        contexts = catalogue.contexts([{}] * len(chosen))
    return ArrayLog(
        LoggedBatch(
            contexts=contexts,
            offer=chosen,
            eligible=np.broadcast_to(np.ones(n_actions, dtype=np.bool_), (len(chosen), n_actions)),
            propensity=pscore[rows],
            converted=reward[rows] != 0.0,
            revenue=reward[rows],
            reward=reward[rows],
            time=np.arange(len(chosen), dtype=np.int64) * MICROSECONDS,
        ),
        catalogue,
    )


def _context_columns(catalogue: Catalogue, contexts: Contexts) -> tuple[FloatArray, list[BoolArray]]:
    """Return the (n, d) columns of the facts, and for each fact which rows are missing it, (n,)."""
    parts: list[FloatArray] = [np.zeros((contexts.n, 0))]
    missing = []
    for name, fact in catalogue.facts.items():
        column = contexts.columns[name]
        if fact.kind == "categorical":
            parts.append((column[:, None] == np.arange(len(fact.values))).astype(np.float64))
            missing.append(column < 0)
        else:
            missing.append(np.isnan(column))
            parts.append(np.where(missing[-1], 0.0, column)[:, None])
    return np.concatenate(parts, axis=1), missing


def _catalogue(n_actions: int, n_facts: int, attributes: FloatArray | None) -> Catalogue:
    options: list[dict[str, object]] = [{"name": f"a{action}"} for action in range(n_actions)]
    if attributes is not None:
        for option, row in zip(options, attributes.tolist(), strict=True):
            option.update({f"c{place}": value for place, value in enumerate(row)})
    return Catalogue.from_dict(
        {
            "name": "open bandit feedback",
            "objective": {"kind": "reward"},
            "context": {f"x{place}": {"type": "numeric"} for place in range(n_facts)},
            "dimensions": [{"name": "action", "options": options}],
        },
        where="the feedback",
    )


def _rows(positions: object, wanted: int | None, n: int) -> IntArray:
    """Return the rounds of the wanted position."""
    if positions is None:
        if wanted is not None:
            raise InputError(f"the feedback has no positions; leave out position={wanted}")
        return np.arange(n, dtype=np.int64)
    shown = _whole("position", positions)
    if len(shown) != n:
        raise InputError(f'"position" has {len(shown)} rows and "action" {n}; they must be of one length')
    seen = np.unique(shown).tolist()
    if wanted is None and len(seen) > 1:
        raise InputError(f"actions were shown at the positions {seen}; say of which to take the rounds with position=")
    rows = np.arange(n, dtype=np.int64) if wanted is None else np.flatnonzero(shown == wanted)
    if not len(rows):
        raise InputError(f"no action was shown at position {wanted}; positions are {seen}")
    return rows


def _whole(name: str, given: object) -> IntArray:
    """Return a list of whole numbers as an array; InputError where it is not one."""
    array = np.asarray(given)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise InputError(f'"{name}" is a list of whole numbers; seen {array.dtype} of the shape {array.shape}')
    return array.astype(np.int64)


def _numbers(name: str, given: object, shape: tuple[int, ...]) -> FloatArray:
    """Return finite numbers of a shape, in which -1 is any size; InputError or NumberError where they are not."""
    array = np.asarray(given)
    if array.dtype.kind not in "biuf":
        raise InputError(f'"{name}" has numbers; seen {array.dtype}')
    fits = array.ndim == len(shape) and all(want in {-1, seen} for want, seen in zip(shape, array.shape, strict=True))
    if not fits:
        wanted = tuple("any" if size < 0 else size for size in shape)
        raise InputError(f'"{name}" must have the shape {wanted}; seen {array.shape}')
    numbers = array.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise NumberError(f'"{name}" has a number that is not finite; leave the round out')
    return numbers


def _outside(action: IntArray, n_actions: int) -> int:
    return int(action[(action < 0) | (action >= n_actions)][0])
