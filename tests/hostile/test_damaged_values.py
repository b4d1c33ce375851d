"""Stored values of another type or length than was written, as flipped bytes leave them: one sentence, no traceback."""

import contextlib
import sqlite3

import numpy as np
import pytest

import bandit
from bandit.cli.app import main
from bandit.errors import OfferBanditError, StoreError
from bandit.governance.erasure import erase
from bandit.store.corruption import is_damage
from tests.conftest import SPRING
from tests.engine.conftest import KEY, context


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A learned database whose columns take any value: no types, no checks, no guards."""
    path = tmp_path_factory.mktemp("sound") / "offers.db"
    with _opened(path) as engine:
        for row in range(12):
            engine.decide(f"c{row % 3}", context(row), decision_id=f"d{row}")
            engine.record(f"d{row}", "purchase", revenue=20.0 + row)
        engine.learn()
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA writable_schema = ON")
    raw.execute("DELETE FROM sqlite_master WHERE type = 'trigger'")
    raw.execute("UPDATE sqlite_master SET sql = replace(sql, 'STRICT', '') WHERE type = 'table'")
    raw.close()
    return path.read_bytes()


def _opened(path):
    catalogue = bandit.Catalogue.from_dict(SPRING)
    return bandit.Engine.open(
        path, catalogue, bandit.ThompsonSampling(catalogue), seed=7, customer_key=KEY, keep_probabilities=True
    )


DAMAGE = [
    ("eligible_sets", "bits", "x"),
    ("eligible_sets", "bits", b""),
    ("catalogues", "n_offers", 2**63 - 1),
    ("catalogues", "n_offers", b"\xff"),
    ("decisions", "probabilities", b"\x00" * 8),
    ("decisions", "propensity", "x"),
    ("decisions", "time", "nan"),
    ("decisions", "offer", 1.5),
    ("snapshots", "state", 1.5),
    ("snapshots", "step", -1),
    ("policies", "base_step", b"\xff"),
    ("policies", "decides_from", "x"),
    ("policy_steps", "step", "x"),
    ("learning_reach", "levels", 0),
    ("learning_reach", "seq", b"\xff"),
    ("events", "revenue", "x"),
]


@pytest.mark.parametrize(("table", "column", "value"), DAMAGE)
def test_every_reader_of_a_damaged_value_answers_or_raises_the_products_own_error(
    sound, tmp_path, table, column, value
):
    """Any other exception, such as numpy's ValueError, fails the test."""
    path = tmp_path / "offers.db"
    path.write_bytes(sound)
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA ignore_check_constraints = ON")
    raw.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", (value,))  # noqa: S608 - our own names
    raw.close()
    try:
        engine = _opened(path)
    except OfferBanditError:
        return
    with engine:
        for use in (
            lambda: engine.decide("c0", context(0), decision_id="d0"),
            lambda: engine.decide("new", context(0)),
            lambda: engine.decide_batch(["a"], [context(1)]),
            lambda: engine.record("d1", "purchase", revenue=21.0),
            lambda: engine.record("d2", "closed"),
            engine.learn,
            engine.sync,
            engine.verify,
            engine.rebuild,
            engine.check_guardrails,
            engine.status,
            engine.store.check,
            lambda: engine.explain("d3"),
            lambda: erase(engine.store, "c1", timeout=0.2),
        ):
            with contextlib.suppress(OfferBanditError):
                use()


def test_a_command_says_in_one_sentence_that_a_stored_value_is_damaged(sound, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OFFER_BANDIT_KEY", KEY.decode())
    path = tmp_path / "offers.db"
    path.write_bytes(sound)
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("UPDATE policies SET base_step = x'ff'")
    raw.close()
    assert main(["erase", str(path), "c1", "--yes"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_an_error_of_the_callers_own_policy_is_not_called_damage(tmp_path):
    """The negative control: it came through no module that reads stored values."""

    class Failing:
        def update(self):
            np.stack([])

    for fails in (Failing().update, lambda: int("x")):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - any
            fails()
        assert not is_damage(caught.value)
    assert not is_damage(StoreError("x"))
