"""The search for audience surprises: the public call and its passes over the log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from bandit.errors import InputError
from bandit.evaluate.audience.cells import SegmentCells
from bandit.evaluate.audience.confirmation import ConfirmationSums
from bandit.evaluate.audience.results import Audience, AudienceFinding, AudienceSearch, OtherDimensions
from bandit.evaluate.audience.rewards import AudienceRewards, learn_rewards, responses
from bandit.evaluate.audience.scores import DecisionTables, OptionLayout, OptionScores
from bandit.evaluate.audience.search import SearchSums
from bandit.evaluate.audience.verdicts import JudgedPair
from bandit.evaluate.candidates import CandidatePolicy
from bandit.evaluate.diagnostics import Finding
from bandit.evaluate.log_cache import cache_log
from bandit.evaluate.propensity.calibration import DETERMINISTIC_LOGGING
from bandit.evaluate.propensity.estimated import EstimatedPropensities
from bandit.evaluate.propensity.logging_policy import EstimatedLoggingPolicy, LoggedPropensities, is_uniform
from bandit.evaluate.request import batch_size_of, catalogue_of, propensity_source
from bandit.evaluate.results import LOGGED
from bandit.evaluate.rewards.ridge_regression import RidgeReward
from bandit.evaluate.split import FOLD_SALT, split_log
from bandit.evaluate.verdict import propensity_findings
from bandit.ope.clusters import ClusterIndex
from bandit.ope.estimate import check_level
from bandit.policies import SegmentRules
from bandit.printable import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.random import Generator

    from bandit.catalogue import Catalogue
    from bandit.domain import FloatArray, Log, LoggedBatch, Policy, Progress
    from bandit.encoding.encoder import Encoder
    from bandit.evaluate.propensity.calibration import PropensityFit
    from bandit.evaluate.propensity.logging_policy import LoggingPolicy
    from bandit.evaluate.request import Propensities
    from bandit.evaluate.rewards.reward_model import RewardModel

SEARCH_SHARE, SEARCH_SALT = 0.5, "audience"
"""The share of the customers on whom is searched, and the salt by which they are dealt."""

ANNOUNCED_LEVEL = 0.98
"""The default level: higher than that of other intervals, since of a search only what stands out is read."""

_CERTAIN, _POWER = 0.999, 0.8


def audience(
    log: Log,
    baseline: Policy | str,
    *,
    catalogue: Catalogue | None = None,
    rng: Generator | None = None,
    by: Sequence[str] = (),
    level: float = ANNOUNCED_LEVEL,
    others: OtherDimensions = "baseline",
    propensities: Propensities | None = None,
    reward_model: Callable[[Encoder], RewardModel] = RidgeReward,
    progress: Progress | None = None,
) -> Audience:
    """Return whom the baseline assumes for each option, who truly responds, and where moving an option would earn more.

    For an option o of a dimension, let Y(o) be 1 for a decision that would bring a response (a conversion; with the
    objective "reward" a reward above 0) if the customer were offered o, b(o | x) the baseline's probability of it, and
    S a segment. Over the customers who may get o,

        assumed share   E[1{S} b(o | x)] / E[b(o | x)]     exactly, from the baseline's probabilities
        share           E[1{S} Y(o)] / E[Y(o)]             who responds when everybody is offered o
        gain            E[R(o) - R(baseline) | S]          in the objective's unit, per decision of the segment

    with R the reward. The share is of all who respond, also of those who would have bought anyway: it is what a
    marketer sees as an option's audience. What they would have bought anyway is no reason to move an option; so money
    follows the gain, a paired difference to what the baseline gives the same decisions. In the other dimensions
    everybody gets what the baseline gives there, or with `others` "even" all that is eligible equally often, on both
    sides of the difference: a main effect, which less data can show.

    Shares and gains are doubly robust with cross-fitted reward models, and their intervals those of quotients by the
    delta method, corrected for skewness and clustered by customer (`bandit.ope`). The search is honest: all pairs of an
    option and a segment are compared on one half of the customers, and the few most promising ones are confirmed on the
    other half, by intervals that hold together for all their shares and gains (max-t; Hothorn, Bretz and Westfall 2008,
    "Simultaneous inference in general parametric models"). A "surprise" is announced only where the interval of the
    share is above the assumed share and that of the gain above 0. So of logs in which no option earns more anywhere
    than what the baseline gives, at most (1 - `level`) / 2 have one: with the default one in a hundred.

    `baseline` is a policy, or "logged" for the policy that wrote the log. Segments are the values of the facts `by`
    (default: all), quartiles of numeric ones, and pairs of two facts. With estimated propensities (see `evaluate`) all
    holds only if these are right. The log is read three times, or kept in memory where it has at most a million
    decisions, and once more for estimated propensities.

    Raises InputError for an empty log, a catalogue without facts, unknown names, and too few customers to make two
    halves.
    """
    check_level(level)
    catalogue = catalogue_of(log) if catalogue is None else catalogue
    if isinstance(baseline, str) and baseline != LOGGED:
        raise InputError(f'the baseline "{baseline}" is no policy; pass a policy, or "{LOGGED}"')
    if not catalogue.facts:
        raise InputError("the catalogue declares no facts to tell customers apart by; declare some under [context]")
    if others not in {"baseline", "even"}:
        raise InputError(f'others is "{others}"; choose baseline or even')
    source = propensity_source(log, propensities)
    if not log.n:
        raise InputError("the log has no decisions to search; import some first")
    size = batch_size_of(catalogue)
    count = _PassCounter(progress, (log.n + log.left_out) * (2 + (source == "estimated")))
    whole = cache_log(log, size)
    rng = np.random.default_rng(1) if rng is None else rng
    writer = _Writer.of(whole, catalogue, baseline, source, propensities == "estimated", size)
    if writer.fit is not None:
        count.advance(log.n)
    halves = tuple(split_log(whole, SEARCH_SHARE, part, SEARCH_SALT) for part in ("learn", "judge"))
    if not all(half.n for half in halves):
        raise InputError(
            f"the log's {counted(log.n, 'decision')} are of too few customers to search one half and confirm on "
            "the other; give a log of more customers"
        )
    rewards = learn_rewards(halves[0], catalogue, reward_model, size, count.advance)
    facts = tuple(by) or tuple(catalogue.facts)
    reader = _Reader(catalogue, baseline, others, writer, rewards, rng, size, count.advance)
    return _Judge(reader, facts, level, source).judge(*halves)


class _PassCounter:
    """Counts the decisions read over all passes and reports them."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def advance(self, n: int) -> None:
        self.done = min(self.done + n, self.total)
        if self.progress is not None:
            self.progress(self.done, self.total)


