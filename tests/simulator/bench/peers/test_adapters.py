"""Adapters of other libraries: they obey the policy protocol, choose eligible offers, and learn."""

import numpy as np
import pytest

from bandit.domain import Policy
from bandit.errors import OfferBanditError
from simulator.bench.earnings.contestants import CONTESTANTS
from simulator.bench.earnings.play import play, references
from simulator.bench.earnings.world import TournamentWorld, WorldSpec
from simulator.market.ceilings import CLAIRVOYANT, UNIFORM

PEERS = ("bayesianbandits", "mabwiser", "gittins", "pybandits")


@pytest.mark.parametrize("name", PEERS[:3])
def test_a_peer_learns_the_strong_tastes_of_the_tiny_market(name):
    """Each earns more than uniform choice in the last quarter of 2,000 decisions over six offers.

    gittins keeps a diagonal model and is only asked to play without a fault.
    """
    pytest.importorskip(name)
    where = WorldSpec.of("tiny", 7, 0, customers=400, visits=2_000)
    played = play(where, name)
    known = {each.contestant: each for each in references(where)}
    assert played.fault == ""
    assert played.decide > 0
    assert played.learn > 0
    assert played.all <= known[CLAIRVOYANT].all
    if name != "gittins":
        assert played.last > known[UNIFORM].last


@pytest.mark.parametrize("name", PEERS)
def test_an_adapter_obeys_the_protocol_and_keeps_to_what_is_eligible(name, tmp_path):
    pytest.importorskip(name)
    world = TournamentWorld.draw(WorldSpec.of("tiny", 7, 0, customers=150, visits=50))
    contexts = world.population.contexts(world.visits.customers, world.visits.times)
    eligible = np.zeros((50, 6), dtype=np.bool_)
    eligible[:, [1, 4]] = True
    with CONTESTANTS[name].open(world.population.market.catalogue, 3, tmp_path) as policy:
        assert isinstance(policy, Policy)
        shares = policy.probabilities(contexts, eligible, np.random.default_rng(0))
        with pytest.raises(OfferBanditError):
            policy.dumps()
    assert np.array_equal(shares.sum(axis=1), np.ones(50))
    assert not shares[~eligible].any()
