"""The search for audience surprises on campaigns of known truth, and what it says where nothing can be told."""

from dataclasses import replace

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.errors import InputError
from bandit.evaluate.audience import analysis, audience
from bandit.evaluate.audience.cells import MOST_CELLS, SegmentCells
from bandit.policies import ConstantOffer, SegmentRules
from simulator.validation.audience_campaigns.campaigns import AudienceSetting, counted, run_campaigns
from simulator.validation.audience_campaigns.world import (
    AUDIENCE_CATALOGUE,
    NULL_WORLDS,
    PLANTED,
    AudienceLog,
    draw_log,
)
from tests.evaluate.memory_log import MemoryLog


@pytest.fixture(scope="module")
def planted():
    """A log of 16,000 decisions, most of them random, with the surprise planted, and what the search says of it."""
    log = draw_log(PLANTED, 16_000, 0.8, np.random.default_rng(11))
    return log, audience(log, PLANTED.rules())


def row_of(result, option, segment):
    return next(row for row in result.rows if (row.option, row.segment) == (option, segment))


def test_the_planted_surprise_is_found_with_its_share_and_its_gain(planted):
    """0.243 / (0.243 + 0.057) = 81 % of those who buy when offered mens are women; (0.243 - 0.1665) 30 = 2.295."""
    _, result = planted
    row = row_of(result, "mens", "gender f")
    assert row.verdict == "surprise"
    assert row is result.surprises[0] is result.rows[0]
    assert row.assumed == 0.0
    assert row.share.low < 0.81 < row.share.high
    assert row.gain.low < 2.295 < row.gain.high
    assert row.total.value == pytest.approx(row.gain.value * row.population * result.n)
    assert row.should_get > 0.5
    assert row.reason.startswith(
        "campaign mens: 0% of those to whom the rules give it are gender f; of those who buy when "
    )


def test_the_mirror_of_a_surprise_is_no_surprise(planted):
    """The rules give mens to all men, so there is nothing to move to them, though they are only 19 % of its buyers."""
    _, result = planted
    row = row_of(result, "mens", "gender m")
    assert row.verdict == "cannot tell"
    assert row.assumed == 1.0
    assert row.gain.value == row.gain.low == row.gain.high == 0.0
    assert "already" in row.reason


def test_shares_of_what_the_rules_do_not_look_at_are_as_assumed(planted):
    """Regions are the same for all: a quarter of those given mens, and of those who buy, live in the north."""
    _, result = planted
    row = row_of(result, "mens", "region north")
    assert row.verdict == "as assumed"
    assert abs(row.assumed - 0.25) < 0.02
    assert row.share.low < 0.25 < row.share.high


def test_an_option_that_the_rules_give_nobody_has_no_assumed_audience(planted):
    """The rules never leave a customer without a campaign."""
    _, result = planted
    row = row_of(result, "none", "gender f")
    assert row.assumed is None
    assert row.verdict == "cannot tell"
    assert "give it to nobody" in row.reason


def test_rows_are_plain_values_with_the_same_keys(planted):
    """What a dataframe and the HTML report are made of."""
    _, result = planted
    rows = result.to_rows()
    assert len(rows) == len(result.rows)
    assert {tuple(row) for row in rows} == {tuple(rows[0])}
    assert rows[0]["share"] == result.rows[0].share.value
    assert result.to_dict()["surprises"] == len(result.surprises)


def test_the_same_call_gives_the_same_result(planted):
    """Nothing but the log and the seed decides, and batches may have any size."""
    log, result = planted
    assert audience(log, PLANTED.rules()).to_dict() == result.to_dict()


def test_facts_can_be_chosen(planted):
    """With region alone the surprise about gender cannot be seen, and women are in no row."""
    log, _ = planted
    result = audience(log, PLANTED.rules(), by=["region"])
    assert result.surprises == ()
    assert {row.facts for row in result.rows} == {("region",)}
    assert result.search.facts == ("region",)


def test_a_log_without_customers_is_searched_decision_by_decision(planted):
    """The same decisions without keys: each is a customer of its own, and the share is estimated as well."""
    log, _ = planted
    whole = log.whole
    anonymous = replace(whole, contexts=replace(whole.contexts, customers=whole.contexts.customers[:0]))
    result = audience(AudienceLog(anonymous), PLANTED.rules())
    row = row_of(result, "mens", "gender f")
    assert result.customers is None
    assert row.share.clusters == result.search.confirmed_on
    assert row.share.low < 0.81 < row.share.high


