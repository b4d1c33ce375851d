"""One line of dsjson: an event with its label, what the line says about itself, or the outcome of another event.

The properties are those that Vowpal Wabbit's parser (`parse_example_json.cc`, version 9) and the loggers of Azure
Personalizer and of `reinforcement_learning` read and write: `_label_cost`, `_label_probability`, `_label_Action`,
`_labelIndex`, `_skipLearn`, `_deferred`, `DeferredAction`, `pdrop`, `a`, `p`, `o`, `_outcomes`, `c` with `_multi` and
`_slots`, and lines of outcomes with `EventId` and `RewardValue` or `v`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TypeAlias

import msgspec

from bandit.logfiles.sources.json_paths import (
    UnusableValueError,
    is_list,
    is_object,
    json_list,
    json_object,
    leaf_paths,
    scalar_text,
    value_at,
)

EXPORT_PROPERTY = "offer_bandit"
"""The property of an event in which our export keeps the columns of the log."""

REWARD, WEIGHT = "reward", "weight"
"""Columns that are computed: minus `_label_cost`, and 1 / (1 - `pdrop`)."""

ACTION, SHARED = "action", "c"
COST, PROBABILITY, NUMBER, INDEX = "_label_cost", "_label_probability", "_label_Action", "_labelIndex"
LABELS = frozenset({REWARD, COST})
"""The columns that a line without a label does not have."""

SEVERAL_SLOTS = "events of several slots (conditional contextual bandits, slates); only those of one slot are read"
NEVER_SHOWN = "marked as never shown or not to be learned from (_skipLearn)"
NOT_ACTIVATED = "deferred and never activated, so never shown (DeferredAction)"
ALWAYS_DROPPED = "pdrop is 1, so that a line stands for infinitely many"
WRONG_PDROP = "pdrop is not a number from 0 to below 1"
NO_ACTION = "no label: nothing says which action was chosen"
NO_LABEL = "no label: no _label_cost and no outcome"
NO_EVENT = "no event, such as a header or a checkpoint"

_EVENT_PROPERTIES = frozenset({SHARED, EXPORT_PROPERTY, COST, NUMBER, INDEX, "_outcomes"})
_OUTCOME_PROPERTIES = ("RewardValue", "v", "ActionTaken", "DeferredAction", "o")
_LEAST_PDROP = 1e-15
_NONE: Mapping[str, msgspec.Raw] = {}
_MISSING = msgspec.Raw(b"null")

GetText: TypeAlias = Callable[["DsjsonEvent"], str | None]


class DsjsonEvent:
    """One line that is a JSON object; only what is asked for is decoded.

    `outcome` is the reward that outcome lines elsewhere in the file have for it, None without such lines.
    """

    def __init__(self, text: bytes) -> None:
        self.properties = json_object(text)
        self.outcome: float | None = None
        self.shared = json_object(self.properties[SHARED]) if SHARED in self.properties else _NONE
        self.own = json_object(self.properties[EXPORT_PROPERTY]) if EXPORT_PROPERTY in self.properties else _NONE
        if "_slots" in self.shared and "_outcomes" in self.properties:
            self._read_single_slot()

    @property
    def is_event(self) -> bool:
        """Whether the line is about a choice."""
        return SHARED in self.properties or not _EVENT_PROPERTIES.isdisjoint(self.properties)

    @property
    def is_outcome(self) -> bool:
        """Whether the line is the outcome or the activation of an event that another line has."""
        return (
            not self.is_event
            and "EventId" in self.properties
            and any(name in self.properties for name in _OUTCOME_PROPERTIES)
        )

    @property
    def event_id(self) -> str:
        """The id of the event, empty without one."""
        return scalar_text(self.properties.get("EventId"), "EventId")

    def fault(self, *, labelled: bool, activated: bool) -> str | None:
        """Return why the event is left out, None where it is a decision.

        `labelled` is whether it needs a label; `activated` whether another line says that it was shown.
        """
        if "_slots" in self.shared or "_outcomes" in self.properties:
            return SEVERAL_SLOTS
        skipped = self._flag("_skipLearn")
        if skipped:
            return NEVER_SHOWN
        if skipped is None and not activated and self._is_deferred():
            return NOT_ACTIVATED
        if "pdrop" in self.properties:
            weight = weight_of(self.pdrop)
            if weight is None:
                return WRONG_PDROP
            if math.isinf(weight):
                return ALWAYS_DROPPED
        if self.own:
            return None
        if labelled and self.cost is None:
            return NO_LABEL
        return NO_ACTION if self._chosen is None else None

    @property
    def pdrop(self) -> str:
        """The probability with which the logger drops such a line, blank where it keeps all."""
        return scalar_text(self.properties.get("pdrop"), "pdrop")

    @cached_property
    def cost(self) -> str | None:
        """The cost of the label; minus the sum of the observations in `o` or of outcome lines where it has none.

        None where there are none of these either. An empty `o` is the reward 0; outcome lines count where the line
        itself has no reward but 0.
        """
        own = self._own_reward()
        if self.outcome is not None and not own:
            return repr(0.0 - self.outcome)
        if COST in self.properties:
            return scalar_text(self.properties[COST], COST)
        return None if own is None else repr(0.0 - own)

    @property
    def has_own_reward(self) -> bool:
        """Whether the line has a reward other than 0, which outcome lines do not add to."""
        return bool(self._own_reward())

    @property
    def has_label(self) -> bool:
        """Whether the line says what came of it."""
        return COST in self.properties or self._own_reward() is not None

    @cached_property
    def premultiplied(self) -> float | None:
        """The probability of the choice where the label's is that times 1 - `pdrop`, as some loggers write it."""
        if "pdrop" not in self.properties:
            return None
        pdrop, given = _float(self.pdrop), _number(self.properties.get(PROBABILITY))
        if not pdrop or pdrop >= 1.0 or given is None:
            return None
        chosen = self._chosen_probability()
        if chosen is None or abs(given - chosen) <= 1e-3 * chosen:
            return None
        return chosen if abs(given - chosen * (1.0 - pdrop)) <= 1e-3 * given else None

    @cached_property
    def action(self) -> Mapping[str, msgspec.Raw]:
        """The namespaces of the chosen action, none where the event has no label."""
        chosen = self._chosen
        if chosen is None or "_multi" not in self.shared:
            return _NONE
        actions = json_list(self.shared["_multi"])
        if not 0 <= chosen < len(actions):
            raise UnusableValueError(f"has the label of action {chosen + 1} of {len(actions)}; correct the line")
        return json_object(actions[chosen])

    def probability(self) -> str | None:
        """Return the probability of the choice: the label's, or the first of `p`."""
        if self.premultiplied is not None:
            return repr(self.premultiplied)
        if PROBABILITY in self.properties:
            return scalar_text(self.properties[PROBABILITY], PROBABILITY)
        raw = self.properties.get("p")
        vector = json_list(raw) if raw is not None and is_list(raw) else []
        return scalar_text(vector[0], "p") if vector else None

    def paths(self) -> list[str]:
        """Return the columns that the line has, by their paths."""
        if self.own:
            return [f"{EXPORT_PROPERTY}.{name}" for name in self.own]
        plain = {name: raw for name, raw in self.properties.items() if name != SHARED}
        shared = {name: raw for name, raw in self.shared.items() if name not in {"_multi", "_slots"}}
        found = [REWARD, WEIGHT, *leaf_paths(plain), *leaf_paths(shared, f"{SHARED}.")]
        return found + list(leaf_paths(self.action, f"{ACTION}."))

    def _read_single_slot(self) -> None:
        """Take the label of an event of one slot, whose actions are counted from 0."""
        slots, outcomes = json_list(self.shared["_slots"]), json_list(self.properties["_outcomes"])
        if len(slots) != 1 or len(outcomes) != 1:
            return
        outcome = json_object(outcomes[0])
        raw = outcome.get("_a", _MISSING)
        actions = json_list(raw) if is_list(raw) else []
        probabilities = json_list(outcome["_p"]) if is_list(outcome.get("_p", _MISSING)) else []
        if not actions or not probabilities or is_list(actions[0]):
            return
        label = {INDEX: actions[0], PROBABILITY: probabilities[0]}
        label |= {to: outcome[name] for name, to in ((COST, COST), ("_o", "o")) if name in outcome}
        self.properties = {name: raw for name, raw in self.properties.items() if name != "_outcomes"} | label
        self.shared = {name: raw for name, raw in self.shared.items() if name != "_slots"}

    def _own_reward(self) -> float | None:
        """Return the reward that the line itself has, None without one."""
        if COST in self.properties:
            cost = _number(self.properties[COST])
            return None if cost is None else 0.0 - cost
        if not is_list(self.properties.get("o", _MISSING)):
            return None
        observations = [each for each in self._observations() if "v" in each]
        values = [value for each in observations if (value := _number(each["v"])) is not None]
        return math.fsum(values) if values or not observations else None

    def _observations(self) -> list[Mapping[str, msgspec.Raw]]:
        raw = self.properties.get("o", _MISSING)
        return [json_object(each) for each in json_list(raw) if is_object(each)] if is_list(raw) else []

    def _is_deferred(self) -> bool:
        """Return whether the event waits to be activated, and no observation in the line says that it was."""
        if "DeferredAction" not in self.properties and "_deferred" not in self.properties:
            return False
        if self._flag("_deferred"):
            return True
        return bool(self._flag("DeferredAction")) and not any(map(activates, self._observations()))

    def _flag(self, name: str) -> bool | None:
        raw = self.properties.get(name)
        return None if raw is None else bytes(raw) in {b"true", b"1"}

    @cached_property
    def _chosen(self) -> int | None:
        by_index, by_number = self._whole(INDEX), self._whole(NUMBER)
        if by_index is not None and by_number is not None and by_index != by_number - 1:
            raise UnusableValueError(
                f"has _labelIndex {by_index}, which counts from 0, and _label_Action {by_number}, which counts from 1; "
                "they must name one action"
            )
        if by_index is None and by_number is None:
            raw = self.properties.get("a", _MISSING)
            first = json_list(raw)[:1] if is_list(raw) else []
            by_number = msgspec.json.decode(first[0], type=int | None) if first else None
        return by_number - 1 if by_index is None and by_number is not None else by_index

    def _chosen_probability(self) -> float | None:
        """Return the probability of the chosen action in `p`, whose order is that of `a`."""
        actions, vector = (self.properties.get(name, _MISSING) for name in ("a", "p"))
        chosen = self._chosen
        if chosen is None or not (is_list(actions) and is_list(vector)):
            return None
        texts = [bytes(each) for each in json_list(actions)]
        wanted = str(chosen + 1).encode()
        probabilities = json_list(vector)
        return _number(probabilities[texts.index(wanted)]) if wanted in texts[: len(probabilities)] else None

    def _whole(self, name: str) -> int | None:
        raw = self.properties.get(name)
        return None if raw is None else msgspec.json.decode(raw, type=int | None)


