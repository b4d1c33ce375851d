"""Takes what one policy has learned over into a policy for a changed catalogue.

Weights go by name: an option column, a context column or a pair of options that both catalogues have (by equal names
or by aliases) keeps its weights, jointly with their covariances. With the weights of a model as a matrix W (option
columns x context columns), the score of an offer a for a context x is a' W x, and the new weights are A W B', with A
and B the matrices from the old columns to the new ones:

- a kept column has a 1; an attribute whose largest value changed has the factor by which its column shrank;
- an option that is gone has nothing: no offer that is left had its column. Its weights stay in the older policy's state
  in the database, and are recalled from there if the option returns (`belief_transfer.recall`);
- an attribute that is gone is added to the options' own effects, so that the scores of offers stay what they were;
- a dimension or a fact that is gone is added to the base, or to the intercept, at the mean of its columns over recent
  decisions, so that scores keep their level;
- a new column has no entry and begins at its prior, for a new option with a mean of its own (see `new_options`).

Scales of numeric facts stay as they were fitted; a new numeric fact without a declared scale counts as 0 until
`SCALE_VALUES` outcomes have shown its values. Customers' own effects keep their columns. Counts, the half-life's clock
and the number of updates go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from bandit.catalogue.aliases import NameMap
from bandit.domain import BoolArray, Contexts, FloatArray, IntArray
from bandit.encoding.column_keys import (
    INTERCEPT,
    Key,
    context_keys,
    largest_attributes,
    option_keys,
    owner_keys,
    translated,
)
from bandit.encoding.encoder import Encoder
from bandit.encoding.offer_columns import option_columns
from bandit.models.belief_transfer import TransferredBelief, recall, settled, transfer
from bandit.policies.state import pack
from bandit.policies.thompson.new_options import NEW_OPTION_CHANCE, NewOptionStart, new_option_start
from bandit.policies.thompson.offer_model import OfferModel
from bandit.policies.thompson.policy import ThompsonSampling
from bandit.policies.thompson.reward_belief import CUSTOMER_DEVIATION, RewardBelief


@dataclass(frozen=True, slots=True, eq=False)
class ColumnMeans:
    """Means of a policy's columns over recent decisions: context columns (d,), base and option columns (1 + K,).

    They stand for the columns of facts and dimensions that a later catalogue does not have.
    """

    context: FloatArray
    offer: FloatArray

    def to_dict(self) -> dict[str, list[float]]:
        """Return plain JSON values."""
        return {"context": self.context.tolist(), "offer": self.offer.tolist()}

    @staticmethod
    def from_dict(plain: Mapping[str, Sequence[float]]) -> ColumnMeans:
        """Return the means that `to_dict` wrote."""
        return ColumnMeans(np.array(plain["context"], dtype=np.float64), np.array(plain["offer"], dtype=np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class BeliefSource:
    """A policy that has learned, the names of its catalogue in the new one, and the means of its columns."""

    policy: ThompsonSampling
    names: NameMap
    means: ColumnMeans


@dataclass(frozen=True, slots=True, eq=False)
class CarriedBelief:
    """The state that a policy begins with: its bytes, the outcomes behind it, the options that are new to it.

    `starts` (1 + K,) are the prior means of its option columns; `start` says how those of new options were found, None
    where no option is new beside known ones. `recalled` are options whose weights came from an older policy.
    """

    state: bytes
    n_learned: int
    new_options: tuple[tuple[str, str], ...]
    recalled: tuple[tuple[str, str], ...]
    starts: FloatArray
    start: NewOptionStart | None


def column_means(policy: ThompsonSampling, contexts: Contexts, offer: IntArray) -> ColumnMeans:
    """Return the means of a policy's columns over n decisions, zeros without any; unknown offers (n,) are -1."""
    encoder = policy.online.belief.encoder
    context, columns = np.zeros(encoder.n_context), np.zeros(1 + len(encoder.offers.main_names))
    context[0] = columns[0] = 1.0
    if contexts.n:
        context = encoder.context_matrix(contexts).mean(axis=0)
    known = offer[offer >= 0]
    if len(known):
        columns[1:] = encoder.offers.shared[known].mean(axis=0)
    return ColumnMeans(context, columns)


