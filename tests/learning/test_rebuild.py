"""The state folded from the log again is the current one."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bandit
from tests.conftest import SPRING
from tests.engine.conftest import DAY, KEY, Clock, serve


def test_closing_and_opening_again_goes_on_where_it_stopped(open_engine, clock, tmp_path):
    engine = open_engine()
    serve(engine, clock, 200, np.random.default_rng(1))
    clock.now += 8 * DAY
    engine.learn()
    state, step = engine.policy.dumps(), engine.step
    engine.close()
    again = open_engine()
    assert (again.policy.dumps(), again.step) == (state, step)
    again.close()
    with bandit.Engine.resume(tmp_path / "offers.db", customer_key=KEY) as resumed:
        assert resumed.policy.dumps() == state


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(0, 1000))
def test_the_state_folded_from_the_log_is_the_current_one(tmp_path_factory, sizes, seed):
    """However decisions, events and learning alternate, and whatever is returned later."""
    catalogue, clock, rng = bandit.Catalogue.from_dict(SPRING), Clock(), np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("engine") / "offers.db"
    with bandit.Engine.open(
        path, catalogue, bandit.ThompsonSampling(catalogue), customer_key=KEY, clock=clock, durability="process"
    ) as engine:
        for number, size in enumerate(sizes):
            batch = serve(engine, clock, size, rng, prefix=f"{number}-")
            engine.learn()
            clock.now += int(rng.integers(0, 5)) * DAY
            if rng.random() < 0.5:
                engine.learn()  # what is open counts in part
            engine.record(batch.decision_ids[0], "return", revenue=-1000.0, time=int(batch.time[0]) + 1)
        engine.learn()
        rebuilt = engine.rebuild()
        assert rebuilt.same
        assert rebuilt.steps == engine.step
