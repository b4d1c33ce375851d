"""Groups of customers in a dataset: one partition, seven partitions and the database say the same to twelve digits."""

import numpy as np
import pytest

import bandit
from bandit.analysis.group_variance import measure_groups, measure_groups_of_parts
from bandit.domain import MICROSECONDS
from bandit.errors import InputError
from bandit.evaluate import lift_log
from bandit.evaluate.incrementality_log import IncrementLogOptions, incrementality_of, incrementality_of_parts
from bandit.evaluate.lift_log import LiftLogOptions, lift_of, lift_of_parts
from bandit.logfiles.dataset.export import export_dataset
from bandit.logfiles.dataset.log import open_dataset
from bandit.store import Store, Where
from tests.conftest import SPRING
from tests.evaluate.partitioned_log import PicklingRunner
from tests.logfiles.dataset.conftest import check_close, now

DAY = 86_400 * MICROSECONDS
SHARES = {"policy": 0.5, "rules": 0.25, "holdout": 0.25}
CUSTOMERS, DECISIONS = 120, 500
KEY = b"a key for our tests"


def opened(db):
    return Store.open(db, customer_key=KEY, durability="process", read_only=True)


def catalogue_with(**objective):
    return bandit.Catalogue.from_dict(SPRING | {"objective": {"kind": "revenue", "window": "7d"} | objective})


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """A database of three groups and a few open decisions, and datasets of it in 1 and 7 partitions, by their number.

    Five customers are seen in two groups; rewards, groups and times are drawn at random.
    """
    folder, rng = tmp_path_factory.mktemp("groups"), np.random.default_rng(11)
    catalogue = catalogue_with()
    customer = rng.integers(0, CUSTOMERS, DECISIONS)
    label = np.array(list(SHARES), dtype=object)[rng.choice(3, CUSTOMERS, p=list(SHARES.values()))][customer]
    label[np.flatnonzero(customer < 6)[::2]] = "rules"
    holdout = label == "holdout"
    time = now() - rng.integers(1, 40, DECISIONS) * DAY
    contexts = {
        "gender": rng.choice(["f", "m"], DECISIONS).tolist(),
        "recency": rng.integers(0, 60, DECISIONS).astype(float).tolist(),
        "loyal": (rng.random(DECISIONS) < 0.5).tolist(),
    }
    names = [f"c{number}" for number in customer]
    db = folder / "groups.db"
    for policy, rows in ((bandit.ConstantOffer(catalogue, 0), holdout), (bandit.Uniform(catalogue), ~holdout)):
        with bandit.Engine.open(db, catalogue, policy, seed=1, customer_key=KEY, durability="process") as engine:
            chosen = np.flatnonzero(rows)
            batch = engine.decide_batch(
                [names[row] for row in chosen],
                {name: [column[row] for row in chosen] for name, column in contexts.items()},
                time=time[chosen],
                group=label[chosen].tolist(),
            )
            bought = np.flatnonzero(rng.random(len(chosen)) < 0.4)
            engine.record_batch(
                [batch.decision_ids[row] for row in bought],
                "purchase",
                revenue=np.round(rng.gamma(2.0, 20.0, len(bought)), 2),
                time=time[chosen][bought] + 1,
            )
    sets = {}
    for partitions in (1, 7):
        with opened(db) as store:
            export_dataset(store, catalogue, folder / f"log{partitions}", partitions=partitions)
        sets[partitions] = folder / f"log{partitions}"
    return db, sets


def asked(experiment, of_store, of_parts, catalogue=None, **options):
    """The answers of the database and of each dataset as JSON, the database at the time of the export."""
    db, sets = experiment
    catalogue = catalogue_with() if catalogue is None else catalogue
    found = {}
    for partitions, folder in sets.items():
        log = open_dataset(folder, catalogue)
        found[partitions] = of_parts(log, runner=PicklingRunner(), **options)
    with opened(db) as store:
        return of_store(store, catalogue, now=log.manifest.until, **options), found


