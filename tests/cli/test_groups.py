"""Groups on the command line: a catalogue with a file of rules, decisions of a group that is named, and imports."""

import json

import pytest

import bandit
from tests.catalogue.test_groups import CATALOGUE
from tests.cli.conftest import run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("OFFER_BANDIT_KEY", "one key for our tests")
    (tmp_path / "rules.toml").write_text(
        '[otherwise]\ndiscount = "10"\nchannel = "email"\ngift = "none"\n', encoding="utf-8"
    )
    (tmp_path / "catalogue.toml").write_text(CATALOGUE, encoding="utf-8")
    return tmp_path


def decide(capsys, folder, customer, *options):
    given = ("--catalogue", folder / "catalogue.toml", "--policy", "uniform", "--json", *options)
    return run(capsys, "decide", folder / "offers.db", customer, *given)


def test_a_customer_is_decided_for_in_its_group_or_in_the_one_named(capsys, folder):
    """Under this key customer-1 is the policy's; the rules give everyone 10 %."""
    own = decide(capsys, folder, "customer-1").json
    assert (own["group"], own["propensity"]) == ("policy", 0.5)
    named = decide(capsys, folder, "customer-1", "--group", "rules").json
    assert (named["group"], named["propensity"], named["offer"]["discount"]) == ("rules", 1.0, "10")
    (folder / "rules.toml").unlink()  # the database needs no file any more
    (folder / "catalogue.toml").unlink()
    resumed = run(capsys, "decide", folder / "offers.db", "customer-1", "--group", "rules", "--json").json
    assert resumed["group"] == "rules"
    verified = run(capsys, "verify", folder / "offers.db", "--json")
    assert verified.code == 0
    assert json.loads(verified.out)["problems"] == []


def test_the_group_is_shown_and_doctor_counts_customers_by_group(capsys, folder):
    """Customers 1 and 2 are the policy's under this key; customer 1 is then put in the other group as well."""
    decide(capsys, folder, "customer-1")
    decide(capsys, folder, "customer-2")
    found = run(capsys, "doctor", folder / "offers.db", "--json").json["database"]
    assert found["customers by group"] == "policy 2 (100.0%), rules 0 (0.0%)"
    shown = run(capsys, "decide", folder / "offers.db", "customer-1", "--group", "rules").out
    assert [line.split()[1:4:2] for line in shown.splitlines() if "group" in line] == [["group", "rules"]]
    found = run(capsys, "doctor", folder / "offers.db", "--json").json["database"]
    assert (found["customers by group"], found["customers in several groups"]) == (
        "policy 1 (100.0%), rules 0 (0.0%)",
        1,
    )


def test_a_group_that_is_not_declared_is_refused_and_leaves_nothing(capsys, folder):
    ran = decide(capsys, folder, "customer-1", "--group", "random")
    assert ran.code == 2
    assert ran.sentence.endswith('the catalogue declares no group "random"; its groups are policy, rules')
    assert not (folder / "offers.db").exists()


def test_an_import_keeps_its_column_of_groups(capsys, folder):
    """Whatever its labels: these decisions were made elsewhere."""
    (folder / "log.csv").write_text(
        "who,discount,channel,gift,p,arm,bought\na,0,email,none,0.5,pilot,1\nb,10,email,none,0.5,rules,0\n"
    )
    (folder / "mapping.toml").write_text(
        '[columns]\ncustomer = "who"\npropensity = "p"\ngroup = "arm"\n'
        '[offer]\ndiscount = { column = "discount" }\nchannel = "email"\ngift = "none"\n'
        '[[outcomes]]\nevent = "purchase"\nwhen = "bought"\n'
    )
    ran = run(
        capsys, "import", folder / "offers.db", folder / "log.csv", "--catalogue", folder / "catalogue.toml",
        "--mapping", folder / "mapping.toml",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    with bandit.store.Store.open(folder / "offers.db", customer_key=b"one key for our tests") as store:
        assert store.decisions.page("purchase", 10**15).group.tolist() == ["pilot", "rules"]
