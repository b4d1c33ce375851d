"""The commands fit, half-life and exploration, as a person types them and as a program reads them."""

import csv
from pathlib import Path

import pytest

import bandit
from bandit.cli import main
from bandit.store import Store
from tests.cli.conftest import FACTS, FILES, imported_example, run


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A directory with a log of 2,000 decisions in campaign.db, and offers.db fitted on it with 20 decisions more."""
    directory = tmp_path_factory.mktemp("learning")
    with imported_example(directory, 2_000, "campaign.db"):
        assert main(["fit", "campaign.db", "--into", "offers.db"]) == 0
        with pytest.warns(UserWarning, match="in the clear"):
            engine = bandit.Engine.resume("offers.db", seed=1)
        with engine:
            ids = [f"d{number}" for number in range(20)]
            facts = [{"gender": "f", "recency": 2.5, "loyal": True}] * 20
            engine.decide_batch([f"customer-{number}" for number in range(20)], facts, decision_ids=ids)
    return directory


def test_fit_says_what_was_learned_and_what_is_believed(example, capsys):
    said = run(capsys, "fit", "campaign.db", "--into", "new.db")
    assert said.code == 0
    assert "2,000" in said.out
    assert "predicted best" in said.out
    assert "\nNext:\n  offer-bandit decide new.db CUSTOMER\n" in said.out
    arguments = ("--half-life", "30d", "--no-personal", "--floor", "0.05", "--top", "3", "--json")
    plain = run(capsys, "fit", "campaign.db", "--into", "other.db", *arguments).json
    assert plain["n"] == 2_000
    rows = csv.DictReader(Path("log.csv").read_text(encoding="utf-8").splitlines())
    assert plain["conversions"] == sum(row["bought"] == "1" for row in rows)
    assert (plain["left_out"], plain["open"]) == (0, 0)
    assert {key: plain["policy"][key] for key in ("half_life", "personal", "floor")} == {
        "half_life": "30d",
        "personal": False,
        "floor": 0.05,
    }
    assert len(plain["favourites"]) == min(3, plain["n_favourites"])
    shares = [each["share"] for each in plain["favourites"]]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1
    assert set(plain["favourites"][0]["offer"]) == {"discount", "channel", "gift"}


def test_what_fit_made_decides_learns_and_verifies(example, capsys):
    assert run(capsys, "decide", "offers.db", "anna", *FACTS, "--decision-id", "one").code == 0
    run(capsys, "record", "offers.db", "one", "purchase", "--revenue", "52")
    learned = run(capsys, "learn", "offers.db", "--json").json
    assert (learned["n"], learned["step"]) == (1, 1)
    verified = run(capsys, "verify", "offers.db", "--json").json
    assert verified["ok"]
    assert verified["n_recomputed"] == 21


def test_fit_can_keep_to_the_decisions_of_one_policy(example, capsys):
    run(capsys, "record", "offers.db", "d0", "purchase", "--revenue", "52")
    for number in range(2):
        run(capsys, "record", "offers.db", f"d{number}", "closed")
    said = run(capsys, "fit", "offers.db", "--into", "new.db", "--written-by", "1", "--json").json
    assert (said["n"], said["conversions"], said["open"]) == (2, 1, 18)
    refused = run(capsys, "fit", "offers.db", "--into", "newer.db", "--written-by", "7")
    assert refused.code == 2
    assert not Path("newer.db").exists()


def test_fit_refuses_the_log_itself_under_any_name(example, capsys):
    Path("alias.db").symlink_to("campaign.db")
    before = Path("campaign.db").read_bytes()
    for name in ("campaign.db", "./campaign.db", "alias.db"):
        said = run(capsys, "fit", "campaign.db", "--into", name)
        assert said.code == 2
        assert "twice" in said.sentence
    assert Path("campaign.db").read_bytes() == before


def test_fit_under_a_key_keeps_customers_hashed_and_known(example, capsys, monkeypatch):
    """The same key in both: what was learned of a customer is found again under the stored key."""
    customer = Path("log.csv").read_text(encoding="utf-8").splitlines()[1].split(",")[2]
    monkeypatch.setenv("OFFER_BANDIT_KEY", "a key of the test")
    assert run(capsys, "import", "hashed.db", "log.csv", *FILES).code == 0
    assert run(capsys, "fit", "hashed.db", "--into", "live.db").code == 0
    with bandit.Engine.resume("live.db") as engine:
        facts = {"gender": "f", "recency": 2.5, "loyal": True}
        plain, hashed, stranger = (
            engine.policy.predict(engine.catalogue.contexts([facts], [name]))
            for name in (customer, engine.store.customers.stored(customer), "nobody")
        )
    assert (plain == stranger).all()
    assert (hashed != stranger).any()


def test_half_life_shows_a_row_a_candidate_and_names_the_choice(example, capsys):
    said = run(capsys, "half-life", "campaign.db", "--candidates", "7d, never", "--block", "1000")
    assert said.code == 0
    assert "(chosen)" in said.out
    assert "as if every offer had been made equally often" in said.out
    plain = run(
        capsys, "half-life", "campaign.db", "--candidates", "7d", "--block", "1000", "--as-logged", "--json"
    ).json
    assert [each["half_life"] for each in plain["candidates"]] == ["7d", "never"]
    assert (plain["n"], plain["score"], plain["even"]) == (2_000, "log loss", False)
    assert plain["candidates"][1]["difference"] is None
    assert plain["choice"] in {"7d", "never"}


def test_exploration_counts_what_one_policy_decided(example, capsys):
    said = run(capsys, "exploration", "offers.db")
    assert said.code == 0
    assert "not a measurement" in said.out
    assert "profit in EUR" in said.out
    plain = run(capsys, "exploration", "offers.db", "--by", "week", "--json").json
    assert plain["total"]["n"] == 20
    assert plain["total"]["cost"] >= 0
    assert sum(each["n"] for each in plain["periods"]) == 20


def test_exploration_writes_nothing(example, capsys):
    with Store.open("offers.db", read_only=True) as store:
        before = store.counts()
    assert run(capsys, "exploration", "offers.db", "--policy-id", "1").code == 0
    with Store.open("offers.db", read_only=True) as store:
        assert store.counts() == before


def test_the_help_of_each_teaches_by_an_example(capsys):
    for command in ("fit", "half-life", "exploration"):
        said = run(capsys, command, "--help")
        assert said.code == 0
        assert f"offer-bandit {command} " in said.out.split("Example:")[1]
    assert "policy.fit(log)" in run(capsys, "fit", "--help").out
