"""A log of which a logger kept a part, and says by a column how many decisions each kept row stands for.

The whole log had 1,600 decisions, an even draw among three banners; 235 bought (.1469), with the voucher 96 of 533
(.1801). Kept were all purchases and one in eight of the others: 403 rows. Their weights, 1 and 8, sum to 1,579; so
.1488 = 235 / 1,579 bought, with the voucher .1558 = 96 / 616. Without the weights it would be .58 and .60.
"""

import json
import sqlite3
from pathlib import Path

import pytest

import bandit
from bandit.evaluate.breakdown import break_down
from bandit.governance.customer_data import customer_data
from bandit.governance.erasure import erase
from bandit.governance.verify import verify
from bandit.logfiles import LogMapping, import_log, open_log
from bandit.store import Store, StoreLog

EVALUATE = ("--policy", "offer:banner=voucher", "--baseline", "logged", "--json")
FILE = ("kept.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml")


@pytest.fixture
def sampled(desk):
    return desk.take("sampled_log")


def values(desk):
    """The numbers of an evaluation: rows, what they stand for, mean of the log, the voucher's by snips."""
    found = desk.json
    snips = found["policies"][0]["estimates"]["snips"]
    return found["n"], found["stands_for"], found["realised"]["value"], snips["value"]


RIGHT = (403, 1579.0, pytest.approx(235 / 1579), pytest.approx(96 / 616))


def test_a_file_is_judged_by_its_weights(sampled):
    """235 / 1,579 = .1488 and 96 / 616 = .1558, as the whole log within noise (.1469, .1801; error .02)."""
    sampled.run("evaluate", *FILE, *EVALUATE)
    assert values(sampled) == RIGHT
    found = sampled.json["policies"][0]
    assert found["estimates"]["snips"]["low"] < 0.1801 < found["estimates"]["snips"]["high"]
    assert not any(each["severity"] == "fatal" for each in found["findings"])
    sampled.run("evaluate", *FILE, *EVALUATE[:-1])
    assert "403 decisions that stand for 1,579" in " ".join(sampled.out.split())


def test_without_the_weights_the_numbers_are_those_of_the_kept_rows(sampled):
    """The negative control: 235 / 403 = .58, 96 / 161 = .60."""
    sampled.run("evaluate", *FILE[:-1], "unweighted.toml", *EVALUATE)
    assert values(sampled) == (403, 403.0, pytest.approx(235 / 403), pytest.approx(96 / 161))


def test_a_database_gives_what_the_file_gives(sampled):
    sampled.run("import", "shop.db", *FILE)
    sampled.run("evaluate", "shop.db", *EVALUATE)
    assert values(sampled) == RIGHT
    sampled.run("import", "shop.db", *FILE, "--json")
    assert (sampled.json["n_imported"], sampled.json["n_repeated"]) == (0, 403)


@pytest.mark.parametrize("kind", ["csv", "parquet", "dsjson"])
def test_an_export_keeps_the_weights(sampled, kind):
    """Evaluated as it is, and imported again by the mapping that is written beside it."""
    sampled.run("import", "shop.db", *FILE)
    sampled.run("export", "shop.db", f"out.{kind}", "--mapping", "out.toml")
    sampled.run("evaluate", f"out.{kind}", "--catalogue", "catalogue.toml", *EVALUATE)
    assert values(sampled) == RIGHT
    sampled.run("import", "again.db", f"out.{kind}", "--catalogue", "catalogue.toml", "--mapping", "out.toml")
    sampled.run("evaluate", "again.db", *EVALUATE)
    assert values(sampled) == RIGHT
    if kind == "dsjson":
        lines = list(map(json.loads, (sampled.folder / "out.dsjson").read_text().splitlines()))
        assert {line.get("pdrop") for line in lines} == {None, 0.875}  # 1 / (1 - .875) = 8


