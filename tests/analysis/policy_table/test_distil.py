"""Tables distilled from policies: what they keep, what they may not give, and how they are cut."""

import numpy as np
import pytest

import bandit
from bandit.analysis.policy_table import DistilOptions, distil
from bandit.analysis.policy_table import tree as tree_module
from bandit.analysis.policy_table.splits import FactBins, readable
from bandit.errors import InputError
from bandit.policies.table_file import TableSource
from tests.conftest import SPRING, WholeLog, draw_contexts, draw_outcomes

SOURCE = TableSource("rules", "segment rules")
NOTHING = {"discount": "0", "channel": "email", "gift": "none"}
RULES = {
    "segments": [
        {"when": "recency >= 25", "offer": {"discount": "20", "channel": "sms", "gift": "none"}},
        {"when": 'loyal and gender == "f"', "offer": {"discount": "0", "channel": "email", "gift": "tote"}},
    ],
    "otherwise": NOTHING,
}


def log_of(catalogue, n=2_000, seed=1):
    return WholeLog(draw_outcomes(catalogue, n, np.random.default_rng(seed)).batch)


def made(policy, catalogue, log=None, **options):
    return distil(
        log_of(catalogue) if log is None else log, policy, catalogue, SOURCE, "now", options=DistilOptions(**options)
    )


def learned(catalogue, log):
    policy = bandit.ThompsonSampling(catalogue, draws=32, personal=False)
    policy.fit(log)
    return policy


def test_a_tree_over_segment_rules_is_those_rules(catalogue):
    """Each row has one offer, and each customer of a new sample whom a row has gets what the rules give.

    The rules compare recency with 25, near one of its sixteen quantiles; customers nearer to it than the cut aside.
    """
    rules = bandit.SegmentRules.from_dict(catalogue, RULES)
    table = made(rules, catalogue, log_of(catalogue, 4_000), rows=8, least=0.05).table
    contexts = draw_contexts(catalogue, 2_000, np.random.default_rng(5))
    eligible, rng = catalogue.eligible(contexts), np.random.default_rng(1)
    cuts = {check.below for segment in table.document.segments for check in segment.checks if check.below is not None}
    cut = min(cuts, key=lambda each: abs(each - 25.0))
    assert cut == pytest.approx(25.0, abs=3.0)
    recency = contexts.columns["recency"]
    near = (recency >= min(cut, 25.0)) & (recency < max(cut, 25.0))
    kept = ~near & (table.row_of(contexts) < len(table.document.segments))
    assert kept.mean() > 0.9
    assert (
        table.probabilities(contexts, eligible, rng)[kept] == rules.probabilities(contexts, eligible, rng)[kept]
    ).all()


def written(table, contexts):
    """The probabilities of each context's row as they are written, whatever is eligible, (n, N)."""
    row = table.row_of(contexts)
    every = np.arange(table.catalogue.n_offers)
    return np.stack([table.propensity(row, np.full(len(row), offer)) for offer in every], axis=1)


def rules_in_many_ways(spring):
    spring["rules"] += [
        {"when": "recency < 10", "forbid": {"discount": ["20"]}, "reason": "they come anyway"},
        {"when": 'gender == "m" and recency * 2 > 50', "forbid": {"channel": ["sms"]}, "reason": "asked not to"},
        {"when": "gender == null", "forbid": {"discount": ["10", "20"]}, "reason": "unknown"},
    ]
    return bandit.Catalogue.from_dict(spring)


@pytest.mark.parametrize("seed", range(3))
def test_nobody_of_a_row_gets_an_offer_that_a_rule_takes_away(spring, seed):
    """10,000 new customers, also such as the sample has none of: what the rows write is eligible for each of them."""
    catalogue = rules_in_many_ways(spring)
    log = log_of(catalogue, seed=seed)
    table = made(learned(catalogue, log), catalogue, log, rows=20, explore=0.1).table
    contexts = draw_contexts(catalogue, 10_000, np.random.default_rng(100 + seed), missing=0.3)
    assert not written(table, contexts)[~catalogue.eligible(contexts)].any()


def test_without_the_proof_some_would(spring, monkeypatch):
    """The negative control: with all offers allowed everywhere, rows have offers that are not eligible."""
    catalogue = rules_in_many_ways(spring)
    monkeypatch.setattr(
        tree_module.RegionRules, "allowed", lambda self, region: np.ones(catalogue.n_offers, dtype=np.bool_)
    )
    log = log_of(catalogue)
    table = made(learned(catalogue, log), catalogue, log, rows=20, explore=0.1).table
    contexts = draw_contexts(catalogue, 10_000, np.random.default_rng(100), missing=0.3)
    assert written(table, contexts)[~catalogue.eligible(contexts)].any()


def test_segments_do_not_overlap_and_more_rows_keep_more(catalogue):
    log = log_of(catalogue)
    found = made(learned(catalogue, log), catalogue, log, rows=12)
    contexts = log.whole.contexts
    inside = np.zeros(len(log.whole), dtype=int)
    for ranges in found.table._ranges:
        inside += np.logical_and.reduce([there.contains(contexts.columns[name]) for name, there in ranges.items()])
    assert (inside <= 1).all()
    assert found.by_rows[0] == 0.0
    assert (np.diff(found.by_rows) > -0.01).all()
    assert 0.5 < found.told_apart <= 1.0
    shares = [segment.share for segment in found.table.document.segments]
    assert sum(shares) == pytest.approx(np.mean(inside == 1), abs=1e-5)


