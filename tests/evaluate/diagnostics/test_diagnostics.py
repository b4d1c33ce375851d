"""What the checks of a log say of sound logs, where they are to be silent, and of broken ones, where they are not."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.domain import LoggedBatch
from bandit.errors import InputError
from bandit.evaluate.diagnostics import (
    ChoiceCounts,
    InversePropensitySums,
    LogDiagnostics,
    MaturityCounts,
    PolicyContrast,
    RepeatCounts,
    SelfTestSums,
    TargetWeights,
    gravest,
    sample_ratio,
)
from bandit.ope import Feedback, estimate
from bandit.store import Store, Where
from tests.store.rows import decisions

DAY = 86_400_000_000
CATALOGUE = Catalogue.from_dict(
    {
        "context": {"age": {"type": "numeric"}, "kind": {"type": "categorical", "values": ["a", "b"]}},
        "dimensions": [
            {"name": "discount", "options": [{"name": str(depth)} for depth in (0, 5, 10, 20)]},
            {"name": "channel", "options": [{"name": name} for name in ("email", "sms", "app")]},
        ],
    }
)
N = CATALOGUE.n_offers


def logging_of(kind, n, rng):
    """(n, N) probabilities of three kinds of policy."""
    if kind == "uniform":
        return np.full((n, N), 1.0 / N)
    table = np.full((n, N), 0.05 / N)
    if kind == "rules":
        table[np.arange(n), rng.integers(0, 3, n) * 4] += 0.95
        return table
    scores = np.exp(rng.normal(0.0, 2.0, (n, N)))
    return 0.95 * scores / scores.sum(axis=1, keepdims=True) + table


def draw(table, rng):
    return np.minimum((table.cumsum(axis=1) < rng.random(len(table))[:, None]).sum(axis=1), N - 1)


def counted(offer, propensity, cluster=None, eligible=None):
    counts = InversePropensitySums(CATALOGUE)
    everything = np.broadcast_to(np.ones(N, dtype=bool), (len(offer), N))
    counts.add(offer, propensity, everything if eligible is None else eligible, cluster)
    return counts.result()


def log_of(n, rng, customers=400, **changed):
    """A sound log by uniform choice, all of it a year old."""
    contexts = CATALOGUE.contexts(
        {"age": rng.normal(size=n), "kind": np.array(["a", "b"], dtype=object)[rng.integers(0, 2, n)]}
    )
    offer, reward = rng.integers(0, N, n), rng.normal(size=n)
    eligible = np.ones((n, N), dtype=bool)
    columns = {
        "contexts": contexts,
        "offer": offer,
        "eligible": eligible,
        "propensity": np.full(n, 1.0 / N),
        "converted": reward > 1.0,
        "revenue": reward,
        "reward": reward,
        "time": np.arange(n) * 1_000,
    }
    return LoggedBatch(**(columns | changed)), rng.integers(0, customers, n)


def test_inverse_propensities_are_added_up_per_option():
    """Decisions: offer 0 (discount 0, email) at 1/2, offer 1 (0, sms) at 1/4, offer 3 (5, email) at 1/2.

    discount=0 has 2 + 4 = 6 against 3 decisions x 3 offers = 9, channel=email 2 + 2 = 4 against 3 x 4 = 12,
    all together 8 against 3 x 12 = 36.
    """
    found = counted(np.array([0, 1, 3]), np.array([0.5, 0.25, 0.5]))
    ratios = {each.label: each.ratio for each in found.counted}
    assert ratios["discount=0"] == pytest.approx(6 / 9)
    assert ratios["channel=email"] == pytest.approx(4 / 12)
    assert ratios["any offer at all"] == pytest.approx(8 / 36)
    assert ratios["discount=20"] == 0.0
    assert (found.n, found.smallest, found.certain) == (3, 0.25, 0.0)


@pytest.mark.parametrize("kind", ["uniform", "rules", "soft"])
def test_a_sound_log_is_not_accused_and_wrong_propensities_are(kind):
    """At p < 0.001, 40 sound logs are all silent with a chance of 96 %. Negative control: half as large, fatal.

    With rules, 150 of 3,000 decisions explore: a ratio of 2 is (2 - 1) / (2 / sqrt(150)) = 6 errors above 1, and about
    4 are asked for.
    """
    rng = np.random.default_rng(1)
    accused, caught = 0, 0
    for _ in range(40):
        table = logging_of(kind, 3_000, rng)
        offer = draw(table, rng)
        propensity = table[np.arange(3_000), offer]
        accused += counted(offer, propensity).severity is not None
        caught += counted(offer, propensity / 2.0).severity == "fatal"
    assert accused == 0
    assert caught >= 36


def test_too_large_propensities_and_missing_support_are_a_doubt():
    rng = np.random.default_rng(2)
    table = logging_of("rules", 20_000, rng)
    offer = draw(table, rng)
    propensity = table[np.arange(20_000), offer]
    found = counted(offer, np.minimum(2.0 * propensity, 1.0))
    assert found.severity == "doubt"
    # Half of the contexts get nothing but the rules' offer.
    offer[10_000:], propensity[10_000:] = 0, 1.0
    assert "part of the customers never get it" in counted(offer, propensity).sentence()


def test_a_single_absurd_propensity_is_fatal():
    """Nothing of probability 1e-9 is seen in 3,000 decisions x 12 offers but with a chance of 3.6e-5."""
    propensity = np.full(3_000, 1.0 / N)
    propensity[7] = 1e-9
    found = counted(np.arange(3_000) % N, propensity)
    assert found.smallest_p == pytest.approx(3.6e-5)
    assert found.severity == "fatal"
    assert "1e-09" in found.sentence()


def test_a_log_without_chance_is_told_as_such():
    found = counted(np.arange(100) % 3, np.ones(100))
    assert found.deterministic
    assert found.severity == "doubt"
    assert "left nothing to chance" in found.sentence()


def test_an_offer_that_sticks_to_a_customer_is_no_wrong_propensity():
    """60 customers of 50 decisions, each with one uniform draw for good. Negative control: without customers, fatal."""
    rng = np.random.default_rng(3)
    customers = np.repeat(np.arange(60), 50)
    clustered, alone = 0, 0
    for _ in range(20):
        offer = np.repeat(rng.integers(0, N, 60), 50)
        propensity = np.full(3_000, 1.0 / N)
        found = counted(offer, propensity, customers)
        assert 30.0 < found.design_effect < 80.0
        clustered += found.severity is not None
        alone += counted(offer, propensity).severity is not None
    assert clustered == 0
    assert alone == 20


def test_batches_and_shared_eligible_sets_change_nothing():
    rng = np.random.default_rng(4)
    table = logging_of("soft", 2_000, rng)
    offer, customers = draw(table, rng), rng.integers(0, 300, 2_000)
    propensity = table[np.arange(2_000), offer]
    eligible = np.ones((2_000, N), dtype=bool)
    parts = InversePropensitySums(CATALOGUE)
    for rows in (slice(0, 700), slice(700, 700), slice(700, 2_000)):
        parts.add(offer[rows], propensity[rows], eligible[rows], customers[rows])
    whole, once = counted(offer, propensity, customers), parts.result()
    assert [each.label for each in once.counted] == [each.label for each in whole.counted]
    assert [each.z for each in once.counted] == pytest.approx([each.z for each in whole.counted])


def test_only_eligible_offers_are_expected():
    """sms is eligible in half of the decisions, where an offer has 1 / 12, and 1 / 8 elsewhere."""
    rng = np.random.default_rng(5)
    eligible = np.ones((4_000, N), dtype=bool)
    eligible[:2_000, CATALOGUE.options[:, 1] == 1] = False
    table = eligible / eligible.sum(axis=1, keepdims=True)
    offer = draw(table, rng)
    propensity = table[np.arange(4_000), offer]
    assert counted(offer, propensity, eligible=eligible).severity is None
    # Negative control: as if sms had been eligible for all.
    assert counted(offer, propensity).severity == "doubt"


def test_choices_fit_the_probabilities_they_were_drawn_from_and_no_others():
    rng = np.random.default_rng(6)
    sound, wrong = 0, 0
    for _ in range(20):
        table = logging_of("soft", 2_000, rng)
        offer = draw(table, rng)
        for drawn_from in (table, logging_of("soft", 2_000, rng)):
            counts = ChoiceCounts(CATALOGUE)
            counts.add(offer[:500], drawn_from[:500])
            counts.add(offer[500:], drawn_from[500:])
            found = counts.result()
            assert sum(each.observed for each in found.bins) == 2_000
            assert sum(each.expected for each in found.options) == pytest.approx(2 * 2_000)
            sound += drawn_from is table and found.severity is not None
            wrong += drawn_from is not table and found.severity == "doubt"
    assert (sound, wrong) == (0, 20)


def test_a_choice_of_probability_zero_is_told():
    table = np.zeros((50, N))
    table[:, 0] = 1.0
    counts = ChoiceCounts(CATALOGUE)
    counts.add(np.where(np.arange(50) < 2, 1, 0), table)
    assert counts.result().sentence().startswith("2 of 50 decisions chose an offer")


def test_sample_ratio_is_pearsons_chi_square():
    """5,200 and 4,800 of 10,000 where halves were meant: 2 x 200^2 / 5,000 = 16, p = 6.3e-5."""
    found = sample_ratio({"policy": 5_200, "holdout": 4_800}, {"policy": 0.5, "holdout": 0.5})
    assert found.chi_square == pytest.approx(16.0)
    assert found.p_value == pytest.approx(6.334e-5, rel=1e-3)
    assert found.severity == "fatal"
    assert '"policy" has 5,200 of 10,000 customers where 5,000' in found.sentence()
    assert sample_ratio({"policy": 5_080, "holdout": 4_920}, {"policy": 1, "holdout": 1}).sentence() is None
    assert sample_ratio({"policy": 500}, {"policy": 0.5, "holdout": 0.5}).severity == "fatal"
    assert sample_ratio({"a": 50, "b": 50}, {"a": 1, "b": 1}, several=3).severity == "doubt"
    assert sample_ratio({}, {"a": 1, "b": 1}).sentence() is None


@pytest.mark.parametrize(
    ("counts", "shares", "said"),
    [
        ({"a": 5}, {"a": 1.0}, "at least two groups"),
        ({"a": 5}, {"a": 1.0, "b": 0.0}, "above 0"),
        ({"c": 5}, {"a": 0.5, "b": 0.5}, "has no share"),
    ],
)
def test_sample_ratio_refuses_what_it_cannot_compare(counts, shares, said):
    with pytest.raises(InputError, match=said):
        sample_ratio(counts, shares)


def test_customers_are_counted_by_group_once_each(tmp_path, catalogue):
    """Six decisions: anna and ben twice in "policy", cleo in "holdout", dora in both."""
    with Store.open(tmp_path / "offers.db") as store:
        number = store.catalogues.register(catalogue)
        store.decision_writer.append(
            decisions(
                number,
                catalogue.n_offers,
                [f"d{i}" for i in range(7)],
                customers=["anna", "anna", "ben", "ben", "cleo", "dora", "dora"],
                group=["policy", "policy", "policy", "policy", "holdout", "policy", "holdout"],
            )
        )
        assert store.decisions.customers_by_group() == ({"policy": 2, "holdout": 1}, 1)
        assert store.decisions.customers_by_group(Where(before_time=6_000_000)) == ({"policy": 3, "holdout": 1}, 0)


def test_repeated_rows_are_counted_and_rows_that_differ_are_not():
    rng = np.random.default_rng(7)
    batch, customer = log_of(1_000, rng)
    ages = batch.contexts.columns["age"]
    ages[:50] = np.nan  # what is missing in both is the same
    counts = RepeatCounts()
    counts.add(batch.contexts, batch.offer, batch.time, customer)
    assert counts.result().sentence() is None
    again = batch.take(slice(0, 30))
    counts.add(again.contexts, again.offer, again.time, customer[:30])
    assert counts.result().repeated == 30
    assert counts.result().severity == "doubt"
    for changed in (
        (again.contexts, (again.offer + 1) % N, again.time, customer[:30]),
        (again.contexts, again.offer, again.time + 1, customer[:30]),
        (again.contexts, again.offer, again.time, customer[:30] + 1_000),
        (batch.contexts.take(slice(100, 130)), again.offer, again.time, customer[:30]),
    ):
        counts.add(*changed)
    assert counts.result().repeated == 30


def test_a_log_that_knows_no_times_is_not_said_to_repeat_itself():
    batch, customer = log_of(200, np.random.default_rng(12))
    counts = RepeatCounts()
    for _ in range(2):
        counts.add(batch.contexts, batch.offer, np.zeros(200, dtype=np.int64), customer)
    assert counts.result().sentence() is None


def test_repeats_of_a_long_log_are_estimated_from_a_sample():
    """A tenth of 20,000 rows repeated, at most 1,000 hashes kept: the share is 1/11 within 5 errors of 0.009."""
    rng = np.random.default_rng(8)
    counts = RepeatCounts(most=1_000)
    for _ in range(20):
        batch, customer = log_of(1_000, rng, customers=10**6)
        counts.add(batch.contexts, batch.offer, batch.time, customer)
        again = slice(0, 100)
        counts.add(batch.take(again).contexts, batch.offer[again], batch.time[again], customer[again])
    found = counts.result()
    assert (found.n, 250 < found.looked_at <= 1_000) == (22_000, True)
    assert found.share == pytest.approx(1 / 11, abs=0.05)
    assert found.sentence().startswith("about ")


def test_open_decisions_are_a_note_and_a_selection_of_early_answers_a_doubt():
    """100 of 1,000 open: 10 %. Young ones that were closed convert always, old ones never: a selection."""
    counts = MaturityCounts(now=30 * DAY, window=7 * DAY)
    counts.add(np.full(900, 10 * DAY), np.zeros(900, dtype=bool))
    assert counts.result().sentence() is None
    found = counts.result(left_open=100)
    assert found.severity == "note"
    assert found.sentence().startswith("100 of 1,000 decisions (10%) are left out")
    assert "the youngest judged is 20 days old" in found.sentence()
    assert counts.result(left_open=1_000).severity == "doubt"
    counts.add(np.full(50, 29 * DAY), np.ones(50, dtype=bool))
    assert counts.result(left_open=100).severity == "doubt"
    assert "100% of them converted against 0% of the older ones" in counts.result(left_open=100).sentence()
    # Negative control: closed early, but not by their answer.
    same = MaturityCounts(now=30 * DAY, window=7 * DAY)
    same.add(np.repeat([10 * DAY, 29 * DAY], 500), np.arange(1_000) % 10 == 0)
    assert same.result(left_open=100).severity == "note"


def test_the_self_test_is_exact_and_tells_another_policy():
    rng = np.random.default_rng(9)
    table = logging_of("soft", 500, rng)
    offer, reward = draw(table, rng), rng.normal(3.0, 1.0, 500)
    propensity = table[np.arange(500), offer]
    sums = SelfTestSums()
    sums.add(reward[:200], propensity[:200], offer[:200], table[:200])
    sums.add(reward[200:], propensity[200:], offer[200:], table[200:])
    found = sums.result()
    assert (found.weight_error, found.value_error, found.recomputed.largest) == (0.0, 0.0, 0.0)
    assert found.sentence() is None
    other = SelfTestSums()
    shifted = table.copy()
    shifted[:10] = 1.0 / N
    other.add(reward, propensity, offer, shifted)
    assert other.result().recomputed.differing == 10
    assert "gives 10 of 500 decisions (2.0%) another probability" in other.result().sentence()
    alone = SelfTestSums()
    alone.add(reward, propensity, offer)
    assert alone.result().recomputed is None


def mean_weight(value=1.0, low=0.9, high=1.1):
    ones = np.ones(2)
    return replace(estimate(Feedback(ones, ones, ones), ("ips",))[0], value=value, low=low, high=high)


def support(weights, cluster=None, mean=None, unsupported=0.0):
    found = TargetWeights()
    found.add(np.asarray(weights, dtype=float), None if cluster is None else np.asarray(cluster))
    return found.result("p", mean_weight() if mean is None else mean, unsupported)


def test_effective_sizes_are_kishs_by_row_and_by_customer():
    """Weights 1, 1, 2 of customers a, a, b: 16 / 6 rows; sums 2 and 2, so 16 / 8 = 2 customers, each half of it."""
    found = support([1, 1, 2], [0, 0, 1])
    assert found.effective_rows == pytest.approx(16 / 6)
    assert found.effective_customers == pytest.approx(2.0)
    assert (found.largest_weight, found.largest_share) == (2.0, 0.5)


def test_support_says_the_gravest_thing_that_is_wrong():
    even, customers = np.ones(1_000), np.arange(1_000)
    assert support(even, customers).sentence() is None
    assert support([1, 1, 2]).severity == "fatal"
    assert "20 customers" in support(even, customers % 20).sentence()
    assert "10% of this policy's choices" in support(even, customers, unsupported=0.1).sentence()
    assert "average 1.300" in support(even, customers, mean_weight(1.3, 1.2, 1.4)).sentence()
    regular = np.where(customers < 130, 0, customers)
    assert "one single customer has 13%" in support(even, regular).sentence()
    assert support(even, regular).severity == "doubt"
    assert "100 effective decisions are few" in support(np.ones(100), np.arange(100)).sentence()


def test_policies_are_told_apart_by_the_smaller_of_two_effective_numbers():
    """Weights 3 and 0 against 1: 20 rows speak for the one by 2 each, 40 for the other by 1 each: 20 and 40 rows.

    With one outcome in five these are 4 events. Hardly any difference, such as an estimate's error, is none.
    """
    contrast = PolicyContrast()
    contrast.add(np.repeat([2.0, -1.0, 0.0], [20, 40, 500]))
    assert contrast.size == pytest.approx(20.0)
    alike = PolicyContrast()
    alike.add(np.full(100, 1e-3))
    assert alike.size == np.inf
    one_side = PolicyContrast()
    one_side.add(np.array([-1.0] * 5 + [0.0] * 95))
    assert one_side.size == 0.0
    found = TargetWeights()
    found.add(np.repeat([3.0, 0.0, 1.0], [20, 40, 500]), np.arange(560))
    said = found.result("p", mean_weight(), 0.0, rarer=0.2)
    assert said.events == pytest.approx(4.0)
    assert said.severity == "fatal"
    assert "only 4 outcomes of the rarer kind" in said.sentence()


def test_what_the_logging_policy_rules_out_is_told_where_it_is_known():
    logging, target = np.zeros((400, N)), np.zeros((400, N))
    logging[:, 0], target[:, 0], target[:, 1] = 1.0, 0.75, 0.25
    found = TargetWeights()
    found.add(np.full(400, 0.75), np.arange(400), target, logging)
    said = found.result("p", mean_weight(), 0.0)
    assert said.impossible == pytest.approx(0.25)
    assert said.severity == "fatal"


def test_a_sound_log_has_no_finding_and_a_broken_one_has_them_in_order_of_gravity():
    rng = np.random.default_rng(10)
    for broken in (False, True):
        batch, customer = log_of(3_000, rng, **({"propensity": np.full(3_000, 0.02)} if broken else {}))
        found = LogDiagnostics(CATALOGUE, now=400 * DAY)
        found.add(batch, customer, np.full((3_000, N), 1.0 / N))
        if broken:
            found.add(batch.take(slice(0, 10)), customer[:10])
        diagnosis = found.result(left_open=50 if broken else 0)
        severities = [each.severity for each in diagnosis.findings]
        assert severities == (["fatal", "doubt", "note", "note"] if broken else [])
        assert gravest(diagnosis.findings) == ("fatal" if broken else None)
        plain = json.loads(json.dumps(diagnosis.to_dict(), allow_nan=False))
        assert plain["repeats"]["repeated"] == (10 if broken else 0)
        assert plain["sample_ratio"] is None


def test_a_log_without_customers_and_clock_is_checked_for_the_rest():
    batch, _ = log_of(500, np.random.default_rng(11))
    found = LogDiagnostics(CATALOGUE)
    found.add(batch, None)
    diagnosis = found.result()
    assert diagnosis.findings == ()
    assert (diagnosis.choices, diagnosis.repeats, diagnosis.maturity) == (None, None, None)