def test_an_export_without_weights_has_no_column_for_them(sampled):
    sampled.run("import", "shop.db", *FILE[:-1], "unweighted.toml")
    sampled.run("export", "shop.db", "out.csv", "--mapping", "out.toml")
    assert "weight" not in (sampled.folder / "out.csv").read_text().splitlines()[0]
    assert "weight" not in (sampled.folder / "out.toml").read_text()


@pytest.mark.parametrize("weight", ["1", '"ones"'])
def test_weights_of_one_give_the_very_numbers_of_no_weights(sampled, weight):
    text = (sampled.folder / "kept.csv").read_text().splitlines()
    text = [f"{line},{'ones' if row == 0 else '1.0'}" for row, line in enumerate(text)]
    sampled.write("kept.csv", "\n".join(text) + "\n")
    plain = (sampled.folder / "unweighted.toml").read_text()
    sampled.write("mapping.toml", plain.replace("[context]", f"weight = {weight}\n\n[context]"))
    every = ("--policy", "uniform", "--policy", "thompson", *EVALUATE)
    first = sampled.run("evaluate", *FILE, *every).out
    assert sampled.run("evaluate", *FILE[:-1], "unweighted.toml", *every).out == first


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", 'the weight "stands_for" is blank'),
        ("many", 'the weight "many" is not a finite number'),
        ("0", "the weight 0 is not above 0"),
        ("-8", "the weight -8 is not above 0"),
        ("inf", 'the weight "inf" is not a finite number'),
    ],
)
def test_a_row_without_a_weight_above_zero_is_refused(sampled, cell, reason):
    text = (sampled.folder / "kept.csv").read_text().splitlines()
    text[1] = f"{text[1].rpartition(',')[0]},{cell}"
    sampled.write("kept.csv", "\n".join(text) + "\n")
    sampled.run("import", "shop.db", *FILE, "--json")
    assert sampled.json["refused"] == [{"line": 2, "reason": reason}]


@pytest.mark.parametrize("weight", ["0", "-2", "nan", "inf"])
def test_a_weight_for_all_rows_that_is_not_above_zero_is_refused(sampled, weight):
    text = (sampled.folder / "mapping.toml").read_text()
    sampled.write("mapping.toml", text.replace('weight = "stands_for"', f"weight = {weight}"))
    assert sampled.run("evaluate", *FILE, *EVALUATE).code == 2
    assert "[columns] weight is a column or a number above 0" in sampled.err


def test_what_was_earned_option_by_option_is_weighted(sampled):
    """In all .1488; with the voucher as it happened 96 / 616 = .1558."""
    catalogue = bandit.Catalogue.from_toml("catalogue.toml")
    log = open_log("kept.csv", catalogue, LogMapping.from_toml("mapping.toml"))
    found = break_down(log, ["option", "group", "calibration"], catalogue=catalogue)
    assert (found.whole.n, found.whole.stands_for) == (403, 1579.0)
    assert found.whole.response.value == pytest.approx(235 / 1579)
    (voucher,) = [cell for cell in found.options.cells if cell.option == "voucher"]
    assert (voucher.given, voucher.happened.value) == (161, pytest.approx(96 / 616))
    assert voucher.value.value == pytest.approx(96 / 616)
    observed = [each.observed.value for each in found.calibration.bins]
    assert all(value < 0.4 for value in observed)
    sampled.run("results", *FILE)
    assert "403 settled decisions that stand for 1,579" in " ".join(sampled.out.split())


def test_what_cannot_weigh_refuses(sampled):
    """The way that the refusal names is weighted: gold 108 / 676 = .160, the others 127 / 903 = .141."""
    groups = (sampled.folder / "mapping.toml").read_text().replace("[context]", 'group = "card"\n\n[context]')
    sampled.write("mapping.toml", groups)
    sampled.run("import", "shop.db", *FILE)
    for command in (("lift", "shop.db"), ("incrementality", "shop.db", "--baseline", "none")):
        assert sampled.run(*command).code == 2
        assert "decisions stand for several" in sampled.err
        assert "results --by group" in sampled.err
    sampled.run("results", "shop.db", "--by", "group", "--json")
    rates = [each["response"]["value"] for each in sampled.json["group"]["points"]]
    assert rates == [pytest.approx(108 / 676), pytest.approx(127 / 903)]
    pilot = ("catalogue.toml", "--from", "shop.db", "--policy", "offer:banner=voucher", "--baseline", "logged")
    assert sampled.run("plan", *pilot).code == 2
    assert "403 decisions that stand for 1,579 do not show" in sampled.err
    catalogue = bandit.Catalogue.from_toml("catalogue.toml")
    with pytest.raises(bandit.errors.InputError, match="OBP's feedback has no weights"):
        bandit.logfiles.to_obp(open_log("kept.csv", catalogue, LogMapping.from_toml("mapping.toml")))


