"""What Thompson sampling learns beyond the contract that every policy keeps."""

import copy
import dataclasses

import numpy as np
import pytest
from scipy.special import expit

import bandit
from bandit.domain import LoggedBatch, Outcomes
from bandit.errors import CatalogueError, InputError, PolicyError
from bandit.policies.thompson.monotone import ladders
from tests.conftest import SPRING, amended

DAY = 86_400_000_000


def conversion(**more):
    plain = copy.deepcopy(SPRING)
    plain["objective"] = {"kind": "conversion", "event": "purchase"}
    plain["rules"] = []
    return bandit.Catalogue.from_dict({**plain, **more})


def outcomes_of(catalogue, chance, n, rng, *, customers=None, time=None):
    """n visits of random customers, offers at random, responses by `chance(columns, options)`."""
    columns = {
        "gender": rng.choice(["f", "m"], n).astype(object),
        "recency": rng.normal(size=n),
        "loyal": rng.random(n) < 0.5,
    }
    who = np.array(
        [f"c{each}" for each in rng.integers(10**9, size=n)] if customers is None else customers, dtype=object
    )
    contexts = catalogue.contexts(columns, who)
    offer = rng.integers(catalogue.n_offers, size=n)
    converted = rng.random(n) < chance(columns, catalogue.options[offer])
    eligible = np.ones((n, catalogue.n_offers), dtype=bool)
    reward = converted.astype(float)
    propensity = np.full(n, 1.0 / catalogue.n_offers)
    return Outcomes.new(contexts, offer, eligible, propensity, converted, np.zeros(n), reward, time)


@dataclasses.dataclass
class Kept:
    """Outcomes as a log."""

    outcomes: Outcomes

    @property
    def n(self):
        return len(self.outcomes)

    def batches(self, size=65_536):
        o = self.outcomes
        time = o.time if len(o.time) else np.zeros(self.n, dtype=np.int64)
        whole = LoggedBatch(o.contexts, o.offer, o.eligible, o.propensity, o.converted, o.revenue, o.reward, time)
        for start in range(0, self.n, size):
            yield whole.take(slice(start, start + size))


ATTRIBUTES = {"depth": {"monotone": "increasing"}}


PREFERRED = np.array([0.2, 0.5, 0.1])


class TestMonotone:
    def catalogue(self, *, declared):
        plain = copy.deepcopy(SPRING)
        plain["objective"] = {"kind": "conversion", "event": "purchase"}
        plain["dimensions"][0]["options"][0]["depth"] = 0
        if declared:
            plain["dimensions"][0]["attributes"] = ATTRIBUTES
        return bandit.Catalogue.from_dict(plain)

    @staticmethod
    def falls(catalogue, values):
        """Whether the value falls somewhere from one depth to the next, all else equal."""
        fallen = False
        for one in range(catalogue.n_offers):
            for other in range(catalogue.n_offers):
                a, b = catalogue.options[one], catalogue.options[other]
                if a[0] < b[0] and (a[1:] == b[1:]).all():
                    fallen |= bool((values[..., one] > values[..., other] + 1e-6).any())
        return fallen

    def test_response_never_falls_with_depth_where_that_is_declared(self):
        """Customers of this world like the depth of 10 best; the control learns that, the declared one must not."""
        for declared in (True, False):
            catalogue = self.catalogue(declared=declared)
            policy = bandit.ThompsonSampling(catalogue)
            rng = np.random.default_rng(1)
            policy.update(outcomes_of(catalogue, lambda _, options: PREFERRED[options[:, 0]], 2_000, rng))
            contexts = catalogue.contexts([{"gender": "f", "loyal": True}, {"recency": 2.0}])
            assert self.falls(catalogue, policy.predict(contexts)) is not declared

    def test_draws_rise_along_every_flight_and_offers_of_one_height_are_not_ordered(self):
        """Flight 3, 1, 2 at heights 0, 1, 1: the first may stand no higher than either of the others, and these need
        not rise. Lifted to (3, 3, 3), lowered to (1, 1, 2), halfway (2, 2, 2.5)."""
        plain = {
            "objective": {"kind": "conversion"},
            "dimensions": [
                {
                    "name": "discount",
                    "options": [{"name": "a", "depth": 0}, {"name": "b", "depth": 5}, {"name": "c", "depth": 5}],
                    "attributes": ATTRIBUTES,
                }
            ],
        }
        (ladder,) = ladders(bandit.Catalogue.from_dict(plain))
        scores = np.array([[3.0, 1.0, 2.0], [0.0, 2.0, 1.0]])
        ladder.apply(scores)
        assert scores.tolist() == [[2.0, 2.0, 2.5], [0.0, 2.0, 1.0]]

    def test_an_attribute_that_no_option_has_is_refused(self):
        plain = copy.deepcopy(SPRING)
        plain["dimensions"][1]["attributes"] = {"depth": {"monotone": "increasing"}}
        with pytest.raises(CatalogueError, match='no option has the attribute "depth"'):
            bandit.Catalogue.from_dict(plain)

    def test_a_declaration_survives_being_written(self):
        catalogue = self.catalogue(declared=True)
        assert bandit.Catalogue.from_dict(catalogue.to_dict()).version == catalogue.version
        assert catalogue.version != self.catalogue(declared=False).version