@dataclass(frozen=True, slots=True, eq=False)
class _Writer:
    """The policy that wrote the log: its propensities, and for a logged baseline its probabilities of all offers.

    `spread` says that these are taken as even, `fit` how good estimated propensities are.
    """

    propensities: LoggingPolicy
    table: LoggingPolicy | None
    fit: PropensityFit | None

    @classmethod
    def of(
        cls,
        log: Log,
        catalogue: Catalogue,
        baseline: Policy | str,
        source: Propensities,
        replace_known: bool,
        size: int,
    ) -> _Writer:
        """Return it; where the log has not what is needed, a model is fitted."""
        if source == "estimated":
            model = EstimatedPropensities.fit(log, catalogue, folds=2, size=size)
            estimated = EstimatedLoggingPolicy(model, replace_known)
            return cls(estimated, estimated, model.fit_quality)
        table: LoggingPolicy | None = None
        # Of one dimension nothing has to be known but its own option; of more, what the others were.
        if baseline == LOGGED and len(catalogue.dimensions) > 1 and not is_uniform(log, size):
            table = EstimatedLoggingPolicy(EstimatedPropensities.fit(log, catalogue, folds=2, size=size), True)
        return cls(LoggedPropensities(), table, None)


@dataclass(frozen=True, slots=True, eq=False)
class _Reader:
    """Reads the decisions of a half as scores of all options."""

    catalogue: Catalogue
    baseline: Policy | str
    others: OtherDimensions
    writer: _Writer
    rewards: AudienceRewards
    rng: Generator
    size: int
    advance: Callable[[int], None]

    @property
    def name(self) -> str:
        """The baseline's name."""
        return self.baseline if isinstance(self.baseline, str) else self.baseline.name

    @property
    def who(self) -> str:
        """The baseline in the words of a sentence, a plural."""
        if isinstance(self.baseline, SegmentRules):
            return "the rules"
        return "the logged choices" if isinstance(self.baseline, str) else f'the choices of "{self.name}"'

    def read(self, half: Log, *, searching: bool) -> Iterator[tuple[FloatArray, OptionScores]]:
        """Yield the propensities and the scores of the decisions, batch by batch."""
        layout, keys = OptionLayout(self.catalogue), ClusterIndex(FOLD_SALT)
        for batch, is_outside in _with_outside(half, self.size):
            cluster, shares = keys.read_batch(batch.contexts)
            propensity = np.full(len(batch), np.inf)
            if not is_outside:
                propensity = self.writer.propensities.probabilities(batch, shares).propensity
            value, response = self.rewards.tables(batch, shares, searching=searching)
            known = DecisionTables(
                propensity=propensity,
                assumed=self._assumed(batch, shares),
                is_logged=isinstance(self.baseline, str),
                value=value,
                response=response,
                responded=responses(batch, self.catalogue),
                cluster=cluster,
            )
            yield propensity, layout.scores(batch, known, self.others)
            self.advance(len(batch))

    def _assumed(self, batch: LoggedBatch, shares: FloatArray) -> FloatArray:
        """Return the (n, N) probabilities of the baseline."""
        if not isinstance(self.baseline, str):
            return CandidatePolicy(self.name, (self.baseline,)).probabilities(batch, shares, self.rng)
        if self.writer.table is not None:
            table = self.writer.table.probabilities(batch, shares).table
            if table is not None:
                return table
        return np.asarray(batch.eligible / batch.eligible.sum(axis=1, keepdims=True))


