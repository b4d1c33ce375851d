"""Frozen policies judged from a log whose truth is known, in one small market."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.domain import LoggedBatch
from bandit.errors import InputError, PolicyError
from bandit.evaluate import LOGGED, RidgeReward, evaluate, split_log

CATALOGUE = Catalogue.from_dict(
    {
        "name": "tiny",
        "objective": {"kind": "reward"},
        "context": {
            "kind": {"type": "categorical", "values": ["a", "b"]},
            "age": {"type": "numeric"},
        },
        "dimensions": [
            {"name": "discount", "options": [{"name": "0"}, {"name": "10"}]},
            {"name": "channel", "options": [{"name": "mail"}, {"name": "sms"}]},
        ],
        "rules": [{"when": 'kind == "b"', "forbid": {"channel": ["sms"]}, "reason": "no number"}],
    }
)
N = CATALOGUE.n_offers
# Preferences of the policy that wrote the log and of the two judged, before the mask.
LOGGING, GREEDY, NEAR = np.array([4.0, 2.0, 1.0, 1.0]), np.array([0, 1.0, 2.0, 5.0]), np.array([0, 1.0, 2.2, 5.0])


@dataclass
class Fixed:
    """A policy that has the same preferences for everyone."""

    preferences: np.ndarray
    name: str = "fixed"
    learns: bool = False

    def probabilities(self, contexts, eligible, rng):
        del contexts, rng
        masked = eligible * self.preferences
        return masked / masked.sum(axis=1, keepdims=True)

    def update(self, outcomes):
        raise AssertionError(f"a frozen policy was given {len(outcomes)} outcomes")


class Memory:
    """A log held in memory."""

    def __init__(self, whole):
        self.whole, self.n = whole, len(whole)

    def batches(self, size=65_536):
        for start in range(0, self.n, size):
            yield self.whole.take(slice(start, start + size))


def expected(contexts):
    """The true mean reward, (n, N): linear in the age but for a kink that the ridge regression misses."""
    age = contexts.columns["age"][:, None]
    b = (contexts.columns["kind"] == 1)[:, None]
    discount, sms = CATALOGUE.options[:, 0][None, :], CATALOGUE.options[:, 1][None, :]
    return 1.0 + 0.5 * b + discount * (0.8 - 0.1 * age) + 0.5 * sms + 0.7 * discount * sms + np.abs(age - 2.0)


def market(rng, n, customers=None):
    """A log of n decisions by `LOGGING`; with customers, each has a mood that all its rewards share."""
    kind = np.array(["a", "b"], dtype=object)[rng.integers(0, 2, n)]
    keys = None if customers is None else np.array([f"c{i}" for i in rng.integers(0, customers, n)], dtype=object)
    contexts = CATALOGUE.contexts({"kind": kind, "age": rng.uniform(0, 4, n)}, keys)
    eligible = CATALOGUE.eligible(contexts)
    table = Fixed(LOGGING).probabilities(contexts, eligible, rng)
    offer = (table.cumsum(axis=1) < rng.random(n)[:, None]).sum(axis=1)
    rows = np.arange(n)
    reward = expected(contexts)[rows, offer] + rng.normal(0.0, 0.5, n)
    if keys is not None:
        moods = rng.normal(0.0, 1.0, customers)
        reward += moods[[int(key[1:]) for key in keys]]
    yes = np.ones(n, dtype=bool)
    return Memory(LoggedBatch(contexts, offer, eligible, table[rows, offer], yes, reward, reward, rows))


def truth_of(policy):
    """The exact value: both kinds, the age integrated over a fine grid."""
    ages = (np.arange(4_000) + 0.5) / 1_000
    contexts = CATALOGUE.contexts(
        {"kind": np.repeat(np.array(["a", "b"], dtype=object), 4_000), "age": np.tile(ages, 2)}
    )
    table = policy.probabilities(contexts, CATALOGUE.eligible(contexts), None)
    return float((table * expected(contexts)).sum(axis=1).mean())


def judge(log, policies, baseline=None, seed=0, **named):
    return evaluate(log, policies, baseline, catalogue=CATALOGUE, rng=np.random.default_rng(seed), **named)


class Flat:
    """A reward model that knows nothing."""

    def __init__(self, encoder):
        del encoder

    def learn(self, batch):
        pass

    def predict(self, contexts):
        return np.full((contexts.n, N), 2.0)


@pytest.mark.parametrize("model", [RidgeReward, Flat])
def test_values_and_differences_cover_the_truth_whatever_the_model(model):
    """The negative control: the direct method covers it with no model that is wrong."""
    rng = np.random.default_rng(1)
    greedy, near = Fixed(GREEDY, "greedy"), Fixed(NEAR, "near")
    truth, gain = truth_of(greedy), truth_of(greedy) - truth_of(near)
    runs, value, difference, direct = 150, 0, 0, 0
    for _ in range(runs):
        answer = judge(market(rng, 400), [greedy, near], "near", reward_model=model)
        dr, paired = answer.row("greedy").estimate("dr"), answer.row("greedy").against_baseline("dr")
        dm = answer.row("greedy").estimate("dm")
        value += dr.low <= truth <= dr.high
        direct += dm.low <= truth <= dm.high
        difference += paired.low <= gain <= paired.high
    slack = 3 * np.sqrt(0.95 * 0.05 / runs)
    assert value / runs > 0.95 - slack
    assert difference / runs > 0.95 - slack
    assert direct / runs < 0.8


def test_model_that_has_learned_makes_dr_narrower_than_ips_and_a_paired_difference_narrower_still():
    answer = judge(market(np.random.default_rng(2), 4_000), [Fixed(GREEDY, "greedy"), Fixed(NEAR, "near")], "near")
    row = answer.row("greedy")
    width = {each.name: each.high - each.low for each in row.estimates}
    assert width["dr"] < 0.6 * width["ips"]
    paired = row.against_baseline("dr")
    assert paired.high - paired.low < 0.3 * width["dr"]
    assert answer.row("near").difference is None


def test_policy_that_wrote_the_log_gets_weight_one_and_the_realised_mean():
    log = market(np.random.default_rng(3), 1_000, customers=200)
    answer = judge(log, [Fixed(LOGGING, "same")], LOGGED)
    row = answer.row("same")
    assert row.mean_weight.value == pytest.approx(1.0)
    assert row.max_weight == pytest.approx(1.0)
    assert answer.realised_mean == pytest.approx(log.whole.reward.mean())
    assert row.estimate("ips").value == pytest.approx(answer.realised_mean)
    assert row.estimate("snips").value == pytest.approx(answer.realised_mean)
    assert row.against_baseline("ips").value == pytest.approx(0.0, abs=1e-12)
    assert row.estimate("ips").high == pytest.approx(answer.realised.high)
    assert row.warning is None


def test_intervals_are_clustered_by_customer_and_wider_for_it():
    log = market(np.random.default_rng(4), 4_000, customers=100)
    nameless = Memory(
        LoggedBatch(
            type(log.whole.contexts)(4_000, log.whole.contexts.columns, log.whole.contexts.text),
            *(getattr(log.whole, name) for name in LoggedBatch.__slots__[1:]),
        )
    )
    clustered, single = judge(log, [Fixed(GREEDY)]), judge(nameless, [Fixed(GREEDY)])
    assert (clustered.customers, single.customers) == (100, None)
    assert clustered.row("fixed").estimate("dr").clusters == 100
    assert clustered.realised.standard_error > 3 * single.realised.standard_error
    assert clustered.row("fixed").estimate("ips").value == pytest.approx(single.row("fixed").estimate("ips").value)


def test_size_of_batches_changes_nothing_but_rounding():
    log = market(np.random.default_rng(5), 1_500, customers=300)

    class Small(Memory):
        def batches(self, size=65_536):
            yield from super().batches(min(size, 217))

    one, other = judge(log, [Fixed(GREEDY)]), judge(Small(log.whole), [Fixed(GREEDY)])
    for mine, yours in zip(one.row("fixed").estimates, other.row("fixed").estimates, strict=True):
        # The scales of numeric facts are those of the first batch, which the model hardly feels.
        assert mine.value == pytest.approx(yours.value, abs=1e-3)
    ips = [each.row("fixed").estimate("ips") for each in (one, other)]
    assert (ips[0].value, ips[0].low) == pytest.approx((ips[1].value, ips[1].low), rel=1e-12)


def test_no_row_is_predicted_by_a_model_that_saw_its_customer():
    log = market(np.random.default_rng(6), 800, customers=50)
    made = []

    class Spy:
        def __init__(self, encoder):
            del encoder
            self.seen = set()
            made.append(self)

        def learn(self, batch):
            self.seen |= set(batch.contexts.customers)

        def predict(self, contexts):
            assert not self.seen & set(contexts.customers)
            return np.zeros((contexts.n, N))

    judge(log, [Fixed(GREEDY)], reward_model=Spy, folds=3)
    assert len(made) == 3
    assert set.union(*(each.seen for each in made)) == set(log.whole.contexts.customers)


def test_cross_fitting_keeps_dr_unbiased_where_a_model_that_memorises_its_rows_does_not():
    """The reward is noise of mean zero; a model may remember the noise of each logged offer by customer and context."""
    rng = np.random.default_rng(7)

    class Memoriser:
        """Predicts for an offer the reward that the customer got for it, else 0."""

        def __init__(self, encoder):
            del encoder
            self.known = {}

        def learn(self, batch):
            for row, key in enumerate(batch.contexts.customers):
                self.known[key, int(batch.offer[row])] = batch.reward[row]

        def predict(self, contexts):
            return np.array([[self.known.get((key, a), 0.0) for a in range(N)] for key in contexts.customers])

    log = market(rng, 500, customers=10**6)
    batch = log.whole
    noise = rng.normal(size=500)
    log = Memory(
        LoggedBatch(
            batch.contexts, batch.offer, batch.eligible, batch.propensity, batch.converted, noise, noise, batch.time
        )
    )
    honest = judge(log, [Fixed(LOGGING, "same")], reward_model=Memoriser).row("same").estimate("dr")
    # The negative control fits and predicts the same rows: residuals vanish and so does the width.
    cheat = Memoriser(None)
    cheat.learn(log.whole)
    q = cheat.predict(batch.contexts)
    assert np.abs(noise - q[np.arange(500), batch.offer]).max() == 0.0
    assert honest.value == pytest.approx(noise.mean())
    assert honest.standard_error == pytest.approx(noise.std(ddof=1) / np.sqrt(500), rel=1e-9)


def test_split_learns_on_one_part_of_the_customers_and_judges_on_the_other():
    log = market(np.random.default_rng(8), 1_000, customers=100)
    learned, judged = [], []

    class Learner(Fixed):
        def update(self, outcomes):
            learned.extend(outcomes.contexts.customers)

        def probabilities(self, contexts, eligible, rng):
            judged.extend(contexts.customers)
            return super().probabilities(contexts, eligible, rng)

    answer = judge(log, [Learner(GREEDY, "learner", learns=True), Fixed(NEAR, "near")], "near", split=0.4)
    assert set(learned).isdisjoint(judged)
    assert set(learned) | set(judged) == set(log.whole.contexts.customers)
    assert answer.n + answer.learned_on == 1_000
    assert answer.learned_on == len(learned) == pytest.approx(400, abs=3 * np.sqrt(0.24 * 100) * 10)


def test_parts_of_a_split_are_the_whole_in_order():
    log = market(np.random.default_rng(9), 500)
    learn, rest = split_log(log, 0.3, "learn"), split_log(log, 0.3, "judge")
    times = [np.concatenate([batch.time for batch in part.batches(97)]) for part in (learn, rest)]
    assert (np.sort(np.concatenate(times)) == np.arange(500)).all()
    assert all((np.diff(each) > 0).all() for each in times)
    assert (learn.n, rest.n) == (len(times[0]), len(times[1]))
    assert learn.n == pytest.approx(150, abs=3 * np.sqrt(500 * 0.21))
    assert (np.concatenate([batch.time for batch in learn.batches()]) == times[0]).all()


def test_too_few_effective_decisions_are_cannot_tell():
    warning = judge(market(np.random.default_rng(10), 100), [Fixed(np.array([0, 1.0, 1e-3, 1e-3]))]).rows[0].warning
    assert warning.startswith("cannot tell: of 100 decisions only")


def test_few_customers_are_cannot_tell_however_many_their_decisions():
    warning = judge(market(np.random.default_rng(22), 2_000, customers=12), [Fixed(GREEDY)]).rows[0].warning
    assert warning == "cannot tell: what the log says about this policy comes from 12 customers"


def test_offers_that_the_log_never_shows_are_cannot_tell():
    log = market(np.random.default_rng(11), 2_000)
    batch = log.whole.take(log.whole.offer != 3)
    row = judge(Memory(batch), [Fixed(GREEDY)]).rows[0]
    assert row.unsupported == pytest.approx((batch.eligible[:, 3] * 5 / 8).mean())
    assert any("offers that the log never shows" in each.sentence for each in row.findings)
    assert row.verdict == "cannot tell"
    assert not row.support_ok


def test_propensities_that_are_wrong_are_cannot_tell_and_right_ones_are_not():
    log = market(np.random.default_rng(12), 2_000)
    batch = log.whole
    assert judge(log, [Fixed(GREEDY)]).rows[0].warning is None
    wrong = np.minimum(1.0, batch.propensity * np.where(batch.offer == 2, 2.0, 1.0))
    off = LoggedBatch(
        batch.contexts,
        batch.offer,
        batch.eligible,
        wrong,
        batch.converted,
        batch.revenue,
        batch.reward,
        batch.time,
    )
    assert "instead of 1" in judge(Memory(off), [Fixed(GREEDY)]).rows[0].warning


def test_estimators_without_a_model_need_one_pass_and_no_model():
    def never(encoder):
        raise AssertionError(encoder)

    steps = []
    answer = judge(
        market(np.random.default_rng(13), 300),
        [Fixed(GREEDY)],
        estimators=("snips",),
        reward_model=never,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert [each.name for each in answer.rows[0].estimates] == ["snips"]
    assert answer.default == "snips"
    assert steps == [(300, 300)]


def test_progress_counts_two_passes_and_ends_at_the_total():
    steps = []
    judge(market(np.random.default_rng(14), 300), [Fixed(GREEDY)], progress=lambda *step: steps.append(step))
    assert steps[0][1] == 600
    assert steps[-1] == (600, 600)


def test_leaving_a_policy_out_changes_nothing_for_the_others():
    class Noisy(Fixed):
        def probabilities(self, contexts, eligible, rng):
            del contexts
            table = eligible * rng.random(eligible.shape)
            return table / table.sum(axis=1, keepdims=True)

    log = market(np.random.default_rng(15), 300)
    alone = judge(log, {"one": Noisy(GREEDY)}).row("one")
    beside = judge(log, {"one": Noisy(GREEDY), "two": Noisy(GREEDY)}).row("one")
    values = [[(each.value, each.low) for each in row.estimates] for row in (alone, beside)]
    assert np.array(values[0]) == pytest.approx(np.array(values[1]), rel=1e-12)


def test_record_is_plain_json():
    answer = judge(market(np.random.default_rng(16), 300), [Fixed(GREEDY, "one"), Fixed(NEAR, "two")], "two")
    plain = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    assert plain["policies"][0]["estimates"]["dr"]["value"] == answer.row("one").estimate("dr").value
    assert plain["policies"][0]["difference"]["dr"]["low"] == answer.row("one").against_baseline("dr").low
    assert plain["policies"][1]["difference"] is None


def test_policy_object_as_baseline_joins_the_table():
    base = Fixed(NEAR, "rules")
    answer = judge(market(np.random.default_rng(17), 300), [Fixed(GREEDY, "one")], base)
    assert [row.name for row in answer.rows] == ["one", "rules"]
    assert answer.baseline == "rules"


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"policies": []}, "no policy to evaluate"),
        ({"policies": [Fixed(GREEDY), Fixed(NEAR)]}, "same name"),
        ({"policies": {"logged": Fixed(GREEDY)}}, "which is the policy that wrote the log"),
        ({"baseline": "rules"}, 'baseline "rules" is not among'),
        ({"split": 1.5}, "share to learn on is 1.5"),
        ({"folds": 1}, "at least 2 folds"),
        ({"level": 2.0}, "level is 2.0"),
        ({"estimators": ("magic",)}, 'no estimator "magic"'),
    ],
)
def test_bad_arguments_are_refused_with_one_sentence(named, words):
    log = market(np.random.default_rng(18), 50)
    with pytest.raises(InputError, match=words):
        judge(log, **{"policies": [Fixed(GREEDY)], **named})


def test_empty_log_and_a_policy_that_ignores_the_mask_are_refused():
    log = market(np.random.default_rng(19), 50)
    with pytest.raises(InputError, match="no decisions"):
        judge(Memory(log.whole.take(slice(0, 0))), [Fixed(GREEDY)])

    class Blind(Fixed):
        def probabilities(self, contexts, eligible, rng):
            return super().probabilities(contexts, np.ones_like(eligible), rng)

    with pytest.raises(PolicyError, match=r'"fixed" cannot be evaluated: .* not eligible'):
        judge(log, [Blind(GREEDY)])


def test_unknown_names_in_an_answer_are_refused():
    answer = judge(market(np.random.default_rng(20), 100), [Fixed(GREEDY)])
    with pytest.raises(InputError, match="no policy"):
        answer.row("other")
    with pytest.raises(InputError, match="no estimate"):
        answer.rows[0].estimate("other")


def test_ridge_is_the_default_model():
    log = market(np.random.default_rng(21), 300)
    assert judge(log, [Fixed(GREEDY)]) == judge(log, [Fixed(GREEDY)], reward_model=RidgeReward)