def world(columns, options):
    """Sms for the loyal, e-mail for others; discounts for women."""
    loyal = np.asarray(columns["loyal"], dtype=float) * 2 - 1
    woman = (columns["gender"] == "f").astype(float)
    return expit(-1.5 + 0.8 * loyal * (options[:, 1] * 2 - 1) + 0.6 * woman * options[:, 0])


def other_world(columns, options):
    return world(columns, np.column_stack([options[:, 0], 1 - options[:, 1], options[:, 2]]))


def off(policy, catalogue, truth, rng):
    """Mean absolute error of the predicted response over offers and fresh customers."""
    columns = {"gender": rng.choice(["f", "m"], 300).astype(object), "loyal": rng.random(300) < 0.5}
    predicted = policy.predict(catalogue.contexts(columns))
    exact = np.column_stack([truth(columns, np.tile(row, (300, 1))) for row in catalogue.options])
    return float(np.abs(predicted - exact).mean())


def test_fitting_a_log_is_what_learning_it_online_comes_near_to():
    """Online, in batches of 50, and fitted at once: predictions within a hundredth of each other in the mean, both
    nearer to the truth than an unlearned policy (the control) by a factor of 3."""
    catalogue = conversion()
    outcomes = outcomes_of(catalogue, world, 6_000, np.random.default_rng(2))
    online, fitted, unlearned = (bandit.ThompsonSampling(catalogue) for _ in range(3))
    for start in range(0, 6_000, 50):
        online.update(outcomes.take(slice(start, start + 50)))
    steps = []
    fitted.fit(Kept(outcomes), progress=lambda done, total: steps.append((done, total)))
    assert steps[-1][0] == steps[-1][1]
    contexts = outcomes.contexts.take(slice(0, 500))
    assert np.abs(online.predict(contexts) - fitted.predict(contexts)).mean() < 0.01
    errors = [off(policy, catalogue, world, np.random.default_rng(3)) for policy in (online, fitted, unlearned)]
    assert max(errors[:2]) < errors[2] / 3


def test_a_fit_needs_a_log_and_may_be_learned_on_from():
    catalogue = conversion()
    outcomes = outcomes_of(catalogue, world, 900, np.random.default_rng(4))
    policy, copy_ = bandit.ThompsonSampling(catalogue), bandit.ThompsonSampling(catalogue)
    with pytest.raises(InputError, match="no decisions"):
        policy.fit(Kept(outcomes.take(slice(0, 0))))
    policy.fit(Kept(outcomes))
    copy_.loads(policy.dumps())
    for each in (policy, copy_):
        each.update(outcomes_of(catalogue, world, 700, np.random.default_rng(5)))
    assert policy.dumps() == copy_.dumps()


def test_what_is_forgotten_no_longer_misleads():
    """1,500 outcomes of one world, 60 days later 1,500 of another in which channels have changed places: a half-life of
    ten days predicts the new world better than remembering everything (the control)."""
    catalogue = conversion()
    errors = []
    for half_life in ("10d", None):
        policy = bandit.ThompsonSampling(catalogue, half_life=half_life)
        for truth, day, seed in ((world, 0, 6), (other_world, 60, 7)):
            time = np.full(1_500, day * DAY, dtype=np.int64)
            outcomes = outcomes_of(catalogue, truth, 1_500, np.random.default_rng(seed), time=time)
            for start in range(0, 1_500, 100):
                policy.update(outcomes.take(slice(start, start + 100)))
        errors.append(off(policy, catalogue, other_world, np.random.default_rng(8)))
    assert errors[0] < 0.7 * errors[1]


