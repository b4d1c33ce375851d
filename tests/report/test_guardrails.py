"""Guardrails as a table of 80 columns and sentences."""

import io

import numpy as np
import pytest
from rich.console import Console

from bandit.catalogue.live_schema import GuardrailFile
from bandit.governance.guardrail_status import difference_status, rate_status
from bandit.report.guardrails import guardrail_lines, guardrail_table

BROKEN = rate_status(GuardrailFile("unsubscribe", at_most=0.004), 61, 6_200, None, 0)
WARNING = rate_status(GuardrailFile("[b]spam", at_most=0.004, action="warn"), 61, 123_456, None, 0)
NOTHING = rate_status(GuardrailFile("a long event name, which is folded", at_most=0.5), 0, 0, None, 0)


def compared():
    """1,000 customers of the policy, 20 with the event; 500 of the rules, 10 with it."""
    events, decisions = np.zeros((1_500, 2)), np.zeros((1_500, 2))
    decisions[:1_000, 0] = decisions[1_000:, 1] = 1.0
    events[:20, 0] = events[1_000:1_010, 1] = 1.0
    return difference_status(GuardrailFile("unsubscribe", against="rules", worse_by=0.001), events, decisions, None, 0)


def shown(statuses, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(guardrail_table(statuses))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 200])
def test_the_table_fits_80_columns_and_its_numbers_stay_on_one_line(width):
    text = shown([BROKEN, WARNING, compared(), NOTHING], width)
    assert max(map(len, text.splitlines())) <= width
    for words in ("6,200", "0.0098", "broken", "123,456", "[b]spam", "+0", "too early", "holds", "?"):
        assert words in text
    assert f"{BROKEN.low:.2g} to {BROKEN.high:.2g}" in text


def test_every_guardrail_has_a_sentence_and_one_that_stops_says_what_happens():
    lines = guardrail_lines([WARNING, compared()])
    assert len(lines) == 2
    assert all(line.endswith(".") for line in lines)
    assert "in rules 10 of 500 (0.02); the difference is at least -0.0" in lines[1]
    stopped = guardrail_lines([BROKEN])
    assert stopped[-1] == "A broken guardrail stops the policy where an engine runs; it starts again only by hand."
