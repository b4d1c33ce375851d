"""Earlier names of facts, values, dimensions and options are read as the present ones."""

import copy

import numpy as np
import pytest

import bandit
from bandit.catalogue.aliases import NameMap
from bandit.errors import CatalogueError, ContextError, OfferError
from bandit.store import Store, StoreLog
from tests.conftest import SPRING
from tests.store.rows import decisions, events


def renamed():
    """SPRING with `sex` for gender, female for f, medium for channel and text for sms."""
    mapping = copy.deepcopy(SPRING)
    gender = mapping["context"].pop("gender")
    mapping["context"]["sex"] = gender | {
        "values": ["female", "m"],
        "aliases": ["gender"],
        "value_aliases": {"female": ["f", "w"]},
    }
    mapping["dimensions"][1] |= {"name": "medium", "aliases": ["channel"]}
    mapping["dimensions"][1]["options"][1] |= {"name": "text", "aliases": ["sms"]}
    mapping["fallback"] = {"discount": "0", "medium": "email", "gift": "none"}
    return mapping


@pytest.fixture
def catalogue():
    return bandit.Catalogue.from_dict(renamed())


def test_an_offer_is_found_by_earlier_names(catalogue):
    now = catalogue.offer_index({"discount": "10", "medium": "text", "gift": "none"})
    assert catalogue.offer_index({"discount": "10", "channel": "sms", "gift": "none"}) == now
    found = catalogue.offer_indices({"discount": ["10", "10"], "channel": ["sms", "fax"], "gift": ["none", "none"]})
    assert found.tolist() == [now, -1]
    with pytest.raises(OfferError, match='lacks the dimension "medium"'):
        catalogue.offer_index({"discount": "10", "canal": "sms", "gift": "none"})


@pytest.mark.parametrize("value", ["f", "w", "female"])
@pytest.mark.parametrize("name", ["sex", "gender"])
def test_a_context_is_read_by_earlier_names(catalogue, name, value):
    """Code 0, the declared value; one row, several rows and columns give the same."""
    for given in ([{name: value}], [{name: value}, {}], {name: [value]}, {name: np.array([value])}):
        assert catalogue.contexts(given).columns["sex"][0] == 0
    with pytest.raises(ContextError, match='has "genus", which the catalogue does not declare'):
        catalogue.contexts([{"genus": "f"}])


def test_a_condition_holds_for_an_earlier_spelling():
    mapping = renamed()
    mapping["rules"].append({"forbid": {"medium": ["text"]}, "when": 'sex == "female"'})
    catalogue = bandit.Catalogue.from_dict(mapping)
    fired = catalogue.fired(catalogue.contexts([{"gender": "w"}, {"sex": "m"}]))
    assert fired[:, -1].tolist() == [True, False]


def test_a_catalogue_without_aliases_has_the_version_that_it_had():
    """The hash of 0.7.0 for this file: keys that are empty are not in the content."""
    assert "aliases" not in str(bandit.Catalogue.from_dict(SPRING).to_dict())
    again = bandit.Catalogue.from_dict(bandit.Catalogue.from_dict(renamed()).to_dict())
    assert again.version == bandit.Catalogue.from_dict(renamed()).version


def test_a_log_under_the_old_names_is_a_log_of_the_new_catalogue(tmp_path, catalogue):
    """Two decisions for sms, one of which converts, are two for text. Negative control: none without the aliases."""
    old = bandit.Catalogue.from_dict(SPRING)
    sms = old.offer_index({"discount": "0", "channel": "sms", "gift": "none"})
    with Store.open(tmp_path / "a.db", customer_key=b"a key for our tests") as store:
        number = store.catalogues.register(old)
        rows = decisions(
            number,
            old.n_offers,
            ["a", "b"],
            contexts_json=['{"gender":"f","recency":1.0,"loyal":true}', '{"gender":"x"}'],
            offer=np.array([sms, sms]),
        )
        store.decision_writer.append(rows)
        store.events.append(events(["a"], revenue=[20.0]))
        (batch,) = StoreLog(store, catalogue).batches()
        assert [catalogue.offer(offer)["medium"] for offer in batch.offer] == ["text", "text"]
        assert batch.contexts.columns["sex"].tolist() == [0, 2]
        assert batch.converted.tolist() == [True, False]
        mapping = renamed()
        mapping["dimensions"][1].pop("aliases")
        assert StoreLog(store, bandit.Catalogue.from_dict(mapping)).n == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda file: file["dimensions"][1].update(aliases=["gift"]), '"gift" is the name of another dimension'),
        (lambda file: file["dimensions"][1]["options"][0].update(aliases=["text"]), 'another option of "medium"'),
        (lambda file: file["dimensions"][1]["options"][0].update(aliases=["sms"]), '"sms" is given twice'),
        (lambda file: file["context"]["loyal"].update(aliases=["sex"]), '"sex" is the name of another fact'),
        (lambda file: file["context"]["loyal"].update(aliases=["gender"]), '"gender" is given twice'),
        (lambda file: file["context"]["sex"].update(value_aliases={"x": ["y"]}), "which is not one of its values"),
        (lambda file: file["context"]["loyal"].update(value_aliases={"x": ["y"]}), "none: it is boolean"),
        (lambda file: file["context"]["sex"].update(value_aliases={"m": ["female"]}), "another value of"),
        (lambda file: file["dimensions"][1].update(aliases=["\0"]), "zero character"),
    ],
)
def test_an_alias_with_two_meanings_is_refused(change, words):
    mapping = renamed()
    change(mapping)
    with pytest.raises(CatalogueError, match=words):
        bandit.Catalogue.from_dict(mapping)


def test_names_go_from_one_catalogue_to_the_next(catalogue):
    names = NameMap(bandit.Catalogue.from_dict(SPRING), catalogue)
    assert (names.dimension("channel"), names.option("channel", "sms"), names.option("channel", "email")) == (
        "medium",
        "text",
        "email",
    )
    assert (names.fact("gender"), names.value("gender", "f"), names.value("gender", "m")) == ("sex", "female", "m")
    back = NameMap(catalogue, bandit.Catalogue.from_dict(SPRING))
    assert (back.dimension("medium"), back.fact("sex"), back.value("sex", "m")) == (None, None, None)
