"""Lift on whole campaigns: the recorder and the summary by hand, and tiny campaigns whose truth is known."""

import json

import numpy as np
import pytest

from bandit.errors import InputError
from simulator.market.season import CALENDAR_START, DAY
from simulator.validation.lift_campaigns.__main__ import main
from simulator.validation.lift_campaigns.campaign import LiftCampaign, run_campaign
from simulator.validation.lift_campaigns.looks import LIFT_WAYS, CampaignRecord, WayRecord, record_campaign
from simulator.validation.lift_campaigns.results import (
    WilsonShare,
    always_covered,
    customers_until_verdict,
    false_looks,
    summary_of,
)
from simulator.validation.lift_campaigns.runs import run_campaigns, saved
from simulator.validation.lift_campaigns.setting import CampaignSetting

TINY = {"customers": 150, "decisions": 600, "days": 3, "batch": 200}


def setting(**changes):
    return CampaignSetting(**{"real": True, "personal": True, **TINY, **changes})


def way(verdicts, once="no difference found", low=-1.0, high=1.0, value=0.0):
    n = len(verdicts)
    return WayRecord((value,) * n, (0.5,) * n, (low,) * n, (high,) * n, tuple(verdicts), once, low, high, doubted=False)


def record(number, truths, each, customers=(10, 20, 30)):
    return CampaignRecord(number, 0.5, customers, tuple(truths), truths[-1], dict.fromkeys(LIFT_WAYS, each))


def campaign_by_hand():
    """Six decisions over two days; customers 0 and 2 are the policy's, 1 and 3 the rules'."""
    return LiftCampaign(
        customer=np.array([0, 1, 0, 2, 3, 1]),
        time=CALENDAR_START + np.array([0, 0, 0, 1, 1, 1]) * DAY,
        group=np.array([0, 1, 0, 0, 1, 1]),
        reward=np.array([4.0, 1.0, 2.0, 0.0, 3.0, 0.0]),
        earned=np.array([True, True, True, False, True, False]),
        probabilities=np.array([[0.9, 0.3], [0.5, 0.5], [0.5, 0.5], [0.6, 0.2], [0.2, 0.2], [0.4, 0.4]]),
        gain=np.array([1.0, 9.0, 2.0, 3.0, 9.0, 9.0]),
        gain_unknown=np.array([1.0, 0.0, 1.0, 2.0, 1.0, 1.0]),
        gain_new=np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0]),
        agreement=np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
    )


def test_the_truth_takes_personal_parts_from_the_policys_own_group():
    """Gains with new customers 1, 0, 1, 0, 1, 0; what the personal part adds in the policy's group: 0, 1 and 1.

    After three decisions 2/3 + (0 + 1)/2, after all six 3/6 + (0 + 1 + 1)/3. The 9s of the rules' group do not count.
    With the campaign's own customers the gains without personal parts are 1, 0, 1, 2, 1, 1: 6/6 + 2/3.
    """
    truths = campaign_by_hand().truths()
    assert truths[2] == pytest.approx(2 / 3 + 1 / 2)
    assert truths[5] == pytest.approx(1 / 2 + 2 / 3)
    assert campaign_by_hand().own_truth() == pytest.approx(1.0 + 2 / 3)


