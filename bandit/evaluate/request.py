"""What an evaluation is asked for, checked before the log is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from bandit.catalogue import Catalogue
from bandit.errors import InputError
from bandit.evaluate.outside import refuse_structural
from bandit.evaluate.propensity.logging_policy import is_uniform
from bandit.evaluate.results import LOGGED
from bandit.ope import ESTIMATORS, Estimator, resolve

if TYPE_CHECKING:
    from bandit.domain import FloatArray, IntArray, Log, Policy
    from bandit.ope import IntervalKind
    from bandit.ope.estimator import AnyEstimator
    from bandit.ope.feedback import Need

Propensities = Literal["logged", "estimated"]
"""Whether the propensities of a log are its own, or are estimated from its facts."""

_BATCH_CELLS = 2_000_000
_PREFERRED = ("dr", "snips")


@dataclass(frozen=True, slots=True)
class EstimatorChoice:
    """The estimators to compute, and the names of those to show; ips is computed in any case."""

    computed: tuple[AnyEstimator, ...]
    shown: tuple[str, ...]

    @property
    def needs(self) -> frozenset[Need]:
        """What the estimators need besides rewards and propensities."""
        return frozenset(each.needs for each in self.computed if each.needs is not None)

    @property
    def default(self) -> str:
        """The estimator that verdicts are based on: dr, else snips, else the first."""
        return next((name for name in _PREFERRED if name in self.shown), self.shown[0])


@dataclass(frozen=True, slots=True, eq=False)
class OfferStructure:
    """The structure of the offers for mips and pi, both empty where neither is asked for.

    `labels` (N,) numbers the combinations of the dimensions that mips keeps, `columns` (N, K) are the offers' options.
    """

    labels: IntArray
    columns: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationRequest:
    """The policies to judge and how: what `evaluate` was called with, after its checks.

    `baseline` is the name of a policy, "logged" or None. `propensities` says where they come from; where they are
    estimated, `replace_known` says whether estimates also replace the propensities that the log knows. `logging` is
    the policy that wrote the log, where it is at hand. `folds` are those of the fitted models, `crossfit` the number
    of copies of each policy that learns, None where it is not copied. `draw_groups` is for how many groups of customers
    a policy draws anew (`PolicyDraws`).
    """

    catalogue: Catalogue
    policies: Mapping[str, Policy]
    baseline: str | None
    estimators: EstimatorChoice
    structure: OfferStructure
    level: float
    interval: IntervalKind
    propensities: Propensities
    replace_known: bool
    logging: Policy | None
    folds: int
    crossfit: int | None
    draw_groups: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all judged policies; the first is the policy that wrote the log."""
        return (LOGGED, *self.policies)

    @property
    def baseline_place(self) -> int | None:
        """The place of the baseline in `names`, None without a baseline."""
        return None if self.baseline is None else self.names.index(self.baseline)

    @property
    def estimated(self) -> bool:
        """Whether propensities are estimated."""
        return self.propensities == "estimated"

    @property
    def batch_size(self) -> int:
        """The number of decisions to read at a time."""
        return batch_size_of(self.catalogue)

    @property
    def passes(self) -> int:
        """How many times the log is read, where each copy that learns counts as one."""
        copies = (self.crossfit or 0) * sum(policy.learns for policy in self.policies.values())
        return copies + 1 + bool(self.estimators.needs & {"predictions", "robust"}) + self.estimated


