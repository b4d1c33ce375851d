"""The demo: its files, its table, and sentences that claim no more than the intervals show."""

import json
import stat
from dataclasses import replace

import numpy as np
import pytest

import bandit
from bandit.governance.verify import verify
from bandit.ope import Estimate
from bandit.store import Store
from simulator.campaign import (
    RULES_POLICY,
    THOMPSON_POLICY,
    VW_POLICY,
    CampaignPlan,
    CampaignRow,
    CampaignWorld,
    FrozenPolicy,
    TrueValue,
    demo,
    markdown,
    true_values,
)
from simulator.campaign.chance import WithoutChance
from simulator.campaign.files import DEMO_FILES
from simulator.campaign.results import Results
from simulator.market.ceilings import CLAIRVOYANT, FACTS_CLAIRVOYANT

pytestmark = pytest.mark.slow

TINY = [
    "--decisions",
    "2000",
    "--customers",
    "300",
    "--live",
    "400",
    "--truth",
    "200",
    "--weekly",
    "150",
    "--seed",
    "3",
]
FIVE = [RULES_POLICY, THOMPSON_POLICY, VW_POLICY, FACTS_CLAIRVOYANT, CLAIRVOYANT]


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory):
    """The directory of one tiny demo."""
    out = tmp_path_factory.mktemp("demo")
    assert demo.main([*TINY, "--out", str(out)]) == 0
    return out


def plan(**changes):
    return replace(CampaignPlan(seed=3, customers=2_000, decisions=4_000, live=10, truth=1_000), **changes)


def estimate(value, low, high):
    return Estimate("dr", value, low, high, 1_000, 100.0, 5.0, 1.0, (high - low) / 4, 100, 0.95)


def row(name, difference=None, live=None, warning=None):
    return CampaignRow(
        name, estimate(3.0, 2.0, 4.0), difference, warning, TrueValue(3.5, 0.01, 0.5, 0.01), 0.5, 3.2, live
    )


def found(thompson, wabbit=None):
    """Results in which only the two policies that learn matter."""
    nothing = estimate(0.0, -1.0, 1.0)
    rows = (row(RULES_POLICY), thompson, row(VW_POLICY, nothing, nothing) if wabbit is None else wabbit)
    return Results(plan(), 56, "EUR", 1_000, 100, 2_000, 2.0, rows)


# -- files ----------------------------------------------------------------------------------------------------------


def test_the_demo_writes_files_that_can_be_read(demo_folder):
    assert all((demo_folder / name).is_file() for name in DEMO_FILES)
    catalogue = bandit.Catalogue.from_toml(demo_folder / "catalogue.toml")
    assert catalogue.n_offers == 4 * 4 * 2 - 4  # less the text messages at 20 % off
    assert bandit.SegmentRules.from_toml(catalogue, demo_folder / "rules.toml").exploration == 0.0
    results = json.loads((demo_folder / "results.json").read_text())
    assert [policy["name"] for policy in results["policies"]] == FIVE
    assert all({"estimate", "truth", "covered", "share", "live"} <= policy.keys() for policy in results["policies"])
    assert results["learned"] == 2_000


def test_the_table_has_a_line_for_each_of_the_five_policies(demo_folder):
    lines = [line.split("|") for line in (demo_folder / "table.md").read_text().splitlines() if line.startswith("| ")]
    heading, _, *rows = [[cell.strip() for cell in line[1:-1]] for line in lines]
    assert heading[0] == "policy"
    assert [row[0] for row in rows] == FIVE
    assert all(len(row) == len(heading) for row in rows)


def test_neither_the_key_nor_a_customer_is_in_the_database(demo_folder):
    key = (demo_folder / "customer.key").read_text().strip()
    assert stat.S_IMODE((demo_folder / "customer.key").stat().st_mode) == 0o600
    bytes_of = b"".join(path.read_bytes() for path in demo_folder.glob("*.db*"))
    assert key.encode() not in bytes_of
    assert b"c000001" not in bytes_of
    with Store.open(demo_folder / "offers.db", customer_key=key.encode()) as store:
        assert store.customers.stored("c000001").encode() in bytes_of


def test_every_decision_that_the_demo_logged_can_be_recomputed(demo_folder):
    key = (demo_folder / "customer.key").read_text().strip().encode()
    with Store.open(demo_folder / "offers.db", customer_key=key) as store:
        verified = verify(store)
    assert (verified.n_decisions, verified.n_recomputed, verified.problems) == (2_400, 2_400, ())
    with Store.open(demo_folder / "live.db", customer_key=key) as store:
        verified = verify(store)
    assert (verified.n_decisions, verified.n_recomputed, verified.problems) == (600, 600, ())


def test_the_demo_ends_with_groups_compared_after_two_and_four_weeks(demo_folder):
    """150 visits a week from the state of the pilot: the decisions older than a week are compared."""
    groups = json.loads((demo_folder / "results.json").read_text())["groups"]
    assert [look["weeks"] for look in groups["looks"]] == [2, 4]
    for look in groups["looks"]:
        shares = {each["name"]: each["share"] for each in look["lift"]["groups"]}
        assert shares == pytest.approx({"policy": 0.70, "rules": 0.20, "random": 0.10})
        assert {each["baseline"] for each in look["true_lift"]} == {"rules", "random"}
    assert groups["closing"].startswith("After 4 weeks")
    key = (demo_folder / "customer.key").read_text().strip().encode()
    with bandit.Engine.resume(demo_folder / "live.db", customer_key=key) as engine:
        assert engine.rebuild().same


