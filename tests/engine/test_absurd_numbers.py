"""Absurd facts and amounts in production: decided, logged as sent, learned within bounds, and named."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bandit import Catalogue, Engine, ThompsonSampling
from bandit.cli import main
from bandit.errors import CatalogueError, ContextError, NumberError
from bandit.governance.erasure import erase
from bandit.report.implausible import implausible_lines
from bandit.store import Store

KEY = b"a key of at least sixteen bytes"
LARGEST = sys.float_info.max
LEAST = 5e-324


def catalogue(kind: str = "profit", objective: dict[str, Any] | None = None, **fact: Any) -> Catalogue:
    return Catalogue.from_dict(
        {
            "objective": {"kind": kind, "window": "7d", **(objective or {})},
            "context": {"recency": {"type": "numeric", **fact}, "loyal": {"type": "boolean"}},
            "dimensions": [{"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]}],
        }
    )


def opened(path: Path, declared: Catalogue, methods: tuple[str, ...] | None = None) -> Engine:
    policy = ThompsonSampling(declared) if methods is None else ThompsonSampling(declared, methods=methods)
    return Engine.open(path, declared, policy, seed=7, customer_key=KEY, durability="process")


def visits(
    engine: Engine, numbers: list[int], recency: list[float], amounts: list[list[float]], at: str = "revenue"
) -> None:
    """Decide for customers and record what each spent, as events of its own, and that nothing more will come."""
    contexts = {"recency": recency, "loyal": [number % 2 == 0 for number in numbers]}
    customers, ids = [f"customer-{number % 20}" for number in numbers], [f"visit-{number}" for number in numbers]
    assert engine.decide_batch(customers, contexts, decision_ids=ids).fault is None
    events = [
        (one, f"{one}-{place}", amount)
        for one, each in zip(ids, amounts, strict=True)
        for place, amount in enumerate(each)
    ]
    if events:
        of, names, sums = zip(*events, strict=True)
        given: dict[str, Any] = {at: list(sums)}
        engine.record_batch(of, "purchase", event_ids=names, **given)
    engine.record_batch(ids, "closed")


def check_sound(path: Path, declared: Catalogue, methods: tuple[str, ...] | None = None) -> None:
    """Check that the file opens without a fault, verifies, is rebuilt the same, and lets a customer be erased."""
    with opened(path, declared, methods) as engine:
        assert engine.decide("another", {"recency": 3.0, "loyal": True}).fault is None
        assert engine.status().set_aside == 0
        assert engine.verify().problems == ()
        assert engine.rebuild().same
    with Store.open(path, customer_key=KEY) as store:
        assert erase(store, "customer-3").decisions > 0
    with opened(path, declared, methods) as engine:
        assert engine.decide("another", {"recency": 3.0, "loyal": True}).fault is None


AMOUNTS = {
    "two of 1e308 at first": lambda number: [1e308, 1e308] if number == 3 else [40.0 + number % 7],
    "two of 1e308 at last": lambda number: [1e308, 1e308] if number == 110 else [40.0 + number % 7],
    "1e308 and back twice": lambda number: [1e308, 1e308, -1e308, -1e308] if number % 9 == 0 else [40.0],
    "the largest float each": lambda number: [LARGEST],
    "the least float each": lambda number: [LEAST],
    "the least, then the largest": lambda number: [LEAST if number < 60 else LARGEST],
    "+-1e308 in turn": lambda number: [1e308 * (-1) ** number],
    "1e155 once": lambda number: [1e155] if number == 50 else [1.0 + number % 3],
}


def _cases(tables: dict[str, Any], fast: set[str]) -> list[Any]:
    """Return the cases as parameters, all but the fast ones marked slow."""
    return [
        pytest.param(each, id=name, marks=() if name in fast else pytest.mark.slow) for name, each in tables.items()
    ]


@pytest.mark.parametrize("kind", ["profit", "reward"])
@pytest.mark.parametrize("amounts", _cases(AMOUNTS, {"two of 1e308 at first"}))
def test_no_amount_bricks_a_policy(tmp_path, kind, amounts):
    """120 visits, learned every 15: the database can always be read, verified, rebuilt and erased from."""
    declared, path = catalogue(kind), tmp_path / "offers.db"
    with opened(path, declared) as engine:
        for start in range(0, 120, 15):
            numbers = list(range(start, start + 15))
            at = "reward" if kind == "reward" else "revenue"
            visits(engine, numbers, [3.0 + number % 11 for number in numbers], list(map(amounts, numbers)), at)
            engine.learn()
        assert engine.status().policy_fault is None
    check_sound(path, declared)


FACTS = {
    "the largest float once": lambda number: LARGEST if number == 3 else 3.0 + number % 11,
    "1e155 once": lambda number: 1e155 if number == 3 else 3.0 + number % 11,
    "the largest float as missing": lambda number: LARGEST if number % 3 == 0 else 3.0 + number % 11,
    "+-1e308 in turn": lambda number: 1e308 * (-1) ** number,
    "the least floats": lambda number: LEAST * (number % 7),
    "the least floats and 1": lambda number: LEAST * (number % 7) if number % 3 else 1.0,
}


@pytest.mark.parametrize("methods", [None, ()], ids=["present methods", "first methods"])
@pytest.mark.parametrize("values", _cases(FACTS, {"the least floats and 1"}))
def test_no_fact_bricks_a_policy(tmp_path, values, methods):
    """120 visits, learned every 15: the database can always be read, verified, rebuilt and erased from."""
    declared, path = catalogue(), tmp_path / "offers.db"
    with opened(path, declared, methods) as engine:
        for start in range(0, 120, 15):
            numbers = list(range(start, start + 15))
            spent = [[40.0 + number % 7] if number % 3 else [] for number in numbers]
            visits(engine, numbers, list(map(values, numbers)), spent)
            engine.learn()
    check_sound(path, declared, methods)


def test_what_is_beyond_is_logged_as_it_was_sent_and_named_with_its_decision(tmp_path):
    """The context has 1.8e308 and the event 1e308; the doctor's sentences name both with a decision each."""
    declared, path = catalogue(), tmp_path / "offers.db"
    with opened(path, declared) as engine:
        numbers = list(range(20))
        recency = [LARGEST if number == 5 else 3.0 for number in numbers]
        visits(engine, numbers, recency, [[1e308] if number == 7 else [40.0] for number in numbers])
        engine.learn()
    with Store.open(path, customer_key=KEY) as store:
        assert f'"recency":{LARGEST},'.replace("+", "") in store.decisions.one("visit-5", "purchase", 1).context[0]
        assert store.decisions.events_of("visit-7").revenue[0] == 1e308
        of_fact, of_amount = implausible_lines(store, 1, declared)
    assert 'the fact "recency" is beyond its bounds (-1e+30 to 1e+30) in 1 decision' in of_fact
    assert '"visit-5"' in of_fact
    assert '1 event with an amount beyond 1e+30, the furthest 1e+308 of decision "visit-7"' in of_amount


