"""Lift by trajectory weights: sums by hand, when there are none and why, and simulated campaigns."""

import json
from dataclasses import replace

import numpy as np
import pytest

import bandit
from bandit.errors import InputError
from bandit.evaluate import lift_weights
from bandit.evaluate.group_probabilities import GroupProbabilities
from bandit.evaluate.lift_log import LiftLogOptions
from bandit.governance.erasure import erase
from bandit.governance.retention import retain
from bandit.store import Store
from tests.catalogue.test_groups import NOTHING
from tests.evaluate.test_lift_log import DAY, MONDAY, NOW, campaign, catalogue_with, compare
from tests.governance.test_verify import alter

TWO = {"policy": 0.6, "random": 0.4}
EXPLORED = 0.4


@pytest.fixture
def path(tmp_path):
    return tmp_path / "offers.db"


def fill(path, catalogue, *, start=0, customers=30, key=b"a key for our tests"):
    """Three visits a day of every customer on days 0, 8 and 29, by rules that explore in the policy's place."""
    rng = np.random.default_rng(abs(start))
    names = [f"c{row}" for row in range(customers)]
    with bandit.Engine.open(
        path,
        catalogue,
        bandit.SegmentRules.from_dict(catalogue, {"otherwise": NOTHING, "exploration": EXPLORED}),
        seed=1,
        customer_key=key,
        durability="process",
    ) as engine:
        for day in (start, start + 8, start + 29):
            times = np.full(customers, MONDAY + day * DAY, dtype=np.int64)
            contexts = {"gender": ["f"] * customers, "recency": [1.0] * customers, "loyal": [False] * customers}
            # What is drawn follows from a decision's id: with new ids each time, too few draws may suit a comparison.
            ids = [f"{catalogue.version[:8]} {day} {name}" for name in names]
            batch = engine.decide_batch(names, contexts, time=times, decision_ids=ids)
            bought = np.flatnonzero(rng.random(customers) < 0.5)
            engine.record_batch(
                [batch.decision_ids[row] for row in bought],
                "purchase",
                revenue=np.round(rng.lognormal(3.0, 0.5, len(bought)), 2),
                time=times[bought] + 1,
            )


def by_hand(store, catalogue, counted):
    """The values (2 groups; per decision, per customer) from each decision's weights, computed customer by customer."""
    rows = store.decisions.page("purchase", 7 * DAY)
    n = store.eligible_sets.masks(rows.eligible_set_id, catalogue.n_offers).sum(axis=1)
    nothing = catalogue.offer_index(NOTHING)
    shares, products, sums, last = np.array([0.6, 0.4]), {}, np.zeros((2, 2)), {}
    for row in range(len(rows)):
        who = rows.customer[row]
        explored = EXPLORED / n[row]
        chance = np.array([explored + (1 - EXPLORED) * (rows.offer[row] == nothing), 1 / n[row]])
        products[who] = products.get(who, np.ones(2)) * chance
        weight = products[who] / (shares @ products[who])
        if counted(rows.time[row]):
            sums += np.array([weight * rows.revenue[row], weight])
            last[who] = weight
    return sums[0] / sums[1], sums[0] / np.sum(list(last.values()), axis=0)


class TestByHand:
    @pytest.mark.parametrize("size", [1, 13, 65_536])
    @pytest.mark.parametrize("since", [None, 5])
    def test_each_decision_is_weighted_by_the_customers_decisions_so_far(self, path, since, size):
        """Also by those before the time from which decisions count. Those of day 29 are still open."""
        catalogue = catalogue_with(groups=TWO)
        fill(path, catalogue)
        begin = MONDAY + (since or 0) * DAY
        found = compare(path, catalogue, since=None if since is None else begin, batch_size=size)
        with Store.open(path, customer_key=b"a key for our tests", read_only=True) as store:
            expected = by_hand(store, catalogue, lambda time: begin <= time < NOW - 7 * DAY)
        assert (found.weighting.way, found.lift.method, found.still_open) == ("trajectory", "balanced", 30)
        assert found.weighting.largest_difference < 1e-9
        for unit, values in zip(("decision", "customer"), expected, strict=True):
            row = found.lift.row("policy", "random", unit=unit)
            assert row.once.value == pytest.approx(values[0] - values[1])
            for place, group in enumerate(found.lift.groups):
                assert group.values["balanced"][unit].value == pytest.approx(values[place])
        means = compare(path, catalogue, since=None if since is None else begin, weights="means")
        for unit in ("decision", "customer"):
            one, other = (each.lift.row("policy", "random", "means", unit).once for each in (found, means))
            assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))

    def test_weeks_and_segments_are_weighted_and_add_up(self, path):
        """All customers have one gender, so the segment is the whole; the weeks' effective sizes are below it."""
        catalogue = catalogue_with(groups=TWO)
        fill(path, catalogue)
        found = compare(path, catalogue, by=("gender",), weeks=True)
        (segment,) = found.lift.segments
        assert segment.rows[0].method == "balanced"
        assert segment.rows[0].once.value == pytest.approx(found.lift.row("policy", "random").once.value)
        assert [part.decisions for part in found.lift.weeks] == [30, 30]
        assert {row.method for part in found.lift.weeks for row in part.rows} == {"balanced"}

    def test_groups_that_are_served_alike_differ_by_nothing(self, path):
        """The policy is uniform, as the group random: all weights are 1, and both groups earn the mean of all."""
        catalogue = catalogue_with(groups=TWO)
        with bandit.Engine.open(
            path, catalogue, bandit.Uniform(catalogue), seed=1, customer_key=b"a key for our tests"
        ) as engine:
            contexts = {"gender": ["f"] * 60, "recency": [1.0] * 60, "loyal": [False] * 60}
            batch = engine.decide_batch([f"c{row}" for row in range(60)], contexts, time=np.full(60, MONDAY))
            engine.record_batch(batch.decision_ids[:20], "purchase", revenue=[9.0] * 20, time=np.full(20, MONDAY + 1))
        found = compare(path, catalogue)
        assert [each.values["balanced"]["decision"].value for each in found.lift.groups] == pytest.approx([3.0, 3.0])
        assert found.lift.row("policy", "random").once.value == pytest.approx(0.0, abs=1e-12)


