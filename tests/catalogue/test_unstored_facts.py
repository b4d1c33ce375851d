"""Facts of which nothing is stored: rules read them at a decision, and the logged eligible offers stand for them."""

import contextlib
import copy
import sqlite3

import numpy as np
import pytest

import bandit
from bandit.catalogue.changes import catalogue_changes
from bandit.decide import judged_masks
from bandit.errors import CatalogueError, ContextError
from bandit.evaluate import evaluate
from bandit.explain import explain_decision
from bandit.governance.customer_data import customer_data
from bandit.governance.verify import verify
from bandit.logfiles import import_log, open_log
from bandit.policies import SegmentRules
from bandit.store import Store, StoreLog
from tests.conftest import SPRING

KEY = b"a key for our tests"


def unstored(**changes):
    """Who owes more than 777 gets no sms, and whose plan is "walnut" gets the fallback alone."""
    mapping = copy.deepcopy(SPRING)
    mapping["context"]["debt"] = {"type": "numeric", "stored": "no"}
    mapping["context"]["plan"] = {"type": "categorical", "values": ["walnut", "willow"], "stored": "no"}
    mapping["rules"] = [
        *mapping["rules"],
        {"when": "debt > 777", "forbid": {"channel": ["sms"]}, "reason": "owing"},
        {"when": "plan == 'walnut'", "forbid": {"channel": ["email", "sms"]}, "reason": "closed"},
        {"when": "debt > 777 and loyal", "forbid": {"gift": ["none"]}, "reason": "loyal and owing"},
    ]
    return mapping | changes


@pytest.fixture
def known():
    return bandit.Catalogue.from_dict(unstored())


def given(turn):
    return {
        "gender": "fm"[turn % 2],
        "recency": float(turn % 7),
        "loyal": turn % 3 == 0,
        "debt": [None, 778.25, 3.5, 9e5][turn % 4],
        "plan": ["willow", "willow", "walnut", None, "a secret plan"][turn % 5],
    }


def play(engine, n=120):
    for turn in range(n):
        made = engine.decide(f"c{turn}", given(turn), decision_id=f"d{turn}")
        engine.record(f"d{turn}", "purchase", revenue=20.0 if made.offer["channel"] == "sms" else 0.0)
        if turn % 20 == 19:
            engine.learn()
    columns = {name: [given(turn)[name] for turn in range(n)] for name in given(0)}
    engine.decide_batch([f"b{turn}" for turn in range(n)], columns)


@pytest.fixture
def played(tmp_path, known):
    path = tmp_path / "offers.db"
    with bandit.Engine.open(path, known, bandit.ThompsonSampling(known), seed=7, customer_key=KEY) as engine:
        play(engine)
        assert engine.rebuild().same
    return path


def test_policies_do_not_see_the_fact_and_rules_do(known):
    """A policy's contexts have the facts that are stored; the rules leave the loyal without debt 10 offers."""
    contexts = known.contexts([given(turn) for turn in range(12)])
    assert set(known.kept(contexts).columns) == {"gender", "recency", "loyal"} == set(known.facts)
    assert list(known.declared_facts) == ["gender", "recency", "loyal", "debt", "plan"]
    sms = np.array([option["channel"] == "sms" for option in map(known.offer, range(known.n_offers))])
    owing = known.contexts({"debt": [778.25, 3.5], "loyal": [False, False]})
    np.testing.assert_array_equal(known.eligible(owing)[:, sms].any(axis=1), [False, True])


def test_a_log_of_them_verifies_and_the_values_are_nowhere(played, tmp_path):
    with Store.open(played, customer_key=KEY) as store:
        assert verify(store).problems == ()
        assert verify(store).n_recomputed == 240
        context = customer_data(store, "c1")["decisions"][0]["context"]
        assert set(context) == {"gender", "recency", "loyal"}
    content = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert b"778.25" not in content
    assert b"900000" not in content
    assert b"secret plan" not in content


