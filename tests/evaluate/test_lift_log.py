"""Lift from a stored log: sums by hand, what is left out, the default baseline, and simulated campaigns."""

import json

import numpy as np
import pytest

import bandit
from bandit.domain import MICROSECONDS
from bandit.errors import InputError
from bandit.evaluate.lift_log import LiftLogOptions, lift_of
from bandit.store import Store
from simulator import RunOptions, run
from tests.catalogue.test_groups import NOTHING
from tests.conftest import SPRING
from tests.simulator.simulation.test_run import world

DAY = 86_400 * MICROSECONDS
MONDAY = 20_458 * DAY  # 2026-01-05
NOW = MONDAY + 30 * DAY

# Customer, group (None: the engine's own), revenue, day, gender. By hand, without "both": policy 30 over 3 decisions of
# 2 customers, rules 6 over 2 of 2, holdout 3 over 3 of 2.
LOG = (
    ("a", "policy", 10, 0, "f"),
    ("a", "policy", 0, 8, "f"),
    ("b", "policy", 20, 1, "m"),
    ("c", "rules", 0, 2, "f"),
    ("d", "rules", 6, 9, "m"),
    ("e", "holdout", 0, 3, "f"),
    ("f", "holdout", 0, 3, "m"),
    ("f", "holdout", 3, 10, "m"),
    ("both", "policy", 100, 0, "f"),
    ("both", "rules", 100, 1, "f"),
)
OPEN = ("g", "policy", 0, 29, "f")


def catalogue_with(**more):
    return bandit.Catalogue.from_dict(SPRING | {"objective": {"kind": "revenue", "window": "7d"}} | more)


def write(path, catalogue, log, close=(), key=b"a key for our tests"):
    """Append the decisions; `close` are the rows that are closed at once."""
    customers, labels, revenue, days, gender = zip(*log, strict=True)
    times = MONDAY + np.array(days, dtype=np.int64) * DAY
    with bandit.Engine.open(
        path, catalogue, bandit.Uniform(catalogue), seed=1, customer_key=key, durability="process"
    ) as engine:
        contexts = {"gender": gender, "recency": [1.0] * len(log), "loyal": [False] * len(log)}
        batch = engine.decide_batch(customers, contexts, time=times, group=None if labels[0] is None else labels)
        bought = [row for row, amount in enumerate(revenue) if amount]
        engine.record_batch(
            [batch.decision_ids[row] for row in bought],
            "purchase",
            revenue=np.array(revenue, dtype=np.float64)[bought],
            time=times[bought] + 1,
        )
        for row in close:
            engine.record(batch.decision_ids[row], event="closed")
        return batch


def compare(path, catalogue, now=NOW, batch_size=65_536, **options):
    with Store.open(path, customer_key=b"a key for our tests", read_only=True) as store:
        return lift_of(store, catalogue, LiftLogOptions(**options), now=now, batch_size=batch_size)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "offers.db"


def differences(rows):
    return {(row.group, row.baseline, row.unit): pytest.approx(row.once.value) for row in rows}


class TestSums:
    @pytest.mark.parametrize("batch_size", [1, 3, 100])
    def test_the_differences_are_those_by_hand(self, path, batch_size):
        """Per decision 10, 3 and 1, per customer 15, 3 and 1.5; the customer in two groups would make it 130 / 4."""
        catalogue = catalogue_with()
        write(path, catalogue, [*LOG, OPEN])
        found = compare(path, catalogue, batch_size=batch_size)
        groups = {each.name: (each.customers, each.decisions, each.earning, each.reward) for each in found.lift.groups}
        assert groups == {"holdout": (2, 3, 1, 3.0), "policy": (2, 3, 2, 30.0), "rules": (2, 2, 1, 6.0)}
        assert differences(found.lift.rows) == {
            ("policy", "rules", "decision"): 7.0,
            ("policy", "rules", "customer"): 12.0,
            ("holdout", "rules", "decision"): -2.0,
            ("holdout", "rules", "customer"): -1.5,
            ("holdout", "policy", "decision"): -9.0,
            ("holdout", "policy", "customer"): -13.5,
        }
        assert (found.several, found.still_open, found.left_out) == (1, 1, 0)
        assert {row.verdict for row in found.lift.rows} == {"cannot tell"}
        assert found.gate() == 5

    def test_a_closed_decision_counts_before_its_window_ends(self, path):
        """The open decision, closed: policy earned 30 over 4 decisions of 3 customers."""
        catalogue = catalogue_with()
        write(path, catalogue, [*LOG, OPEN], close=[len(LOG)])
        found = compare(path, catalogue)
        assert found.still_open == 0
        row = found.lift.row("policy", "rules")
        assert row.once.value == pytest.approx(7.5 - 3.0)

    def test_segments_and_weeks_have_their_own_sums(self, path):
        """Women: policy 10 / 2, rules 0, holdout 0. Men: 20, 6, 3 / 2. First week: 30 / 2, 0, 0; second: 0, 6, 3.
        The values of the fact keep their declared order, the weeks that of time."""
        catalogue = catalogue_with()
        write(path, catalogue, LOG)
        found = compare(path, catalogue, by=("gender", "recency"), weeks=True, batch_size=3).lift
        values = {
            part.name: {row.group: pytest.approx(row.once.value) for row in part.rows}
            for part in (*found.segments, *found.weeks)
        }
        assert list(values)[:2] == ["gender = f", "gender = m"]
        assert values["gender = f"] == {"policy": 5.0, "holdout": 0.0}
        assert values["gender = m"] == {"policy": 14.0, "holdout": -4.5}
        assert values["2026-01-05"] == {"policy": 15.0, "holdout": 0.0}
        assert values["2026-01-12"] == {"policy": -6.0, "holdout": -3.0}
        assert [part.customers for part in found.segments[:2]] == [3, 3]
        assert compare(path, catalogue).lift.weeks == ()

    def test_only_the_groups_asked_for_are_compared(self, path):
        """One comparison, so its interval is for one; the customer in policy and rules is left out all the same."""
        catalogue = catalogue_with()
        write(path, catalogue, LOG)
        found = compare(path, catalogue, groups=("policy",), baseline="holdout")
        assert set(differences(found.lift.rows)) == {("policy", "holdout", unit) for unit in ("decision", "customer")}
        assert found.several == 1
        assert found.lift.row("policy", "holdout").once.value == pytest.approx(9.0)

    def test_decisions_before_a_time_are_left_out(self, path):
        """From the second week on, "both" is not seen at all."""
        catalogue = catalogue_with()
        write(path, catalogue, LOG)
        found = compare(path, catalogue, since=MONDAY + 7 * DAY)
        assert sum(each.decisions for each in found.lift.groups) == 3
        assert found.several == 0


