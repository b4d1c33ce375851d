"""A market whose truth is known: what customers buy anyway, what a discount adds, and who gets it."""

from dataclasses import dataclass

import numpy as np

from bandit.ope.incremental import ControlBatch, ControlOptions, IncrementTally, ServedBatch

LOYAL = 0.5
"""The share of the customers who are loyal; they buy often anyway, and the discount adds little."""

ANYWAY = np.array([0.05, 0.30])
"""The probability of a purchase without a discount of a new and of a loyal customer."""

ADDED = np.array([0.10, 0.05])
"""What the discount adds to it."""

GIVEN = np.array([0.2, 0.8])
"""The probability with which a policy that is wrong gives the discount to a new and to a loyal customer."""

BASKET, COST, CONTACT = 40.0, 4.0, 0.10
"""Revenue of a purchase, the discount on it, and what it costs to write to someone about a discount."""

PER_SEGMENT = np.array([1.0 - LOYAL, LOYAL])


@dataclass(frozen=True)
class Truth:
    """Expected numbers per decision, from the market's probabilities."""

    anyway = float(PER_SEGMENT @ ANYWAY)
    added = float(PER_SEGMENT @ (GIVEN * ADDED))
    given = float(PER_SEGMENT @ GIVEN)
    option_anyway = float(PER_SEGMENT @ (GIVEN * ANYWAY)) / given
    option_added = added / given
    wasted = float(PER_SEGMENT @ (GIVEN * ANYWAY)) * (COST + CONTACT)
    spent = given * CONTACT + (float(PER_SEGMENT @ (GIVEN * (ANYWAY + ADDED)))) * COST
    unanswered = given * CONTACT - float(PER_SEGMENT @ (GIVEN * (ANYWAY + ADDED))) * CONTACT


TRUTH = Truth()


def visits(rng, customers):
    """The customer and segment of each visit, of which customers have one to three; tastes vary within segments."""
    numbers = np.repeat(np.arange(customers), rng.integers(1, 4, customers))
    loyal = (rng.random(customers) < LOYAL).astype(int)
    # A customer buys with the segment's probability times 0 or 2, so its visits are dependent.
    taste = 2.0 * (rng.random(customers) < 0.5)
    return numbers, loyal[numbers], taste[numbers]


def options_of(discount):
    return np.stack([1.0 - discount, discount], axis=1)


def experiment(rng, served=3_000, control=1_500):
    """The tally of one group and its control; measures: conversions, what was spent, contact without a purchase."""
    tally = IncrementTally(1, 3, 2, by_option=(0,))
    customer, segment, taste = visits(rng, served)
    discount = rng.random(len(customer)) < GIVEN[segment]
    bought = rng.random(len(customer)) < taste * (ANYWAY[segment] + ADDED[segment] * discount)
    contact, paid = CONTACT * discount, COST * (discount & bought)
    outcomes = np.stack([bought, contact + paid, contact * ~bought], axis=1).astype(np.float64)
    cost = options_of(discount.astype(np.float64)) * [0.0, 1.0] * (contact + paid)[:, None]
    tally.add_served(0, ServedBatch(customer, outcomes, options_of(discount) > 0.0, cost))
    customer, segment, taste = visits(rng, control)
    bought = rng.random(len(customer)) < taste * ANYWAY[segment]
    outcomes = np.stack([bought, np.zeros(len(bought)), np.zeros(len(bought))], axis=1).astype(np.float64)
    given = options_of(GIVEN[segment])
    would = given * bought[:, None] * [0.0, COST + CONTACT]
    tally.add_control(ControlBatch(customer, outcomes, (ControlOptions(given, would),)))
    return tally
