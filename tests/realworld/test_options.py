"""Files and databases whose offers the judged catalogue does not have, forbids, removes by a rule, or has stopped."""

import pytest

MAPPED = ("--mapping", "mapping.toml")
LOG = "banners.csv"


def values(document, estimator="ips"):
    """The value of each policy by one estimator, rounded, by its name."""
    return {each["name"]: round(each["estimates"][estimator]["value"], 6) for each in document["policies"]}


def verdicts(document):
    return {each["name"]: each["verdict"] for each in document["policies"]}


def evaluate(desk, log, *arguments):
    """Judge every constant offer, and uniform choice, by weights alone."""
    policies = ("--policy", "everyone", "--policy", "uniform", "--estimators", "ips,snips,dr", "--json")
    desk.run("evaluate", log, *arguments, *policies)
    assert desk.code == 0, desk.err
    return desk.json


def by_both_ways(desk, catalogue, log=LOG, given=None):
    """The evaluation of the file, and that of a database into which it was imported."""
    file = evaluate(desk, log, "--catalogue", catalogue, *MAPPED)
    desk.run("import", "offers.db", log, "--catalogue", given or catalogue, *MAPPED)
    assert desk.code == 0, desk.err
    database = evaluate(desk, "offers.db", *(() if given is None else ("--catalogue", catalogue)))
    return file, database


@pytest.mark.parametrize("catalogue", ["two.toml", "stopped.toml"])
def test_decisions_of_stopped_options_stay_in_the_sums(desk, catalogue):
    """Four banners, 400 times each at a quarter: b0 has 40 clicks, b1 100, b2 60, b3 20; b2 and b3 are gone.

    b0: 40 x 4 / 1,600 = .1; b1: 100 x 4 / 1,600 = .25; uniform over b0 and b1: .175. The log: 220 / 1,600 = .1375.
    """
    desk.take("stopped_options")
    for found in by_both_ways(desk, catalogue):
        assert values(found) == {"everyone: b0": 0.1, "everyone: b1": 0.25, "uniform": 0.175}
        assert values(found, "snips") == values(found)
        assert (found["n"], found["n_outside"], found["left_out"]) == (1_600, 800, 800)
        assert found["realised"]["value"] == pytest.approx(0.1375)
        assert found["findings"] == []
        assert {each["mean_weight"]["value"] for each in found["policies"]} == {1.0}
        words = {"two.toml": {"banner b2", "banner b3"}, "stopped.toml": {"b2 and b3 of banner are stopped"}}[catalogue]
        assert {each["words"] for each in found["outside"]} == words
    desk.run("verify", "offers.db")
    assert desk.code == 0


def test_the_better_of_two_is_found_and_the_sentence_says_what_was_counted(desk):
    """b1 earns .15 a decision more than b0."""
    desk.take("stopped_options")
    desk.run("import", "offers.db", LOG, "--catalogue", "two.toml", *MAPPED)
    said = "800 of 1,600 decisions have an offer that no policy of the catalogue can choose"
    assert said in " ".join(desk.out.split())
    desk.run("evaluate", "offers.db", "--policy", "everyone", "--baseline", "offer:banner=b0")
    text = " ".join(desk.out.split())
    assert "(banner b2: 400; banner b3: 400)" in text
    assert "they count as decisions that no policy here makes" in text
    assert "better" in text
    assert "wrong" not in text


def test_the_database_of_a_file_serves_every_catalogue_as_the_file_does(desk):
    """Imported while b2 and b3 were unknown, judged under the catalogue of all four: b2 60 x 4 / 1,600 = .15."""
    desk.take("stopped_options")
    file, database = by_both_ways(desk, "all.toml", given="two.toml")
    expected = {"b0": 0.1, "b1": 0.25, "b2": 0.15, "b3": 0.05}
    for found in (file, database):
        assert values(found) == {f"everyone: {name}": value for name, value in expected.items()} | {"uniform": 0.1375}
        assert (found["n"], found["n_outside"], found["findings"]) == (1_600, 0, [])


def test_wrong_propensities_are_still_found(desk):
    """The negative control: with 1/2 in place of 1/4, two of four banners are half as often as they should be."""
    desk.take("stopped_options")
    text = (desk.folder / "mapping.toml").read_text(encoding="utf-8")
    desk.write("mapping.toml", text.replace('"1/4"', '"1/2"'))
    for found in by_both_ways(desk, "two.toml"):
        assert set(verdicts(found).values()) == {"cannot tell"}
        assert ["weights average 0.500" in each["warning"] for each in found["policies"]] == [True, True, False]
    desk.write("mapping.toml", text.replace('"1/4"', '"1/8"'))
    found = evaluate(desk, LOG, "--catalogue", "two.toml", *MAPPED)
    assert "the logged propensities are wrong" in found["findings"][0]["sentence"]