def batch_size_of(catalogue: Catalogue) -> int:
    """Return how many decisions to read at a time, for about two million (context, offer) cells."""
    return max(256, min(65_536, _BATCH_CELLS // max(1, catalogue.n_offers)))


def catalogue_of(log: Log) -> Catalogue:
    """Return the catalogue of a log; InputError where it has none."""
    if not isinstance(log.catalogue, Catalogue):
        raise InputError("the log has no catalogue of its own; pass the one its offers are numbered by as catalogue=")
    return log.catalogue


def named_policies(
    policies: Mapping[str, Policy] | Sequence[Policy], baseline: str | Policy | None
) -> tuple[dict[str, Policy], str | None]:
    """Return the policies by name, the baseline among them, and the name of the baseline."""
    pairs = list(policies.items()) if isinstance(policies, Mapping) else [(each.name, each) for each in policies]
    base: str | None
    if baseline is None or isinstance(baseline, str):
        base = baseline
    else:
        base = next((name for name, policy in pairs if policy is baseline), baseline.name)
        if all(policy is not baseline for _, policy in pairs):
            pairs.append((base, baseline))
    named = dict(pairs)
    if len(named) < len(pairs):
        raise InputError(f"two policies have the same name ({', '.join(name for name, _ in pairs)}); name them apart")
    if LOGGED in named:
        raise InputError(f'a policy is named "{LOGGED}", which is the policy that wrote the log; name it otherwise')
    if not named:
        raise InputError("there is no policy to evaluate; give at least one")
    if base is not None and base != LOGGED and base not in named:
        raise InputError(f'the baseline "{base}" is not among the policies; there are {", ".join(named)}')
    return named, base


def propensity_source(log: Log, requested: Propensities | None) -> Propensities:
    """Return where the propensities come from: by default they are estimated where the log does not know them all."""
    if requested not in {None, "logged", "estimated"}:
        raise InputError(f'propensities are "{requested}"; choose logged or estimated')
    if requested == "logged" and not log.propensities_known:
        raise InputError(
            'the log does not know the propensities of its decisions; leave propensities out or ask for "estimated"'
        )
    return requested if requested is not None else ("logged" if log.propensities_known else "estimated")


def choose_estimators(
    log: Log, estimators: Sequence[str | Estimator], batch_size: int, *, table_known: bool
) -> EstimatorChoice:
    """Return the estimators to compute; InputError where the log cannot answer by one of them.

    `table_known` says whether the logging probabilities of all offers are known or estimated; where they are not, mips
    and pi work only on a log of uniform choice.
    """
    basic: frozenset[Need] = frozenset({"predictions", "robust"})
    every: frozenset[Need] = basic | {"marginal", "slate"}
    structural = any(each.needs in {"marginal", "slate"} for each in resolve(estimators, every))
    if structural:
        refuse_structural(log)
    possible = structural and (table_known or is_uniform(log, batch_size))
    if structural and not possible:
        raise InputError(
            "mips and pi need the logging policy's probabilities of all offers, and the log has only those of the "
            "chosen ones; pass the policy that wrote the log as logging, or ask for other estimators"
        )
    chosen = resolve(estimators, every if possible else basic)
    extra = () if any(each.name == "ips" for each in chosen) else (ESTIMATORS["ips"],)
    return EstimatorChoice((*chosen, *extra), tuple(each.name for each in chosen))


def offer_structure(catalogue: Catalogue, dimensions: Sequence[str], needs: frozenset[Need]) -> OfferStructure:
    """Return the structure that mips and pi need; InputError for an unknown dimension, and for mips without any."""
    if not needs & {"marginal", "slate"}:
        return OfferStructure(np.zeros(0, dtype=np.int64), np.zeros((0, 0)))
    names = [dimension.name for dimension in catalogue.dimensions]
    unknown = [name for name in dimensions if name not in names]
    if unknown or (not dimensions and "marginal" in needs):
        wrong = f'there is no dimension "{unknown[0]}"' if unknown else "mips needs the dimensions that matter"
        raise InputError(f"{wrong}; name some of {', '.join(names)} as dimensions")
    kept = [names.index(name) for name in dimensions]
    labels = np.zeros(catalogue.n_offers, dtype=np.int64)
    if kept:
        labels = np.unique(catalogue.options[:, kept], axis=0, return_inverse=True)[1].ravel().astype(np.int64)
    counts = [len(dimension.options) for dimension in catalogue.dimensions]
    blocks = [np.eye(count)[catalogue.options[:, place]] for place, count in enumerate(counts)]
    return OfferStructure(labels, np.concatenate(blocks, axis=1))
