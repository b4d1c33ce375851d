"""Decisions for an audience: once in a campaign, whatever happens in between."""

import numpy as np
import pytest

import bandit
from bandit.engine.campaign import CAMPAIGN_CHUNK, campaign_decision_ids, decide_campaign
from bandit.errors import ContextError, DuplicateError, InputError
from bandit.governance.key_rotation import rotate_key
from tests.conftest import SPRING, draw_contexts

KEY = b"a key for our tests"
ANOTHER = b"another key for our tests"


def audience(catalogue, n, seed=1):
    drawn = draw_contexts(catalogue, n, np.random.default_rng(seed))
    columns = {name: drawn.text.get(name, drawn.columns[name]) for name in catalogue.facts}
    columns["gender"] = np.where(columns["gender"] == "x", None, columns["gender"])  # only what is declared
    return [f"customer-{row}" for row in range(n)], columns


def opened(path, catalogue, key=KEY, seed=None):
    return bandit.Engine.open(path / "offers.db", catalogue, bandit.Uniform(catalogue), customer_key=key, seed=seed)


def columns_of(found):
    return [*found.decision_ids], {name: column.tolist() for name, column in found.offers.items()}


def test_a_second_run_with_another_seed_has_the_same_offers(tmp_path, catalogue):
    customers, columns = audience(catalogue, 300)
    with opened(tmp_path, catalogue, seed=1) as engine:
        first = decide_campaign(engine, "easter", customers, columns)
    with opened(tmp_path, catalogue, seed=2) as engine:
        again = decide_campaign(engine, "easter", customers, columns)
        other = decide_campaign(engine, "summer", customers, columns)
        assert engine.verify().problems == ()
        assert engine.store.counts().decisions == 600
    assert columns_of(again) == columns_of(first)
    np.testing.assert_array_equal(again.propensity, first.propensity)
    assert (first.n_new, again.n_new, other.n_new) == (300, 0, 300)
    assert columns_of(other)[1] != columns_of(first)[1]
    assert again.to_dict() == {
        "campaign": "easter",
        "n": 300,
        "n_new": 0,
        "n_decided_before": 300,
        "n_changed": 0,
        "fault": None,
    }


def test_a_run_that_was_stopped_is_finished_in_the_order_of_the_list(tmp_path, catalogue):
    """100 of 300 were decided for; of the others and of them each has what a whole run would say of it."""
    customers, columns = audience(catalogue, 300)
    some = np.random.default_rng(3).permutation(300)[:100]
    with opened(tmp_path, catalogue) as engine:
        part = decide_campaign(
            engine, "easter", [customers[row] for row in some], {name: column[some] for name, column in columns.items()}
        )
        whole = decide_campaign(engine, "easter", customers, columns)
    assert whole.customers == tuple(customers)
    assert whole.n_new == 200
    assert [whole.decision_ids[row] for row in some] == list(part.decision_ids)
    for name, column in part.offers.items():
        assert whole.offers[name][some].tolist() == column.tolist()
    np.testing.assert_array_equal(whole.propensity[some], part.propensity)
    assert not whole.new[some].any()
    rows = whole.to_rows()
    assert [row["customer"] for row in rows] == customers
    assert set(rows[0]) == {"customer", "decision_id", "discount", "channel", "gift", "propensity", "group"}


def test_facts_that_changed_change_no_offer_and_are_counted(tmp_path, catalogue):
    customers, columns = audience(catalogue, 50)
    with opened(tmp_path, catalogue) as engine:
        first = decide_campaign(engine, "easter", customers, columns)
        changed = {**columns, "recency": np.where(np.arange(50) < 7, 999.0, columns["recency"])}
        again = decide_campaign(engine, "easter", customers, changed)
    assert columns_of(again) == columns_of(first)
    assert again.n_changed == 7


def test_a_rotated_key_keeps_the_offers(tmp_path, catalogue):
    customers, columns = audience(catalogue, 30)
    with opened(tmp_path, catalogue) as engine:
        first = decide_campaign(engine, "easter", customers, columns)
    both = KEY + b"\n" + ANOTHER
    rotate_key(tmp_path / "offers.db", both)
    with opened(tmp_path, catalogue, both) as engine:
        again = decide_campaign(engine, "easter", customers, columns)
    assert columns_of(again) == columns_of(first)
    assert again.n_new == 0


def test_ids_do_not_tell_a_guessed_customer_without_the_key(tmp_path, catalogue):
    with opened(tmp_path, catalogue) as engine:
        one = campaign_decision_ids(engine.store, "easter", ["anna"])
    (tmp_path / "other").mkdir()
    with opened(tmp_path / "other", catalogue, ANOTHER) as engine:
        assert campaign_decision_ids(engine.store, "easter", ["anna"]) != one


def test_held_offers_are_answered_and_found_again(tmp_path):
    """With [sticky] the second campaign repeats the first one's offer under its own id."""
    catalogue = bandit.Catalogue.from_dict({**SPRING, "sticky": {"for": "30d", "until": ["purchase"]}})
    customers, columns = audience(catalogue, 20)
    with opened(tmp_path, catalogue) as engine:
        first = decide_campaign(engine, "easter", customers, columns)
        held = decide_campaign(engine, "may", customers, columns)
        again = decide_campaign(engine, "may", customers, columns)
        assert engine.store.counts().decisions == 20
    assert columns_of(held)[1] == columns_of(first)[1] == columns_of(again)[1]
    assert (held.n_new, again.n_new) == (20, 0)


def test_many_customers_are_decided_for_in_parts(tmp_path, catalogue, monkeypatch):
    monkeypatch.setattr("bandit.engine.campaign.CAMPAIGN_CHUNK", 40)
    customers, columns = audience(catalogue, 130)
    told = []
    with opened(tmp_path, catalogue) as engine:
        found = decide_campaign(engine, "easter", customers, columns, progress=lambda *part: told.append(part))
    assert told == [(40, 130), (80, 130), (120, 130), (130, 130)]
    assert len(found) == len(set(found.decision_ids)) == 130
    assert CAMPAIGN_CHUNK > 130


@pytest.mark.parametrize(
    ("campaign", "customers", "fault", "said"),
    [
        ("", ["anna"], InputError, "campaign is a text that is not empty"),
        ("x" * 101, ["anna"], InputError, "at most 100 characters"),
        ("easter", ["anna", "anna"], InputError, "1 row of customers that it has already"),
        ("easter", ["anna", ""], InputError, "customer is a text that is not empty"),
    ],
)
def test_what_cannot_be_used_is_said_and_nothing_is_decided(tmp_path, catalogue, campaign, customers, fault, said):
    with opened(tmp_path, catalogue) as engine:
        with pytest.raises(fault, match=said):
            decide_campaign(engine, campaign, customers, {})
        with pytest.raises(ContextError):
            decide_campaign(engine, "easter", ["anna"], {"age": [41]})
        assert engine.store.counts().decisions == 0


def test_ids_of_other_customers_are_not_answered(tmp_path, catalogue):
    with opened(tmp_path, catalogue) as engine:
        (taken,) = campaign_decision_ids(engine.store, "easter", ["anna"])
        engine.decide("ben", {}, decision_id=taken)
        with pytest.raises(DuplicateError, match="for other customers"):
            decide_campaign(engine, "easter", ["anna"], {})


def test_an_empty_audience_has_no_offers(tmp_path, catalogue):
    with opened(tmp_path, catalogue) as engine:
        assert len(decide_campaign(engine, "easter", [], {})) == 0