def test_the_logged_choices_can_be_what_was_assumed(planted):
    """Women got mens with 0.8 / 3, men with 0.2 more: of those who got it 0.2667 / 0.7333 = 36 % were women."""
    log, _ = planted
    row = row_of(audience(log, "logged"), "mens", "gender f")
    assert abs(row.assumed - 0.364) < 0.02
    assert row.verdict == "surprise"
    assert "the logged choices" in row.reason


def test_estimated_propensities_are_said_to_be_a_condition(planted):
    """The propensities are hidden; the logging policy is a function of gender, which the model can express."""
    log, _ = planted
    hidden = AudienceLog(replace(log.whole, propensity=np.full(log.n, np.nan)))
    hidden.__class__ = _Unknown
    result = audience(hidden, PLANTED.rules())
    row = row_of(result, "mens", "gender f")
    assert result.propensities == "estimated"
    assert row.verdict == "surprise"
    assert row.reason.endswith("if the estimated propensities are right")
    assert any(each.check == "propensities" for each in result.findings)


class _Unknown(AudienceLog):
    """A log that does not know its propensities."""

    propensities_known = False


def test_a_deterministic_log_tells_nothing():
    """Everybody got what the rules name: the log shows one side only, whatever the model makes of it."""
    log = draw_log(PLANTED, 8_000, 1e-9, np.random.default_rng(4))
    result = audience(log, PLANTED.rules())
    assert result.surprises == ()
    assert {row.verdict for row in result.rows} <= {"cannot tell"}
    assert any("always gave the same customer the same offer" in each.sentence for each in result.findings)


def test_an_option_that_the_log_never_gives_to_a_segment_cannot_be_judged_there():
    """Women never got mens, men did by chance: the weights of "mens to women" sum to 0 instead of to the women."""
    log = draw_log(PLANTED, 20_000, 0.6, np.random.default_rng(4))
    women = log.whole.contexts.columns["gender"] == 0
    kept = ~(women & (log.whole.offer == 1))
    whole = log.whole.take(kept)
    # Women now got womens or nothing: 0.6 and 0.2 of 0.8.
    scale = np.where(whole.contexts.columns["gender"] == 0, 1.0 / 0.8, 1.0)
    row = row_of(
        audience(AudienceLog(replace(whole, propensity=whole.propensity * scale)), PLANTED.rules()), "mens", "gender f"
    )
    assert row.verdict == "cannot tell"
    assert "hardly ever gives it" in row.reason


def test_few_decisions_tell_nothing():
    """Of the 200 that confirm, some 13 show mens to women: far fewer than 30."""
    log = draw_log(NULL_WORLDS[1], 400, 0.4, np.random.default_rng(4))
    result = audience(log, NULL_WORLDS[1].rules())
    assert {row.verdict for row in result.rows} == {"cannot tell"}
    assert "effective decisions" in row_of(result, "mens", "gender f").reason


def test_the_objective_reward_counts_those_who_earned_something(planted):
    """The same log with profit as a reward of the caller's own: responders earned more than 0."""
    log, _ = planted
    plain = AUDIENCE_CATALOGUE.to_dict()
    catalogue = Catalogue.from_dict({**plain, "objective": {"kind": "reward"}})
    result = audience(MemoryLog(log.whole, catalogue), SegmentRules.from_dict(catalogue, _rules()), by=["gender"])
    assert result.responders == "responders"
    assert row_of(result, "mens", "gender f").verdict == "surprise"
    assert "of those who respond" in row_of(result, "mens", "gender f").reason


def test_with_conversions_as_the_objective_gains_are_conversions(planted):
    """0.243 - 0.1665 = 0.0765 more conversions a decision."""
    log, _ = planted
    catalogue = Catalogue.from_dict(
        {**AUDIENCE_CATALOGUE.to_dict(), "objective": {"kind": "conversion", "event": "purchase", "window": "14d"}}
    )
    whole = replace(log.whole, reward=log.whole.converted.astype(float))
    row = row_of(
        audience(MemoryLog(whole, catalogue), SegmentRules.from_dict(catalogue, _rules()), by=["gender"]),
        "mens",
        "gender f",
    )
    assert row.gain.low < 0.0765 < row.gain.high


def _rules():
    return {
        "name": "today",
        "segments": [{"when": 'gender == "m"', "offer": {"campaign": "mens"}}],
        "otherwise": {"campaign": "womens"},
    }