def test_a_policy_learns_the_rates_of_the_whole_log_and_is_rebuilt_byte_for_byte(sampled):
    """Predicted: about .15, the rate of the whole log, not the .58 of the kept rows."""
    catalogue = bandit.Catalogue.from_toml("catalogue.toml")
    with Store.open("shop.db", durability="process", customer_key=b"a key for our tests") as store:
        import_log(store, catalogue, LogMapping.from_toml("mapping.toml"), "kept.csv")
    policy = bandit.ThompsonSampling(catalogue)
    key = {"customer_key": b"a key for our tests"}
    with bandit.Engine.open("shop.db", catalogue, policy, durability="process", **key) as engine:
        assert engine.learn().n == 403
        state = engine.policy.dumps()
        contexts = catalogue.contexts([{"card": "none"}, {"card": "gold"}])
        assert 0.08 < engine.policy.predict(contexts).mean() < 0.25
        assert engine.rebuild().same
        assert engine.policy.dumps() == state
    with Store.open("shop.db", durability="process", **key) as store:
        assert verify(store).problems == ()
        assert StoreLog(store, catalogue).n == 403
        rows = sqlite3.connect("shop.db").execute("SELECT count(*), sum(weight) FROM decision_weights").fetchone()
    assert rows == (168, 168 * 8.0)
    visitor = next(line.split(",")[0] for line in Path("kept.csv").read_text().splitlines() if line.endswith(",8"))
    with Store.open("shop.db", durability="process", **key) as store:
        assert [each["stands_for"] for each in customer_data(store, visitor)["decisions"]] == [8.0]
        assert erase(store, visitor).decisions == 1
        assert (store.decisions.weighted(), store.check(), verify(store).problems) == (167, [], ())


def test_the_shared_log_that_drops_nine_in_ten(desk):
    """1,829 lines weighted by 1 / (1 - pdrop): .4327 in all, .3846 for everybody ten_off (self-normalised)."""
    desk.take_shared("sampled_kept.dsjson")
    lines = list(map(json.loads, (desk.folder / "sampled_kept.dsjson").read_text().splitlines()))
    rows = [
        f"{line['_labelIndex']},{line['_label_probability']},{-line['_label_cost']},{1 / (1 - line.get('pdrop', 0))}"
        for line in lines
    ]
    desk.write("kept.csv", "\n".join(["arm,p,reward,times", *rows]) + "\n")
    options = [{"name": name} for name in ("free_ship", "ten_off", "gift")]
    catalogue = bandit.Catalogue.from_dict(
        {"objective": {"kind": "conversion", "event": "click"}, "dimensions": [{"name": "act", "options": options}]}
    )
    mapping = {
        "columns": {"row_customer": True, "propensity": "p", "weight": "times"},
        "offer": {"act": {"column": "arm", "map": {"0": "free_ship", "1": "ten_off", "2": "gift"}}},
        "outcomes": [{"event": "click", "when": {"column": "reward", "above": 0}}],
    }
    log = open_log("kept.csv", catalogue, mapping)
    found = bandit.evaluate.evaluate(log, {"ten_off": bandit.ConstantOffer(catalogue, 1)}, estimators=["snips"])
    assert (found.n, round(found.realised_mean, 4)) == (1_829, 0.4327)
    assert round(found.row("ten_off").estimate("snips").value, 4) == 0.3846