def means_because(path, catalogue, **options):
    """The reason for comparing means; asked for, weights are refused for the same reason."""
    found = compare(path, catalogue, **options)
    assert (found.weighting.way, found.lift.method) == ("means", "means")
    with pytest.raises(InputError) as refused:
        compare(path, catalogue, weights="trajectory", **options)
    assert found.weighting.reason in str(refused.value)
    assert json.loads(json.dumps(found.to_dict()))["weights"]["reason"] == found.weighting.reason
    return found.weighting.reason


class TestObstacles:
    def test_without_groups_in_the_catalogue(self, path):
        catalogue = catalogue_with()
        with bandit.Engine.open(
            path, catalogue, bandit.Uniform(catalogue), seed=1, customer_key=b"a key for our tests"
        ) as engine:
            contexts = {"gender": ["f"] * 8, "recency": [1.0] * 8, "loyal": [False] * 8}
            engine.decide_batch(
                [f"c{row}" for row in range(8)], contexts, time=np.full(8, MONDAY), group=["a", "b"] * 4
            )
        assert "the catalogue declares no groups" in means_because(path, catalogue)

    def test_a_group_that_does_not_teach_beside_the_policy(self, path):
        """Without the policy's group, nothing that is learned is compared."""
        groups = {"policy": 0.4, "random": 0.3, "holdout": {"share": 0.3, "offer": NOTHING}, "teach": False}
        catalogue = catalogue_with(groups=groups)
        fill(path, catalogue)
        assert 'the group "random" does not teach the policy' in means_because(path, catalogue)
        assert compare(path, catalogue, groups=("random",)).weighting.way == "trajectory"

    def test_other_shares_under_the_same_salt(self, path):
        """Another salt deals anew, so what it dealt before says nothing."""
        fill(path, catalogue_with(groups=TWO), start=-40)
        now = catalogue_with(groups={"policy": 0.5, "random": 0.5})
        fill(path, now)
        assert "90 decisions were made with the same salt and other groups or shares" in means_because(path, now)
        anew = catalogue_with(groups={"policy": 0.5, "random": 0.5, "salt": "anew"})
        fill(path, anew)
        assert compare(path, anew).weighting.way == "trajectory"

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ("policy_id = NULL, seed = NULL", "3 were imported"),
            ("seed = NULL, batch = NULL", "3 belong to batches of which a part was deleted"),
            ("fault = 'ValueError'", "3 were served the fallback because of a fault"),
        ],
    )
    def test_decisions_that_cannot_be_computed_again(self, path, change, words):
        catalogue = catalogue_with(groups=TWO)
        fill(path, catalogue)
        alter(path, f"UPDATE decisions SET {change} WHERE seq IN (4, 5, 70)")  # noqa: S608 - words of this test
        assert words in means_because(path, catalogue)

    def test_a_few_faults_are_no_obstacle(self, path, monkeypatch):
        """One of 90 decisions, where 2 % are allowed."""
        monkeypatch.setattr(lift_weights, "MOST_FAULTS", 0.02)
        catalogue = catalogue_with(groups=TWO)
        fill(path, catalogue)
        alter(path, "UPDATE decisions SET fault = 'StoreError' WHERE seq = 5")
        assert compare(path, catalogue).weighting.way == "trajectory"

    def test_an_erasure_and_a_retention_run(self, path):
        catalogue = catalogue_with(groups=TWO)
        for name in ("erased.db", "retained.db", "later.db"):
            if name == "later.db":
                fill(path.with_name(name), catalogue_with(groups=TWO | {"salt": "old"}), start=-40)
            fill(path.with_name(name), catalogue)
            with Store.open(path.with_name(name), customer_key=b"a key for our tests") as store:
                if name == "erased.db":
                    erase(store, "c1")
                else:
                    retain(store, MONDAY + (4 if name == "retained.db" else -36) * DAY)
        assert "belong to batches of which a part was deleted" in means_because(path.with_name("erased.db"), catalogue)
        assert "deleted the beginning" in means_because(path.with_name("retained.db"), catalogue)
        assert compare(path.with_name("later.db"), catalogue).weighting.way == "trajectory"

    def test_a_roll_out_that_serves_a_part_of_the_policys_customers(self, path):
        """What its arms would have given the customers of the group random is in no row of the log."""
        catalogue = catalogue_with(groups=TWO, rollout={"mode": "ramp", "share": 0.5})
        fill(path, catalogue)
        assert "were made while a roll-out shared the policy's customers" in means_because(path, catalogue)
        full = catalogue_with(groups=TWO | {"salt": "anew"}, rollout={"mode": "full"})
        fill(path.with_name("full.db"), full)
        assert compare(path.with_name("full.db"), full).weighting.way == "trajectory"

    def test_a_propensity_that_is_not_the_one_computed(self, path):
        catalogue = catalogue_with(groups=TWO)
        fill(path, catalogue)
        alter(path, "UPDATE decisions SET propensity = 0.987 WHERE seq = 3")
        assert "1 of the decisions up to number 90 have another propensity" in means_because(path, catalogue)

    def test_a_policy_that_cannot_be_built(self, path):
        catalogue = catalogue_with(groups=TWO)
        fill(path, catalogue)
        alter(path, """UPDATE policies SET spec = '{"kind":"mine"}'""")
        assert "there is no policy of kind 'mine'" in means_because(path, catalogue)

    def test_another_way_is_refused(self, path):
        catalogue = catalogue_with(groups=TWO)
        fill(path, catalogue)
        with pytest.raises(InputError, match='no way "balanced"; choose from auto, trajectory, means'):
            compare(path, catalogue, weights="balanced")