def carry_belief(
    target: ThompsonSampling,
    sources: Sequence[BeliefSource],
    contexts: Contexts,
    starts: FloatArray | None = None,
) -> CarriedBelief:
    """Give an untrained policy the belief of another, the first of `sources`, and return its state.

    The further sources are older policies that the first one descends from: what the first does not know any more is
    recalled from them. `contexts` are recent ones in the new catalogue, by which new options are given their `starts`
    (1 + K,) unless these are given.
    """
    first = sources[0]
    new, known_starts = _new_columns(target, sources), _carried_starts(target, sources)
    _load(target, sources, known_starts if starts is None else starts)
    start = None
    if starts is None and new.any():
        start = new_option_start(target, new, contexts, NEW_OPTION_CHANCE)
        if start.starts.any():
            _load(target, sources, known_starts + start.starts)
    keys = option_keys(target.catalogue)
    by_first, by_any = _known(target, first), np.any([_known(target, source) for source in sources], axis=0)
    return CarriedBelief(
        target.dumps(),
        first.policy.online.belief.main.n_learned,
        _options(keys, new),
        _options(keys, by_any & ~by_first),
        known_starts if start is None else known_starts + start.starts,
        start,
    )


def _options(keys: Sequence[Key], chosen: BoolArray) -> tuple[tuple[str, str], ...]:
    """Return (dimension, option) of the chosen columns that are options."""
    return tuple(
        (key[1], key[2]) for key, there in zip(keys, chosen.tolist(), strict=True) if there and key[0] == "option"
    )


def _known(target: ThompsonSampling, source: BeliefSource) -> BoolArray:
    """Return which of the target's (1 + K,) columns a source has."""
    present = {translated(key, source.names) for key in option_keys(source.policy.catalogue)}
    return np.array([key in present for key in option_keys(target.catalogue)])


def _new_columns(target: ThompsonSampling, sources: Sequence[BeliefSource]) -> BoolArray:
    """Return which of the (1 + K,) columns are options that no source has, in dimensions of which one has others."""
    keys = option_keys(target.catalogue)
    known = np.any([_known(target, source) for source in sources], axis=0)
    with_known = {key[1] for key, there in zip(keys, known.tolist(), strict=True) if there and key[0] == "option"}
    return np.array(
        [
            key[0] == "option" and not there and key[1] in with_known
            for key, there in zip(keys, known.tolist(), strict=True)
        ]
    )


def _carried_starts(target: ThompsonSampling, sources: Sequence[BeliefSource]) -> FloatArray:
    """Return the prior means of the (1 + K,) columns, as the sources gave them to their new options."""
    places = {key: place for place, key in enumerate(option_keys(target.catalogue))}
    starts = np.zeros(len(places))
    for source in reversed(sources):
        given = source.policy.online.starts
        for key, start in zip(option_keys(source.policy.catalogue), () if given is None else given, strict=False):
            place = places.get(translated(key, source.names) or ())
            if place is not None:
                starts[place] = start
    return starts


def _load(target: ThompsonSampling, sources: Sequence[BeliefSource], starts: FloatArray) -> None:
    """Load into the target the state that the sources give it, with these prior means of option columns."""
    first = sources[0].policy.online
    scales = first.fact_scales.translated(sources[0].names)
    meta, arrays = first.clock | scales.to_meta(), dict[str, NDArray[np.generic]]()
    if starts.any():
        arrays["starts"] = starts
    belief = target.online.untrained_belief(scales, starts if starts.any() else None)
    for name, model in belief.models().items():
        found = [
            _Source(source, source.policy.online.belief.models()[name])
            for source in sources
            if name in source.policy.online.belief.models()
        ]
        meta[name], parts = _model_state(model, found)
        arrays |= {f"{name}/{part}": array for part, array in parts.items()}
    if belief.customer_effects is not None:
        arrays |= {f"own/{part}": array for part, array in _customer_state(belief, sources).items()}
    target.loads(pack({"kind": "thompson", **meta}, arrays))


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """One model of a source."""

    source: BeliefSource
    model: OfferModel

    def context_places(self, keys: Sequence[Key]) -> dict[int, int]:
        """Return the place among a target's context columns of each active column of this model that it has."""
        places = {key: place for place, key in enumerate(keys)}
        own = context_keys(self.model.encoder)
        found = {
            int(column): places.get(translated(own[column], self.source.names) or ()) for column in self.model.active
        }
        return {column: place for column, place in found.items() if place is not None}


