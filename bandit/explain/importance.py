"""Which facts and options matter over a log, by a learned model of rewards, and what they are worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, Contexts, FloatArray, IntArray, Log, Progress
from bandit.errors import InputError
from bandit.explain.contributions import ORDER_CONSTRAINT, OWN_HISTORY, fact_effects, reward_slopes
from bandit.explain.cross_effects import cross_effects_by_fact, cross_note
from bandit.explain.importance_records import FactImportance, ImportanceReport, OptionImportance
from bandit.explain.records import CredibleNumber
from bandit.ope.estimate import check_level
from bandit.policies import ThompsonSampling
from bandit.policies.thompson.funnel import chance_weights
from bandit.policies.thompson.posterior import OfferPosterior
from bandit.policies.thompson.reward_belief import EncodedContexts

IMPORTANCE_ROWS = 2_000
"""Most contexts that are used: every k-th decision of a longer log."""

IMPORTANCE_OFFERS = 1_000
"""Most offers that are compared; of more, those that the log has served most often."""

IMPORTANCE_CELLS = 600_000
"""Most (context, offer) pairs: of many offers fewer contexts are used."""

MOST_FACT_VALUES = 30
"""Most values of a categorical fact that stand for its distribution: the most frequent ones."""

FACT_QUANTILES = 12
"""Quantiles that stand for the distribution of a numeric fact, missing values among them."""

WORTH_DRAWS = 200
"""Posterior draws that the intervals of worths are taken from."""

_READ_CELLS = 20_000_000
_SEED = 20_261_127


def importance_of(
    log: Log,
    policy: ThompsonSampling,
    *,
    level: float = 0.95,
    progress: Progress | None = None,
) -> ImportanceReport:
    """Return which facts and options matter over a log's contexts, by the model that a policy has learned.

    What a fact is worth is the value lost by a policy that does not see it. With the model's mean m(x, o) of the
    reward of offer o for a customer with facts x, the policy that sees all chooses the eligible offer with the highest
    m(x, o). The one that does not see fact f chooses the highest mean of m over the values of f in the log (at the
    customer's other facts, as if f did not depend on them: where another fact tells f, the loss is less). The worth is
    the mean difference of what the two choices earn. Its interval is that of the same difference, the choices held,
    over posterior draws of the model, so it may reach below 0: then it is not certain that the fact is worth anything.
    An option's worth is the same for a policy that must do without it.

    The shares of variation divide variances of the expected reward by its exact contributions (see
    `bandit.explain.contributions`): a fact's share is the covariance of its contribution with the sum, divided by the
    variance of the sum; that of a rule which combines several facts is divided among them. All is by the model:
    `evaluate` estimates from the log what policies would have earned.
    InputError for a log without decisions or a policy that has learned nothing.
    """
    check_level(level)
    sample = _sample(log, policy.catalogue, progress)
    posterior = policy.posterior(sample.contexts)
    if not posterior.n_learned:
        raise InputError("the policy has learned nothing yet, so no fact can be called important; let it learn first")
    return _Importance(sample, posterior, level).report(policy.name, progress)


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """The contexts (n), the offers (m,) that are compared, and which of them are eligible (n, m)."""

    contexts: Contexts
    offers: IntArray
    eligible: BoolArray
    n_log: int
    notes: tuple[str, ...]


def _sample(log: Log, catalogue: Catalogue, progress: Progress | None) -> _Sample:
    """Return every k-th decision of a log, and the offers to compare."""
    if not log.n:
        raise InputError("the log has no decisions; import or make some first")
    n_offers = catalogue.n_offers
    rows = max(50, min(IMPORTANCE_ROWS, IMPORTANCE_CELLS // min(n_offers, IMPORTANCE_OFFERS)))
    step = -(-log.n // rows)
    counts = np.zeros(n_offers)
    contexts, masks, weights, done = [], [], [], 0
    for batch in log.batches(max(1, min(65_536, _READ_CELLS // n_offers))):
        counts += np.bincount(batch.offer, weights=batch.stands_for, minlength=n_offers)
        kept = np.arange(-done % step, len(batch), step)
        if len(kept):
            contexts.append(batch.contexts.take(kept))
            masks.append(batch.eligible[kept])
            weights.append(batch.weights[kept])
        done += len(batch)
        if progress is not None:
            progress(done, 2 * log.n)
    offers = np.arange(n_offers, dtype=np.int64)
    notes: tuple[str, ...] = ()
    if n_offers > IMPORTANCE_OFFERS:
        offers = np.sort(np.argsort(-counts, kind="stable")[:IMPORTANCE_OFFERS])
        notes = (f"Of {n_offers:,} offers the {IMPORTANCE_OFFERS:,} that were served most often are compared.",)
    joined = Contexts.concat(contexts)
    known = [mask[:, offers] if mask.shape[1] else np.ones((len(mask), len(offers)), dtype=np.bool_) for mask in masks]
    eligible: BoolArray = np.concatenate(known)
    times = np.concatenate(weights)
    if not (times == 1.0).all():  # each is taken as often as it stands for others, evenly along the sums of weights
        ends = np.cumsum(times)
        drawn = np.searchsorted(ends, (np.arange(len(times)) + 0.5) / len(times) * ends[-1])
        joined, eligible = joined.take(drawn), eligible[drawn]
    some: BoolArray = np.asarray(eligible.any(axis=1))
    if not some.all():
        joined, eligible = joined.take(some), eligible[some]
    if not len(eligible):
        raise InputError("no decision of the log has an eligible offer among those compared; check the catalogue")
    return _Sample(joined, offers, np.asarray(eligible), log.n, notes)


class _Importance:
    """Computes the parts of a report from a sample and the posterior of its contexts."""

    def __init__(self, sample: _Sample, posterior: OfferPosterior, level: float) -> None:
        self.sample, self.posterior, self.level = sample, posterior, level
        self.catalogue = posterior.catalogue
        self.encoded = posterior.encoded
        self.rewards = self._rewards(self.encoded)
        self.best = self._choose(self.rewards)

    def report(self, name: str, progress: Progress | None) -> ImportanceReport:
        sample, catalogue = self.sample, self.catalogue
        sources = [name for name in (*catalogue.facts, OWN_HISTORY) if self._counts(name)]
        blind = {source: self._blind(source, progress, place, len(sources)) for place, source in enumerate(sources)}
        one = self._choose(np.broadcast_to(self.rewards.mean(axis=0), self.rewards.shape))
        without = [self._without(place, option) for place, option in self._options()]
        columns = [self.best, one, *blind.values(), *(offer for offer, _ in without)]
        drawn = self._drawn(np.stack(columns, axis=1))
        everybody = np.ones(len(self.best), dtype=np.bool_)
        shares = self._shares()
        facts = [
            FactImportance(source, self._worth(drawn, 2 + place, blind[source], everybody), *shares[source])
            for place, source in enumerate(sources)
        ]
        first = 2 + len(sources)
        options = []
        for number, (place, option) in enumerate(self._options()):
            choice, possible = without[number]
            worth = self._worth(drawn, first + number, choice, possible) if possible.any() else None
            options.append(self._option(place, option, worth, possible))
        objective = catalogue.objective
        value = drawn[:, :, 0].mean(axis=0)
        return ImportanceReport(
            objective=objective.kind,
            event=objective.event,
            unit=f'probability of "{objective.event}"' if objective.kind == "conversion" else catalogue.currency,
            policy=name,
            n_learned=self.posterior.n_learned,
            n=len(self.best),
            n_log=sample.n_log,
            n_offers=len(sample.offers),
            level=self.level,
            value=self._number(float(self._earned(self.best).mean()), value),
            all_facts=self._worth(drawn, 1, one, everybody),
            facts=tuple(sorted(facts, key=lambda each: -each.worth.value)),
            options=tuple(options),
            notes=(*sample.notes, *cross_note(self.posterior.belief.main)),
        )

    # -- choices -----------------------------------------------------------------------------------------------------

    def _rewards(self, encoded: EncodedContexts) -> FloatArray:
        """Return the (n, m) expected rewards of encoded contexts."""
        offers, posterior = self.sample.offers, self.posterior
        return posterior.rewards(
            offers, posterior.scores_of(encoded, offers), posterior.log_revenue_of(encoded, offers)
        )

    def _choose(self, rewards: FloatArray, allowed: BoolArray | None = None) -> IntArray:
        """Return the (n,) places of the best eligible offers."""
        eligible = self.sample.eligible if allowed is None else self.sample.eligible & allowed
        return np.asarray(np.where(eligible, rewards, -np.inf).argmax(axis=1), dtype=np.int64)

    def _earned(self, choice: IntArray) -> FloatArray:
        return self.rewards[np.arange(len(choice)), choice]

    def _counts(self, source: str) -> bool:
        return source != OWN_HISTORY or self.encoded.customer_effects is not None

    def _blind(self, source: str, progress: Progress | None, place: int, n: int) -> IntArray:
        """Return the (n,) choices of a policy that does not see one fact, or the customers' own history."""
        matrix, own = self.encoded.matrix, self.encoded.customer_effects
        if source == OWN_HISTORY:
            return self._choose(self._rewards(EncodedContexts(matrix, None)))
        columns = self.posterior.belief.encoder.context_fact == list(self.catalogue.facts).index(source)
        total = np.zeros_like(self.rewards)
        for row, weight in zip(*self._values(source), strict=True):
            other = matrix.copy()
            other[:, columns] = matrix[row, columns]
            total += weight * self._rewards(EncodedContexts(other, own))
        if progress is not None:
            progress(self.sample.n_log + self.sample.n_log * (place + 1) // n, 2 * self.sample.n_log)
        return self._choose(total)

    def _values(self, fact: str) -> tuple[list[int], list[float]]:
        """Return rows of the sample whose values stand for a fact's distribution, and the weights of these values."""
        column = self.sample.contexts.columns[fact]
        if self.catalogue.facts[fact].kind == "numeric":
            order = np.argsort(column, kind="stable")  # missing ones come last
            places = ((np.arange(FACT_QUANTILES) + 0.5) / FACT_QUANTILES * len(order)).astype(np.int64)
            return order[places].tolist(), [1.0 / FACT_QUANTILES] * FACT_QUANTILES
        _, first, counts = np.unique(column, return_index=True, return_counts=True)
        kept = np.argsort(-counts, kind="stable")[:MOST_FACT_VALUES]
        return first[kept].tolist(), (counts[kept] / counts[kept].sum()).tolist()

    def _options(self) -> list[tuple[int, int]]:
        return [
            (place, option)
            for place, dimension in enumerate(self.catalogue.dimensions)
            for option in range(len(dimension.options))
            if len(dimension.options) > 1
        ]

    def _without(self, place: int, option: int) -> tuple[IntArray, BoolArray]:
        """Return the (n,) best choices without an option, and which customers have an eligible offer without it."""
        allowed = self.catalogue.options[self.sample.offers, place] != option
        possible = (self.sample.eligible & allowed).any(axis=1)
        return np.where(possible, self._choose(self.rewards, allowed), self.best), possible

    # -- worths ------------------------------------------------------------------------------------------------------

    def _drawn(self, choices: IntArray) -> FloatArray:
        """Return (n, M, c): the expected rewards of c choices (n, c) under M posterior draws of the model."""
        offers = self.sample.offers[choices]
        return self.posterior.draw_chosen(offers, WORTH_DRAWS, np.random.default_rng(_SEED))

    def _worth(self, drawn: FloatArray, column: int, choice: IntArray, rows: BoolArray) -> CredibleNumber:
        """Return what the best choices earn more per decision than others, over some rows."""
        lost = (drawn[rows, :, 0] - drawn[rows, :, column]).mean(axis=0)
        return self._number(float((self._earned(self.best) - self._earned(choice))[rows].mean()), lost)

    def _number(self, value: float, drawn: FloatArray) -> CredibleNumber:
        low, high = np.quantile(drawn, [(1 - self.level) / 2, (1 + self.level) / 2])
        return CredibleNumber(value, float(low), float(high))

    def _option(self, place: int, option: int, worth: CredibleNumber | None, possible: BoolArray) -> OptionImportance:
        has = self.catalogue.options[self.sample.offers[self.best], place] == option
        dimension = self.catalogue.dimensions[place]
        return OptionImportance(
            dimension.name, dimension.names[option], float(has.mean()), worth, float(1.0 - possible.mean())
        )

    # -- shares of variation -----------------------------------------------------------------------------------------

    def _shares(self) -> dict[str, tuple[float, float, float]]:
        """Return by source its shares of the variation of the choice and of the level, and its mean absolute effect."""
        parts = self._contributions()
        total = np.sum(list(parts.values()), axis=0)
        level = total.mean(axis=1)
        choice = total - level[:, None]
        choice = choice - choice.mean(axis=0)
        level = level - level.mean()
        found = {}
        for source, part in parts.items():
            own_level = part.mean(axis=1)
            own_choice = part - own_level[:, None]
            found[source] = (
                _share(float((own_choice * choice).sum()), float((choice**2).sum())),
                _share(float(own_level @ level), float(level @ level)),
                float(np.abs(part).mean()),
            )
        return found

    def _contributions(self) -> dict[str, FloatArray]:
        """Return each source's contributions to the expected rewards, (n, m), against average facts."""
        posterior, belief, offers = self.posterior, self.posterior.belief, self.sample.offers
        matrix, own = self.encoded.matrix, self.encoded.customer_effects
        reference = matrix.mean(axis=0)
        average = EncodedContexts(reference[None, :], None)
        start = (posterior.scores_of(average, offers), posterior.log_revenue_of(average, offers))
        end = (posterior.scores_of(self.encoded, offers), posterior.log_revenue_of(self.encoded, offers))
        slopes = reward_slopes(posterior, offers, start, end)
        columns = belief.main.design.columns[offers]
        scores = [posterior.stage_scores(each, offers) for each in (average, self.encoded)]
        scores[0] = [np.broadcast_to(each, scores[1][0].shape) for each in scores[0]]
        worth = chance_weights(*scores)
        facts = belief.encoder.context_fact
        stages = [
            (
                fact_effects(model, matrix, reference, facts) + cross_effects_by_fact(model, matrix, reference, facts),
                model.design.columns[offers],
                weight,
            )
            for model, weight in zip(posterior.models, worth, strict=True)
        ]
        amount = None
        if belief.amount is not None:
            amount = fact_effects(belief.amount, matrix, reference, belief.encoder.context_fact)
        parts: dict[str, FloatArray] = {}
        for place, fact in enumerate(self.catalogue.facts):
            moved = sum((effects[place] @ each.T) * weight for effects, each, weight in stages)
            parts[fact] = moved * slopes.response
            if amount is not None:
                parts[fact] += (amount[place] @ columns.T) * slopes.revenue
        if own is not None:
            parts[OWN_HISTORY] = (own @ columns.T) * worth[0] * slopes.response
        if posterior.constrained:
            free = [posterior.scores_of(each, offers, constrained=False) for each in (average, self.encoded)]
            parts[ORDER_CONSTRAINT] = ((end[0] - free[1]) - (start[0] - free[0])) * slopes.response
        return parts


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0.0 else 0.0
