"""The value of frozen policies from a log: batches come in, one number a row goes to the estimators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bandit.catalogue import Catalogue
from bandit.decide import checked
from bandit.domain import Policy
from bandit.errors import InputError, PolicyError
from bandit.evaluate.results import Evaluation, PolicyEvaluation, support_warning
from bandit.evaluate.reward_model import CrossFitted, RewardModel, RidgeReward, cross_fitted
from bandit.evaluate.split import split_log
from bandit.features import Encoder, settle_scales
from bandit.ope import DEFAULT, ESTIMATORS, Estimate, Estimator, Feedback, Tally, resolve
from bandit.ope.keys import Keys

if TYPE_CHECKING:
    from numpy.random import Generator

    from bandit.domain import FloatArray, Log, LoggedBatch

LOGGED = "logged"
"""The name of the policy that wrote the log; it may be named as the baseline."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of decisions read so far and the number that will be read."""

_CELLS = 2_000_000
_SUPPORT_LEVEL = 0.999


def evaluate(
    log: Log,
    policies: Mapping[str, Policy] | Sequence[Policy],
    baseline: str | Policy | None = None,
    *,
    catalogue: Catalogue | None = None,
    rng: Generator | None = None,
    estimators: Sequence[str | Estimator] = DEFAULT,
    level: float = 0.95,
    split: float | None = None,
    folds: int = 2,
    reward_model: Callable[[Encoder], RewardModel] = RidgeReward,
    progress: Progress | None = None,
) -> Evaluation:
    """Return what each policy would have earned per decision, and the paired difference to the baseline.

    The policies are frozen: nothing is learned while they are judged. With `split` (a share of the customers)
    those that learn are first given that part of the log and all are judged on the other part; hand in fresh ones,
    since what a policy has already learned from the judged part makes its value look better than it is.
    `baseline` is the name of one of the policies, a policy of its own, or "logged" for the policy that wrote the
    log. Intervals are clustered by customer where the log knows customers. The reward model of dm, dr and their
    kin is cross-fitted by customer over `folds`. Two passes over the log (one without a reward model), and with
    `split` two more; memory is bounded by the number of customers and by batches of about two million
    (context, offer) cells.

    `catalogue` is that of the log where the log has one. `rng` is what policies draw from; left out, it is the
    generator of seed 1, so that the same question has the same answer.

    Raises InputError for an empty log, unknown names and numbers out of range; PolicyError for a policy whose
    answers are not probabilities over the eligible offers.
    """
    catalogue = _catalogue_of(log) if catalogue is None else catalogue
    rng = np.random.default_rng(1) if rng is None else rng
    named, base = _named(policies, baseline)
    size = max(256, min(65_536, _CELLS // max(1, catalogue.n_offers)))
    learned_on = 0
    if split is not None:
        learned_on = _learn(split_log(log, split, "learn"), named.values(), size)
        log = split_log(log, split, "judge")
    if not log.n:
        raise InputError("the log has no decisions to judge by; import some, or choose another split")
    chosen = resolve(estimators, predictions=True)
    extra = () if any(each.name == "ips" for each in chosen) else (ESTIMATORS["ips"],)
    tally = Tally(1 + len(named), (*chosen, *extra))
    predicts = any(each.needs_predictions for each in chosen)
    report = _Counter(progress, log.n * (2 if predicts else 1))
    model = _fit(log, catalogue, reward_model, folds, size, report) if predicts else None
    judge = _Judge(tally, model, named, catalogue.n_offers, rng)
    keys = Keys("fold")
    for batch in log.batches(size):
        judge.add(batch, keys)
        report.advance(len(batch))
    return judge.evaluation(base, tuple(each.name for each in chosen), level, learned_on)


def _catalogue_of(log: Log) -> Catalogue:
    found = getattr(log, "catalogue", None)
    if not isinstance(found, Catalogue):
        raise InputError("the log has no catalogue of its own; pass the one its offers are numbered by as catalogue=")
    return found


class _Judge:
    """Feeds the tally batch by batch and reads the evaluation off it; policy 0 of the tally wrote the log."""

    def __init__(
        self,
        tally: Tally,
        model: CrossFitted | None,
        policies: Mapping[str, Policy],
        n_offers: int,
        rng: Generator,
    ) -> None:
        self.tally, self.model, self.policies, self.n_offers = tally, model, policies, n_offers
        # One generator a policy: to leave a policy out changes nothing for the others.
        self.rngs = rng.spawn(len(policies))
        self.n = 0
        self.known_customers = False
        self.shown = np.zeros(n_offers, dtype=np.int64)
        self.wanted = np.zeros((len(policies), n_offers))

    def add(self, batch: LoggedBatch, keys: Keys) -> None:
        """Add a batch, whose (n, N) tables live only here."""
        n = len(batch)
        cluster, shares = keys.read(batch.contexts.customers, n)
        self.known_customers = cluster is not None
        expected: FloatArray | None = None
        logged: FloatArray | None = None
        if self.model is not None:
            expected = self.model.predict(batch.contexts, shares, self.n_offers)
            logged = expected[np.arange(n), batch.offer]
        feedback = [Feedback(batch.reward, batch.propensity, batch.propensity, logged, logged, cluster)]
        for place, (name, policy) in enumerate(self.policies.items()):
            table = _answer(name, policy, batch, self.rngs[place])
            self.wanted[place] += table.sum(axis=0)
            mean = None if expected is None else np.einsum("ij,ij->i", table, expected)
            target = np.minimum(table[np.arange(n), batch.offer], 1.0)
            feedback.append(Feedback(batch.reward, batch.propensity, target, logged, mean, cluster))
        self.tally.add(*feedback)
        self.shown += np.bincount(batch.offer, minlength=self.n_offers)
        self.n += n

    def evaluation(
        self, baseline: str | None, estimators: tuple[str, ...], level: float, learned_on: int
    ) -> Evaluation:
        """Return the rows of the table."""
        names = [LOGGED, *self.policies]
        base = None if baseline is None else names.index(baseline)
        rows = []
        for place, name in enumerate(names[1:], start=1):
            estimates = _only(self.tally.estimates(place, level), estimators)
            difference = None
            if base is not None and base != place:
                difference = _only(self.tally.difference(place, base, level), estimators)
            unsupported = float(self.wanted[place - 1][self.shown == 0].sum() / self.n)
            effective = estimates[0].effective_sample_size
            strict = self.tally.mean_weight(place, _SUPPORT_LEVEL)
            rows.append(
                PolicyEvaluation(
                    name=name,
                    estimates=estimates,
                    difference=difference,
                    effective_sample_size=effective,
                    max_weight=estimates[0].max_weight,
                    mean_weight=self.tally.mean_weight(place, level),
                    unsupported=unsupported,
                    warning=support_warning(self.n, effective, unsupported, strict),
                )
            )
        realised = _only(self.tally.estimates(0, level), ("ips",))[0]
        return Evaluation(
            n=self.n,
            customers=realised.clusters if self.known_customers else None,
            realised=realised,
            baseline=baseline,
            default=next((name for name in ("dr", "snips") if name in estimators), estimators[0]),
            learned_on=learned_on,
            rows=tuple(rows),
        )


class _Counter:
    """Counts decisions read over all passes."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def advance(self, n: int) -> None:
        self.done += n
        if self.progress is not None:
            self.progress(self.done, self.total)


def _fit(
    log: Log,
    catalogue: Catalogue,
    make: Callable[[Encoder], RewardModel],
    folds: int,
    size: int,
    report: _Counter,
) -> CrossFitted:
    """Return the cross-fitted reward model; numeric facts are scaled as they are in the first batch."""
    model: CrossFitted | None = None
    keys = Keys("fold")
    for batch in log.batches(size):
        if model is None:
            model = cross_fitted(make, Encoder(catalogue, settle_scales(catalogue, batch.contexts)), folds)
        model.learn(batch, keys.read(batch.contexts.customers, len(batch))[1])
        report.advance(len(batch))
    if model is None:
        raise InputError("the log has no decisions to judge by; import some, or choose another split")
    return model


def _learn(part: Log, policies: Iterable[Policy], size: int) -> int:
    """Give the policies that learn one part of the log; return its number of decisions."""
    n = 0
    for batch in part.batches(size):
        outcomes = batch.outcomes()
        for policy in policies:
            if policy.learns:
                policy.update(outcomes)
        n += len(batch)
    return n


def _answer(name: str, policy: Policy, batch: LoggedBatch, rng: Generator) -> FloatArray:
    """Return the policy's (n, N) probabilities, checked; PolicyError with its name where they are none."""
    try:
        return checked(policy.probabilities(batch.contexts, batch.eligible, rng), batch.eligible)
    except PolicyError as fault:
        raise PolicyError(f'"{name}" cannot be evaluated: {fault}') from fault


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


def _only(estimates: tuple[Estimate, ...], names: tuple[str, ...]) -> tuple[Estimate, ...]:
    return tuple(each for each in estimates if each.name in names)
