"""The page on guardrails: its declaration is one that is read, and its figures are those of the code."""

import re
from pathlib import Path

import bandit
from bandit.ope.guardrail_rate import rate_bounds

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "guardrails.md").read_text(encoding="utf-8")


def test_the_declaration_is_one_that_a_catalogue_takes(tmp_path):
    """The first block of the page, beside one dimension and the group that it names."""
    declared = re.search(r"(    \[\[guardrails\]\]\n.*?)\n\n", PAGE, flags=re.DOTALL)[1].replace("\n    ", "\n").strip()
    path = tmp_path / "catalogue.toml"
    nothing = '{ d = "0" }'
    path.write_text(
        f'{declared}\n[[dimensions]]\nname = "d"\noptions = [{{ name = "0" }}]\n'
        f'[groups]\npolicy = 0.8\nsalt = "s"\nrules = {{ share = 0.2, segments = [], otherwise = {nothing} }}\n'
    )
    first, second = bandit.Catalogue.from_toml(path).guardrails
    assert (first.at_most, first.action, first.level) == (0.004, "stop", 0.95)
    assert (second.against, second.worse_by, second.action, second.level) == ("rules", 0.001, "warn", 0.99)


def test_the_bounds_shown_are_those_of_the_counts_shown():
    found = rate_bounds(61, 6_200, 0.95)
    assert f"{found.low:.2g} to {found.high:.2g}" in PAGE
    assert f"the rate is at least {found.low:.2g} (95%, at every look)" in PAGE