def test_verify_sees_an_eligible_set_that_no_rule_explains(played, known):
    """Negative control: an e-mail with 10 % is gone, and no rule forbids that one alone."""
    offer = known.offer_index({"discount": "10", "channel": "email", "gift": "none"})
    with contextlib.closing(sqlite3.connect(played)) as raw, raw:
        number, bits = raw.execute(
            "SELECT s.id, s.bits FROM eligible_sets s JOIN decisions d ON d.eligible_set_id = s.id WHERE d.seq = 2"
        ).fetchone()
        mask = np.unpackbits(np.frombuffer(bits, dtype=np.uint8))
        assert mask[offer]
        mask[offer] = 0
        raw.execute("UPDATE eligible_sets SET bits = ? WHERE id = ?", (np.packbits(mask).tobytes(), number))
    with Store.open(played, customer_key=KEY) as store:
        assert any("other offers are eligible" in problem for problem in verify(store).problems)


def test_why_says_which_rules_held(played):
    with Store.open(played, customer_key=KEY) as store:
        for turn in range(20):
            found = explain_decision(store, f"d{turn}")
            reasons = {each.reason for each in found.removals}
            assert ("closed" in reasons) == (given(turn)["plan"] == "walnut")
            assert not any("others than the catalogue" in note for note in found.notes), found.notes
            assert "debt" not in found.facts


def test_what_is_inferred_leaves_what_was_eligible(known):
    """With the rules that the logged offers show, each row has those offers again, or nothing where the fallback is."""
    contexts = known.contexts([given(turn) for turn in range(60)])
    logged = known.eligible(contexts)
    empty = ~logged.any(axis=1)
    logged[empty, known.fallback] = True
    again = known.eligible(known.with_rules_that_held(known.kept(contexts), logged))
    np.testing.assert_array_equal(again[~empty], logged[~empty])
    assert empty.any()
    assert not again[empty].any()
    np.testing.assert_array_equal(judged_masks(known, known.kept(contexts), logged), logged)


def write_log(path, known, n=400):
    rng = np.random.default_rng(5)
    rows = [given(int(turn)) for turn in rng.integers(60, size=n)]
    contexts = known.contexts(rows)
    eligible = known.eligible(contexts)
    eligible[~eligible.any(axis=1), known.fallback] = True
    offer = np.array([rng.choice(np.flatnonzero(row)) for row in eligible])
    lines = ["id,time,customer,gender,recency,loyal,debt,plan,discount,channel,gift,propensity,bought"]
    for row in range(n):
        fact = {name: "" if value is None else value for name, value in rows[row].items()}
        option = known.offer(int(offer[row]))
        lines.append(
            f"i{row},2026-01-{1 + row % 28:02d}T00:00:00Z,p{row},{fact['gender']},{fact['recency']},{fact['loyal']},"
            f"{fact['debt']},{fact['plan']},{option['discount']},{option['channel']},{option['gift']},"
            f"{float(1 / eligible[row].sum())!r},{'true' if rng.random() < 0.3 else 'false'}"
        )
    path.write_text("\n".join(lines) + "\n")
    return {
        "columns": {"decision_id": "id", "time": "time", "customer": "customer", "propensity": "propensity"},
        "context": {name: name for name in given(0)},
        "offer": {name: {"column": name} for name in ("discount", "channel", "gift")},
        "outcomes": [{"event": "purchase", "when": "bought"}],
        "closed": True,
    }


def test_a_file_and_the_database_it_was_imported_into_give_the_same_values(tmp_path, known):
    log = tmp_path / "log.csv"
    mapping = write_log(log, known)
    policies = [bandit.Uniform(known), SegmentRules.from_dict(known, {"otherwise": known.offer(3)})]
    of_file = evaluate(open_log(log, known, mapping), policies, rng=np.random.default_rng(1))
    with Store.open(tmp_path / "offers.db", customer_key=KEY) as store:
        assert import_log(store, known, mapping, log).n_imported == 400
        of_store = evaluate(StoreLog(store, known), policies, rng=np.random.default_rng(1))
        assert verify(store).problems == ()
    for one, other in zip(of_file.rows, of_store.rows, strict=True):
        for here, there in zip(one.estimates, other.estimates, strict=True):
            if here.name in {"ips", "snips"}:  # others fit a model to folds of customers, who are hashed there
                assert here.value == pytest.approx(there.value, abs=1e-12)
    content = b"".join(each.read_bytes() for each in tmp_path.glob("offers.db*"))
    assert b"778.25" not in content
    assert b"secret plan" not in content