def test_a_table_of_one_row_is_the_mean_of_the_policy(catalogue):
    """Offers that the rules take from somebody aside, whose part the others share."""
    log = log_of(catalogue)
    policy = learned(catalogue, log)
    table = made(policy, catalogue, log, rows=1, least=0.0).table
    (only,) = table.document.segments
    assert (only.when, only.checks, only.share) == ("everybody", [], 1.0)
    contexts = log.whole.contexts
    mean = policy.probabilities(contexts, catalogue.eligible(contexts), np.random.default_rng(1)).mean(axis=0)
    tote = np.array([catalogue.offer(offer)["gift"] == "tote" for offer in range(catalogue.n_offers)])
    expected = np.where(tote, 0.0, mean) / mean[~tote].sum()
    np.testing.assert_allclose(written(table, contexts)[0], expected, atol=1e-4)


def test_options_bound_the_rows(catalogue):
    log = log_of(catalogue)
    policy = learned(catalogue, log)
    few = made(policy, catalogue, log, rows=3)
    assert len(few.table.document.segments) <= 3
    by = made(policy, catalogue, log, by=("loyal",)).table.document
    assert {check.fact for segment in by.segments for check in segment.checks} == {"loyal"}
    large = made(policy, catalogue, log, min_customers=450).table.document
    assert min(segment.customers for segment in large.segments) >= 450
    cut = made(policy, catalogue, log, least=0.1).table.document
    assert min(each.probability for segment in cut.segments for each in segment.offers) >= 0.1
    mixed = made(policy, catalogue, log, explore=0.5).table.document
    # Half of a row spread over at most 10 offers: 0.05 for each of them.
    assert min(each.probability for segment in mixed.segments for each in segment.offers) >= 0.05
    assert {len(segment.offers) for segment in mixed.segments} <= {6, 10}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rows": 0}, "1 to 1,000 rows"),
        ({"least": 0.5}, "least probability"),
        ({"explore": 1.5}, "share to explore with"),
        ({"min_customers": 0}, "at least 1 customer"),
        ({"by": ("gendr",)}, 'no fact "gendr".*did you mean "gender"'),
    ],
)
def test_options_out_of_range_are_refused(catalogue, options, said):
    with pytest.raises(InputError, match=said):
        made(bandit.Uniform(catalogue), catalogue, **options)


def test_rules_that_leave_nothing_to_everybody_need_a_fallback(spring):
    """Two rules that together take all offers, each from other customers: everybody else may be either."""
    spring["rules"] = [
        {"when": "loyal", "forbid": {"channel": ["sms"]}, "reason": "one"},
        {"when": "not loyal", "forbid": {"channel": ["email"]}, "reason": "other"},
    ]
    catalogue = bandit.Catalogue.from_dict(spring)
    table = made(bandit.Uniform(catalogue), catalogue).table
    assert [dict(each.offer) for each in table.document.otherwise.offers] == [NOTHING]
    del spring["fallback"]
    catalogue = bandit.Catalogue.from_dict(spring)
    with pytest.raises(InputError, match=r'row "everybody else".*declare a \[fallback\]'):
        made(bandit.Uniform(catalogue), catalogue)


def test_a_log_without_decisions_has_no_table(catalogue):
    with pytest.raises(InputError, match="no decisions to make a table of"):
        made(bandit.Uniform(catalogue), catalogue, WholeLog(log_of(catalogue, 10).whole.take(slice(0, 0))))


def test_a_fact_stored_by_bucket_is_cut_at_its_edges(spring):
    spring["context"]["recency"] |= {"stored": "bucketed", "edges": [0, 10, 30, 90]}
    fact = bandit.Catalogue.from_dict(spring).facts["recency"]
    assert FactBins.of(fact, fact.bucketed(np.array([1.0, 12.0, 40.0, np.nan]))).cuts == (10.0, 30.0, 90.0)


def test_thresholds_have_few_digits_and_lie_between_two_values():
    for low, high in ((2.03, 2.17), (1e6, 1.1e6), (0.0, 1e-9), (-3.1, -2.9), (5.0, np.nextafter(5.0, 6.0))):
        number = readable(low, high)
        assert low < number <= high
        assert len(f"{number:g}") <= 8 or high - low < 1e-6


def test_the_same_log_makes_the_same_table(catalogue):
    log = log_of(catalogue)
    policy = learned(catalogue, log)
    one, other = (made(policy, catalogue, log).table.to_bytes() for _ in range(2))
    assert one == other
    assert one != distil(log, policy, catalogue, SOURCE, "later").table.to_bytes()


def test_many_offers_are_bounded(spring):
    """512 x 4 offers of which 400 are looked at; what the policy gives the others is said."""
    spring["rules"] = []
    spring["dimensions"] += [
        {"name": name, "options": [{"name": f"{name}{place}"} for place in range(16)]} for name in ("item", "size")
    ]
    for name in ("item", "size"):
        spring["fallback"][name] = f"{name}0"
    catalogue = bandit.Catalogue.from_dict(spring)
    log = log_of(catalogue, 300)
    assert catalogue.n_offers == 3 * 2 * 2 * 16 * 16
    found = made(bandit.Uniform(catalogue), catalogue, log, least=0.0)
    assert found.left_out == pytest.approx(1.0 - 400 / catalogue.n_offers)
    assert len(found.table.document.otherwise.offers) == 400
    assert SPRING["rules"]
