"""The simulated campaigns: harmful ones are stopped, harmless ones are not, and the program prints both."""

import json

import numpy as np

from bandit.ope.guardrail_rate import rate_bounds
from simulator.validation.guardrail_campaigns import (
    GUARDRAIL_CASES,
    CampaignSize,
    GuardrailCase,
    first_stop,
    main,
    stops,
)

SHORT = CampaignSize(decisions=4_000, customers=1_000, batch=200)


def test_a_great_harm_is_stopped_and_half_of_what_is_allowed_is_not():
    """4,000 decisions: five times the rate allowed would be 80 events for 16; half of it 8."""
    for rate, stopped in ((0.02, 10), (0.002, 0)):
        case = GuardrailCase("a case", rate > 0.004, 0.004, rate)
        found = [first_stop(case, SHORT, 0.95, np.random.default_rng(seed)) for seed in range(10)]
        assert sum(each is not None for each in found) == stopped


def test_the_campaign_stops_where_the_bound_of_the_rate_passes_the_limit():
    """The first look at which the lower bound is above the limit, from the same random numbers."""
    case = GuardrailCase("a case", True, 0.004, 0.012)
    customers, at = first_stop(case, SHORT, 0.95, np.random.default_rng(5))
    rng = np.random.default_rng(5)
    customer = rng.integers(SHORT.customers, size=SHORT.decisions)
    rng.random(SHORT.customers)
    factor = rng.gamma(1.0, 1.0, SHORT.customers)
    event = rng.random(SHORT.decisions) < 0.012 * (factor / factor.mean())[customer]
    broken = [n for n in range(200, 4_001, 200) if rate_bounds(int(event[:n].sum()), n, 0.95).low > 0.004]
    assert at == broken[0]
    assert customers == len(set(customer[:at].tolist()))


def test_the_program_prints_a_row_a_case(capsys):
    assert main(["--campaigns", "2", "--decisions", "1000", "--customers", "400", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["case"]["name"] for row in rows] == [case.name for case in GUARDRAIL_CASES]
    assert main(["--campaigns", "1", "--decisions", "400", "--customers", "100"]) == 0
    assert "exactly the rate allowed" in capsys.readouterr().out


def test_campaigns_depend_on_the_seed_only():
    case = GUARDRAIL_CASES[0]
    assert stops(case, 3, SHORT, 0.95, 4) == stops(case, 3, SHORT, 0.95, 4)