def _with_outside(log: Log, size: int) -> Iterator[tuple[LoggedBatch, bool]]:
    """Yield the decisions of a log, then those whose offer the catalogue does not have, with offer 0 in its place."""
    for batch in log.batches(size):
        yield batch, False
    for batch in log.outside(size):
        yield replace(batch, offer=np.zeros(len(batch), dtype=np.int64)), True


class _Judge:
    """Searches one half, confirms on the other, and says what was found."""

    def __init__(self, reader: _Reader, facts: Sequence[str], level: float, source: Propensities) -> None:
        self.reader, self.facts, self.level, self.source = reader, facts, level, source
        self.names = OptionLayout(reader.catalogue).names
        self._certain, self._customers = True, 0

    def judge(self, searched: Log, confirming: Log) -> Audience:
        """Return what the search on one part finds and the other part confirms."""
        reader = self.reader
        first = next(iter(searched.batches(reader.size))).contexts
        cells = SegmentCells(reader.catalogue, self.facts, first)
        search, other = (SearchSums(cells, len(self.names)) for _ in range(2))
        for scores in self._scores(searched, searching=True):
            search.add(scores)
        confirmation = ConfirmationSums(cells, search.pairs())
        for scores in self._scores(confirming, searching=False):
            confirmation.add(scores)
            other.add(scores)
        findings = self._findings()
        confirmed = sum(each.confirmed for each in confirmation.pairs)
        return Audience(
            baseline=reader.name,
            level=self.level,
            others=reader.others,
            propensities=self.source,
            responders="buyers" if self._buyers else "responders",
            n=search.n + other.n,
            customers=self._customers or None,
            rows=self._rows(cells, (search, other), confirmation, findings),
            search=AudienceSearch(
                facts=cells.facts,
                skipped=cells.skipped,
                constant=cells.constant(search.count),
                options=len(self.names),
                pairs=cells.pairs,
                pairs_left_out=cells.pairs_left_out,
                candidates=search.candidates,
                confirmed=confirmed,
                searched_on=search.n,
                confirmed_on=other.n,
                detectable=self._detectable(confirmation, confirmed),
            ),
            findings=findings,
        )

    def _rows(
        self,
        cells: SegmentCells,
        halves: tuple[SearchSums, SearchSums],
        confirmation: ConfirmationSums,
        findings: Sequence[Finding],
    ) -> tuple[AudienceFinding, ...]:
        """Return the rows in order; shares of the population and assumed ones are those of both halves."""
        fatal = next((each.sentence for each in findings if each.severity == "fatal"), None)
        n, count, given, totals = (
            sum(getattr(half, name) for half in halves) for name in ("decisions", "count", "given", "totals")
        )
        rows = []
        for found in confirmation.estimates(self.level):
            option, cell = found.pair.option, found.pair.cell
            dimension, name = self.names[option]
            pair = JudgedPair(
                dimension=dimension,
                option=name,
                facts=cells.cells[cell].facts,
                segment=cells.cells[cell].name,
                who=self.reader.who,
                responders="those who buy" if self._buyers else "those who respond",
                unit=self._unit,
                population=float(count[cell] / n),
                assumed=float(given[cell, option] / totals[option]) if totals[option] > 0.0 else None,
                decisions=round(float(count[cell])),
                found=found,
                fatal=fatal,
                estimated=self.source == "estimated",
            )
            rows.append(pair.finding())
        order = {name: place for place, name in enumerate(self.names)}

        def rank(row: AudienceFinding) -> tuple[bool, float, bool, bool, int, tuple[str, ...]]:
            found = row.verdict == "surprise"
            place = order[row.dimension, row.option]
            return (
                not found,
                -row.total.value if found else 0.0,
                not row.confirmed,
                row.assumed is None,
                place,
                row.facts,
            )

        return tuple(sorted(rows, key=rank))

    def _scores(self, half: Log, *, searching: bool) -> Iterator[OptionScores]:
        """Yield the scores of a half; counts its customers, and looks whether every choice was certain."""
        customers = 0
        for propensity, scores in self.reader.read(half, searching=searching):
            self._certain &= bool((propensity > _CERTAIN).all())
            if scores.cluster is not None:
                customers = max(customers, int(scores.cluster.max()) + 1)
            yield scores
        self._customers += customers

    @property
    def _unit(self) -> str:
        """What is gained: money, conversions, or a reward without a unit."""
        catalogue = self.reader.catalogue
        kind = catalogue.objective.kind
        return "" if kind == "reward" else "conversions" if kind == "conversion" else catalogue.currency

    @property
    def _buyers(self) -> bool:
        """Whether a response is a purchase, and not another event or a reward above 0."""
        objective = self.reader.catalogue.objective
        return objective.kind != "reward" and objective.event == "purchase"

    def _findings(self) -> tuple[Finding, ...]:
        """Return what limits all rows, the gravest first."""
        fit = self.reader.writer.fit
        if self._certain or (fit is not None and fit.deterministic):
            sentence = DETERMINISTIC_LOGGING.removeprefix("cannot tell: ")
            return (Finding("propensities", "fatal", sentence), *propensity_findings(fit))
        return propensity_findings(fit)

    def _detectable(self, confirmation: ConfirmationSums, confirmed: int) -> float | None:
        """Return the gain per decision of a segment of half the decisions that is found in four of five logs."""
        deviation = confirmation.deviation()
        if deviation is None:
            return None
        tail = (1.0 - self.level) / 2.0 / max(2 * confirmed, 1)
        return float((ndtri(1.0 - tail) + ndtri(_POWER)) * deviation / np.sqrt(confirmation.n / 2.0))
