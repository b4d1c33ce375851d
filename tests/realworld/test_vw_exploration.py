"""Kind 12: policies of Vowpal Wabbit that keep several regressors are verified and rebuilt like others."""

import numpy as np
import pytest

import bandit
from tests.conftest import SPRING
from tests.engine.conftest import DAY, KEY, Clock, context, serve


@pytest.mark.parametrize("args", ["--bag 5", "--cover 5", "--rnd 3"])
def test_a_log_of_any_exploration_is_verified_and_rebuilt(desk, monkeypatch, args):
    """3 x 25 decisions and 3 more, learned in 3 steps, the engine opened anew before the last: no problem in any.

    Before, `verify` found up to 24 problems on such a file, and `rebuild` another state.
    """
    catalogue, clock, rng = bandit.Catalogue.from_dict(SPRING), Clock(), np.random.default_rng(1)
    path = desk.folder / "offers.db"

    def opened():
        policy = bandit.VowpalWabbit(catalogue, args=args, warm_up=20)
        return bandit.Engine.open(path, catalogue, policy, customer_key=KEY, clock=clock, durability="process")

    engine = opened()
    for number in range(3):
        if number == 2:
            engine.close()
            engine = opened()
        serve(engine, clock, 25, rng, prefix=f"{number}-")
        engine.decide("c", context(number))
        clock.now += 8 * DAY
        engine.learn()
    assert engine.rebuild().same
    engine.close()
    monkeypatch.setenv("OFFER_BANDIT_KEY", KEY.decode())
    assert desk.run("verify", path, "--json").code == 0
    assert desk.json["problems"] == []
    assert desk.json["n_recomputed"] == 78
