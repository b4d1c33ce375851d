"""What parts of a log were added up to as bytes, of one version: written anywhere, read and merged later.

The sums of parts whose customers differ add with `+`: `EvaluationSums`, `LogDiagnostics`, `NewtonSums`, sealed `Tally`
and `LiftTally`, `IncrementTally`, `LogRewards`, and the `ChoiceSample` that a model of propensities is fitted to. The
bytes hold plain values and arrays, never code; they are read by the version that wrote them alone.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import add
from typing import Any, TypeAlias

import numpy as np

from bandit.catalogue import Catalogue
from bandit.catalogue.facts import Fact
from bandit.catalogue.undeclared import UndeclaredCounts
from bandit.errors import InputError, OfferBanditError
from bandit.evaluate.diagnostics import LogDiagnostics, PolicyContrast, RepeatCounts, SelfTestSums, TargetWeights
from bandit.evaluate.diagnostics.choices import ChoiceCounts
from bandit.evaluate.diagnostics.labels import OfferLabels
from bandit.evaluate.diagnostics.maturity import MaturityCounts
from bandit.evaluate.diagnostics.propensities import InversePropensitySums
from bandit.evaluate.diagnostics.undeclared import UndeclaredSums
from bandit.evaluate.distinct_masks import DistinctMasks
from bandit.evaluate.evaluator import CandidateSums, EvaluationSums
from bandit.evaluate.propensity.overlap import TargetOverlap
from bandit.evaluate.propensity.sample import ChoiceRows, ChoiceSample
from bandit.evaluate.segments import FactSegmentation, Segments, SegmentSums
from bandit.models.newton_sums import NewtonSums
from bandit.ope import ESTIMATORS, Tally
from bandit.ope.bounds import ObservedBounds
from bandit.ope.group_moments import GroupMoments
from bandit.ope.incremental import IncrementTally
from bandit.ope.incremental.blocks import BlockSums
from bandit.ope.lift import LiftSums, LiftTally
from bandit.ope.lift.sums import SealedCustomers
from bandit.ope.reward_variance import LogRewards, RewardSums
from bandit.ope.sums import Moments, RowSums, WeightMoments
from bandit.policies.state import READING_FAULTS

SUMS_VERSION = 1
"""The version of the bytes; another one is refused."""

_HEADER = "sums"

_CLASSES: dict[str, type[Any]] = {
    each.__name__: each
    for each in (
        CandidateSums,
        BlockSums,
        ChoiceCounts,
        ChoiceRows,
        ChoiceSample,
        DistinctMasks,
        EvaluationSums,
        FactSegmentation,
        GroupMoments,
        IncrementTally,
        InversePropensitySums,
        LiftSums,
        LiftTally,
        LogDiagnostics,
        LogRewards,
        MaturityCounts,
        Moments,
        NewtonSums,
        ObservedBounds,
        PolicyContrast,
        RepeatCounts,
        RewardSums,
        RowSums,
        SealedCustomers,
        SegmentSums,
        Segments,
        SelfTestSums,
        Tally,
        TargetOverlap,
        TargetWeights,
        UndeclaredCounts,
        UndeclaredSums,
        WeightMoments,
    )
}

# Made again when the sums are read: from the estimators, or empty since the sums are sealed.
_DERIVED: dict[type[Any], frozenset[str]] = {
    Tally: frozenset({"_terms", "_cached"}),
    LiftSums: frozenset({"_by_customer", "_last_weights", "_cached"}),
    ChoiceSample: frozenset({"_before", "_closed"}),
    DistinctMasks: frozenset({"_numbers"}),
}

SavedSums: TypeAlias = (
    EvaluationSums | LogDiagnostics | Tally | NewtonSums | LiftTally | IncrementTally | LogRewards | ChoiceSample
)


def dump_sums(sums: SavedSums) -> bytes:
    """Return sums as bytes; InputError for estimators that are not those of `bandit.ope.ESTIMATORS`."""
    writer = _Writer()
    plain = writer.plain(sums)
    header = {"version": SUMS_VERSION, "catalogue": writer.catalogue, "sums": plain}
    text = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{_HEADER: text}, **writer.arrays)
    return buffer.getvalue()


def load_sums(state: bytes) -> SavedSums:
    """Return the sums that `dump_sums` wrote; InputError for other bytes and for another version."""
    try:
        with np.load(io.BytesIO(state), allow_pickle=False) as members:
            arrays = {name: members[name] for name in members.files}
        header = json.loads(arrays.pop(_HEADER).tobytes())
        version = header["version"]
    except READING_FAULTS as fault:
        raise InputError(f"these bytes are no sums ({fault}); add up the part of the log again") from fault
    if version != SUMS_VERSION:
        raise InputError(
            f"the sums are of version {version!r} and this program reads version {SUMS_VERSION}; add up the part of "
            "the log again with this program"
        )
    try:
        catalogue = None if header["catalogue"] is None else Catalogue.from_stored(header["catalogue"])
        found = _Reader(arrays, catalogue).value(header["sums"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OfferBanditError) as fault:
        raise InputError(f"the sums cannot be read ({fault}); add up the part of the log again") from fault
    if not isinstance(found, SavedSums):
        raise InputError("these bytes are no sums of a part of a log; add it up again")
    return found


def merge_sums(states: Iterable[bytes]) -> SavedSums:
    """Return the sums of all parts; InputError without any, and where they are of different kinds or questions."""
    found = [load_sums(state) for state in states]
    if not found:
        raise InputError("there are no sums to merge; give those of at least one part of a log")
    if len({type(each) for each in found}) > 1:
        raise InputError("some of these sums are of another kind than the others; merge those of one kind")
    try:
        return reduce(add, found)
    except ValueError as fault:  # of other shapes
        raise InputError(f"these sums are of different questions ({fault}); merge parts of one log") from fault


class _Writer:
    """Turns sums into plain values, with the arrays and the one catalogue aside."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}
        self.catalogue: object = None

    def plain(self, value: object) -> object:
        """Return a value of JSON: what is no number, text or list is named by its kind."""
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, np.ndarray):
            name = f"array{len(self.arrays)}"
            self.arrays[name] = value
            return {"array": name}
        if isinstance(value, list | tuple):
            return {"tuple" if isinstance(value, tuple) else "list": [self.plain(each) for each in value]}
        if isinstance(value, Mapping):
            kind = "counter" if isinstance(value, Counter) else "mapping"
            return {kind: [[self.plain(key), self.plain(each)] for key, each in value.items()]}
        return self._plain_object(value)

    def _plain_object(self, value: object) -> object:
        if isinstance(value, Catalogue | OfferLabels):
            if isinstance(value, Catalogue):
                self.catalogue = value.to_dict()
            return {"shared": type(value).__name__}
        if isinstance(value, Fact):
            return {"fact": value.name}
        name = type(value).__name__
        if _CLASSES.get(name) is type(value):
            if isinstance(value, LiftSums) and not value.is_sealed:
                raise InputError("sums of lift that are not sealed cannot be written; seal them first")
            derived = _DERIVED.get(type(value), frozenset())
            fields = {key: each for key, each in _fields(value).items() if key not in derived}
            return {"object": name, "fields": {key: self.plain(each) for key, each in fields.items()}}
        named = getattr(value, "name", None)
        if named in ESTIMATORS and ESTIMATORS[named] == value:
            return {"estimator": named}
        raise InputError(f"sums with {value!r} cannot be written; use the estimators of bandit.ope.ESTIMATORS")


