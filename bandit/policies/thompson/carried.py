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
- a cross is kept where its facts, their values and its option are, else it is left out; the sample of outcomes that
  crosses are found in begins anew;
- a new column has no entry and begins at its prior, for a new option with a mean of its own (see `new_options`).

Scales of numeric facts stay as they were fitted; a new numeric fact without a declared scale counts as 0 until
`SCALE_VALUES` outcomes have shown its values. Customers' own effects keep their columns. Counts, the half-life's clock
and the number of updates go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from bandit.domain import BoolArray, Contexts, FloatArray, IntArray
from bandit.encoding.column_keys import (
    Key,
    context_keys,
    option_keys,
    owner_keys,
    translated,
)
from bandit.models.belief_transfer import TransferredBelief, recall, settled, transfer
from bandit.models.tail_weights import ANY_OFFER_NUMBER
from bandit.policies.state import pack
from bandit.policies.thompson.belief_source import (
    BeliefSource,
    SourceModel,
    carried_crosses,
    option_matrix,
    weight_matrix,
)
from bandit.policies.thompson.new_options import NEW_OPTION_CHANCE, NewOptionStart, new_option_start
from bandit.policies.thompson.offer_model import OfferModel
from bandit.policies.thompson.offer_prior import weight_groups
from bandit.policies.thompson.offer_state import RATES_OF_WEIGHTS, RATES_PART
from bandit.policies.thompson.policy import ThompsonSampling
from bandit.policies.thompson.reward_belief import CUSTOMER_DEVIATION, RewardBelief


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
    target.online.redraw()
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
    scales = first.fact_scales.translated(sources[0].names, target.online.default_transform)
    meta, arrays = first.clock | scales.to_meta(), dict[str, NDArray[np.generic]]()
    if starts.any():
        arrays["starts"] = starts
    belief = target.online.untrained_belief(scales, starts if starts.any() else None)
    for name, model in belief.models().items():
        found = [
            SourceModel(source, source.policy.online.belief.models()[name])
            for source in sources
            if name in source.policy.online.belief.models()
        ]
        meta[name], parts = _model_state(model, found)
        arrays |= {f"{name}/{part}": array for part, array in parts.items()}
    if belief.customer_effects is not None:
        arrays |= {f"own/{part}": array for part, array in _customer_state(belief, sources).items()}
    target.loads(pack({"kind": "thompson", **meta}, arrays))


def _model_state(
    model: OfferModel, sources: Sequence[SourceModel]
) -> tuple[dict[str, object], dict[str, NDArray[np.generic]]]:
    """Return the state of one model of the target, an untrained one that is given the sources' weights."""
    keys = context_keys(model.encoder)
    active = sorted({0, *(place for each in sources for place in each.context_places(keys).values())})
    model.start_over(np.array(active, dtype=np.int64), carried_crosses(model, sources[0])[0])
    newest = sources[0].model
    model.prior.variances = _variances(model, sources[0])
    variance, weights = model.prior.variance, model.model.weights
    matrices = [weight_matrix(model, each) for each in sources]
    exact = len(matrices) == 1 and _is_selection(matrices[0], newest.prior.variance, variance)
    parts = weights.parts
    beliefs = [_carried_part(model, sources, matrices, places, exact) for places in parts]
    mean = np.empty(weights.size)
    for places, belief in zip(parts, beliefs, strict=True):
        mean[places] = belief.mean
    weights.assign_parts(mean, [belief.covariance for belief in beliefs])
    weights.settle()
    meta, arrays = newest.state()
    # What is not of single weights goes on: rates of change, and which amounts were counted in part.
    going_on = (name for name in arrays if name.startswith((RATES_PART, "tail_")) and name not in RATES_OF_WEIGHTS)
    kept = {name: arrays[name] for name in going_on}
    if "tail_offer" in kept:  # offers have other numbers in the target's catalogue
        kept["tail_offer"] = np.full_like(kept["tail_offer"], ANY_OFFER_NUMBER)
    own = {name: array for name, array in model.state()[1].items() if name not in RATES_OF_WEIGHTS}
    return meta, kept | own | {"mean": mean}


