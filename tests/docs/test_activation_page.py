"""The page on activation and sticky offers: its declaration is one that is read, and its example is what happens."""

import copy
import tomllib
from pathlib import Path

import bandit
from tests.conftest import SPRING

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "activation-and-sticky.md").read_text(encoding="utf-8")


def declared():
    return tomllib.loads(PAGE.split("```toml\n")[1].split("```")[0])


def test_the_declaration_on_the_page_is_read():
    catalogue = bandit.Catalogue.from_dict(copy.deepcopy(SPRING) | declared())
    assert catalogue.objective.activation == "shown"
    assert catalogue.sticky.until == ("purchase",)


def test_the_example_is_what_happens(tmp_path):
    catalogue = bandit.Catalogue.from_dict(copy.deepcopy(SPRING) | declared())
    with bandit.Engine.open(
        tmp_path / "o.db", catalogue, bandit.Uniform(catalogue), customer_key=b"a key for our tests"
    ) as engine:
        first = engine.decide("customer-42", {}, decision_id="mail-1")
        again = engine.decide("customer-42", {}, decision_id="app-7")
        assert (again.offer == first.offer, again.propensity == first.propensity, again.held_from) == (
            True,
            True,
            "mail-1",
        )
        engine.record("app-7", "purchase", revenue=20.0)
        assert engine.store.decisions.events_of("mail-1").event_id.tolist() == ["purchase@app-7"]
