"""A changed catalogue on a live database: nothing of what was learned is forgotten in silence (kind: a change forgets).

The log has 160 mails at even odds: 80 by email, of which 20 bought (0.25), and 80 by sms, of which 32 did (0.40).
"""

import pytest

pytestmark = pytest.mark.filterwarnings("ignore:customers are stored in the clear")


@pytest.fixture
def learned(desk):
    """A database with the log, from which Thompson sampling has learned all 160 outcomes."""
    desk.take("changed_catalogue")
    desk.run("import", "offers.db", "log.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping.toml")
    assert desk.code == 0, desk.err
    desk.run("learn", "offers.db", "--policy", "thompson", "--json")
    assert desk.json["n"] == 160
    return desk


def test_diff_names_each_change_and_what_it_does(learned):
    """Fact, value, dimension and option renamed: four changes, each of which keeps what was learned."""
    learned.run("catalogue", "diff", "offers.db", "renamed.toml", "--json")
    assert [(each["kind"], each["what"], each["before"], each["after"]) for each in learned.json["changes"]] == [
        ("renamed", "dimension", "channel", "medium"),
        ("renamed", "option", "sms", "text"),
        ("renamed", "fact", "plan", "tier"),
        ("renamed", "value", "gold", "premium"),
    ]
    assert all(each["belief"].startswith("kept under the new name") for each in learned.json["changes"])
    learned.run("catalogue", "diff", "catalogue.toml", "catalogue.toml")
    assert (learned.code, learned.out) == (0, "The two catalogues say the same.\n")


def test_an_option_without_an_alias_is_said_to_be_another(learned):
    text = (learned.folder / "catalogue.toml").read_text().replace('"sms"', '"text"')
    learned.write("careless.toml", text).run("catalogue", "diff", "offers.db", "careless.toml")
    assert 'write aliases = ["old name"]' in learned.out.replace("\n", " ")


def test_apply_takes_the_belief_over_and_a_dry_run_changes_nothing(learned):
    learned.run("catalogue", "apply", "offers.db", "added.toml", "--dry-run", "--json")
    planned = learned.json
    assert (planned["done"], planned["carried"]["outcomes"], planned["policy_id"]) == (False, 160, None)
    learned.run("catalogue", "apply", "offers.db", "added.toml", "--json")
    done = learned.json
    assert (done["done"], done["carried"]) == (True, planned["carried"])
    assert done["carried"]["new_options"] == ["channel = push"]
    assert done["carried"]["new_options_share"] == pytest.approx(0.10, abs=0.02)
    learned.run("learn", "offers.db", "--json")
    assert learned.json["n"] == 0
    learned.run("verify", "offers.db")
    assert learned.code == 0, learned.out
    learned.run("doctor", "offers.db", "--json")
    assert learned.json["took over"] == {"policy 2 (thompson)": done["carried"]["words"]}
    learned.run("catalogue", "apply", "offers.db", "added.toml")
    assert "has this catalogue already" in learned.out


def test_the_log_is_judged_under_the_new_names(learned):
    """32 of 80 by text at odds of 1/2: 2 x 32 / 160 = 0.40, and email 2 x 20 / 160 = 0.25, under both catalogues."""
    learned.run("catalogue", "apply", "offers.db", "renamed.toml")
    judged = ["--policy", "offer:medium=text", "--policy", "offer:medium=email", "--json"]
    learned.run("evaluate", "offers.db", *judged)
    assert learned.code == 0, learned.err
    values = {each["name"]: each["estimates"] for each in learned.json["policies"]}
    found = [round(float(each["snips"]["value"]), 6) for each in values.values()][-2:]
    assert sorted(found) == [0.25, 0.40]


def test_a_file_with_the_old_names_is_read_under_the_new_catalogue(desk):
    """The old file, its mapping with the new names of lever and fact: values `sms` and `gold` are known by aliases."""
    desk.take("changed_catalogue")
    mapping = (desk.folder / "mapping.toml").read_text()
    mapping = mapping.replace("plan = ", "tier = ").replace("channel = {", "medium = {")
    desk.write("new_mapping.toml", mapping)
    desk.run("import", "new.db", "log.csv", "--catalogue", "renamed.toml", "--mapping", "new_mapping.toml", "--json")
    assert (desk.code, desk.json["n_imported"]) == (0, 160)
    desk.run("results", "new.db", "--json")
    assert desk.code == 0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('aliases = ["sms"]', 'aliases = ["email"]', '"email" is the name of another option of "medium"'),
        ('aliases = ["sms"]', 'aliases = [" "]', "has an empty alias"),
        ("premium = [", "silver = [", 'names "silver", which is not one of its values'),
    ],
)
def test_an_alias_with_two_meanings_is_refused(learned, old, new, words):
    text = (learned.folder / "renamed.toml").read_text()
    assert old in text
    learned.write("wrong.toml", text.replace(old, new)).run("catalogue", "apply", "offers.db", "wrong.toml")
    assert learned.code == 2
    assert words in learned.err
