"""The verdict card: the money, and what is said where there is none."""

from dataclasses import replace

import numpy as np
import pytest

from bandit.policies import Uniform
from bandit.report.html import Answer, ReportOptions, gather, render_report
from bandit.report.html.verdict_card import verdict_card
from tests.report.html.campaign import CHANCE, HOSTILE, NOW, draw, options, source
from tests.report.html.reading import sections


def amount(text):
    """The number at the beginning of an amount."""
    return float(text.split()[0].replace(",", "").replace("\N{MINUS SIGN}", "-"))


def test_the_card_gives_the_money_per_decision_per_thousand_and_in_total(contents):
    """A purchase is worth 60 x (.5 - rate): with the second option .225 x 24 = 5.4, with none .05 x 30 = 1.5."""
    card = verdict_card(contents)
    truth = CHANCE[:, 1].mean() * 60 * 0.4 - CHANCE[:, 0].mean() * 60 * 0.5
    assert truth == pytest.approx(3.9)
    thousand, each, total = map(amount, [figure.amount for figure in card.figures])
    assert card.verdict == "better"
    assert thousand == pytest.approx(1_000 * each, rel=0.01)
    assert total == pytest.approx(2_000 * each, rel=0.01)
    low, high = (amount(end) for end in card.figures[1].interval.split(" to "))
    assert low < truth < high
    assert "more per decision than" in card.sentence
    assert any("rollout set" in step.command for step in card.steps)


def test_worse_is_the_same_with_the_sign_changed(contents):
    """The negative control: baseline and policy exchanged."""
    given = options()
    best, none = given.policies
    card = verdict_card(gather(source(), options(baseline=best, quick=True)))
    assert card.verdict == "worse"
    before = verdict_card(contents)
    assert amount(card.figures[1].amount) == pytest.approx(-amount(before.figures[1].amount), rel=0.01)
    assert none[1:] in card.sentence  # a sentence begins with a capital letter
    assert "less per decision than" in card.sentence


def test_where_no_difference_is_found_the_interval_is_the_amount():
    """Uniform choice against the log, which is uniform choice: the middle would be taken for a result."""
    policies = {"even": Uniform(HOSTILE), "other": Uniform(HOSTILE)}
    made = gather(source(draw(1_000)), ReportOptions(now=NOW, policies=policies, baseline="other", quick=True))
    card = verdict_card(made)
    assert card.verdict in {"no difference found", "cannot tell"}
    assert not any(figure.amount.startswith("+") and " to " not in figure.amount for figure in card.figures)


def test_what_cannot_be_told_has_no_amount_and_a_cure():
    """40 decisions have too few purchases for any verdict."""
    card = verdict_card(gather(source(draw(40)), options(quick=True)))
    assert card.verdict == "cannot tell"
    assert card.figures == ()
    assert card.sentence
    assert any("plan" in step.command for step in card.steps)


def test_an_analysis_that_fails_costs_its_section_alone(contents):
    broken = replace(contents, evaluation=Answer(None, "the log has no propensities"), audience=Answer(None, "why not"))
    found = sections(render_report(broken))
    assert "The log has no propensities." in found["verdict"].text
    assert "Why not." in found["absent"].text
    assert "coverage" in found


def test_with_live_groups_the_card_is_about_their_lift(live_contents, live_page):
    """The groups' own sizes are too small for a verdict: three weeks of 240 decisions."""
    card = verdict_card(live_contents)
    assert live_contents.lift.value is not None
    assert "Measured live" in card.basis
    found = list(sections(live_page))
    assert found[:2] == ["verdict", "groups"]
    assert np.isfinite([each.decisions for each in live_contents.lift.value.lift.groups]).all()


def test_live_sections_are_there_with_a_holdout(live_page):
    found = sections(live_page)
    assert {"groups", "waste", "exploration", "curve", "health"} <= set(found)
