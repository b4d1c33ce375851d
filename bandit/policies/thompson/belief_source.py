"""The policies that a belief is taken from, and the matrices from their columns to those of a later catalogue.

The rules are those of `bandit.policies.thompson.carried`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import block_diag, coo_array, csr_array, kron

from bandit.catalogue.aliases import NameMap
from bandit.domain import Contexts, FloatArray, IntArray
from bandit.encoding.cells import NO_COLUMN, Cells
from bandit.encoding.column_keys import INTERCEPT, Key, context_keys, largest_attributes, option_keys, translated
from bandit.encoding.encoder import Encoder
from bandit.encoding.offer_columns import option_columns
from bandit.policies.thompson.crosses import Crosses
from bandit.policies.thompson.offer_model import OfferModel
from bandit.policies.thompson.policy import ThompsonSampling

_GONE = -2


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


@dataclass(frozen=True, slots=True, eq=False)
class SourceModel:
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


def weight_matrix(model: OfferModel, source: SourceModel) -> csr_array:
    """Return the sparse (D, E) matrix from the E weights of a source's model to the D weights of the target's."""
    main = kron(coo_array(option_matrix(model.encoder, source.source)), coo_array(_context_matrix(model, source)))
    others = (coo_array(_pair_matrix(model, source)), coo_array(_cross_matrix(model, source)))
    return csr_array(block_diag((main, *others)))


def option_matrix(encoder: Encoder, source: BeliefSource) -> FloatArray:
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


def _context_matrix(model: OfferModel, source: SourceModel) -> FloatArray:
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


def _pair_matrix(model: OfferModel, source: SourceModel) -> FloatArray:
    """Return the matrix from the pairs of options of a source's model to the target's."""
    places = {pair: place for place, pair in enumerate(_pairs(model, None))}
    pairs = _pairs(source.model, source.source.names)
    matrix = np.zeros((len(places), len(pairs)))
    for column, pair in enumerate(pairs):
        if pair in places:
            matrix[places[pair], column] = 1.0
    return matrix


def carried_crosses(model: OfferModel, source: SourceModel) -> tuple[Crosses, IntArray]:
    """Return the crosses of a source's model in the target's columns, without those it lacks, and their places."""
    if source.model.crosses is None or model.crosses is None:
        return Crosses.none(), np.zeros(0, dtype=np.int64)
    crosses, names = source.model.crosses.crosses, source.source.names
    places = {key: place for place, key in enumerate(context_keys(model.encoder))}
    before = context_keys(source.model.encoder)
    columns = np.array([places.get(translated(key, names) or (), _GONE) for key in before], dtype=np.int64)
    options = {key: place for place, key in enumerate(option_keys(model.encoder.catalogue))}
    targets = np.array(
        [options.get(translated(key, names) or (), _GONE) for key in option_keys(source.source.policy.catalogue)],
        dtype=np.int64,
    )
    cells, empty = crosses.cells, crosses.cells.column < 0
    column = np.where(empty, NO_COLUMN, columns[np.where(empty, 0, cells.column)])
    target = targets[crosses.target]
    kept = np.flatnonzero((column != _GONE).all(axis=1) & (target != _GONE))
    moved = Cells(column[kept], cells.threshold[kept], cells.above[kept], cells.signed[kept]).ordered()
    return Crosses(moved, target[kept], crosses.size[kept]), kept.astype(np.int64)


def _cross_matrix(model: OfferModel, source: SourceModel) -> FloatArray:
    """Return the matrix from the crosses of a source's model to the target's: an attribute's column may have shrunk."""
    if source.model.crosses is None:
        return np.zeros((len(model.design.targets), 0))
    before = source.model.crosses.crosses
    carried, kept = carried_crosses(model, source)
    matrix = np.zeros((len(model.design.targets), len(before)))
    if model.crosses is not None and model.crosses.crosses.is_same(carried):  # else it has those of a newer source
        factors = option_matrix(model.encoder, source.source)[carried.target, before.target[kept]]
        matrix[np.arange(len(kept)), kept] = factors
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