@pytest.mark.slow
def test_the_same_seed_gives_the_same_results_and_a_second_run_starts_afresh(demo_folder, tmp_path):
    (demo_folder / "of-somebody-else.txt").write_text("stays")
    before = (demo_folder / "results.json").read_bytes(), (demo_folder / "table.md").read_text()
    assert demo.main([*TINY, "--out", str(demo_folder)]) == 0
    assert ((demo_folder / "results.json").read_bytes(), (demo_folder / "table.md").read_text()) == before
    assert (demo_folder / "of-somebody-else.txt").read_text() == "stays"
    assert demo.main([*TINY[:-1], "4", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "results.json").read_bytes() != before[0]


def test_a_log_without_chance_cannot_tell_and_names_its_cure(demo_folder):
    """Under rules without exploration other offers were never made: nothing is known of a policy that makes them."""
    certain = json.loads((demo_folder / "results.json").read_text())["without_chance"]
    assert certain["verdict"] == "cannot tell"
    sentence = WithoutChance(**certain).sentence(0.5)
    assert sentence.startswith("Why the rules leave 50% of the decisions to chance")
    assert "offer-bandit plan" in sentence
    assert WithoutChance(10, "better", "why").sentence(0.5) is None


def test_a_database_that_no_demo_made_is_left_alone(tmp_path, capsys):
    (tmp_path / "offers.db").write_text("precious")
    assert demo.main([*TINY, "--out", str(tmp_path)]) == 2
    assert "no demo made" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["offers.db"]
    assert (tmp_path / "offers.db").read_text() == "precious"


# -- sentences ------------------------------------------------------------------------------------------------------


def test_the_reading_claims_a_win_only_where_the_interval_shows_one():
    sure, unsure = estimate(1.0, 0.25, 1.75), estimate(1.0, -0.25, 2.25)
    log, live = found(row(THOMPSON_POLICY, sure, sure)).reading()
    assert "Thompson sampling would earn 0.25 to 1.75 EUR a decision more than today's rules" in log
    assert "Thompson sampling earned 3.20 EUR, 1.00 more" in live
    log, live = found(row(THOMPSON_POLICY, unsure, unsure)).reading()
    assert "Thompson sampling may earn less or more than today's rules (-0.25 to +2.25 EUR a decision)" in log
    assert "no clear difference" in live
    assert "would earn" not in log
    assert "more (" not in live


def test_the_reading_says_so_where_a_policy_loses_and_where_the_log_cannot_tell():
    """An interval of [-1.75, -0.25] is 0.25 to 1.75 less."""
    worse = estimate(-1.0, -1.75, -0.25)
    log, live = found(
        row(THOMPSON_POLICY, worse, worse), row(VW_POLICY, worse, worse, warning="cannot tell: thin")
    ).reading()
    assert "Thompson sampling would earn 0.25 to 1.75 EUR a decision less than today's rules" in log
    assert "the log cannot tell what Vowpal Wabbit would earn" in log
    assert "Thompson sampling earned 3.20 EUR, 1.00 less" in live
    text = markdown(
        found(row(THOMPSON_POLICY, worse, worse), row(VW_POLICY, worse, worse, warning="cannot tell: thin"))
    )
    assert "| vowpal wabbit | cannot tell |" in text


# -- values ---------------------------------------------------------------------------------------------------------


def test_true_values_are_means_over_customers_who_come_as_often_as_those_of_the_log():
    """Two samples of visits of one distribution; who comes often is worth more, so one visit each is another one."""
    world = CampaignWorld.draw(plan(customers=20_000, decisions=20_000, truth=2_000))
    rules, rng = world.segment_rules(), np.random.default_rng(0)
    values = world.population.values(rules, rng, world.visits.customers, world.visits.times)
    truth = true_values(world, {})[RULES_POLICY]
    error = np.hypot(truth.error, values.std() / np.sqrt(len(values)))
    assert abs(truth.value - values.mean()) < 4 * error
    once = world.population.values(rules, rng)
    assert abs(truth.value - once.mean()) > 4 * np.hypot(truth.error, once.std() / np.sqrt(len(once)))


def test_a_frozen_policy_gives_the_same_answers_and_computes_each_context_once():
    world = CampaignWorld.draw(plan())
    asked = []

    class Listening(bandit.Uniform):
        def probabilities(self, contexts, eligible, rng):
            asked.append(contexts.n)
            return super().probabilities(contexts, eligible, rng)

    customers = np.array([4, 7, 4, 4, 9, 7])
    contexts = world.population.contexts(customers)
    eligible = world.population.eligible(contexts)
    eligible[5, 0] = False  # the same facts as row 1, another set
    rng = np.random.default_rng(0)
    answer = FrozenPolicy(Listening(world.catalogue)).probabilities(contexts, eligible, rng)
    np.testing.assert_array_equal(answer, bandit.Uniform(world.catalogue).probabilities(contexts, eligible, rng))
    assert asked == [4]
    rules = world.segment_rules()
    np.testing.assert_array_equal(
        FrozenPolicy(rules).probabilities(contexts, eligible, rng), rules.probabilities(contexts, eligible, rng)
    )