def test_the_recorder_looks_at_the_end_of_each_day():
    """Day 1: means (4 + 2)/2 - 1/1 = 2; customers 0 and 1. Day 2: (4 + 2 + 0)/3 - (1 + 3 + 0)/3 = 2/3; customers 0-3.

    Balanced weights at shares of a half are p / mean(p): of the policy 1.5, 1, 1, then 1.5, 1, 1; of the rules .5, 1, 1
    each. By decision on day 1: (6 + 1 + 2)/3.5 - (2 + 1 + 2)/2.5 = 9/3.5 - 2.
    Trajectories: the third decision, customer 0's second, keeps the weights 1.5 and .5 of its first:
    (6 + 1 + 3)/4 - (2 + 1 + 1)/2 = .5.
    """
    found = record_campaign(campaign_by_hand(), 7, share=0.5, days=2)
    assert (found.number, found.customers) == (7, (2, 4))
    assert found.truths == pytest.approx((2 / 3 + 1 / 2, 1 / 2 + 2 / 3))
    assert found.own_truth == pytest.approx(1.0 + 2 / 3)
    assert found.agreement == pytest.approx(0.35)
    assert found.ways["means"].values == pytest.approx((2.0, 2 / 3))
    assert found.ways["balanced"].values[0] == pytest.approx(9 / 3.5 - 2.0)
    assert found.ways["trajectory"].values[0] == pytest.approx(0.5)
    assert found.ways["means"].verdicts == ("cannot tell", "cannot tell")
    assert found.ways["means"].once == "cannot tell"
    assert CampaignRecord.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_a_verdict_is_false_where_the_truth_so_far_is_zero_or_of_the_other_sign():
    """ "worse" is right at the first look (-1), "better" is false at the second (0) and right at the third (2)."""
    verdicts = ("worse", "better", "better")
    assert false_looks(record(0, (-1.0, 0.0, 2.0), way(verdicts)), "means") == (True, False)
    assert false_looks(record(0, (-1.0, 1.0, 2.0), way(verdicts)), "means") == (False, False)
    assert false_looks(record(0, (0.0, 1.0, 2.0), way(verdicts)), "means") == (False, True)


def test_customers_are_counted_until_the_first_verdict_of_the_whole_campaigns_sign():
    """The campaign's truth is 2: the "worse" at 10 customers does not count, the "better" at 30 does."""
    truths = (-1.0, 1.0, 2.0)
    assert customers_until_verdict(record(0, truths, way(("worse", "cannot tell", "better"))), "means") == 30
    assert customers_until_verdict(record(0, truths, way(("worse", "worse", "worse"))), "means") == float("inf")
    assert customers_until_verdict(record(0, (0.0,) * 3, way(("better",) * 3)), "means") == float("inf")


def test_looks_without_an_answer_have_no_interval_to_cover_the_truth():
    """The intervals are [-1, 1]; the truth 5 is outside of it at the first look, which gave no answer, then inside."""
    truths = (5.0, 1.0, 0.0)
    silent = record(0, truths, way(("cannot tell", "no difference found", "no difference found")))
    assert always_covered(silent, "means")
    assert not always_covered(record(0, truths, way(("no difference found",) * 3)), "means")


def test_the_summary_counts_what_it_says():
    """Four campaigns of truth 0, 0, 2 and 0.5, all with the estimate 0 and the interval [-1, 1].

    Three are covered, and one truth lies above. "better" is false in the first, "worse" in the second and, daily, too;
    "better" is right in the fourth, seen by 20 customers. Estimates are off by 0, 0, -2 and -.5: mean -.625.
    """
    none = ("no difference found",) * 3
    records = [
        record(0, (0.0,) * 3, way(none, "better")),
        record(1, (0.0,) * 3, way((none[0], "worse", none[0]), "worse")),
        record(2, (2.0,) * 3, way(none)),
        record(3, (0.5,) * 3, way((none[0], "better", "better"), "better")),
    ]
    found = summary_of("by hand", "means", records)
    hits = {name: each["hits"] for name, each in found.to_dict().items() if isinstance(each, dict)}
    assert hits == {
        "covered": 3,
        "own_covered": 3,
        "truth_below": 0,
        "truth_above": 1,
        "false_better": 1,
        "false_worse": 1,
        "daily_false": 1,
        "daily_better": 0,
        "daily_worse": 1,
        "always_covered": 3,
        "last_covered": 3,
        "found_once": 1,
        "found_daily": 1,
        "doubted": 0,
    }
    assert (found.n, found.bias, found.stated, found.variance) == (4, pytest.approx(-0.625), 0.5, 1.0)
    assert found.customers is None
    assert summary_of("by hand", "means", records[3:]).customers == 20


