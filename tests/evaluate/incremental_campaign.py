"""A campaign with groups whose truth is known: what each customer would buy under any offer, and what it would cost."""

from dataclasses import dataclass

import numpy as np

import bandit
from bandit.domain import MICROSECONDS

DAY = 86_400 * MICROSECONDS
START = 20_458 * DAY  # 2026-01-05
BASKET = 40.0
MARGIN = 0.5

CATALOGUE = {
    "name": "known",
    "currency": "EUR",
    "objective": {"kind": "profit", "event": "purchase", "margin": MARGIN, "window": "1h"},
    "context": {"loyal": {"type": "boolean"}},
    "dimensions": [
        {
            "name": "discount",
            "options": [{"name": "0"}, {"name": "10", "rate": 0.10}, {"name": "20", "rate": 0.20}],
        },
        {"name": "channel", "options": [{"name": "none"}, {"name": "sms", "contact_cost": 0.10}]},
        {"name": "gift", "options": [{"name": "none"}, {"name": "tote", "redemption_cost": 1.0}]},
    ],
    "fallback": {"discount": "0", "channel": "none", "gift": "none"},
    "groups": {
        "policy": 0.5,
        "rules": {
            "share": 0.15,
            "exploration": 0.1,
            "segments": [{"when": "loyal", "offer": {"discount": "20", "channel": "sms", "gift": "none"}}],
        },
        "random": 0.1,
        "holdout": 0.25,
        "salt": "known",
    },
}

# What each option adds to the probability of a purchase, by dimension; the first row is of new, the second of loyal
# customers. Segment rules give the discount to loyal customers, who buy anyway.
ANYWAY = np.array([0.05, 0.25])
EFFECTS = (
    np.array([[0.0, 0.04, 0.12], [0.0, 0.01, 0.02]]),
    np.array([[0.0, 0.03], [0.0, 0.02]]),
    np.array([[0.0, 0.02], [0.0, 0.01]]),
)


@dataclass(frozen=True)
class Campaign:
    """The decisions of a campaign: groups, offers, and the true probabilities of a purchase with and without them.

    `cell` numbers the kinds of decisions: the round, whether the customer is loyal, and its habit. In the population
    the kinds of a round are equally frequent.
    """

    catalogue: object
    group: np.ndarray
    offer: np.ndarray
    with_offer: np.ndarray
    anyway: np.ndarray
    cell: np.ndarray
    now: int

    def truth(self, name, dimension=None, option=None):
        """True numbers of a group per 1,000 decisions of the population; by option, rates are of those who get it.

        The group's decisions are weighted so that its kinds are as frequent as in the population.
        """
        rows = self.group == name
        weight = np.where(
            rows, 1.0 / np.maximum(np.bincount(self.cell[rows], minlength=self.cell.max() + 1), 1)[self.cell], 0
        )
        money = self.catalogue.money_of(self.offer)
        rate, redemption, contact = money.rate, money.redemption_cost, money.contact_cost
        chosen = weight
        if dimension is not None:
            place = self.catalogue.dimension_names.index(dimension)
            each = self.catalogue.dimensions[place]
            code = each.names.index(option)
            has = self.catalogue.options[self.offer, place] == code
            chosen = weight * has
            one = each.options[code]
            rate, redemption, contact = (x * has for x in (one.rate, one.redemption_cost, one.contact_cost))
        wasted = self.anyway * (BASKET * rate + redemption + contact)
        spent = self.with_offer * (BASKET * rate + redemption) + contact
        return {
            "served": 1000 * np.average(self.with_offer, weights=chosen),
            "anyway": 1000 * np.average(self.anyway, weights=chosen),
            "added": 1000 * np.average(self.with_offer - self.anyway, weights=chosen),
            "spent": 1000 * np.average(spent, weights=weight),
            "wasted": 1000 * np.average(wasted, weights=weight),
        }


def campaign(path, policy, seed=0, customers=1_200, rounds=6, tastes=0.0, catalogue=None, key=b"a key for our tests"):
    """Play `rounds` visits of each customer, learning after each; `tastes` is the spread of customers' own habits."""
    rng = np.random.default_rng(seed)
    catalogue = bandit.Catalogue.from_dict(catalogue or CATALOGUE)
    names = [f"c{number}" for number in range(customers)]
    loyal = rng.random(customers) < 0.5
    habit = np.clip(1.0 + tastes * rng.choice([-1.0, 1.0], customers), 0.0, 2.0)
    columns = []
    with bandit.Engine.open(
        path, catalogue, policy(catalogue), seed=seed, customer_key=key, durability="process"
    ) as engine:
        for number in range(rounds):
            time = START + number * DAY
            ids = [f"{name}-{number}" for name in names]
            batch = engine.decide_batch(names, {"loyal": loyal.tolist()}, time=time, decision_ids=ids)
            offer = catalogue.offer_indices(batch.offers)
            options = catalogue.options[offer]
            plain = habit * ANYWAY[loyal.astype(int)]
            more = sum(each[loyal.astype(int), options[:, place]] for place, each in enumerate(EFFECTS))
            chance = plain + more
            bought = np.flatnonzero(rng.random(customers) < chance)
            ids = [ids[row] for row in bought]
            engine.record_batch(ids, "purchase", revenue=np.full(len(ids), BASKET), time=np.full(len(ids), time + 1))
            engine.learn(now=time + DAY // 2)
            cell = 4 * number + 2 * loyal + (habit > 1.0)
            columns.append((np.asarray(batch.group), offer, chance, plain, cell))
    joined = [np.concatenate(each) for each in zip(*columns, strict=True)]
    return Campaign(catalogue, *joined, now=START + rounds * DAY)
