"""Over repeated campaigns with known truth: what is said of options holds together, and null markets find nothing."""

from dataclasses import replace

import numpy as np
import pytest

from bandit.evaluate.breakdown import option_segments
from tests.evaluate.breakdown.campaign import simulated
from tests.evaluate.memory_log import MemoryLog

pytestmark = pytest.mark.slow

CAMPAIGNS, DECISIONS, SKEW = 120, 4_000, 0.4
LOYAL_SHARE = 0.5
ERROR = np.sqrt(0.05 * 0.95 / CAMPAIGNS)


def null(offer, loyal):
    """Loyal customers respond more, whatever they are offered."""
    return 0.1 + 0.2 * loyal


def real(offer, loyal):
    """Each discount adds .03, by email .02 more, and 20 % .1 more with the loyal."""
    return 0.1 + 0.1 * loyal + 0.03 * (offer // 2) + 0.02 * (offer % 2 == 0) + 0.1 * loyal * (offer // 2 == 2)


def truths(chance):
    """The difference of each option to the mix in each segment, by (segment, dimension, option)."""
    offers = np.arange(6)
    shares = np.full((2, 6), 1.0)
    shares[1, 0] += 6 * SKEW
    shares /= shares.sum(axis=1, keepdims=True)
    log_share = shares.mean(axis=0)
    parts = {"no": [0], "yes": [1], "everyone": [0, 1]}
    labels = {"discount": (offers // 2, ("0", "10", "20")), "channel": (offers % 2, ("email", "sms"))}
    found = {}
    for segment, kinds in parts.items():
        mean = np.mean([chance(offers, np.full(6, kind)) for kind in kinds], axis=0)
        for dimension, (codes, names) in labels.items():
            values = np.array([mean[codes == code].mean() for code in range(len(names))])
            mix = np.array([log_share[codes == code].sum() for code in range(len(names))])
            found |= {(segment, dimension, name): values[code] - mix @ values for code, name in enumerate(names)}
    return found


def campaigns(chance, seed):
    rng = np.random.default_rng(seed)
    for _ in range(CAMPAIGNS):
        yield simulated(rng, DECISIONS, chance, skew=SKEW)[0]


def test_all_intervals_of_a_campaign_hold_together():
    """95 % of the campaigns have the truth in all of their 15 intervals, up to three errors of that share: 6.0 %."""
    true, held, single = truths(real), 0, 0
    for log in campaigns(real, 31):
        cells = option_segments(log, ["loyal"]).cells
        assert len(cells) == 15
        off = [(cell.difference, true[cell.segment, cell.dimension, cell.option]) for cell in cells]
        held += all(each.low <= truth <= each.high for each, truth in off)
        single += all(abs(each.value - truth) <= 1.96 * each.standard_error for each, truth in off)
    assert held / CAMPAIGNS >= 0.95 - 3 * ERROR
    # The negative control: intervals that hold each for itself do not hold together.
    assert single / CAMPAIGNS < 0.95 - 3 * ERROR


def test_where_no_offer_matters_nothing_is_found():
    """At most 5 % of the null campaigns, up to three errors, have any option better or worse."""
    found = sum(
        any(cell.finding != "cannot tell" for cell in option_segments(log, ["loyal"]).cells)
        for log in campaigns(null, 32)
    )
    assert found / CAMPAIGNS <= 0.05 + 3 * ERROR


def test_plain_means_would_find_what_is_not_there():
    """The negative control: .61 of those who get 0 % are loyal, who respond with .3: .222 of them, and .2 of all.

    An error of .010 makes that 2.2 errors, which a plain mean takes for an effect in about 60 % of the campaigns. That
    propensities taken for even do not fit is noticed.
    """
    found = noticed = 0
    for _, log in zip(range(40), campaigns(null, 33), strict=False):
        plain = option_segments(log).cells[0].happened
        found += plain.low > log.whole.reward.mean()
        even = MemoryLog(replace(log.whole, propensity=np.full(log.n, 1 / 6)), log.catalogue)
        noticed += "its weights average" in option_segments(even).cells[0].reason
    assert found >= 12
    assert noticed == 40
