"""The making of a policy table: a sample of a log's contexts, a tree over it, and a row for each leaf."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.analysis.policy_table.sample import sample_policy
from bandit.analysis.policy_table.tree import GrownTree, TreeGrower
from bandit.analysis.policy_table.words import EVERYBODY_ELSE, check_words, region_checks
from bandit.errors import InputError
from bandit.policies.policy_table import DRAW_RULE, PolicyTable
from bandit.policies.table_file import (
    TABLE_FORMAT,
    TABLE_VERSION,
    TableDocument,
    TableFact,
    TableSegment,
    TableSource,
    offer_rows,
    with_id,
)
from bandit.printable import did_you_mean
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from numpy.random import Generator

    from bandit.analysis.policy_table.sample import PolicySample
    from bandit.analysis.policy_table.tree import TreeLeaf
    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, FloatArray, Log, Policy, Progress
    from bandit.tabular import Cell

MOST_POLICY_ROWS = 1_000
"""Most rows that a table may have."""


@dataclass(frozen=True, slots=True)
class DistilOptions:
    """How a table is made: its most `rows`, the facts to split by (all without any), and what is too small.

    No segment has fewer than `min_customers` customers of the sample, and no row an offer with a probability below
    `least`: the others share it. A share `explore` of each row is then spread evenly over all offers that everybody
    in it may get, so that what comes back can be learned from.
    """

    rows: int = 12
    by: Sequence[str] = ()
    min_customers: int = 50
    least: float = 0.002
    explore: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.rows <= MOST_POLICY_ROWS:
            raise InputError(f"a table has 1 to {MOST_POLICY_ROWS:,} rows; seen {self.rows}")
        if not 0.0 <= self.least < 0.5:
            raise InputError(f"the least probability of an offer is from 0 to below 0.5; seen {self.least}")
        if not 0.0 <= self.explore <= 1.0:
            raise InputError(f"the share to explore with is between 0 and 1; seen {self.explore}")
        if self.min_customers < 1:
            raise InputError(f"a segment has at least 1 customer; seen {self.min_customers}")


@dataclass(frozen=True, slots=True, eq=False)
class DistilledTable(Tabular):
    """A policy table, and what it loses by the policy's own expectations.

    `told_apart` is the share of what telling all customers apart earns more than one row for everybody that the table
    keeps, `by_rows` the same with 1, 2, ... rows; None where the policy expects nothing of offers. `sampled` contexts
    were used. `left_out` is the mean probability of offers that are in no row.
    """

    table: PolicyTable
    told_apart: float | None
    by_rows: tuple[float, ...] | None
    sampled: int
    left_out: float

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row for each offer of each segment; the row of everybody else is the last."""
        found: list[dict[str, Cell]] = []
        for number, segment in enumerate(self.table.rows, start=1):
            who: dict[str, Cell] = {
                "row": number,
                "when": segment.when,
                "share": segment.share,
                "customers": segment.customers,
            }
            found += [
                {**who, **each.offer, "probability": each.probability, "up_to": each.up_to} for each in segment.offers
            ]
        return found

    def to_dict(self) -> dict[str, object]:
        """Return what is known of the table besides its content, as plain JSON values."""
        return {
            "id": self.table.document.id,
            "rows": len(self.table.rows),
            "told_apart": self.told_apart,
            "by_rows": None if self.by_rows is None else list(self.by_rows),
            "sampled": self.sampled,
            "left_out": self.left_out,
        }


