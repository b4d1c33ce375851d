"""Every group's probability of each logged offer: equal to the logged propensity, and to the probabilities by hand."""

import numpy as np
import pytest

import bandit
from bandit.domain import MICROSECONDS
from bandit.errors import PolicyError, StoreError
from bandit.evaluate import group_probabilities
from bandit.evaluate.group_probabilities import GroupProbabilities
from bandit.store import Store, Where
from tests.catalogue.test_groups import RULES, with_groups
from tests.engine.conftest import Clock, context
from tests.governance.test_verify import alter
from tests.policies.test_many_offers import large

NAMES = ("policy", "rules", "random", "holdout")
SHARES = {"policy": 0.4, "rules": {"share": 0.2, **RULES, "exploration": 0.3}, "random": 0.2, "holdout": 0.2}
HOUR = 3_600 * MICROSECONDS


@pytest.fixture
def path(tmp_path):
    return tmp_path / "offers.db"


@pytest.fixture
def catalogue(spring):
    return with_groups(spring, **SHARES)


def filled(path, catalogue, policy=bandit.ThompsonSampling, rounds=4, clock=None):
    """Each round has 40 decisions in a batch and 6 one by one; a third of them buy, and then the policy learns."""
    clock, rng = clock or Clock(), np.random.default_rng(1)
    engine = bandit.Engine.open(
        path,
        catalogue,
        policy(catalogue),
        seed=7,
        customer_key=b"a key for our tests",
        clock=clock,
        durability="process",
    )
    for number in range(rounds):
        names = [f"customer-{row}" for row in range(40)]
        made = list(engine.decide_batch(names, [context(row) for row in range(40)]).decision_ids)
        made += [engine.decide(names[row], context(row)).decision_id for row in range(number, number + 6)]
        bought = [each for each in made if rng.random() < 0.3]
        clock.now += HOUR
        engine.record_batch(bought, "purchase", revenue=rng.lognormal(4.0, 0.5, len(bought)))
        engine.learn()
    return engine


def computed(store, names=NAMES, where=None):
    """What the pages give together, and the reader with its counts."""
    reader = GroupProbabilities(store, names, where or Where(), store.decisions.last_seq())
    pages = list(reader.pages("purchase", HOUR))
    return reader, *(np.concatenate([getattr(page, name) for page in pages]) for name in ("seq", "probabilities"))


@pytest.mark.parametrize("page", [1, 7, 4_096])
@pytest.mark.parametrize(
    "policy",
    [
        bandit.ThompsonSampling,
        lambda catalogue: bandit.ThompsonSampling(catalogue, personal=False, half_life="3d", pairs=False),
        lambda catalogue: bandit.VowpalWabbit(catalogue, warm_up=30),
        bandit.Uniform,
    ],
    ids=["thompson", "common", "vw", "uniform"],
)
def test_the_probability_computed_again_is_the_logged_propensity(path, catalogue, policy, page, monkeypatch):
    """For the group that served, of decisions in mixed batches and of single ones, in every state of the policy."""
    monkeypatch.setattr(group_probabilities, "PROBABILITY_PAGE", page)
    with filled(path, catalogue, policy) as engine:
        reader, seq, probabilities = computed(engine.store)
        logged = engine.store.decisions.page("purchase", HOUR)
        assert seq.tolist() == logged.seq.tolist()
        assert len(seq) == 4 * 46
        assert (reader.differing, reader.largest) == (0, pytest.approx(0.0, abs=1e-9))
        own = probabilities[np.arange(len(seq)), [NAMES.index(name) for name in logged.group]]
        assert np.array_equal(own, logged.propensity)


@pytest.mark.slow
def test_policies_that_search_many_offers_are_asked_by_their_shares(path):
    """8,750 offers, of which the policy names a few: random has 1 / 8,750 everywhere."""
    mapping = large()
    groups = {**SHARES, "rules": {"share": 0.2, "otherwise": mapping["fallback"], "exploration": 0.3}}
    catalogue = bandit.Catalogue.from_dict(mapping | {"groups": groups})
    policy = bandit.ThompsonSampling(catalogue, pairs=False)
    with bandit.Engine.open(
        path, catalogue, policy, seed=7, customer_key=b"a key for our tests", durability="process"
    ) as engine:
        for _ in range(2):
            batch = engine.decide_batch([f"c{row}" for row in range(40)], [{"loyal": True}] * 40)
            engine.record_batch(batch.decision_ids[:20], "purchase", revenue=[30.0] * 20)
            engine.learn()
        reader, _, probabilities = computed(engine.store)
        assert policy.sparse
        assert (len(probabilities), reader.largest) == (80, pytest.approx(0.0, abs=1e-9))
        assert probabilities[:, 2] == pytest.approx(np.full(80, 1 / 8_750))


def test_joining_batches_of_one_state_changes_no_probability(path, catalogue, monkeypatch):
    """Without `draw_sets` each batch is asked by itself, as the engine did; with it, all that took the same set."""
    with filled(path, catalogue) as engine:
        joined = computed(engine.store)[2]
        calls, original = [], group_probabilities.choose
        monkeypatch.setattr(group_probabilities, "choose", lambda *a: calls.append(1) or original(*a))
        again = computed(engine.store)[2]
        few = len(calls)
        monkeypatch.delattr(bandit.ThompsonSampling, "draw_sets")
        single = computed(engine.store)[2]
        assert np.array_equal(joined, again)
        assert single == pytest.approx(joined, abs=1e-9)
        assert few < len(calls) - few == 4 * 7  # a batch and six single decisions in each of four rounds


