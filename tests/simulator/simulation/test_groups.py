"""A run against an engine with groups: the log has the groups, and their propensities are exact."""

import numpy as np

from bandit import Catalogue, Engine, ThompsonSampling
from simulator import RunOptions, run
from tests.simulator.simulation.test_run import world

GROUPS = {"policy": 0.5, "random": 0.3, "holdout": 0.2, "salt": "a run"}


def test_a_run_against_an_engine_with_groups_logs_them(tmp_path):
    """The tiny market's catalogue with groups: every customer in one group, the holdout on its offer alone, and each
    group as large as its share (3,000 visits; four standard deviations of customers)."""
    population = world(n=1_200)
    plain = population.market.catalogue.to_dict()
    nothing = population.market.catalogue.offer(0)
    groups = GROUPS | {"holdout": {"share": 0.2, "offer": nothing}}
    catalogue = Catalogue.from_dict(plain | {"groups": groups})
    rng = np.random.default_rng(3)
    with Engine.open(
        tmp_path / "run.db",
        catalogue,
        ThompsonSampling(catalogue),
        seed=1,
        customer_key=b"a key for our tests",
        durability="process",
    ) as engine:
        ran = run(engine, population, population.visits(3_000, rng), rng, RunOptions(batch=500, delayed=True))
        logged = engine.store.decisions.page("purchase", catalogue.objective.window)
        assert np.array_equal(logged.offer, ran.offer)
        assert np.array_equal(logged.propensity, ran.propensity)
        assert logged.group.tolist() == [catalogue.groups.name_of(key) for key in logged.customer]
        assert set(ran.offer[logged.group == "holdout"].tolist()) == {0}
        assert set(ran.propensity[logged.group == "holdout"].tolist()) == {1.0}
        counts, several = engine.store.decisions.customers_by_group()
        n = sum(counts.values())
        assert several == 0
        for name, share in zip(catalogue.groups.names, catalogue.groups.shares, strict=True):
            assert abs(counts[name] - share * n) < 4 * np.sqrt(n * share * (1 - share))
        assert engine.verify().problems == ()
        assert engine.rebuild().same
