"""The page on audience surprises: the output that it shows is what such a campaign gives."""

import re
from pathlib import Path

import numpy as np
import pytest

from bandit.evaluate.audience import audience
from bandit.evaluate.audience.cells import MIN_CELL_SHARE, MOST_CELLS, MOST_VALUES
from bandit.evaluate.audience.search import MOST_CONFIRMED, MOST_PER_OPTION
from simulator.validation.audience_campaigns.world import PLANTED, draw_log

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "audience.md").read_text(encoding="utf-8")


def test_the_output_of_the_example_is_the_planted_surprise():
    """Planted are 81 % women in the men's audience."""
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, flags=re.DOTALL)
    option, _, segment, share, verdict = shown.split()
    assert (option, segment, verdict) == ("mens", "f", "surprise")
    assert 75 < int(share.rstrip("%")) < 87


@pytest.mark.slow
def test_the_sentence_on_the_page_is_what_is_said_of_its_campaign():
    """Interval ends aside, which hang on the draws of the max-t method."""
    log = draw_log(PLANTED, 40_000, 0.4, np.random.default_rng(5))
    (row,) = audience(log, PLANTED.rules()).surprises
    said = re.sub(r"\(.*?\)", "", row.reason)
    shown = re.sub(r"\(.*?\)", "", " ".join(PAGE.split()))
    assert " ".join(said.split()) in " ".join(shown.split())
    assert f"in all {row.total.value:+,.0f}" in " ".join(PAGE.split())


def test_the_numbers_on_the_page_are_those_of_the_code():
    assert (MOST_VALUES, MOST_CELLS, MIN_CELL_SHARE) == (50, 400, 0.02)
    assert (MOST_CONFIRMED, MOST_PER_OPTION) == (6, 2)
    for part in ("At most six pairs, two of an option", "more than 50 values", "at most 400 segments", "less than 2 %"):
        assert part in PAGE