class TestShares:
    def test_shares_given_are_checked_and_groups_without_one_are_left_out(self, path):
        catalogue = catalogue_with()
        write(path, catalogue, LOG)
        found = compare(path, catalogue, shares={"policy": 0.5, "rules": 0.5})
        assert found.sample_ratio.counts == {"policy": 2, "rules": 2}
        assert found.other_groups == {"holdout": 3}
        assert [each.name for each in found.lift.groups] == ["policy", "rules"]

    def test_without_shares_nothing_is_checked(self, path):
        catalogue = catalogue_with()
        write(path, catalogue, LOG)
        found = compare(path, catalogue)
        plain = json.loads(json.dumps(found.to_dict()))
        assert found.sample_ratio is None
        assert plain["sample_ratio"] is None
        assert {each["share"] for each in plain["groups"]} == {None}
        assert [each["check"] for each in plain["findings"]] == ["sample ratio"]  # one of seven customers in two groups

    def test_groups_of_the_wrong_sizes_cannot_be_compared(self, path):
        """60 and 60 customers where 108 and 12 were meant: chi-square = 48^2 / 108 + 48^2 / 12 = 213."""
        catalogue = catalogue_with()
        log = [(f"c{row}", ("policy", "rules")[row % 2], 5 + row % 3, 0, "f") for row in range(120)]
        write(path, catalogue, log)
        found = compare(path, catalogue, shares={"policy": 0.9, "rules": 0.1})
        assert found.sample_ratio.chi_square == pytest.approx(48**2 / 108 + 48**2 / 12)
        (row,) = found.lift.verdicts
        assert row.reason.startswith("cannot tell: the groups do not have the intended sizes")
        assert [each.severity for each in found.findings] == ["fatal"]
        control = compare(path, catalogue, shares={"policy": 0.5, "rules": 0.5})
        assert control.findings == ()
        assert control.lift.verdicts[0].verdict != "cannot tell"

    def test_only_decisions_under_the_same_assignment_count(self, path):
        """Under the first salt and without groups: other experiments. With other rules of offers: the same one."""

        def declared(salt, **more):
            groups = {"policy": 0.5, "holdout": {"share": 0.5, "offer": NOTHING}, "salt": salt}
            return catalogue_with(groups=groups, **more)

        customers = [(f"c{row}", None, row % 4, 0, "f") for row in range(40)]
        for catalogue in (
            catalogue_with(),
            declared("one"),
            declared("two"),
            declared("two", rules=SPRING["rules"][:1]),
        ):
            write(path, catalogue, customers)
        found = compare(path, declared("two"))
        assert sum(each.decisions for each in found.lift.groups) == 80
        assert found.other_assignment == 80
        assert sum(each.customers for each in found.lift.groups) == 40
        assert (found.several, found.lift.options.baseline) == (0, "holdout")
        assert found.sample_ratio.expected == {"policy": 20.0, "holdout": 20.0}
        with pytest.raises(InputError, match="the catalogue declares the shares of its groups"):
            compare(path, declared("two"), shares={"policy": 0.5, "holdout": 0.5})

    def test_a_declared_group_without_customers_is_compared_with_nobody(self, path):
        """10 customers, of whom a share of 0.001 is expected in the holdout: that there are none is chance."""
        groups = {"policy": 0.499, "random": 0.5, "holdout": {"share": 0.001, "offer": NOTHING}}
        catalogue = catalogue_with(groups=groups)
        write(path, catalogue, [(f"c{row}", None, row % 4, 0, "f") for row in range(10)])
        found = compare(path, catalogue)
        assert found.lift.options.baseline == "random"
        assert found.lift.row("holdout", "random", "means").reason == (
            "cannot tell: there are only 0 customers in the smaller group"
        )
        json.dumps(found.to_dict(), allow_nan=False)