LIFTS = [
    {},
    {"by": ("gender", "recency"), "weeks": True},
    {"baseline": "holdout", "groups": ("policy",), "look": "once"},
    pytest.param({"since": now() - 20 * DAY, "unit": "customer"}, marks=pytest.mark.slow),
    pytest.param({"shares": SHARES}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("options", LIFTS)
def test_lift_by_means_is_that_of_the_database(experiment, options):
    given = {"options": LiftLogOptions(weights="means", **options)}
    whole, found = asked(experiment, lift_of, lift_of_parts, **given)
    assert whole.several == 5 or "since" in options
    assert whole.still_open > 0
    for each in found.values():
        check_close(each.to_dict(), whole.to_dict())


@pytest.mark.parametrize("objective", [{}, pytest.param({"kind": "profit"}, marks=pytest.mark.slow)])
def test_what_was_added_is_that_of_the_database_and_the_states_of_policies_are_missing(experiment, objective):
    catalogue = catalogue_with(**objective)
    given = {"options": IncrementLogOptions(shares=SHARES)}
    whole, found = asked(experiment, incrementality_of, incrementality_of_parts, catalogue, **given)
    for each in found.values():
        check_close(_known(each), _known(whole))
        assert all("does not have the states" in group.no_options for group in each.found.groups)


def _known(report):
    """What both know: all but the options, and the reason that a group has none."""
    plain = report.to_dict()
    plain["groups"] = [
        {key: value for key, value in group.items() if key not in {"options", "no_options"}}
        for group in plain["groups"]
    ]
    return plain


@pytest.mark.parametrize("where", [{}, {"policy_id": 2}])
def test_what_a_plan_measures_is_that_of_the_database(experiment, where):
    db, sets = experiment
    logs = {number: open_dataset(folder, catalogue_with(), **where) for number, folder in sets.items()}
    settled = logs[1].manifest.until - logs[1].catalogue.objective.window
    with opened(db) as store:
        whole = measure_groups(store, catalogue_with(), Where(settled_before=settled, **where))
    for log in logs.values():
        found = measure_groups_of_parts(log, PicklingRunner())
        assert (found.decisions, found.customers, found.weeks) == (whole.decisions, whole.customers, whole.weeks)
        assert found.rewards.keys() == whole.rewards.keys()
        pairs = [
            (found.overall, whole.overall),
            *((found.rewards[name], whole.rewards[name]) for name in whole.rewards),
        ]
        for one, other in pairs:
            numbers = ((each.variance, each.correlation, each.rate) for each in (one, other))
            assert next(numbers) == pytest.approx(next(numbers), rel=1e-12, abs=1e-13)
        assert found.values == pytest.approx(dict(whole.values), rel=1e-12)
        assert found.traffic.spread == pytest.approx(whole.traffic.spread, rel=1e-12)


def _rewards(measured):
    every = [measured.overall, *(measured.rewards[name] for name in sorted(measured.rewards))]
    return [(each.variance, each.correlation, each.rate) for each in every]


def test_a_partition_that_is_read_twice_is_another_lift(monkeypatch, experiment):
    """Negative control."""
    log = open_dataset(experiment[1][7], catalogue_with())
    options = LiftLogOptions(weights="means")
    right = lift_of_parts(log, options)
    read = lift_log._read_part
    monkeypatch.setattr(lift_log, "_read_part", lambda *given: read(*given) + read(*given))
    wrong = lift_of_parts(log, options)
    low = [each.lift.row("policy", "rules").once.low for each in (right, wrong)]
    assert abs(low[0] - low[1]) > 1e-3 * abs(low[0])


def test_trajectory_weights_and_a_control_of_several_offers_are_refused_in_a_sentence(experiment):
    log = open_dataset(experiment[1][7], catalogue_with())
    with pytest.raises(InputError, match="a dataset does not have the states of the policies"):
        lift_of_parts(log, LiftLogOptions(weights="trajectory"))
    assert "does not have the states" in lift_of_parts(log).weighting.reason
    with pytest.raises(InputError, match='the group "rules" served 10 different offers'):
        incrementality_of_parts(log, IncrementLogOptions(baseline="rules"))
    with pytest.raises(InputError, match='there is no group "nobody"'):
        lift_of_parts(log, LiftLogOptions(groups=("nobody",)))


def test_the_decisions_of_another_assignment_and_of_other_groups_are_counted(experiment):
    """Declared groups with a salt that no version of the log has: nothing is left to compare."""
    log = open_dataset(experiment[1][7], catalogue_with())
    found = lift_of_parts(log, LiftLogOptions(shares={"policy": 0.6, "rules": 0.4}))
    assert set(found.other_groups) == {"holdout"}
    declared = bandit.Catalogue.from_dict(
        catalogue_with().to_dict() | {"groups": {"policy": 0.5, "random": 0.5, "salt": "new"}}
    )
    with pytest.raises(InputError, match="were made under another assignment of customers to groups"):
        lift_of_parts(open_dataset(experiment[1][7], declared))
    assert found.other_assignment == 0
