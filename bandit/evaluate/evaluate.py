"""The value of frozen policies from a log: who is judged, by what, in which passes over the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import Progress
from bandit.encoding.encoder import Encoder
from bandit.encoding.scales import fit_scales
from bandit.errors import InputError
from bandit.evaluate.candidates import Candidate, cross_fitted, frozen, teach_part
from bandit.evaluate.diagnostics import LogDiagnostics, SampleRatio
from bandit.evaluate.evaluator import LOGGED, EvaluationInputs, EvaluationRequest, Evaluator
from bandit.evaluate.propensity.estimated import EstimatedPropensities
from bandit.evaluate.propensity.logging_policy import Estimated, EvenlyDrawn, LoggingPolicy, is_uniform, known_logging
from bandit.evaluate.results import Evaluation
from bandit.evaluate.rewards.ridge_regression import CrossFitted, RewardModel, RidgeReward
from bandit.evaluate.rewards.ridge_regression import cross_fitted as cross_fitted_rewards
from bandit.evaluate.segments import Segments
from bandit.evaluate.split import FOLDS, split_log
from bandit.ope import DEFAULT, DEFAULT_INTERVAL, ESTIMATORS, Estimator, IntervalKind, resolve
from bandit.ope.clusters import Keys
from bandit.ope.estimators.mrdr import mrdr_weights

if TYPE_CHECKING:
    from numpy.random import Generator

    from bandit.domain import FloatArray, IntArray, Log, Policy
    from bandit.evaluate.propensity.calibration import Calibration
    from bandit.ope.feedback import Need

Propensities = Literal["logged", "estimated"]

_CELLS = 2_000_000
_EMPTY = "the log has no decisions to judge by; import some, or choose another split"
_PREFERRED = ("dr", "snips")


def evaluate(
    log: Log,
    policies: Mapping[str, Policy] | Sequence[Policy],
    baseline: str | Policy | None = None,
    *,
    catalogue: Catalogue | None = None,
    rng: Generator | None = None,
    estimators: Sequence[str | Estimator] = DEFAULT,
    level: float = 0.95,
    interval: IntervalKind = DEFAULT_INTERVAL,
    split: float | None = None,
    crossfit: int | None = None,
    folds: int = 2,
    reward_model: Callable[[Encoder], RewardModel] = RidgeReward,
    logging: Policy | None = None,
    propensities: Propensities | None = None,
    dimensions: Sequence[str] = (),
    by: Sequence[str] = (),
    groups: SampleRatio | None = None,
    now: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Return what each policy would have earned per decision, and the paired difference to the baseline.

    The policies are frozen: nothing is learned while they are judged. There are two ways to judge a policy that is
    yet to learn from this log. With `split` (a share of the customers) it is first given that part of the log and all
    are judged on the other part; hand in fresh ones, since what a policy has already learned from the judged part makes
    its value look better than it is. With `crossfit` (a number of folds) the whole log is judged, each customer by
    a copy that has learned from the other folds. `baseline` is the name of one of the policies, a policy of its
    own, or "logged" for the policy that wrote the log. Intervals are clustered by customer where the log knows
    customers; `interval` is one of "skew", "normal", "bootstrap", "bernstein" and "anytime" (see `bandit.ope`). The
    reward model of dm, dr and their kin is cross-fitted by customer over `folds`.

    `propensities` "estimated" puts a cross-fitted model of the old policy in the place of the log's propensities;
    it is the default where the log does not know them all. `logging` is the policy that wrote the log, where it is at
    hand: "mips" and "pi" need all of its probabilities, which are known of uniform choice without it. `dimensions`
    are those that mips keeps. `by` names facts in whose segments the policies are judged, too. `groups` is the check
    of an experiment's groups (`bandit.evaluate.diagnostics.sample_ratio`), and `now`, in microseconds, lets the age of
    the outcomes be looked at.

    `catalogue` is that of the log where the log has one. `rng` is what policies draw from; left out, it is the
    generator of seed 1, so that the same question has the same answer. Two passes over the log (one without a reward
    model), one more for estimated propensities, and more for what learns; memory is bounded by the number of
    customers and by batches of about two million (context, offer) cells, and where a policy learns by a million
    decisions.

    Raises InputError for an empty log, unknown names and numbers out of range; PolicyError for a policy whose
    answers are not probabilities over the eligible offers.
    """
    catalogue = _catalogue_of(log) if catalogue is None else catalogue
    rng = np.random.default_rng(1) if rng is None else rng
    named, base = _named(policies, baseline)
    size = max(256, min(65_536, _CELLS // max(1, catalogue.n_offers)))
    if split is not None and crossfit is not None:
        raise InputError("split and crossfit are two ways to judge what learns; give one of them")
    source = _source(log, propensities)
    chosen, shown = _chosen(log, estimators, logging, source, size)
    needs = frozenset(each.needs for each in chosen if each.needs is not None)
    labels, columns = _structure(catalogue, dimensions, needs)
    learned_on, judged = 0, log
    candidates = frozen(named)
    if split is not None:
        learned_on = teach_part(candidates, split_log(log, split, "learn"), size)
        judged = split_log(log, split, "judge")
    if not judged.n:
        raise InputError(_EMPTY)
    copies = (crossfit or 0) * sum(policy.learns for policy in named.values())
    passes = 1 + bool(needs & {"predictions", "robust"}) + (source == "estimated")
    report = _Counter(progress, judged.n * (copies + passes))
    if crossfit is not None:
        candidates = cross_fitted(candidates, catalogue, log, crossfit, size, report.advance)
    known: LoggingPolicy = known_logging(logging, rng)
    calibration: Calibration | None = None
    if source == "estimated":
        model = EstimatedPropensities.fit(judged, catalogue, folds=folds, size=size)
        known, calibration = Estimated(model, every=propensities == "estimated"), model.calibration
        report.advance(judged.n)
    elif logging is None and needs & {"marginal", "slate"}:
        known = EvenlyDrawn()
    rewards, robust = _fitted(judged, catalogue, candidates, reward_model, folds, size, known, needs, rng, report)
    asked = EvaluationRequest(shown, _default(shown), base, level, interval)
    place = None if base is None else [LOGGED, *named].index(base)
    cut = None
    if by:
        judged_by = [each for each in chosen if each.name in {"ips", asked.default}]
        cut = Segments(catalogue, by, [LOGGED, *named], judged_by, place)
    aids = EvaluationInputs(
        known,
        rewards,
        robust,
        labels,
        columns,
        needs,
        estimated=source == "estimated",
        converts=catalogue.objective.kind != "reward",
        binary=catalogue.objective.kind == "conversion",
    )
    diagnostics = LogDiagnostics(catalogue, now=now)
    judge = Evaluator(candidates, chosen, aids, cut, diagnostics, catalogue.n_offers, rng, place)
    keys = Keys(FOLDS)
    for batch in judged.batches(size):
        judge.add(batch, keys)
        report.advance(len(batch))
    diagnosis = diagnostics.result(int(getattr(log, "still_open", 0)), groups)
    return judge.evaluation(asked, learned_on, crossfit or 0, diagnosis, calibration)


def _source(log: Log, asked: Propensities | None) -> Propensities:
    """Return where the propensities come from; those that a log does not know are estimated, whatever is asked."""
    if asked not in {None, "logged", "estimated"}:
        raise InputError(f'propensities are "{asked}"; choose logged or estimated')
    known = bool(getattr(log, "propensities_known", True))
    if asked == "logged" and not known:
        raise InputError(
            'the log does not know the propensities of its decisions; leave propensities out or ask for "estimated"'
        )
    return asked if asked is not None else ("logged" if known else "estimated")


def _chosen(
    log: Log, estimators: Sequence[str | Estimator], logging: Policy | None, source: Propensities, size: int
) -> tuple[tuple[Estimator, ...], tuple[str, ...]]:
    """Return the estimators to compute, and the names of those to show; ips is always computed."""
    has: frozenset[Need] = frozenset({"predictions", "robust"})
    every: frozenset[Need] = has | {"marginal", "slate"}
    structural = any(each.needs in {"marginal", "slate"} for each in resolve(estimators, every))
    whole = structural and (logging is not None or source == "estimated" or is_uniform(log, size))
    if structural and not whole:
        raise InputError(
            "mips and pi need all probabilities of the policy that wrote the log, which its propensities do not tell; "
            "name that policy as logging, or ask for other estimators"
        )
    chosen = resolve(estimators, every if whole else has)
    extra = () if any(each.name == "ips" for each in chosen) else (ESTIMATORS["ips"],)
    return (*chosen, *extra), tuple(each.name for each in chosen)


def _default(names: Sequence[str]) -> str:
    return next((name for name in _PREFERRED if name in names), names[0])


def _fitted(
    log: Log,
    catalogue: Catalogue,
    candidates: tuple[Candidate, ...],
    make: Callable[[Encoder], RewardModel],
    folds: int,
    size: int,
    known: LoggingPolicy,
    needs: frozenset[Need],
    rng: Generator,
    report: _Counter,
) -> tuple[CrossFitted | None, tuple[CrossFitted, ...]]:
    """Return the reward model, and one for each candidate, fitted in one pass where they are needed.

    Numeric facts are scaled as they are in the first batch.
    """
    if not needs & {"predictions", "robust"}:
        return None, ()
    encoder = Encoder(catalogue, fit_scales(catalogue, next(iter(log.batches(size))).contexts))
    rewards = cross_fitted_rewards(make, encoder, folds)
    robust = tuple(cross_fitted_rewards(make, encoder, folds) for _ in candidates if "robust" in needs)
    keys, rngs = Keys(FOLDS), rng.spawn(len(robust))
    for batch in log.batches(size):
        shares = keys.read(batch.contexts.customers, len(batch))[1]
        rewards.learn(batch, shares)
        propensity = known.chances(batch, shares).propensity if robust else batch.propensity
        for candidate, model, own in zip(candidates, robust, rngs, strict=False):
            table = candidate.probabilities(batch, shares, own)
            target = np.minimum(table[np.arange(len(batch)), batch.offer], 1.0)
            model.learn(batch, shares, mrdr_weights(propensity, target))
        report.advance(len(batch))
    return rewards, robust


def _structure(catalogue: Catalogue, dimensions: Sequence[str], needs: frozenset[Need]) -> tuple[IntArray, FloatArray]:
    """Return the (N,) combination of the chosen dimensions, and the (N, K) options of all; empty if not needed."""
    if not needs & {"marginal", "slate"}:
        return np.zeros(0, dtype=np.int64), np.zeros((0, 0))
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
    return labels, np.concatenate(blocks, axis=1)


def _catalogue_of(log: Log) -> Catalogue:
    found = getattr(log, "catalogue", None)
    if not isinstance(found, Catalogue):
        raise InputError("the log has no catalogue of its own; pass the one its offers are numbered by as catalogue=")
    return found


class _Counter:
    """Counts decisions read over all passes."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def advance(self, n: int) -> None:
        self.done += n
        if self.progress is not None:
            self.progress(self.done, self.total)


def _named(
    policies: Mapping[str, Policy] | Sequence[Policy], baseline: str | Policy | None
) -> tuple[dict[str, Policy], str | None]:
    """Return the policies by name and the name of the baseline."""
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