class TestBaseline:
    @pytest.mark.parametrize(
        ("labels", "expected"),
        [
            (("policy", "holdout", "rules"), "rules"),
            (("policy", "holdout", "random", "random"), "holdout"),
            (("policy", "policy", "policy", "new", "old", "old"), "old"),
            (("new", "old", "old"), "old"),
        ],
    )
    def test_it_is_rules_else_holdout_else_the_largest_other(self, path, labels, expected):
        catalogue = catalogue_with()
        write(path, catalogue, [(f"c{row}", label, 1, 0, "f") for row, label in enumerate(labels)])
        assert compare(path, catalogue).lift.options.baseline == expected


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"baseline": "control"}, 'there is no baseline "control"; the groups are holdout, policy, rules'),
            ({"groups": ("new",)}, 'there is no group "new"; the groups are holdout, policy, rules'),
            ({"groups": ("rules",)}, 'only the baseline "rules" is to be compared'),
            ({"by": ("shoe",)}, "shoe"),
            ({"shares": {"policy": 0.5}}, "at least two groups"),
            ({"shares": {"policy": 0.5, "rules": -0.5}}, "a number above 0"),
            ({"level": 2.0}, "level"),
            ({"since": NOW}, "there are no settled decisions of the groups to compare"),
        ],
    )
    def test_it_is_refused_in_one_sentence(self, path, options, words):
        catalogue = catalogue_with()
        write(path, catalogue, LOG)
        with pytest.raises(InputError, match=words):
            compare(path, catalogue, **options)

    def test_one_group_alone_and_nothing_settled_are_refused(self, path):
        catalogue = catalogue_with()
        write(path, catalogue, [LOG[0], LOG[2]])
        with pytest.raises(InputError, match='all 2 settled decisions are of the group "policy"'):
            compare(path, catalogue)
        with pytest.raises(InputError, match=r"no settled decisions .*; 2 are still open"):
            compare(path, catalogue, now=MONDAY + 2 * DAY)


def campaign(path, groups, policy):
    """6,000 visits of 1,500 customers of the tiny market, and the true mean of each group's expected profit."""
    population = world(n=1_500, seed=3)
    catalogue = bandit.Catalogue.from_dict(population.market.catalogue.to_dict() | {"groups": groups})
    rng = np.random.default_rng(4)
    with bandit.Engine.open(
        path, catalogue, policy(catalogue), seed=1, customer_key=b"a key for our tests", durability="process"
    ) as engine:
        ran = run(engine, population, population.visits(6_000, rng), rng, RunOptions(batch=500, delayed=True))
        window = catalogue.objective.window
        labels = engine.store.decisions.page("purchase", window).group
        now = int(ran.visits.times[-1]) + window + 1
    return catalogue, {name: float(ran.expected[labels == name].mean()) for name in set(labels)}, now


class TestCampaigns:
    def test_a_policy_that_learns_is_better_than_a_costly_offer_for_everyone(self, path):
        """The true difference of the groups lies in the interval; the groups have their sizes."""
        worst = {"discount": "20", "channel": "sms"}
        groups = {"policy": 0.5, "rules": {"share": 0.5, "otherwise": worst}}
        catalogue, truth, now = campaign(path, groups, bandit.ThompsonSampling)
        found = compare(path, catalogue, now=now)
        (row,) = found.lift.verdicts
        assert (row.group, row.baseline, row.verdict) == ("policy", "rules", "better")
        assert row.anytime.low < truth["policy"] - truth["rules"] < row.anytime.high
        assert row.anytime.low < row.once.low
        assert (found.findings, found.several, found.gate()) == ((), 0, 0)

    def test_groups_that_are_served_alike_show_no_difference(self, path):
        """The policy draws as the group random does; the campaign above is the control."""
        groups = {"policy": 0.5, "random": 0.5}
        catalogue, _, now = campaign(path, groups, bandit.Uniform)
        found = compare(path, catalogue, now=now)
        (row,) = found.lift.verdicts
        assert row.verdict == "no difference found"
        assert found.gate() == 4
        means = compare(path, catalogue, now=now, weights="means").lift.verdicts[0]
        assert means.verdict == "no difference found"
        assert means.once.low < 0.0 < means.once.high