def distil(
    log: Log,
    policy: Policy,
    catalogue: Catalogue,
    source: TableSource,
    made: str,
    *,
    options: DistilOptions | None = None,
    rng: Generator | None = None,
    progress: Progress | None = None,
) -> DistilledTable:
    """Return a policy's table over the contexts of a log; nothing is learned, and the policy does not change.

    `source` and `made` (an ISO 8601 time) are written into the table. The mean probabilities of a leaf are those that
    the policy gives its sampled decisions, with what the catalogue's rules leave each; an offer that a rule may take
    away from somebody in the leaf is in no row of it. InputError for an unknown fact, an empty log, and rules that
    leave no offer to everybody of a row where the catalogue has no fallback; PolicyError for a policy that fails.
    """
    options = DistilOptions() if options is None else options
    rng = np.random.default_rng(1) if rng is None else rng
    facts = _facts(catalogue, options.by)
    sample = sample_policy(log, policy, catalogue, rng, progress)
    grown = TreeGrower(sample, catalogue, facts, options.min_customers).grow(options.rows)
    segments = [_segment(catalogue, sample, leaf, options) for leaf in grown.leaves]
    otherwise = _segment(catalogue, sample, grown.everybody, options, EVERYBODY_ELSE)
    used = {check.fact for segment in segments for check in segment.checks}
    document = TableDocument(
        format=TABLE_FORMAT,
        version=TABLE_VERSION,
        id="",
        catalogue=catalogue.version,
        made=made,
        policy=source,
        decisions=log.n,
        dimensions=list(catalogue.dimension_names),
        facts={name: TableFact(fact.kind, list(fact.values)) for name, fact in catalogue.facts.items() if name in used},
        segments=segments,
        otherwise=otherwise,
        draw=DRAW_RULE,
    )
    told_apart = _told_apart(grown) if sample.predicts else None
    return DistilledTable(
        PolicyTable(catalogue, with_id(document)),
        None if told_apart is None else told_apart[-1],
        told_apart,
        len(sample),
        sample.left_out,
    )


def _facts(catalogue: Catalogue, by: Sequence[str]) -> list[str]:
    for name in by:
        if name not in catalogue.facts:
            declared = ", ".join(catalogue.facts) or "no facts"
            hint = did_you_mean(name, catalogue.facts)
            raise InputError(f'there is no fact "{name}"; the catalogue declares {declared}{hint}')
    return [name for name in catalogue.facts if not by or name in by]


def _segment(
    catalogue: Catalogue, sample: PolicySample, leaf: TreeLeaf, options: DistilOptions, words: str | None = None
) -> TableSegment:
    """Return the row of a leaf; with `words` it is that of everybody else, who is in no leaf."""
    checks = [] if words is not None else region_checks(catalogue, leaf.region)
    if not leaf.probability.sum() > 0.0:
        raise InputError(
            f'the rules leave no offer to everybody in the row "{words or check_words(checks)}"; declare a '
            "[fallback] in the catalogue, which is then its offer"
        )
    weight = sample.weight[leaf.rows]
    share = float(weight.sum() / sample.weight.sum())
    names = [catalogue.offer(index) for index in sample.offers.tolist()]
    probability = _mixed(_without_small(leaf.probability, options.least), leaf.allowed, options.explore)
    return TableSegment(
        when=check_words(checks) if words is None else words,
        checks=checks,
        share=0.0 if words is not None else round(share, 6),
        customers=0 if words is not None else len(np.unique(sample.customer[leaf.rows])),
        offers=offer_rows(names, probability),
    )


def _without_small(probability: FloatArray, least: float) -> FloatArray:
    """Return probabilities of which those below `least` are 0, apart from the largest."""
    kept = np.where((probability >= least) | (probability == probability.max()), probability, 0.0)
    return np.asarray(kept / kept.sum())


def _mixed(probability: FloatArray, allowed: BoolArray, explore: float) -> FloatArray:
    """Return probabilities of which a share is spread evenly over the offers that are allowed."""
    if explore == 0.0 or not allowed.any():
        return probability
    return np.asarray((1.0 - explore) * probability + explore * allowed / allowed.sum())


def _told_apart(grown: GrownTree) -> tuple[float, ...] | None:
    """Return the share of the value of telling customers apart that each number of rows keeps; None where it is 0."""
    gain = grown.full - grown.by_rows[0]
    if not gain > 1e-12 * max(abs(grown.full), 1e-300):
        return None
    return tuple((value - grown.by_rows[0]) / gain for value in grown.by_rows)