def text_getter(column: str) -> GetText:
    """Return the function that finds a column's text in an event: None where the event does not have it."""
    head, _, rest = column.partition(".")
    if column == REWARD:
        return _reward
    if column == COST:
        return lambda event: event.cost
    if column == WEIGHT:
        return lambda event: repr(weight_of(event.pdrop))
    if column == PROBABILITY:
        return DsjsonEvent.probability
    if head == EXPORT_PROPERTY and rest:
        return lambda event: _text(event.own.get(rest), column)
    if head == SHARED and rest:
        return lambda event: _text(value_at(event.shared, rest, column), column)
    if head == ACTION and rest:
        return lambda event: _text(value_at(event.action, rest, column), column)
    return lambda event: _text(value_at(event.properties, column, column), column)


def activates(outcome: Mapping[str, msgspec.Raw]) -> bool:
    """Return whether an observation says that a deferred event was shown."""
    taken, deferred = outcome.get("ActionTaken", _MISSING), outcome.get("DeferredAction", _MISSING)
    return bytes(taken) == b"true" or bytes(deferred) == b"false"


def outcome_value(outcome: Mapping[str, msgspec.Raw]) -> float | None:
    """Return the reward of an outcome line, None where it only activates."""
    for name in ("RewardValue", "v"):
        if (value := _number(outcome.get(name))) is not None:
            return value
    raw = outcome.get("o", _MISSING)
    if not is_list(raw):
        return None
    parts = [json_object(each) for each in json_list(raw) if is_object(each)]
    values = [value for each in parts if (value := _number(each.get("v"))) is not None]
    return math.fsum(values) if values else None


@lru_cache(maxsize=10_000)
def weight_of(pdrop: str) -> float | None:
    """Return how many events a kept line stands for, 1 / (1 - pdrop); None for what is no probability.

    Infinity where pdrop is 1. The fraction is exact: a pdrop of 0.9 gives 10.

    >>> weight_of(""), weight_of("0.9"), weight_of("1"), weight_of("-1")
    (1.0, 10.0, inf, None)
    """
    if not pdrop:
        return 1.0
    number = _float(pdrop)
    if number is None or not 0.0 <= number <= 1.0 or len(pdrop) > 40:
        return None
    if number < _LEAST_PDROP:  # also texts such as "1e-9999999", which are too long to write as a fraction
        return 1.0
    return math.inf if number == 1.0 else float(1 / (1 - Fraction(pdrop)))


def _reward(event: DsjsonEvent) -> str | None:
    cost = event.cost
    number = None if cost is None else _float(cost)
    return cost if number is None else repr(0.0 - number)


def _text(raw: msgspec.Raw | None, column: str) -> str | None:
    return None if raw is None else scalar_text(raw, column)


def _number(raw: msgspec.Raw | None) -> float | None:
    return None if raw is None or is_list(raw) or is_object(raw) else _float(scalar_text(raw, ""))


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