@pytest.mark.parametrize("half_life", ["soon", "0d", "-3d"])
def test_a_half_life_that_is_none_is_refused(half_life):
    with pytest.raises(PolicyError, match="half_life"):
        bandit.ThompsonSampling(conversion(), half_life=half_life)


class TestPersonal:
    def learned(self, catalogue, personal):
        """Anna answers every text message and no e-mail; 2,000 others answer both alike, one in five."""
        rng = np.random.default_rng(9)
        policy = bandit.ThompsonSampling(catalogue, personal=personal)
        policy.update(outcomes_of(catalogue, lambda _, options: np.full(len(options), 0.2), 2_000, rng))
        anna = np.full(60, "anna", dtype=object)
        policy.update(outcomes_of(catalogue, lambda _, options: options[:, 1] * 1.0, 60, rng, customers=anna))
        return policy

    def by_text(self, catalogue, policy, customer):
        """What a text message adds to this customer's predicted response, in the mean over the other levers."""
        predicted = policy.predict(catalogue.contexts([{"loyal": True}], [customer]))[0]
        text = catalogue.options[:, 1] == 1
        return predicted[text].mean() - predicted[~text].mean()

    def test_a_customer_is_known_by_her_own_history_and_nobody_else_is(self):
        catalogue = conversion()
        policy = self.learned(catalogue, personal=True)
        stranger = self.by_text(catalogue, policy, "stranger")
        assert self.by_text(catalogue, policy, "anna") > stranger + 0.1
        assert abs(stranger) < 0.05
        alike = self.learned(catalogue, personal=False)
        assert self.by_text(catalogue, alike, "anna") == self.by_text(catalogue, alike, "stranger")

    def test_what_was_learned_of_a_customer_comes_back_with_the_state(self):
        catalogue = conversion()
        policy, other = self.learned(catalogue, personal=True), bandit.ThompsonSampling(catalogue)
        other.loads(policy.dumps())
        assert self.by_text(catalogue, other, "anna") == self.by_text(catalogue, policy, "anna")


def test_a_silence_in_parts_is_a_silence_and_a_late_purchase_a_purchase():
    """Learned as 0.3 and then 0.7 of a silence, or as 0.4 of a silence that then became a purchase: within a tenth of
    the difference that the outcomes make of the belief that learned them whole."""
    catalogue = conversion()
    rng = np.random.default_rng(10)
    before = outcomes_of(catalogue, world, 2_000, rng)
    late = outcomes_of(catalogue, lambda _, options: np.full(len(options), 0.5), 40, rng)
    whole, parts, without = (bandit.ThompsonSampling(catalogue, personal=False) for _ in range(3))
    for policy in (whole, parts, without):
        policy.update(before)
    whole.update(late)
    first = np.where(late.converted, 0.4, 0.3)
    silent = np.zeros(40, dtype=bool)
    parts.update(amended(late, converted=silent, reward=np.zeros(40), weight=first, previous_weight=np.zeros(40)))
    again = amended(late, is_update=np.ones(40, dtype=bool), previous_converted=silent)
    parts.update(amended(again, weight=np.ones(40), previous_weight=first))
    contexts = before.contexts.take(slice(0, 300))
    made = np.abs(whole.predict(contexts) - without.predict(contexts)).mean()
    assert np.abs(parts.predict(contexts) - whole.predict(contexts)).mean() < 0.1 * made


def test_a_large_batch_on_all_cores_is_the_same_as_in_pieces(monkeypatch):
    catalogue = bandit.Catalogue.from_dict(SPRING)
    policy = bandit.ThompsonSampling(catalogue)
    contexts = outcomes_of(catalogue, world, 700, np.random.default_rng(11)).contexts
    eligible = catalogue.eligible(contexts)
    whole = policy.probabilities(contexts, eligible, np.random.default_rng(12))
    monkeypatch.setattr("bandit.policies.thompson.policy.CELLS", 10_000)
    assert np.array_equal(policy.probabilities(contexts, eligible, np.random.default_rng(12)), whole)


def test_a_log_in_which_nobody_bought_can_be_fitted():
    catalogue = bandit.Catalogue.from_dict(SPRING)
    outcomes = outcomes_of(catalogue, lambda _, options: np.zeros(len(options)), 300, np.random.default_rng(13))
    policy = bandit.ThompsonSampling(catalogue)
    policy.fit(Kept(outcomes))
    assert np.isfinite(policy.predict(outcomes.contexts)).all()