class _Reader:
    """Makes sums again from what `_Writer` wrote."""

    def __init__(self, arrays: Mapping[str, np.ndarray[Any, Any]], catalogue: Catalogue | None) -> None:
        self._arrays, self._catalogue = arrays, catalogue

    def value(self, plain: Any) -> Any:  # noqa: ANN401 - any of the values of sums
        """Return the value; KeyError, TypeError or ValueError where it is none."""
        if not isinstance(plain, dict):
            return plain
        kind = next(iter(plain))
        content = plain[kind]
        if kind == "array":
            return self._arrays[content]
        if kind in {"tuple", "list"}:
            found = [self.value(each) for each in content]
            return tuple(found) if kind == "tuple" else found
        if kind in {"counter", "mapping"}:
            pairs = {self.value(key): self.value(each) for key, each in content}
            return Counter(pairs) if kind == "counter" else pairs
        if kind == "estimator":
            return ESTIMATORS[content]
        if kind == "object":
            return self._object(_CLASSES[content], plain["fields"])
        if self._catalogue is None:
            raise ValueError("it has no catalogue")
        if kind == "fact":
            return self._catalogue.facts[content]
        return self._catalogue if content == "Catalogue" else OfferLabels(self._catalogue)

    def _object(self, made: type[Any], fields: Mapping[str, object]) -> object:
        values = {key: self.value(each) for key, each in fields.items()}
        found = self._empty(made, values)
        derived = _DERIVED.get(made)
        if derived is not None and values.keys() != _fields(found).keys() - derived:
            raise ValueError(f"its {made.__name__} has other fields")
        for key, each in values.items():
            object.__setattr__(found, key, each)
        if isinstance(found, ChoiceSample):
            found.close()
        return found

    @staticmethod
    def _empty(made: type[Any], values: Mapping[str, Any]) -> object:
        """Return an object of a class without its sums."""
        if made is Tally:
            return Tally(values["policies"], values["estimators"])
        if made is LiftSums:
            return LiftSums(values["shares"], weighted=values["weighted"], trajectory=values["trajectory"])
        if made is ChoiceSample:
            return ChoiceSample(values["most"], values["seed"])
        if made is DistinctMasks:
            masks = DistinctMasks()
            for mask in values["_masks"]:
                masks.number(mask[None, :])
            return masks
        return object.__new__(made)


def _fields(value: object) -> dict[str, object]:
    slots = getattr(type(value), "__slots__", None)
    return dict(vars(value)) if slots is None else {name: getattr(value, name) for name in slots}