def test_a_fact_beyond_declared_bounds_is_learned_as_the_bound_or_as_missing():
    """With max = 100, policies read 250 as 100 ("clip") or as nothing ("missing"); the context keeps 250."""
    for outside, expected in (("clip", [100.0, 0.0, 7.0]), ("missing", [np.nan, np.nan, 7.0])):
        declared = catalogue(min=0.0, max=100.0, outside=outside)
        contexts = declared.contexts({"recency": [250.0, -3.0, 7.0]})
        assert contexts.columns["recency"].tolist() == [250.0, -3.0, 7.0]
        np.testing.assert_array_equal(declared.facts["recency"].learned(contexts.columns["recency"]), expected)
        encoder = ThompsonSampling(declared).online.belief.encoder
        at_bounds = declared.contexts({"recency": [None if np.isnan(each) else each for each in expected]})
        rows = encoder.context_matrix(contexts)
        np.testing.assert_array_equal(rows, encoder.context_matrix(at_bounds))
        one = encoder.context_matrix(declared.contexts([{"recency": 250.0}]))
        np.testing.assert_array_equal(one[0, 1:3], rows[0, 1:3])


def test_a_fact_beyond_declared_bounds_is_refused_where_that_is_declared(tmp_path):
    """One sentence at `decide` and `decide_batch`; what is stored already is read as it is."""
    declared = catalogue(min=0.0, max=100.0, outside="refuse")
    with opened(tmp_path / "offers.db", declared) as engine:
        with pytest.raises(ContextError, match=r"250, beyond its declared bounds \(0 to 100\)"):
            engine.decide("customer", {"recency": 250.0})
        with pytest.raises(ContextError, match="-1, beyond"):
            engine.decide_batch(["a", "b"], {"recency": [3.0, -1.0]})
        assert engine.decide("customer", {"recency": 100.0}).fault is None
    assert declared.contexts({"recency": [250.0]}, exact=True).columns["recency"][0] == 250.0