def test_many_facts_are_capped_and_the_search_says_so():
    """Forty facts of two values have 780 pairs of 12 cells at least, for which there is no place."""
    facts = {f"fact_{number}": {"type": "boolean"} for number in range(40)}
    facts["shop"] = {"type": "categorical", "values": [str(number) for number in range(60)]}
    catalogue = Catalogue.from_dict(
        {"context": facts, "dimensions": [{"name": "channel", "options": [{"name": "mail"}, {"name": "sms"}]}]}
    )
    contexts = catalogue.contexts([{name: True for name in facts if name != "shop"}, {}])
    cells = SegmentCells(catalogue, tuple(facts), contexts)
    assert len(cells) <= MOST_CELLS
    assert cells.skipped == ("shop",)
    assert cells.pairs + cells.pairs_left_out == 40 * 39 // 2
    assert cells.pairs_left_out > 700


def test_memberships_are_of_one_cell_of_each_fact_and_pair():
    """Two facts and their pair: each row is in three cells, of the names that its values have."""
    contexts = AUDIENCE_CATALOGUE.contexts([{"gender": "m", "member": False}, {"gender": None, "member": True}])
    cells = SegmentCells(AUDIENCE_CATALOGUE, ("gender", "member"), contexts)
    ((_, table),) = cells.memberships(contexts)
    named = [[cells.cells[cell].name for cell in np.flatnonzero(row)] for row in table]
    assert named == [
        ["gender m", "member no", "gender m, member no"],
        ["gender missing", "member yes", "gender missing, member yes"],
    ]
    place = {cell.name: number for number, cell in enumerate(cells.cells)}
    assert cells.includes(place["gender m"], place["gender m, member no"])
    assert not cells.includes(place["gender f"], place["gender m, member no"])
    assert not cells.includes(place["gender m, member no"], place["gender m"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"baseline": "today"}, "is no policy"),
        ({"level": 1.5}, "level"),
        ({"by": ["shoe"]}, 'no fact "shoe"'),
        ({"others": "odd"}, "choose baseline or even"),
        ({"propensities": "guessed"}, "choose logged or estimated"),
    ],
)
def test_bad_input_is_one_sentence(change, words):
    """Each names what was seen and what to do."""
    log = draw_log(PLANTED, 400, 0.4, np.random.default_rng(1))
    given = {"baseline": PLANTED.rules()} | change
    with pytest.raises(InputError, match=words):
        audience(log, given.pop("baseline"), **given)


def test_a_catalogue_without_facts_has_no_segments():
    """There is nothing to tell customers apart by."""
    catalogue = Catalogue.from_dict(
        {"dimensions": [{"name": "channel", "options": [{"name": "mail"}, {"name": "sms"}]}]}
    )
    log = MemoryLog(draw_log(PLANTED, 200, 0.4, np.random.default_rng(1)).whole, catalogue)
    with pytest.raises(InputError, match="declares no facts"):
        audience(log, ConstantOffer(catalogue, 0))


@pytest.mark.slow
def test_planted_surprises_are_found_and_null_campaigns_are_not_announced():
    """Women's gain is 2.295 EUR, and its standard error 0.39, so it is missed in less than 1 of 100 campaigns.

    On the 10,000 decisions of women that confirm, a sixth show mens and two thirds womens; a purchase earns 30 EUR with
    a mean square of 1,125. So the variance is (0.243 1,125 - 7.3^2) / 1,667 + (0.1665 1,125 - 5^2) / 6,667 = 0.156.

    A null campaign has a false gain with at most 1 %: of 10 campaigns two or more have one with 0.4 %.
    """
    found = run_campaigns(AudienceSetting(seed=7), 4, 10)
    planted, *null = counted(found)
    assert planted.found == planted.campaigns == 4
    assert planted.share_covered >= 3
    assert planted.wrong == 0
    assert sum(each.announced for each in null) <= 1


def mean_gain(numbers):
    """The mean of the confirmed gains in units of their errors, over null campaigns of 10,000 decisions."""
    found = []
    for number in numbers:
        world = NULL_WORLDS[1 + number % 3]
        log = draw_log(world, 10_000, 0.4, np.random.default_rng([99, number]))
        rows = audience(log, world.rules()).rows
        found += [row.gain.value / row.gain.standard_error for row in rows if row.confirmed]
    return float(np.mean(found))


@pytest.mark.slow
def test_confirmed_gains_of_null_campaigns_are_0_on_average():
    """Twelve campaigns of some 3 rows each; with rows of one campaign fully dependent the error is 1 / sqrt(12)."""
    assert abs(mean_gain(range(12))) < 3.0 / np.sqrt(12)


@pytest.mark.slow
def test_gains_confirmed_on_the_searched_rows_are_not(monkeypatch):
    """The negative control: what was chosen since it looks good looks good again on the same rows."""
    monkeypatch.setattr(analysis, "split_log", lambda log, *_: log)
    assert mean_gain(range(12)) > 1.2