def test_a_rule_that_came_later_removes_offers_from_decisions_of_a_database(desk):
    """Today b1 and b3 are for members only; half of each banner's 400 decisions and clicks are members'.

    Uniform: members (.1375) and others over b0 and b2 alone ((.1 + .15) / 2 = .125), half of each: .13125. Of the
    others' decisions 400 have b1 or b3. A database that was imported without the rule says the same as the file.
    """
    desk.take("stopped_options")
    for found in by_both_ways(desk, "members.toml", given="all.toml"):
        assert values(found)["uniform"] == pytest.approx(0.13125)
        assert (found["n"], found["n_outside"], found["findings"]) == (1_600, 400, [])
        assert [each["words"] for each in found["outside"]] == ["removed by rule 1 (members only)"]
    desk.run("import", "again.db", LOG, "--catalogue", "members.toml", *MAPPED)
    assert values(evaluate(desk, "again.db")) == values(found)
    assert values(evaluate(desk, "again.db", "--catalogue", "all.toml"))["everyone: b1"] == 0.25


def test_a_combination_that_is_forbidden_today_stays_in_the_sums_with_its_costs(desk):
    """Four pairs, 200 times each at a quarter, of which 20, 40, 60, 80 bought for 50 EUR; margin .5.

    0 and none: 20 x 25 x 4 / 800 = 2.5; 0 and tote: 40 x (25 - 5) / 200 = 4; 20 and none: 60 x 50 x .3 / 200 = 4.5.
    The forbidden pair earned 80 x (15 - 5) = 800, so the log (500 + 800 + 900 + 800) / 800 = 3.75.
    """
    desk.take("forbidden_pair")
    for found in by_both_ways(desk, "catalogue.toml", "log.csv"):
        worth = {name.removeprefix("everyone: "): value for name, value in values(found).items() if name != "uniform"}
        assert worth == {"0 · none": 2.5, "0 · tote": 4.0, "20 · none": 4.5}
        assert found["realised"]["value"] == pytest.approx(3.75)
        assert (found["n_outside"], found["findings"]) == (200, [])
        assert found["outside"][0]["words"] == "forbidden by rule 1 (margin floor)"


def test_costs_that_nobody_knows_count_as_nothing_and_are_mentioned(desk):
    """Without the tote in the catalogue its 5 EUR are not known.

    The log seems to earn (20 x 25 + 40 x 25 + 60 x 15 + 80 x 15) / 800 = 4.5.
    """
    desk.take("forbidden_pair")
    text = (desk.folder / "catalogue.toml").read_text(encoding="utf-8").split("[[rules]]", maxsplit=1)[0]
    desk.write("catalogue.toml", text.replace(', { name = "tote", redemption_cost = 5.0 }', ""))
    for found in by_both_ways(desk, "catalogue.toml", "log.csv"):
        assert found["realised"]["value"] == pytest.approx(4.5)
        assert found["outside"] == [{"words": "gift tote", "n": 400, "costs_known": False}]
    desk.run("evaluate", "offers.db", "--policy", "uniform")
    assert "The costs of the unknown options of 400 decisions are not known" in " ".join(desk.out.split())


def test_propensities_are_estimated_over_all_offers_of_the_log(desk):
    """Each banner had a quarter, not a half: the estimates for b0 and b1 are .25, and their values those of the log."""
    desk.take("stopped_options")
    text = (desk.folder / "mapping.toml").read_text(encoding="utf-8")
    desk.write("mapping.toml", text.replace('"1/4"', '"unknown"'))
    for found in by_both_ways(desk, "two.toml"):
        assert values(found) == pytest.approx({"everyone: b0": 0.1, "everyone: b1": 0.25, "uniform": 0.175}, abs=0.005)


def test_a_misspelt_option_and_a_blank_one_are_refused(desk):
    """Three rows of 1,603 are none of the banners' names and are near one: refused, with the name that was meant."""
    desk.take("stopped_options")
    text = (desk.folder / "two.toml").read_text(encoding="utf-8").replace('"b0"', '"summer"').replace('"b1"', '"b 1"')
    desk.write("two.toml", text)
    log = (desk.folder / LOG).read_text(encoding="utf-8").replace("b0,", "summer,").replace("b1,", "b 1,")
    desk.write(LOG, log + "sumemr,yes,1\nSummer ,yes,1\nb-1,no,1\n,no,0\n")
    desk.run("import", "offers.db", LOG, "--catalogue", "two.toml", *MAPPED, "--json")
    assert (desk.json["n_imported"], desk.json["n_refused"]) == (1_600, 4)
    assert [each["reason"].rpartition("; ")[2] for each in desk.json["refused"]] == [
        'did you mean "summer"?',
        'did you mean "summer"?',
        'did you mean "b 1"?',
        '"" is not an option of "banner"',
    ]


