"""Incrementality from a stored log: sums by hand, whose choices are known, what is refused, and known campaigns."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import bandit
from bandit.errors import InputError
from bandit.evaluate.incrementality_log import IncrementLogOptions, incrementality_of
from bandit.evaluate.option_probabilities import OptionProbabilities
from bandit.store import Store
from tests.evaluate.incremental_campaign import CATALOGUE, DAY, START, campaign

RULES = {
    "share": 0.25,
    "segments": [{"when": "loyal", "offer": {"discount": "20", "channel": "sms", "gift": "none"}}],
}
GROUPS = {"policy": 0.25, "rules": RULES, "random": 0.25, "holdout": 0.25}

# Customer, group, whether loyal, revenue. The rules give the loyal 20 % by text message and the others nothing.
LOG = (
    ("r1", "rules", True, 50),
    ("r2", "rules", True, 0),
    ("r3", "rules", False, 0),
    ("h1", "holdout", True, 40),
    ("h2", "holdout", True, 0),
    ("h3", "holdout", False, 20),
    ("h4", "holdout", False, 0),
)


def catalogue_with(**more):
    return bandit.Catalogue.from_dict(CATALOGUE | {"groups": GROUPS} | more)


def write(path, catalogue, log, key=b"a key for our tests", policy=None, start=START):
    customers, groups, loyal, revenue = zip(*log, strict=True)
    with bandit.Engine.open(
        path, catalogue, policy or bandit.Uniform(catalogue), seed=1, customer_key=key, durability="process"
    ) as engine:
        labels = {} if groups[0] is None else {"group": groups}
        batch = engine.decide_batch(customers, {"loyal": loyal}, time=start, **labels)
        bought = [row for row, amount in enumerate(revenue) if amount]
        engine.record_batch(
            [batch.decision_ids[row] for row in bought],
            "purchase",
            revenue=np.array(revenue, dtype=np.float64)[bought],
            time=np.full(len(bought), start + 1),
        )
        return batch


def measure(path, catalogue, now=START + 30 * DAY, batch_size=65_536, **options):
    with Store.open(path, customer_key=b"a key for our tests", read_only=True) as store:
        return incrementality_of(store, catalogue, IncrementLogOptions(**options), now=now, batch_size=batch_size)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "offers.db"


class TestByHand:
    @pytest.mark.parametrize("batch_size", [1, 3, 100])
    @pytest.mark.parametrize("look", ["once", "daily"])
    def test_the_numbers_of_a_group_are_those_by_hand(self, path, batch_size, look):
        """Rules: one purchase of 50 by three; 50 x .3 = 15 of profit, less two messages of .10. Holdout: two of 60 by
        four; 30 of profit. Spent: .2 x 50 + 2 x .10; on what comes anyway .2 x 40 + .10; one message unanswered."""
        catalogue = catalogue_with()
        write(path, catalogue, LOG)
        found = measure(path, catalogue, batch_size=batch_size, look=look).found
        (rules,) = found.groups
        assert (rules.name, rules.customers, rules.decisions, rules.purchases) == ("rules", 3, 3, 1)
        assert (found.control, found.customers, found.decisions, found.purchases) == ("holdout", 4, 4, 2)
        numbers = {
            row.measure: [round(each.value, 6) for each in (row.served, row.anyway, row.added)]
            for row in rules.measures
        }
        assert numbers == {
            "conversions": pytest.approx([1000 / 3, 500.0, 1000 / 3 - 500]),
            "revenue": pytest.approx([50_000 / 3, 15_000.0, 50_000 / 3 - 15_000], rel=1e-5),
            "profit": pytest.approx([14_800 / 3, 7_500.0, 14_800 / 3 - 7_500], rel=1e-5),
        }
        assert rules.measure("conversions").anyway_share.value == pytest.approx(1.5)
        money = rules.spending
        assert money.spent.value == pytest.approx(10_200 / 3)
        assert money.wasted.value == pytest.approx(8_100 / 4)
        assert money.unanswered.value == pytest.approx(100 / 3)
        assert money.on_added.value == pytest.approx(10_200 / 3 - 8_100 / 4 - 100 / 3)
        assert money.wasted_share.value == pytest.approx(8_100 / 4 / (10_200 / 3))
        assert money.per_added is None
        assert found.control_spent.value == 0.0

    def test_options_are_compared_with_the_customers_who_would_have_got_them(self, path):
        """Two loyal customers got 20 %, one bought; of the holdout's two loyal ones one bought. Plainly it were 2 of 4.
        Wasted on it .2 x 40 by four decisions, on messages .10 by four: together what the group wasted."""
        catalogue = catalogue_with()
        write(path, catalogue, LOG)
        (rules,) = measure(path, catalogue).found.groups
        row = rules.option("discount", "20")
        assert (row.decisions, row.purchases, row.share) == (2, 1, pytest.approx(2 / 3))
        assert [round(x.value, 6) for x in (row.conversions.served, row.conversions.anyway)] == [500.0, 500.0]
        assert row.value.served.value == pytest.approx(1000 * (15 - 0.2) / 2)
        assert row.value.anyway.value == pytest.approx(1000 * 20 / 2)
        assert row.spent.value == pytest.approx(10_000 / 3)
        assert row.wasted.value == pytest.approx(8_000 / 4)
        assert rules.option("channel", "sms").wasted.value == pytest.approx(100 / 4)
        assert sum(each.wasted.value for each in rules.options if each.wasted) == pytest.approx(
            rules.spending.wasted.value
        )
        assert rules.option("discount", "10").conversions is None
        none = rules.option("discount", "0")
        assert [round(x.value, 6) for x in (none.conversions.served, none.conversions.anyway)] == [0.0, 500.0]
        with pytest.raises(InputError, match='no increment of discount = "30"'):
            rules.option("discount", "30")

    def test_customers_in_several_groups_and_open_decisions_are_left_out(self, path):
        catalogue = catalogue_with()
        write(path, catalogue, [*LOG, ("both", "rules", True, 90), ("both", "holdout", True, 90)])
        write(path, catalogue, [("late", "rules", True, 0)], start=START + 30 * DAY)
        report = measure(path, catalogue)
        (rules,) = report.found.groups
        assert (rules.decisions, report.found.decisions) == (3, 4)
        assert (report.several, report.still_open, report.left_out, report.other_assignment) == (1, 1, 0, 0)

    def test_only_the_groups_asked_for_are_measured(self, path):
        catalogue = catalogue_with()
        write(path, catalogue, [*LOG, ("x1", "random", True, 30)])
        assert [each.name for each in measure(path, catalogue).found.groups] == ["rules", "random"]
        report = measure(path, catalogue, groups=("random",))
        (random,) = report.found.groups
        assert random.name == "random"
        with pytest.raises(InputError, match='there is no group "rules"'):
            report.found.group("rules")

    def test_a_result_is_plain_json(self, path):
        catalogue = catalogue_with()
        write(path, catalogue, LOG)
        plain = json.loads(json.dumps(measure(path, catalogue).to_dict(), allow_nan=False))
        assert plain["control"]["name"] == "holdout"
        assert plain["control_offer"] == "0 · none · none"
        (rules,) = plain["groups"]
        assert rules["measures"][0]["measure"] == "conversions"
        assert rules["spending"]["wasted"]["value"] == pytest.approx(2_025)
        assert rules["options"][2]["option"] == "20"
        assert rules["reason"] == 'there are only 3 customers in "rules"'
        assert {each["reason"] for each in rules["options"]} == {rules["reason"]}

    @pytest.mark.filterwarnings("ignore:.*came with a revenue and no reward")
    def test_the_reward_takes_the_place_of_the_profit_where_it_is_the_objective(self, path):
        catalogue = catalogue_with(objective={"kind": "reward", "window": "1h"})
        write(path, catalogue, LOG)
        (rules,) = measure(path, catalogue).found.groups
        assert [each.measure for each in rules.measures] == ["conversions", "revenue", "reward"]
        with pytest.raises(InputError, match='there is no measure "profit"'):
            rules.measure("profit")


class TestControl:
    def test_another_group_that_gave_one_offer_can_be_the_control(self, path):
        """Rules that give everybody the same message; the message costs .10 for each decision."""
        rules = {"share": 0.25, "otherwise": {"discount": "0", "channel": "sms", "gift": "none"}}
        groups = {"random": 0.5, "rules": rules, "policy": 0.25}
        catalogue = catalogue_with(groups=groups)
        write(path, catalogue, [("a", "rules", True, 20), ("b", "rules", True, 0), ("c", "random", True, 30)])
        report = measure(path, catalogue, baseline="rules")
        assert report.control_offer == "0 · sms · none"
        assert report.found.control_spent.value == pytest.approx(100.0)
        assert report.found.group("random").measure("conversions").added.value == pytest.approx(500.0)

    def test_labels_of_the_callers_can_be_compared_but_have_no_options(self, path):
        """Where no groups are declared nobody knows what the others would have given; without a discount for anyone."""
        plain = {key: CATALOGUE[key] for key in CATALOGUE if key != "groups"}
        dimensions = [{"name": "channel", "options": [{"name": "mail", "contact_cost": 0.5}]}]
        catalogue = bandit.Catalogue.from_dict(plain | {"dimensions": dimensions, "fallback": {"channel": "mail"}})
        log = [(f"n{row}", "new", True, 20 * (row % 2)) for row in range(40)]
        log += [(f"h{row}", "holdout", True, 20 * (row % 4 == 0)) for row in range(60)]
        write(path, catalogue, log)
        (new,) = measure(path, catalogue).found.groups
        assert new.measure("conversions").added.value == pytest.approx(250.0)
        assert (new.spending.wasted, new.spending.on_added, new.options) == (None, None, ())
        assert new.spending.spent.value == pytest.approx(500.0)
        assert new.no_options == (
            'the catalogue declares no group "new", so nobody knows what it would have given the others'
        )
        assert new.reason is None
        json.dumps(measure(path, catalogue).to_dict(), allow_nan=False)

    def test_decisions_under_another_catalogue_version_are_asked_under_theirs(self, path):
        """The first version has no 20 %: its rules give 10 %. The newest catalogue has both, so both count."""
        segments = [{"when": "loyal", "offer": {"discount": "10", "channel": "sms", "gift": "none"}}]
        dimensions = [
            {"name": "discount", "options": [{"name": "0"}, {"name": "10", "rate": 0.10}]},
            *CATALOGUE["dimensions"][1:],
        ]
        older = catalogue_with(groups=GROUPS | {"rules": {"share": 0.25, "segments": segments}}, dimensions=dimensions)
        write(path, older, LOG)
        newer = catalogue_with()
        write(path, newer, [(f"{name}+", *rest) for name, *rest in LOG], start=START + DAY)
        (rules,) = measure(path, newer).found.groups
        assert rules.decisions == 6
        assert rules.option("discount", "10").wasted.value == pytest.approx(1000 * 0.1 * 40 / 8)
        assert rules.option("discount", "20").wasted.value == pytest.approx(1000 * 0.2 * 40 / 8)
        assert rules.option("discount", "10").decisions == 2


def test_with_many_offers_probabilities_are_summed_by_option_without_listing_them(path):
    """9,000 offers. Rules with a tenth of exploration: .9 on the named option and .1 / (options) on each; at random 1 /
    (options). Where a rule forbids 20 of the 30 first options, 10 share what 30 did."""
    sizes = {"a": 30, "b": 30, "c": 10}
    groups = GROUPS | {"rules": {"share": 0.25, "exploration": 0.1, "otherwise": {"a": "3", "b": "4", "c": "5"}}}
    catalogue = bandit.Catalogue.from_dict(
        {
            "context": {"loyal": {"type": "boolean"}},
            "dimensions": [
                {"name": name, "options": [{"name": str(k)} for k in range(n)]} for name, n in sizes.items()
            ],
            "rules": [{"when": "loyal", "forbid": {"a": [str(k) for k in range(10, 30)]}, "reason": "few"}],
            "fallback": {"a": "0", "b": "0", "c": "0"},
            "groups": groups,
        }
    )
    write(path, catalogue, LOG, policy=bandit.ThompsonSampling(catalogue, draws=4))
    with Store.open(path, customer_key=b"a key for our tests", read_only=True) as store:
        asked = OptionProbabilities(store, catalogue, ("policy", "rules", "random"), np.random.default_rng(0))
        policy, rules, random = asked.read(store.decisions.page("purchase", 1))
    assert asked.unknown == {}
    loyal = np.array([row[2] for row in LOG])
    first = np.where(loyal, 10.0, 30.0)
    assert random.served[:, 0] == pytest.approx(1.0 / first)
    assert random.served[:, 30:60] == pytest.approx(np.full((7, 30), 1 / 30))
    assert rules.served[:, 3] == pytest.approx(0.9 + 0.1 / first)
    assert rules.served[:, 0] == pytest.approx(0.1 / first)
    assert rules.served[:, 65] == pytest.approx(np.full(7, 0.91))
    assert policy.served.sum(axis=1) == pytest.approx(np.full(7, 3.0))
    assert policy.pooled[loyal, 10:30] == pytest.approx(np.zeros((4, 20)))


class TestBadInput:
    def test_without_a_holdout_it_is_refused_in_one_sentence(self, path):
        catalogue = catalogue_with(groups={"policy": 0.5, "rules": RULES | {"share": 0.5}})
        write(path, catalogue, LOG[:3])
        with pytest.raises(InputError, match=r"there is no holdout .*; declare one in \[groups\], or name a group"):
            measure(path, catalogue)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"baseline": "rules"}, 'the group "rules" served 2 different offers'),
            ({"baseline": "control"}, 'there is no baseline "control"'),
            ({"groups": ("new",)}, 'there is no group "new"'),
            ({"groups": ("holdout",)}, 'only the baseline "holdout" is to be compared'),
            ({"shares": {"rules": 0.5, "holdout": 0.5}}, "the catalogue declares the shares"),
            ({"since": START + DAY}, "there are no settled decisions"),
            ({"level": 2.0}, "level"),
        ],
    )
    def test_options_that_do_not_fit_are_refused(self, path, options, words):
        catalogue = catalogue_with()
        write(path, catalogue, LOG)
        with pytest.raises(InputError, match=words):
            measure(path, catalogue, **options)

    def test_a_control_or_a_group_without_decisions_is_refused(self, path):
        catalogue = catalogue_with()
        write(path, catalogue, [*LOG[:3], ("x", "random", True, 0)])
        with pytest.raises(InputError, match='"holdout" has no decisions'):
            measure(path, catalogue)
        with pytest.raises(InputError, match='"policy" has no settled decisions to compare with'):
            measure(path, catalogue, baseline="policy")

    def test_groups_of_the_wrong_sizes_tell_nothing(self, path):
        """60 customers and 20 where as many were meant: chi-square = 20^2 / 40 x 2 = 20."""
        catalogue = catalogue_with(groups={"rules": RULES | {"share": 0.5}, "holdout": 0.5, "policy": 0.0})
        log = [(f"r{row}", "rules", True, 10 * (row % 2)) for row in range(60)]
        write(path, catalogue, log + [(f"h{row}", "holdout", True, 10 * (row % 2)) for row in range(20)])
        found = measure(path, catalogue).found
        assert [each.severity for each in found.findings] == ["fatal"]
        assert found.groups[0].reason.startswith("the groups do not have the intended sizes")
        assert found.groups[0].option("discount", "20").reason == found.groups[0].reason

    def test_a_policy_that_cannot_be_built_again_has_no_options(self, path):
        """Its program would have to build it; the rules can be asked all the same."""

        class Own(bandit.Uniform):
            def spec(self):
                return {"kind": "a policy of the caller's"}

        catalogue = catalogue_with()
        write(path, catalogue, [*LOG, ("p1", "policy", True, 0)], policy=Own(catalogue))
        found = measure(path, catalogue).found
        assert found.group("policy").options == ()
        assert "cannot be computed again" in found.group("policy").no_options
        assert found.group("rules").no_options is None
        assert found.group("rules").spending.wasted.value == pytest.approx(8_100 / 4)

    def test_under_a_roll_out_a_group_has_no_options(self, path):
        """Half of the customers of the group "policy" get the rules; the others of its numbers hold."""
        catalogue = catalogue_with(rollout={"mode": "ramp", "share": 0.5})
        write(path, catalogue, [*LOG, ("p1", "policy", True, 40), ("p2", "policy", True, 0)])
        found = measure(path, catalogue).found
        policy = found.group("policy")
        assert "were made under a roll-out" in policy.no_options
        assert policy.measure("conversions").added.value == pytest.approx(0.0)
        assert (policy.options, policy.spending.wasted) == ((), None)
        assert found.group("rules").no_options is None


def thompson(catalogue):
    return bandit.ThompsonSampling(catalogue, draws=16, personal=False)


class TestCampaigns:
    @pytest.mark.parametrize("personal", [pytest.param(False, marks=pytest.mark.slow), True])
    def test_groups_are_asked_as_they_were_served(self, path, personal):
        """Assignment is random, so the mean probability of an option over the holdout's decisions is its share of the
        group's decisions, within 4 errors of at most sqrt(.25 / customers) each. The control: what the policy does
        with the state that it ended with is further away."""
        known = campaign(path, partial(bandit.ThompsonSampling, draws=16, personal=personal), seed=3)
        sizes = {name: int((known.group == name).sum()) // 6 for name in ("policy", "rules", "random", "holdout")}
        with Store.open(path, customer_key=b"a key for our tests", read_only=True) as store:
            every = store.decisions.page("purchase", 1)
            asked = OptionProbabilities(store, known.catalogue, ("policy", "rules", "random"), np.random.default_rng(0))
            given = asked.read(every.take(np.flatnonzero(every.group == "holdout")))
            late = replace(every, policy_step=np.full(len(every), every.policy_step.max()))
            at_the_end = asked.read(late.take(np.flatnonzero(late.group == "holdout")))
        assert asked.unknown == {}
        assert asked.personal == ({"policy"} if personal else set())
        options = known.catalogue.options[known.offer]
        for name, found in zip(("policy", "rules", "random"), given, strict=True):
            rows = known.group == name
            shares = np.concatenate([np.bincount(options[rows, d], minlength=n) for d, n in enumerate((3, 2, 2))])
            error = np.sqrt(0.25 / sizes[name]) + np.sqrt(0.25 / sizes["holdout"])
            assert found.pooled.mean(axis=0) == pytest.approx(shares / rows.sum(), abs=4 * error)
            assert found.pooled.sum(axis=1) == pytest.approx(np.full(len(found.pooled), 3.0))
            assert np.array_equal(found.served, found.pooled) == (name != "policy" or not personal)
        assert np.abs(at_the_end[0].pooled.mean(axis=0) - given[0].pooled.mean(axis=0)).max() > 0.1
        assert np.array_equal(at_the_end[1].pooled, given[1].pooled)

    def test_the_plain_split_is_wrong_where_options_go_to_other_customers(self, path):
        """The rules give 20 % to the loyal, who buy 25 % of the time anyway, and the others buy 5 %: 138 per 1,000."""
        known = campaign(path, thompson, seed=1)
        report = measure(path, known.catalogue, now=known.now, look="once")
        rules = report.found.group("rules")
        truth = known.truth("rules", "discount", "20")
        row = rules.option("discount", "20").conversions
        assert row.anyway.low < truth["anyway"] < row.anyway.high
        assert row.added.low < truth["added"] < row.added.high
        plain = rules.measure("conversions").anyway
        assert plain.high < truth["anyway"]


def shifted(row, whole):
    """What an option added if it were compared with the whole control: the plain split."""
    shift = row.anyway.value - whole.anyway.value
    return replace(row.added, value=row.added.value + shift, low=row.added.low + shift, high=row.added.high + shift)


def covers(estimate, value):
    return estimate.low <= value <= estimate.high


@pytest.mark.slow
def test_intervals_cover_the_truth_of_known_campaigns_and_the_plain_split_does_not(tmp_path):
    """40 campaigns; of 8 x 40 intervals of 95 %, of which those of a campaign belong together, at least 90 % cover."""
    hits, plain = [], []
    for seed in range(40):
        path = tmp_path / f"{seed}.db"
        known = campaign(path, thompson, seed=seed, customers=800)
        report = measure(path, known.catalogue, now=known.now, look="once")
        for name in ("policy", "rules"):
            group, truth = report.found.group(name), known.truth(name)
            option, own = group.option("discount", "20"), known.truth(name, "discount", "20")
            hits += [
                covers(group.measure("conversions").added, truth["added"]),
                covers(group.spending.wasted, truth["wasted"]),
                covers(option.conversions.added, own["added"]),
                covers(option.wasted, own["wasted"]),
            ]
            plain.append(covers(shifted(option.conversions, group.measure("conversions")), own["added"]))
    assert np.mean(hits) >= 0.90
    assert np.mean(plain) < 0.5


@pytest.mark.slow
def test_a_policy_with_personal_parts_is_compared_without_the_histories(tmp_path):
    """40 campaigns of customers of whom half buy nine times as often as the others. The comparison by option covers,
    and so does what was wasted in all; the plain split does not. The output says that waste is an approximation."""
    hits, plain = [], []
    for seed in range(40):
        path = tmp_path / f"{seed}.db"
        known = campaign(path, partial(bandit.ThompsonSampling, draws=16), seed=seed, customers=800, tastes=0.8)
        report = measure(path, known.catalogue, now=known.now, look="once")
        group, truth = report.found.group("policy"), known.truth("policy")
        assert [each.check for each in report.found.findings if each.severity == "doubt"] == ["histories"]
        hits.append(covers(group.spending.wasted, truth["wasted"]))
        for option in ("0", "20"):
            row, own = group.option("discount", option).conversions, known.truth("policy", "discount", option)
            hits.append(covers(row.added, own["added"]))
            plain.append(covers(shifted(row, group.measure("conversions")), own["added"]))
    assert np.mean(hits) >= 0.90
    assert np.mean(plain) < 0.7