def test_digests_of_rows_without_ids_do_not_contain_the_value(tmp_path, known):
    """Of a file without ids an import keeps digests of its first row, the first two and so on: not of such columns."""
    logs = []
    for turn, debt in enumerate(("3.5", "4.5")):
        log = tmp_path / f"log{turn}.csv"
        mapping = write_log(log, known, n=50)
        log.write_text(log.read_text().replace(",3.5,", f",{debt},"))
        del mapping["columns"]["decision_id"], mapping["columns"]["customer"]
        mapping["columns"]["row_customer"] = True
        with Store.open(tmp_path / f"{turn}.db", customer_key=KEY) as store:
            import_log(store, known, mapping, log)
            logs.append(store.imports.all()[0].details)
    one, other = (dict(each["rows"]) for each in logs)
    assert one.pop("runs") != other.pop("runs")  # the digest of the whole file, which is of all rows
    assert "debt" not in one["columns"]
    assert one == other


def test_other_conditions_cannot_read_the_fact(known):
    segments = {"segments": [{"when": "debt > 777", "offer": known.offer(0)}]}
    with pytest.raises(CatalogueError, match=r"only the \[\[rules\]\] of the catalogue can read it"):
        SegmentRules.from_dict(known, segments)
    mapping = unstored(groups={"policy": 0.5, "rules": {"share": 0.5, **segments}})
    with pytest.raises(CatalogueError, match="debt"):
        bandit.Catalogue.from_dict(mapping)


def test_what_learning_would_need_is_refused_and_a_fact_without_a_rule_is_noted():
    mapping = unstored()
    mapping["context"]["debt"] |= {"center": 0.0, "scale": 1.0}
    with pytest.raises(CatalogueError, match="nothing learns from it; leave center out"):
        bandit.Catalogue.from_dict(mapping)
    with pytest.warns(UserWarning, match='fact "debt" is stored, and no rule reads it'):
        bandit.Catalogue.from_dict(unstored(rules=[{"when": "plan == 'walnut'", "forbid": {"gift": ["tote"]}}]))


def test_messages_do_not_show_the_value(known):
    with pytest.raises(ContextError) as caught:
        known.contexts([{"debt": "778,25 EUR"}])
    assert "778" not in str(caught.value)


def test_a_change_to_no_longer_storing_is_named(known):
    before = unstored()
    before["context"]["debt"] = {"type": "numeric"}
    changes = catalogue_changes(bandit.Catalogue.from_dict(before), known)
    assert [(each.kind, each.name) for each in changes] == [("changed", "debt")]
    assert "nothing is learned of it from now on" in changes[0].belief


def test_catalogues_of_many_offers_cannot_have_such_a_rule():
    """12 x 100 offers are more than 1,000."""
    mapping = unstored()
    mapping["dimensions"].append({"name": "text", "options": [{"name": str(each)} for each in range(101)]})
    mapping["fallback"]["text"] = "0"
    with pytest.raises(CatalogueError, match="at most 1,000 with such a rule"):
        bandit.Catalogue.from_dict(mapping)


def test_a_held_offer_is_given_up_where_the_rules_on_such_a_fact_remove_it(tmp_path):
    known = bandit.Catalogue.from_dict(unstored(sticky={"for": "3d"}))
    always_sms = SegmentRules.from_dict(
        known, {"segments": [], "otherwise": {"discount": "0", "channel": "sms", "gift": "none"}}
    )
    with bandit.Engine.open(tmp_path / "o.db", known, always_sms, customer_key=KEY) as engine:
        assert engine.decide("a", {"debt": 1.0}).offer["channel"] == "sms"
        assert engine.decide("a", {"debt": 2.0}).held_from is not None
        assert engine.decide("a", {"debt": 1000.0}).offer["channel"] == "email"
    with Store.open(tmp_path / "o.db", customer_key=KEY) as store:
        assert verify(store).problems == ()