def _model_state(
    model: OfferModel, sources: Sequence[_Source]
) -> tuple[dict[str, object], dict[str, NDArray[np.generic]]]:
    """Return the state of one model of the target, an untrained one that is given the sources' weights."""
    keys = context_keys(model.encoder)
    active = sorted({0, *(place for each in sources for place in each.context_places(keys).values())})
    model.start_over(np.array(active, dtype=np.int64))
    newest = sources[0].model
    model.prior.variances = _variances(model, sources[0])
    center, variance = model.prior.center, model.prior.variance
    matrices = [_weight_matrix(model, each) for each in sources]
    beliefs = [
        transfer(each.model.model.weights.mean, each.model.model.weights.covariance, matrix, center, variance)
        for each, matrix in zip(sources, matrices, strict=True)
    ]
    belief: TransferredBelief = beliefs[0]
    for older in beliefs[1:]:
        belief = recall(belief, older)
    if len(beliefs) > 1 or not _is_selection(matrices[0], newest.prior.variance, variance):
        belief = settled(belief, variance)
    meta, arrays = newest.state()
    return meta, arrays | {
        "active": model.active,
        "mean": belief.mean,
        "covariance": belief.covariance,
        "variances": model.prior.variances,
    }


def _is_selection(matrix: FloatArray, before: FloatArray, after: FloatArray) -> bool:
    """Say whether every known weight is one old weight, with the prior variance that it had."""
    rows, columns = np.nonzero(matrix)
    single = len(np.unique(rows)) == len(rows) == len(np.unique(columns)) and bool((matrix[rows, columns] == 1.0).all())
    return single and bool((before[columns] == after[rows]).all())


def _variances(model: OfferModel, source: _Source) -> FloatArray:
    """Return the variances of the prior's groups: as the source estimated them, or as given for a new group."""
    variances = model.prior.given.copy()
    n_context_groups = len(model.encoder.context_groups)
    places = {key: place for place, key in enumerate(owner_keys(model.encoder.catalogue))}
    for before, key in enumerate(owner_keys(source.model.encoder.catalogue)):
        after = places.get(translated(key, source.source.names) or ())
        if after is not None:
            there, here = after * n_context_groups, before * n_context_groups
            variances[there : there + n_context_groups] = source.model.prior.variances[here : here + n_context_groups]
    variances[-1] = source.model.prior.variances[-1]
    return variances


def _weight_matrix(model: OfferModel, source: _Source) -> FloatArray:
    """Return the (D, E) matrix from the E weights of a source's model to the D weights of the target's."""
    main = np.kron(_option_matrix(model.encoder, source.source), _context_matrix(model, source))
    return np.asarray(block_diag(main, _pair_matrix(model, source)))


def _option_matrix(encoder: Encoder, source: BeliefSource) -> FloatArray:
    """Return the matrix A from the source's base and option columns to the target's."""
    before, catalogue = source.policy.catalogue, encoder.catalogue
    places = {key: place for place, key in enumerate(option_keys(catalogue))}
    largest_before, largest = largest_attributes(before), largest_attributes(catalogue)
    keys = option_keys(before)
    options = [
        (place, places[present])
        for place, key in enumerate(keys)
        if key[0] == "option" and (present := translated(key, source.names)) in places
    ]
    matrix, table = np.zeros((len(places), len(keys))), option_columns(before).table
    for column, key in enumerate(keys):
        present = translated(key, source.names)
        if key[0] not in {"option", "attribute"}:
            matrix[0, column] = 1.0
        elif present is None and source.names.dimension(key[1]) is None:
            matrix[0, column] = source.means.offer[column]
        elif key[0] == "option" and present in places:
            matrix[places[present], column] = 1.0
        elif key[0] == "attribute" and present in places and largest_before[key] > 0.0:
            matrix[places[present], column] = largest[present] / largest_before[key]
        elif key[0] == "attribute":
            for place, target in options:
                matrix[target, column] = table[place - 1, column - 1]
    return matrix