def test_the_wrong_column_is_refused_with_the_names_seen(desk):
    """The column of members has none of the banners; one of customers' keys has hundreds of names."""
    desk.take("stopped_options")
    text = (desk.folder / "mapping.toml").read_text(encoding="utf-8")
    desk.write("mapping.toml", text.replace('banner = { column = "banner" }', 'banner = { column = "member" }'))
    desk.run("import", "offers.db", LOG, "--catalogue", "two.toml", *MAPPED)
    assert desk.code == 2
    assert '1,600 of 1,600 rows have texts that are no options of "banner", such as' in desk.err
    assert not (desk.folder / "offers.db").exists()
    keys = "".join(f"key{row}x,yes,0\n" for row in range(60))
    desk.write("keys.csv", "member,banner,clicked\n" + keys)
    desk.run("evaluate", "keys.csv", "--catalogue", "two.toml", *MAPPED, "--policy", "uniform")
    assert desk.code == 2
    assert 'more than 50 texts are no options of "banner", such as "key0x", "key1x", "key2x"' in desk.err


def test_a_file_of_which_a_part_is_there_already_adds_the_rest(desk):
    """A version that refused the rows of b2 and b3 imported 800; the file given again adds the other 800."""
    desk.take("stopped_options")
    lines = (desk.folder / LOG).read_text(encoding="utf-8").splitlines()
    numbered = [f"{line},{'id,at' if not row else f'd{row},2026-01-01'}" for row, line in enumerate(lines)]
    text = (desk.folder / "mapping.toml").read_text(encoding="utf-8")
    named = 'customer = "id"\ndecision_id = "id"\ntime = "at"'
    desk.write("mapping.toml", text.replace("row_customer = true", named))
    desk.write("part.csv", "\n".join(line for line in numbered if not line.startswith(("b2", "b3"))) + "\n")
    desk.write(LOG, "\n".join(numbered) + "\n")
    desk.run("import", "offers.db", "part.csv", "--catalogue", "two.toml", *MAPPED, "--json")
    assert desk.json["n_imported"] == 800
    desk.run("import", "offers.db", LOG, "--catalogue", "two.toml", *MAPPED, "--json")
    assert (desk.code, desk.json["n_imported"], desk.json["n_repeated"]) == (0, 800, 800)
    assert values(evaluate(desk, "offers.db"))["everyone: b1"] == 0.25


RATES = """
[objective]
kind = "profit"
margin = {margin}
{stacking}
[[dimensions]]
name = "sale"
options = [ {{ name = "0" }}, {{ name = "half", rate = 0.5 }} ]
[[dimensions]]
name = "voucher"
options = [ {{ name = "none" }}, {{ name = "free", rate = {rate} }} ]
"""


def test_rates_that_add_up_above_1_are_refused_unless_they_multiply(desk):
    """.5 + .6 = 1.1 of a basket; one taken from what the other leaves: 1 - .5 x .4 = .8."""
    desk.take("forbidden_pair")
    mapping = (desk.folder / "mapping.toml").read_text(encoding="utf-8")
    mapping = mapping.replace("discount = {", "sale = {").replace("gift = {", "voucher = {")
    desk.write("mapping.toml", mapping)
    desk.write("log.csv", "discount,gift,bought,amount\n" + "half,free,1,100\n" * 200 + "0,none,1,100\n" * 200)
    run = ("evaluate", "log.csv", "--catalogue", "rates.toml", *MAPPED, "--policy", "uniform", "--json")
    desk.write("rates.toml", RATES.format(margin=1.0, stacking="", rate=0.6)).run(*run)
    assert desk.code == 2
    assert "1 offer gives away more than the whole revenue, as half · free does" in desk.err
    assert 'stacking = "product"' in desk.err
    product = 'stacking = "product"'
    desk.write("rates.toml", RATES.format(margin=1.0, stacking=product, rate=0.6)).run(*run)
    assert desk.json["realised"]["value"] == pytest.approx((100 * 0.2 + 100) / 2)
    assert "note" not in desk.err
    desk.write("rates.toml", RATES.format(margin=0.7, stacking=product, rate=0.6)).run(*run)
    assert "half · free gives away 0.8" in desk.err


def test_the_other_readers_of_logs_count_them_too(desk):
    """The log earns .1375 in all; with b1 everybody .25 (400 of 1,600 decisions at a quarter: weights of 4, mean 1)."""
    desk.take("stopped_options")
    desk.run("import", "offers.db", LOG, "--catalogue", "two.toml", *MAPPED)
    for log in (("offers.db",), (LOG, "--catalogue", "two.toml", *MAPPED)):
        desk.run("results", *log, "--by", "option", "--json")
        assert desk.json["whole"]["value"]["value"] == pytest.approx(0.1375)
        assert (desk.json["whole"]["n"], desk.json["left_out"]) == (1_600, 800)
        cells = {each["option"]: each for each in desk.json["options"]["cells"]}
        assert {name: round(each["value"]["value"], 6) for name, each in cells.items()} == {"b0": 0.1, "b1": 0.25}
        assert {each["value"]["mean_weight"] for each in cells.values()} == {1.0}
        assert cells["b1"]["difference"]["value"] == pytest.approx(0.25 - 0.1375)
        desk.run("audience", *log, "--baseline", "logged", "--json")
        assert desk.json["n"] == 1_600
    desk.run("replay", "offers.db", "--policy", "uniform")
    assert "they are left out" in " ".join(desk.out.split())