def test_groups_without_a_state_have_their_probabilities_by_hand(path, catalogue):
    """Rules .7 for the offer named + .3 / n, random 1 / n, holdout 1 for its offer, n being the eligible offers."""
    with filled(path, catalogue, rounds=1) as engine:
        _, _, probabilities = computed(engine.store)
        logged = engine.store.decisions.page("purchase", HOUR)
        n = engine.store.eligible_sets.masks(logged.eligible_set_id, catalogue.n_offers).sum(axis=1)
        named = np.array(
            [catalogue.offer_index(RULES["otherwise"] | {"discount": "10" if "true" in text else "0"})
             for text in logged.context]
        )  # fmt: skip
        assert probabilities[:, 1] == pytest.approx(0.7 * (logged.offer == named) + 0.3 / n)
        assert probabilities[:, 2] == pytest.approx(1.0 / n)
        nothing = catalogue.offer_index(RULES["otherwise"])
        assert probabilities[:, 3].tolist() == (logged.offer == nothing).astype(float).tolist()


def test_the_policys_probability_does_not_depend_on_who_was_served(path, catalogue, spring):
    """The same requests with all customers in the policy's group: the same state, and the same set of draws."""
    with filled(path, catalogue, rounds=1) as engine:
        logged = engine.store.decisions.page("purchase", HOUR)
        given = computed(engine.store)[2][:, 0]
        others = np.flatnonzero(logged.group != "policy")
        policy = bandit.ThompsonSampling(catalogue)
        contexts = catalogue.contexts([context(row % 40) for row in range(40)])
        rng = bandit.decide.generator_for("7", logged.decision_id[:40].tolist())
        whole = bandit.decide.choose(policy, catalogue, contexts, rng).probabilities
        batch = others[others < 40]
        assert len(batch) > 10
        assert given[batch] == pytest.approx(whole[batch, logged.offer[batch]], abs=1e-9)


def test_decisions_of_other_groups_are_left_out(path, catalogue):
    with filled(path, catalogue, rounds=1) as engine:
        _, seq, probabilities = computed(engine.store, ("rules", "policy"))
        groups = engine.store.decisions.page("purchase", HOUR).group[seq - 1]
        assert set(groups) == {"rules", "policy"}
        assert np.array_equal(probabilities[:, ::-1], computed(engine.store)[2][seq - 1][:, :2])


def test_each_catalogue_version_has_its_own_policies(path, catalogue, spring, monkeypatch):
    """A second version with other rules, whose policy learned the first one's log; one walk is kept at a time."""
    monkeypatch.setattr(group_probabilities, "_WALKS_KEPT", 1)
    monkeypatch.setattr(group_probabilities, "PROBABILITY_PAGE", 50)
    clock = Clock()
    other = with_groups(spring, **SHARES | {"rules": {"share": 0.2, **RULES}})
    for each in (catalogue, other, catalogue):
        filled(path, each, rounds=2, clock=clock).close()
    with filled(path, other, rounds=1, clock=clock) as engine:
        reader, seq, probabilities = computed(engine.store)
        logged = engine.store.decisions.page("purchase", HOUR)
        assert len(seq) == 7 * 46
        assert reader.largest < 1e-9
        newer = logged.catalogue_id == logged.catalogue_id[-1]
        assert set(np.unique(probabilities[newer, 1])) == {0.0, 1.0}
        assert probabilities[~newer, 1].max() < 1.0


def test_an_altered_propensity_is_counted_and_a_fault_tells_no_group(path, catalogue):
    """Both decisions keep their logged propensity; the one with a fault has it in all groups and is not compared."""
    filled(path, catalogue, rounds=1).close()
    alter(path, "UPDATE decisions SET propensity = 0.987 WHERE seq = 3")
    alter(path, "UPDATE decisions SET fault = 'StoreError: locked', propensity = 1.0 WHERE seq = 44")
    with filled(path, catalogue, rounds=0) as engine:
        reader, seq, probabilities = computed(engine.store)
        assert reader.differing == 1
        assert reader.largest > 0.05
        assert probabilities[seq == 44].tolist() == [[1.0] * 4]
        assert 0.987 in probabilities[seq == 3]


def test_policies_that_cannot_be_built_and_catalogues_without_groups_are_refused(path, catalogue, spring):
    class Mine(bandit.Uniform):
        def spec(self):
            return {"kind": "mine"}

    with filled(path, catalogue, Mine, rounds=1) as engine:
        with pytest.raises(PolicyError, match="no policy of kind"):
            computed(engine.store)
        assert computed(engine.store, NAMES[1:])[0].differing == 0  # the other groups do not need it
    plain = bandit.Catalogue.from_dict(spring)
    with (
        filled(path.with_name("plain.db"), plain, rounds=1) as engine,
        pytest.raises(PolicyError, match="without groups"),
    ):
        computed(engine.store)


def test_a_policy_that_lost_its_states_is_refused(path, catalogue):
    filled(path, catalogue, rounds=1).close()
    alter(path, "DELETE FROM snapshots")
    with (
        Store.open(path, customer_key=b"a key for our tests", read_only=True) as store,
        pytest.raises(StoreError, match="first state"),
    ):
        computed(store)