def _context_matrix(model: OfferModel, source: _Source) -> FloatArray:
    """Return the matrix B from the active context columns of a source's model to the target's."""
    places = source.context_places(context_keys(model.encoder))
    at = {int(column): place for place, column in enumerate(model.active)}
    keys = context_keys(source.model.encoder)
    matrix = np.zeros((len(at), len(source.model.active)))
    for place, column in enumerate(source.model.active.tolist()):
        if column in places:
            matrix[at[places[column]], place] = 1.0
        elif keys[column] != INTERCEPT and source.source.names.fact(keys[column][1]) is None:
            matrix[0, place] = source.source.means.context[column]
    return matrix


def _pair_matrix(model: OfferModel, source: _Source) -> FloatArray:
    """Return the matrix from the pairs of options of a source's model to the target's."""
    places = {pair: place for place, pair in enumerate(_pairs(model, None))}
    pairs = _pairs(source.model, source.source.names)
    matrix = np.zeros((len(places), len(pairs)))
    for column, pair in enumerate(pairs):
        if pair in places:
            matrix[places[pair], column] = 1.0
    return matrix


def _pairs(model: OfferModel, names: NameMap | None) -> list[frozenset[Key | None]]:
    """Return the two options of each pair weight of a model, by their names, or by those that a map gives them."""
    if not model.design.pairs.shape[1]:
        return []
    keys = option_keys(model.encoder.catalogue)[1:]
    return [
        frozenset(keys[place] if names is None else translated(keys[place], names) for place in pair)
        for pair in model.encoder.offers.pair_columns.tolist()
    ]


def _customer_state(belief: RewardBelief, sources: Sequence[BeliefSource]) -> dict[str, NDArray[np.generic]]:
    """Return the customers' own effects in the target's columns, each column from the newest source that has it.

    Evidence on an attribute is in units of its column, which the largest value divides: see `_option_matrix`.
    """
    catalogue = belief.catalogue
    places, owners = option_keys(catalogue), {key: place for place, key in enumerate(owner_keys(catalogue))}
    variances = np.full(len(owners), CUSTOMER_DEVIATION**2)
    newest, names = _own(sources[0]), _customers(sources[0])
    shape = (len(names), len(places))
    natural, precision = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    filled = np.zeros(len(places), dtype=np.bool_)
    for source in sources:
        own = _own(source)
        if not own:
            continue
        at = {name: place for place, name in enumerate(_customers(source))}
        rows = np.array([at.get(name, -1) for name in names], dtype=np.int64)
        there = rows >= 0
        matrix = _option_matrix(belief.encoder, source)
        keys = option_keys(source.policy.catalogue)
        for column, key in enumerate(keys):
            present = translated(key, source.names)
            if present not in places or filled[place := places.index(present)]:
                continue
            factor = matrix[place, column]
            if factor:
                natural[there, place] = own["natural"][rows[there], column] / factor
                precision[there, place] = own["precision"][rows[there], column] / factor**2
        filled |= matrix.any(axis=1)
    for before, key in enumerate(owner_keys(sources[0].policy.catalogue)):
        after = owners.get(translated(key, sources[0].names) or ())
        if after is not None and newest:
            variances[after] = newest["variances"][before]
    return {
        "variances": variances,
        "customers": np.frombuffer(msgspec.json.encode(names), dtype=np.uint8),
        "natural": natural,
        "precision": precision,
    }


def _own(source: BeliefSource) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of a source's customers' effects, none where it has no such effects."""
    effects = source.policy.online.belief.customer_effects
    return {} if effects is None else effects.state()


def _customers(source: BeliefSource) -> list[str]:
    own = _own(source)
    return msgspec.json.decode(own["customers"].tobytes(), type=list[str]) if own else []
