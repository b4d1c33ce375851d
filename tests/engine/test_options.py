"""The settings of an engine: checks, defaults, former names, and the key of customers."""

import inspect
from dataclasses import fields

import pytest

import bandit
from bandit.engine import EngineOptions
from bandit.engine.options import EngineSettings
from bandit.errors import InputError, StoreError
from tests.engine.conftest import KEY, context


def test_customers_are_stored_under_a_keyed_hash(open_engine, tmp_path):
    engine = open_engine()
    engine.decide("customer-who-must-not-be-named", context(0))
    engine.close()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"must-not-be-named" not in content


def test_without_a_key_there_is_a_warning_and_with_another_a_refusal(tmp_path, catalogue, monkeypatch):
    monkeypatch.delenv("OFFER_BANDIT_KEY", raising=False)
    with pytest.warns(UserWarning, match="in the clear") as caught:
        bandit.Engine.open(tmp_path / "clear.db", catalogue, bandit.Uniform(catalogue)).close()
    assert caught[0].filename == __file__
    monkeypatch.setenv("OFFER_BANDIT_KEY", "one key for our tests")
    bandit.Engine.open(tmp_path / "keyed.db", catalogue, bandit.Uniform(catalogue)).close()
    monkeypatch.setenv("OFFER_BANDIT_KEY", "another key for our tests")
    with pytest.raises(StoreError, match="key"):
        bandit.Engine.open(tmp_path / "keyed.db", catalogue, bandit.Uniform(catalogue))


def test_resume_needs_a_database_that_knows_a_policy(tmp_path, catalogue):
    with pytest.raises(InputError, match="no such database"):
        bandit.Engine.resume(tmp_path / "none.db")
    bandit.Engine.open(tmp_path / "offers.db", catalogue, bandit.Uniform(catalogue), customer_key=KEY).close()
    with pytest.raises(InputError, match="no policy 9"):
        bandit.Engine.resume(tmp_path / "offers.db", policy_id=9, customer_key=KEY)


@pytest.mark.parametrize("call", [bandit.Engine.open, bandit.Engine.resume])
def test_help_shows_every_setting_with_its_default(call):
    """The record is the only place where defaults stand; the signature that `help` shows is made of it."""
    shown = {name: each.default for name, each in inspect.signature(call).parameters.items()}
    defaults = EngineOptions()
    assert {name: shown[name] for name in shown.keys() & {each.name for each in fields(defaults)}} == {
        each.name: getattr(defaults, each.name) for each in fields(defaults)
    }


def test_the_keyword_arguments_are_the_fields_of_the_record_and_one_former_name():
    assert set(EngineSettings.__annotations__) == {each.name for each in fields(EngineOptions)} | {"follow"}


def test_an_unknown_setting_is_refused(tmp_path, catalogue):
    with pytest.raises(TypeError, match="sinc"):
        bandit.Engine.open(tmp_path / "offers.db", catalogue, bandit.Uniform(catalogue), sinc=1.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ({"group": ""}, "group"),
        ({"group": 3}, "group"),
        ({"busy_timeout": -1.0}, "busy_timeout"),
        ({"busy_timeout": float("nan")}, "busy_timeout"),
        ({"sync": float("inf")}, "sync"),
        ({"sync": -0.1}, "sync"),
        ({"clock": 5}, "clock"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_before_anything_is_opened(tmp_path, catalogue, setting, reason):
    with pytest.raises(InputError, match=reason):
        bandit.Engine.open(tmp_path / "offers.db", catalogue, bandit.Uniform(catalogue), **setting)
    assert list(tmp_path.iterdir()) == []


def test_the_key_is_not_shown_with_the_options():
    assert "secret" not in repr(EngineOptions(customer_key=b"a secret of our own"))


def test_the_former_names_of_sync_work_and_warn_of_the_new_one(tmp_path, catalogue):
    """The warning points at the line of the caller."""
    policy = bandit.Uniform(catalogue)
    with pytest.warns(DeprecationWarning, match="follow= was renamed to sync=") as caught:
        engine = bandit.Engine.open(tmp_path / "offers.db", catalogue, policy, customer_key=KEY, follow=None)
    assert caught[0].filename == __file__
    assert engine._worker._interval is None
    with pytest.warns(DeprecationWarning, match=r"Engine\.follow\(\) was renamed to Engine\.sync\(\)") as caught:
        assert engine.follow() == engine.sync() == 0
    assert caught[0].filename == __file__
    engine.close()
    with pytest.warns(DeprecationWarning, match="sync="):
        bandit.Engine.resume(tmp_path / "offers.db", customer_key=KEY, follow=1.0).close()
    with pytest.raises(InputError, match="give sync alone"):
        bandit.Engine.resume(tmp_path / "offers.db", customer_key=KEY, follow=1.0, sync=2.0)


def test_an_engine_serves_from_a_store_that_is_open(tmp_path, catalogue):
    with bandit.store.Store.open(tmp_path / "offers.db", customer_key=KEY) as store:
        engine = bandit.Engine(store, catalogue, bandit.Uniform(catalogue), EngineOptions(seed=7, group="control"))
        assert engine.decide("c", context(0)).group == "control"
        assert engine.seed == "7"
