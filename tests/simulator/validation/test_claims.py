"""The claims about intervals and verdicts hold on the quick grid, in worlds whose truth is known."""

import pytest

from bandit.ope.intervals import DEFAULT_INTERVAL
from simulator.validation.calibration import grid, table
from simulator.validation.calibration.claims import CLAIMED_ESTIMATOR, all_claims
from simulator.validation.calibration.equal_offers import EQUAL_OFFER_ROWS, QUICK_EQUAL_LOGS, count_announcements


@pytest.mark.slow
def test_every_claim_about_intervals_and_verdicts_holds():
    """Twelve cells of 45 logs, in two processes, and 15 logs of equal offers at each of two sizes.

    The smaller of the two sizes answers for no offer, so that it makes no claim.

    A claim fails where its limits are missed by three Monte Carlo standard errors.
    """
    pytest.importorskip("sklearn")
    results = grid.run(grid.quick(grid.QUICK_REPLICATIONS), None, 2, lambda *_: None)
    assert len(results) == 12
    equal = [count_announcements(CLAIMED_ESTIMATOR, rows, QUICK_EQUAL_LOGS) for rows in EQUAL_OFFER_ROWS]
    found = all_claims(results, equal, DEFAULT_INTERVAL)
    assert len(found) == 6
    assert all(claim.holds for claim in found), table.claims_sheet(found).markdown()