def _carried_part(
    model: OfferModel, sources: Sequence[SourceModel], matrices: Sequence[csr_array], places: IntArray, exact: bool
) -> TransferredBelief:
    """Return the belief over the weights at some places, which holds their covariance.

    With `exact`, outcomes and the prior can give it as it is (`settled`).
    """
    center, variance = model.prior.center[places], model.prior.variance[places]
    beliefs = [
        transfer(each.model.model.weights, matrix[places].toarray(), center, variance)
        for each, matrix in zip(sources, matrices, strict=True)
    ]
    belief: TransferredBelief = beliefs[0]
    for older in beliefs[1:]:
        belief = recall(belief, older)
    return belief if exact else settled(belief, variance)


def _is_selection(matrix: csr_array, before: FloatArray, after: FloatArray) -> bool:
    """Say whether every known weight is one old weight, with the prior variance that it had."""
    entries = matrix.tocoo()
    rows, columns = entries.row, entries.col
    single = len(np.unique(rows)) == len(rows) == len(np.unique(columns)) and bool((entries.data == 1.0).all())
    return single and bool((before[columns] == after[rows]).all())


def _variances(model: OfferModel, source: SourceModel) -> FloatArray:
    """Return the variances of the prior's groups: as the source estimated them, or as given for a new group."""
    variances: FloatArray = model.prior.given.copy()
    n_context_groups = len(model.encoder.context_groups)
    places = {key: place for place, key in enumerate(owner_keys(model.encoder.catalogue))}
    for before, key in enumerate(owner_keys(source.model.encoder.catalogue)):
        after = places.get(translated(key, source.source.names) or ())
        if after is not None:
            there, here = after * n_context_groups, before * n_context_groups
            variances[there : there + n_context_groups] = source.model.prior.variances[here : here + n_context_groups]
    pairs = len(weight_groups(model.kind, model.encoder)) - 1
    pairs_before = len(weight_groups(source.model.kind, source.model.encoder)) - 1
    variances[pairs] = source.model.prior.variances[pairs_before]
    if model.crosses is not None and source.model.crosses is not None:
        variances[pairs + 1 :] = source.model.prior.variances[pairs_before + 1 :]
    return variances


def _customer_state(belief: RewardBelief, sources: Sequence[BeliefSource]) -> dict[str, NDArray[np.generic]]:
    """Return the customers' own effects in the target's columns, each column from the newest source that has it.

    Evidence on an attribute is in units of its column, which the largest value divides: see `option_matrix`.
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
        matrix = option_matrix(belief.encoder, source)
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
    keys_before = owner_keys(sources[0].policy.catalogue)
    moved = [owners.get(translated(key, sources[0].names) or (), -1) for key in keys_before] if newest else []
    old = np.array([place for place, after in enumerate(moved) if after >= 0], dtype=np.int64)
    new = np.array([after for after in moved if after >= 0], dtype=np.int64)
    if newest:
        variances[new] = newest["variances"][old]
    # What was learned of the variances goes with them, between dimensions that both catalogues have.
    judged = {} if belief.customer_effects is None else belief.customer_effects.state()
    judged = {part: judged[part].copy() for part in ("gradient", "information") if part in judged and part in newest}
    if judged:
        judged["gradient"][new] = newest["gradient"][old]
        judged["information"][np.ix_(new, new)] = newest["information"][np.ix_(old, old)]
    return {
        **judged,
        "variances": variances,
        "customers": np.frombuffer(msgspec.json.encode(names), dtype=np.uint8),
        "natural": natural,
        "precision": precision,
    }


def _own(source: BeliefSource) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of a source's customers' effects, none where it has no such effects."""
    effects = source.policy.online.belief.customer_effects
    return {} if effects is None else effects.decayed_state()


def _customers(source: BeliefSource) -> list[str]:
    own = _own(source)
    return msgspec.json.decode(own["customers"].tobytes(), type=list[str]) if own else []