def test_the_interval_of_a_share_of_zero_is_that_of_wilson():
    """0 of 200: from 0 to z^2 / (n + z^2) = 3.8415 / 203.8415. Of none nothing is known."""
    assert WilsonShare(0, 200).bounds == pytest.approx((0.0, 3.841459 / 203.841459))
    assert WilsonShare(0, 0).bounds == (0.0, 1.0)


@pytest.mark.parametrize("personal", [True, False])
def test_nothing_is_better_in_a_null_campaign_though_the_groups_get_different_offers(personal):
    found = run_campaign(setting(real=False, personal=personal), 3)
    assert (found.truths() == 0.0).all()
    assert found.agreement.mean() < 0.7


def test_without_personal_parts_the_truth_is_the_mean_gain():
    """The negative control: with personal parts, what the policy knows of customers makes a difference."""
    plain = run_campaign(setting(personal=False), 4)
    assert (plain.gain == plain.gain_unknown).all()
    assert plain.truths()[-1] == pytest.approx(plain.gain_new.mean())
    assert plain.own_truth() == pytest.approx(plain.gain.mean())
    personal = run_campaign(setting(), 4)
    assert (personal.gain != personal.gain_unknown).any()
    assert (personal.group == plain.group).all()
    assert (personal.time == plain.time).all()


def test_a_campaign_follows_from_its_setting_and_its_number():
    one, same, other = (run_campaign(setting(), number) for number in (5, 5, 6))
    assert (one.reward == same.reward).all()
    assert (one.probabilities == same.probabilities).all()
    assert not (one.reward == other.reward).all()


def test_a_run_goes_on_where_it_was_stopped(tmp_path):
    """Two campaigns are in the file and half a line of a third: only the third is run, and the half line is gone."""
    file = tmp_path / "campaigns.jsonl"
    done = []
    first = run_campaigns([setting()], 2, file, report=lambda task, *_: done.append(task[1]))
    with file.open("a") as out:
        out.write('{"setting": {"re')
    both = run_campaigns([setting()], 3, file, report=lambda task, *_: done.append(task[1]))
    assert done == [0, 1, 2]
    assert both[setting()][:2] == first[setting()]
    assert list(saved(file)) == [(setting(), number) for number in range(3)]


def test_a_file_of_something_else_is_refused(tmp_path):
    file = tmp_path / "other.jsonl"
    file.write_text("{}\n")
    with pytest.raises(InputError, match="line 1"):
        run_campaigns([setting()], 1, file)


def test_the_program_prints_its_tables_or_json(tmp_path, capsys):
    asked = ["--campaigns", "1", "--null", "--no-personal", "--out", str(tmp_path / "c.jsonl")]
    asked += [part for name, value in TINY.items() for part in (f"--{name}", str(value))]
    assert main([*asked, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert [each["way"] for each in plain["summaries"]] == list(LIFT_WAYS)
    assert plain["settings"] == [setting(real=False, personal=False).to_dict()]
    assert main(asked) == 0
    assert "null, without personal parts" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "says"),
    [(["--customers", "0"], "customers is 0"), (["--share", "1"], "share"), (["--campaigns", "0"], "0 campaigns")],
)
def test_invalid_input_is_refused_in_one_sentence(asked, says, capsys):
    assert main(asked) == 2
    assert says in capsys.readouterr().err


@pytest.mark.slow
def test_means_and_trajectory_weights_are_unbiased_for_the_truth():
    """30 campaigns of 6,000 decisions of 200 customers: the mean error is within 4 of its standard errors.

    The negative control: the rules' lift over the policy, which is twice the truth away, is not.
    """
    asked = setting(customers=200, decisions=6_000, days=1, batch=500)
    records = run_campaigns([asked], 30)[asked]
    truth = np.array([each.truth for each in records])
    for name in ("means", "trajectory"):
        off = np.array([each.ways[name].values[-1] for each in records]) - truth
        error = off.std(ddof=1) / np.sqrt(len(off))
        assert abs(off.mean()) < 4 * error
        assert abs((off + 2 * truth).mean()) > 4 * error
