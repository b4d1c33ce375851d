"""Logs without propensities: imported where the mapping says that they are unknown, and kept apart."""

import numpy as np
import pytest

from bandit.analysis.half_life import HalfLifeOptions, choose_half_life
from bandit.analysis.replay import replay
from bandit.catalogue import Catalogue
from bandit.cli import main
from bandit.engine import Engine
from bandit.errors import CatalogueError, DuplicateError, InputError
from bandit.ope import Feedback
from bandit.policies import ThompsonSampling, Uniform, VowpalWabbit
from bandit.store import Store, StoreLog, Where
from tests.logfiles.import_tools import MAPPING, bring, columns_of, mapping, read_back, row, sample, spring, table

UNKNOWN = mapping(columns=MAPPING["columns"] | {"propensity": "unknown"})


def log_of(store, **where):
    return StoreLog(store, spring(), where=Where(**where))


def test_a_mapping_without_propensities_is_refused_and_told_how_to_declare_them_unknown():
    columns = {name: column for name, column in MAPPING["columns"].items() if name != "propensity"}
    with pytest.raises(CatalogueError, match='say so by propensity = "unknown"'):
        mapping(columns=columns)
    with pytest.raises(CatalogueError, match="one source"):
        mapping(columns=columns | {"propensity": "unknown"}, propensity=[{"value": 0.5}])


def test_decisions_without_propensities_have_nan_in_the_log_and_nothing_can_weigh_by_them(tmp_path):
    bring(tmp_path, table(row(p="not read")), using=UNKNOWN)
    assert columns_of(tmp_path).propensity.tolist() == [1.0]
    batch = read_back(tmp_path)
    assert np.isnan(batch.propensity).all()
    with pytest.raises(InputError, match="propensity"):
        Feedback(batch.reward, batch.propensity, np.ones(1))


def test_the_log_knows_whether_any_decision_it_yields_came_without(tmp_path):
    """One with its propensity and one without: by group, by policy, and where the catalogue lacks the offer."""
    bring(tmp_path, table(row(id="with")))
    with Store.open(tmp_path / "offers.db", read_only=True) as store:
        assert log_of(store).propensities_known
    bring(tmp_path, table(row(id="without", disc="0", at="2026-04-01")), using=UNKNOWN)
    with Store.open(tmp_path / "offers.db", read_only=True) as store:
        (number,) = store.catalogues.unknown_policies()
        assert (store.catalogues.policies(), store.counts().policies) == ((), 0)
        assert not log_of(store).propensities_known
        assert not log_of(store, policy_id=number).propensities_known
        assert log_of(store, policy_id=number).n == 1
        assert log_of(store, before_time=1_774_000_000_000_000).propensities_known
        others = spring().to_dict()
        others["dimensions"][0]["options"] = others["dimensions"][0]["options"][1:]
        others["fallback"]["discount"] = "10"
        assert StoreLog(store, Catalogue.from_dict(others)).propensities_known
        assert store.check() == []
    assert np.isnan(read_back(tmp_path).propensity).tolist() == [False, True]


def test_an_open_log_notices_an_import_that_comes_later(tmp_path):
    bring(tmp_path, table(row(id="with")))
    with Store.open(tmp_path / "offers.db", durability="process") as store:
        ((offers, page),) = log_of(store).pages(10)
        assert len(offers.inside(page)[1]) == 1
        bring(tmp_path, table(row(id="without")), using=UNKNOWN)
        later = offers.inside(store.decisions.page("purchase", 1))[1]
        assert np.isnan(later.propensity).tolist() == [False, True]


def test_the_same_rows_again_add_nothing_and_with_propensities_they_are_others(tmp_path):
    assert bring(tmp_path, table(row(p="1")), using=UNKNOWN).n_imported == 1
    assert bring(tmp_path, table(row(p="1")), using=UNKNOWN).n_repeated == 1
    with pytest.raises(DuplicateError, match="another policy"):
        bring(tmp_path, table(row(p="1")))


@pytest.mark.filterwarnings("ignore:customers are stored in the clear")
def test_what_needs_propensities_refuses_and_what_does_not_learns(tmp_path):
    bring(tmp_path, table(*sample(80, np.random.default_rng(1))), using=UNKNOWN)
    with Store.open(tmp_path / "offers.db", read_only=True) as store:
        log = log_of(store)
        with pytest.raises(InputError, match="without propensities, which a replay needs"):
            replay(log, Uniform(spring()))
        with pytest.raises(InputError, match="without propensities, which a replay needs"):
            replay(log, Uniform(spring()), bound=10.0)
        with pytest.raises(InputError, match="as-logged"):
            choose_half_life(log, spring(), ["30d"])
        logged = choose_half_life(log, spring(), ["30d"], HalfLifeOptions(even=False))
        assert np.isfinite(logged.candidates[0].loss.value)
    for policy in (ThompsonSampling(spring()), VowpalWabbit(spring(), warm_up=20)):
        with Engine.open(tmp_path / "offers.db", spring(), policy) as engine:
            assert engine.learn().n == 80
            told = engine.decide("new", {"loyal": True})
            assert 0.0 < told.propensity <= 1.0


@pytest.mark.filterwarnings("ignore:customers are stored in the clear")
def test_an_engine_is_resumed_although_the_import_came_last(tmp_path):
    with Engine.open(tmp_path / "offers.db", spring(), Uniform(spring())) as engine:
        number = engine.policy_id
    bring(tmp_path, table(row()), using=UNKNOWN)
    with Engine.resume(tmp_path / "offers.db") as engine:
        assert engine.policy_id == number


def test_the_import_says_what_follows(tmp_path, capsys):
    (tmp_path / "log.csv").write_text("who,deal,bought\nanna,a,1\nbo,b,0\n", encoding="utf-8")
    (tmp_path / "catalogue.toml").write_text(
        '[[dimensions]]\nname = "deal"\noptions = [{ name = "a" }, { name = "b" }]\n', encoding="utf-8"
    )
    text = '[columns]\ncustomer = "who"\n{}\n[offer]\ndeal = {{ column = "deal" }}\n'
    text += '[[outcomes]]\nevent = "purchase"\nwhen = "bought"\n'
    paths = [str(tmp_path / name) for name in ("offers.db", "log.csv", "catalogue.toml", "mapping.toml")]
    arguments = ["import", *paths[:2], "--catalogue", paths[2], "--mapping", paths[3]]
    (tmp_path / "mapping.toml").write_text(text.format(""), encoding="utf-8")
    assert main(arguments) == 2
    assert 'propensity = "unknown"' in capsys.readouterr().err
    (tmp_path / "mapping.toml").write_text(text.format('propensity = "unknown"'), encoding="utf-8")
    assert main(arguments) == 0
    assert "Propensities are unknown" in " ".join(capsys.readouterr().out.split())
    assert main([*arguments, "--json"]) == 0
    assert '"propensities": "unknown"' in capsys.readouterr().out