RULES = {"share": 0.5, "otherwise": {"discount": "0", "channel": "email"}, "exploration": 0.3}


@pytest.fixture(scope="module", params=[pytest.param(True, marks=pytest.mark.slow), False], ids=["personal", "common"])
def run(request, tmp_path_factory):
    """A campaign of a policy that learns, with or without personal parts, against rules that explore."""
    path = tmp_path_factory.mktemp("campaign") / "offers.db"
    groups = {"policy": 0.5, "rules": RULES}
    return path, *campaign(path, groups, lambda c: bandit.ThompsonSampling(c, personal=request.param))


class TestCampaigns:
    def test_weights_agree_with_means_and_have_a_smaller_variance(self, run):
        """Weights are the conditional mean of what means weight with, so variances of the difference subtract."""
        path, catalogue, truth, now = run
        found = compare(path, catalogue, now=now)
        assert (found.weighting.way, found.weighting.largest_difference) == ("trajectory", pytest.approx(0.0, abs=1e-9))
        assert found.lift.calibration
        for unit in ("decision", "customer"):
            weighted, means = (found.lift.row("policy", "rules", how, unit) for how in ("balanced", "means"))
            less = means.once.standard_error**2 - weighted.once.standard_error**2
            assert abs(weighted.once.value - means.once.value) < 3.0 * np.sqrt(less)
            assert found.lift.variance_to_means(weighted) < 0.9
        row = found.lift.row("policy", "rules")
        assert row.anytime.low < truth["policy"] - truth["rules"] < row.anytime.high

    def test_wrong_probabilities_are_found_and_means_are_compared(self, run, monkeypatch):
        """The negative control: each group's probabilities are the other one's. Asked for, weights cannot tell."""
        path, catalogue, _, now = run
        original = GroupProbabilities.pages

        def exchanged(self, event, window):
            for page in original(self, event, window):
                yield replace(page, probabilities=page.probabilities[:, ::-1])

        monkeypatch.setattr(GroupProbabilities, "pages", exchanged)
        found = compare(path, catalogue, now=now)
        assert (found.weighting.way, found.lift.method) == ("means", "means")
        assert "do not fit who is in which group" in found.weighting.reason
        assert found.lift.verdicts[0].verdict != "cannot tell"
        forced = compare(path, catalogue, now=now, weights="trajectory")
        assert {row.verdict for row in forced.lift.verdicts} == {"cannot tell"}

    def test_the_report_is_plain_json(self, run):
        path, catalogue, _, now = run
        plain = json.loads(json.dumps(compare(path, catalogue, now=now).to_dict(), allow_nan=False))
        assert plain["weights"] | {"reason": "", "largest_difference": 0.0} == {
            "asked": "auto",
            "way": "trajectory",
            "reason": "",
            "largest_difference": 0.0,
        }
        assert {row["method"] for row in plain["rows"]} == {"balanced", "means"}
        assert {row["variance_to_means"] == 1.0 for row in plain["rows"] if row["method"] == "means"} == {True}


def test_options_are_those_of_the_library():
    assert LiftLogOptions().weights == "auto"
    assert lift_weights.LIFT_WEIGHTS == ("auto", "trajectory", "means")
