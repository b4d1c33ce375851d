"""Ablations: each method alone and left out, on the same customers, with paired differences."""

import json
from dataclasses import replace

import pytest

from bandit.errors import InputError
from simulator.bench.earnings.ablation import (
    METHOD_NAMES,
    AblationArm,
    ArmResult,
    ArmRun,
    ablation_arms,
    append_result,
    arm_runs,
    parse_arms,
    play_arm,
    read_results,
    settings_text,
)
from simulator.bench.earnings.ablation_table import ablation_markdown, ablation_rows
from simulator.bench.earnings.world import WorldSpec

WHERE = WorldSpec.of("tiny", 7, 0, customers=60, visits=200)


def result(arm, draw, value, run=0):
    return ArmResult(
        scenario="tiny",
        seed=7,
        draw=draw,
        customers=60,
        visits=200,
        stamp=WHERE.stamp,
        settings=settings_text(arm),
        run=run,
        source=1,
        all=value,
        last=2 * value,
        first=0.0,
        seconds=1.5,
    )


def test_every_method_is_tried_alone_against_none_and_left_out_against_all():
    arms = {arm.name: arm for arm in ablation_arms()}
    assert len(arms) == 3 + 2 * len(METHOD_NAMES)
    for name in METHOD_NAMES:
        assert (arms[f"only {name}"].settings, arms[f"only {name}"].against) == ({"methods": [name]}, "none")
        without = arms[f"all but {name}"]
        assert set(without.settings["methods"]) | {name} == set(arms["all"].settings["methods"])
        assert without.against == "all"


def test_an_arm_is_read_from_its_name_and_settings():
    first, second = parse_arms(['base={"methods": []}', 'low={"floor": 0.002}'])
    assert (first.against, second) == ("", AblationArm("low", {"floor": 0.002}, "base"))
    for texts, message in (
        (["low"], "cannot be read"),
        (["low=[1]"], "settings as an object"),
        (["a={}", "a={}"], "a name of its own"),
    ):
        with pytest.raises(InputError, match=message):
            parse_arms(texts)


def test_differences_are_paired_by_world_over_the_means_of_runs():
    """Worlds .2, .62 against .1 (runs .05 and .15), .3: differences .1, .32, mean .21, error .1556 / root 2 = .11.

    Not paired, the error were root(.21^2 + .1^2) = .23.
    """
    base, other = AblationArm("base", {"floor": 0.0}), AblationArm("other", {"floor": 0.1}, "base")
    results = [result(base, 0, 0.05), result(base, 0, 0.15, run=1), result(base, 1, 0.3), result(base, 1, 0.3, run=1)]
    results += [result(other, draw, value, run) for draw, value in ((0, 0.2), (1, 0.62)) for run in (0, 1)]
    first, second = ablation_rows(results, [base, other])
    assert (first.worlds, first.runs, first.differences) == (2, 2, {})
    assert second.differences["all"].value == pytest.approx(0.21)
    assert second.differences["all"].error == pytest.approx(0.11)
    assert second.differences["last"].value == pytest.approx(0.42)
    text = ablation_markdown([first, second], "Two draws.")
    assert "| +0.210 ± 0.110 |" in text  # within two standard errors: not bold
    bold = ablation_rows(
        [replace(each, all=each.all + 0.4) if each.settings != settings_text(base) else each for each in results],
        [base, other],
    )
    assert "**+0.610** ± 0.110" in ablation_markdown(bold, "")


def test_the_same_run_gives_the_same_result_and_another_run_another():
    text = settings_text(AblationArm("base", {"methods": []}))
    one, again, other = (play_arm(ArmRun(WHERE, text, number)) for number in (0, 0, 1))
    assert replace(one, seconds=0.0) == replace(again, seconds=0.0)
    assert one.all != other.all
    assert one.key == ArmRun(WHERE, text, 0).key


def test_results_are_kept_and_a_broken_line_is_named(tmp_path):
    arms = (AblationArm("base", {}),)
    (asked,) = arm_runs([WHERE], arms, 1)
    path = tmp_path / "methods.jsonl"
    assert read_results(path) == {}
    found = play_arm(asked)
    append_result(path, found)
    assert read_results(path) == {asked.key: found}
    path.write_text(path.read_text() + json.dumps({"scenario": "tiny"}) + "\n")
    with pytest.raises(InputError, match="line 2: not a result"):
        read_results(path)