def test_an_amount_beyond_the_declared_largest_is_learned_as_it_or_refused(tmp_path):
    """With largest_amount = 500 a purchase of 9,000 teaches what one of 500 does: the two beliefs are the same."""
    declared = catalogue("revenue", {"largest_amount": 500.0})
    found = []
    for amount in (9_000.0, 500.0):
        with opened(tmp_path / f"{amount}.db", declared) as engine:
            spent = [[amount if number == 7 else 40.0 + number] for number in range(30)]
            visits(engine, list(range(30)), [3.0] * 30, spent)
            engine.learn()
            found.append(engine.policy.online.belief.amount.model.weights.mean)
    np.testing.assert_array_equal(*found)
    refusing = catalogue("revenue", {"largest_amount": 500.0, "outside": "refuse"})
    with opened(tmp_path / "refusing.db", refusing) as engine:
        decision = engine.decide("customer", {"recency": 3.0})
        with pytest.raises(NumberError, match="9000, beyond the largest_amount"):
            engine.record(decision.decision_id, "purchase", revenue=9_000.0)
        assert engine.record(decision.decision_id, "purchase", revenue=500.0).n_new == 1


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"fact": {"min": 3.0, "max": 3.0}}, "min must be below max"),
        ({"fact": {"max": float("inf")}}, "must be finite"),
        ({"fact": {"outside": "clip"}}, "declare one of them"),
        ({"objective": {"largest_amount": 0.0}}, "above 0 and at most 1e"),
        ({"objective": {"largest_amount": 1e31}}, "above 0 and at most 1e"),
        ({"objective": {"outside": "refuse"}}, "declare that too"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(changed, sentence):
    with pytest.raises(CatalogueError, match=sentence):
        catalogue(objective=changed.get("objective"), **changed.get("fact", {}))


def test_a_cost_beyond_any_money_is_refused():
    """With a contact cost of 1e308, the first guess of what is bought would be infinite, and no state readable."""
    options = [{"name": "email"}, {"name": "sms", "contact_cost": 1e308}]
    with pytest.raises(CatalogueError, match=r"contact_cost is within \+-1e\+30; seen 1e\+308"):
        Catalogue.from_dict({"dimensions": [{"name": "channel", "options": options}]})


def test_a_log_file_with_absurd_numbers_is_drafted_and_evaluated(tmp_path, capsys):
    """A fact of the largest float and purchases of 1e308: `init --from` drafts the files and evaluates the policies."""
    rng = np.random.default_rng(3)
    rows = ["customer,time,channel,recency,bought,revenue"]
    for number in range(600):
        bought = int(rng.random() < 0.3)
        revenue = 0.0 if not bought else 1e308 if number % 50 == 0 else 40.0
        recency = LARGEST if number % 97 == 0 else float(rng.gamma(2.0, 3.0))
        channel = ("email", "sms")[int(rng.integers(2))]
        day = 1 + number % 28
        rows.append(f"c{number % 200},2026-01-{day:02d}T10:00:00Z,{channel},{recency!r},{bought},{revenue!r}")
    log = tmp_path / "log.csv"
    log.write_text("\n".join(rows), encoding="utf-8")
    assert main(["init", "--from", str(log), str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "Judged on" in printed
    assert "nan" not in printed


def test_a_catalogue_without_bounds_has_the_version_it_had():
    """The new keys are left out where they are not declared, so that every database finds its catalogue again."""
    assert "outside" not in str(catalogue().to_dict())
    assert "largest_amount" not in str(catalogue().to_dict())
