import copy
import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bandit
from bandit.catalogue import eligibility
from bandit.catalogue.catalogue import MAX_COMBINATIONS
from bandit.catalogue.context_json import contexts_json
from bandit.catalogue.offer_grid import OfferGrid
from bandit.catalogue.text_form import is_missing_text, normal_text
from bandit.errors import CatalogueError, ContextError, OfferError
from tests.conftest import SPRING, draw_contexts


def broken(change):
    mapping = copy.deepcopy(SPRING)
    change(mapping)
    return mapping


def test_offers_are_all_combinations_less_those_a_stacking_rule_forbids(catalogue):
    """3 x 2 x 2 = 12; 20 % with a tote is forbidden in both channels: 10."""
    assert catalogue.n_offers == 10
    offers = [catalogue.offer(index) for index in range(10)]
    assert not any(offer["discount"] == "20" and offer["gift"] == "tote" for offer in offers)
    assert len({tuple(offer.values()) for offer in offers}) == 10


def test_an_offer_and_its_number_name_each_other(catalogue):
    for index in range(catalogue.n_offers):
        assert catalogue.offer_index(catalogue.offer(index)) == index
    columns = catalogue.offers(np.arange(catalogue.n_offers))
    assert catalogue.offer_indices(columns).tolist() == list(range(catalogue.n_offers))


def test_unknown_and_illegal_offers_are_minus_one_in_a_batch(catalogue):
    columns = {"discount": ["20", "99", "0"], "channel": ["sms"] * 3, "gift": ["tote", "none", "none"]}
    indices = catalogue.offer_indices(columns)
    assert indices[:2].tolist() == [-1, -1]
    assert indices[2] >= 0


def test_costs_of_an_offer_are_the_sums_over_its_options(catalogue):
    index = catalogue.offer_index({"discount": "10", "channel": "sms", "gift": "tote"})
    assert catalogue.money.rate[index] == pytest.approx(0.10)
    assert catalogue.money.contact_cost[index] == pytest.approx(0.10)
    assert catalogue.money.redemption_cost[index] == pytest.approx(1.20)


def test_profit_is_the_formula_of_the_money_of_an_offer(catalogue):
    """.1 x (50 x (.35 - .10) - 1.20) - .10 = .1 x 11.30 - .10 = 1.03; realised on conversion: 11.30 - .10 = 11.20."""
    index = catalogue.offer_index({"discount": "10", "channel": "sms", "gift": "tote"})
    n = catalogue.n_offers
    expected = catalogue.objective.expected(catalogue.money, np.full((1, n), 0.1), np.full((1, n), 50.0))
    assert expected[0, index] == pytest.approx(1.03)
    realised = catalogue.objective.reward(
        catalogue.money, np.array([index, index]), np.array([True, False]), np.array([50.0, 0.0]), np.zeros(2)
    )
    assert realised.tolist() == pytest.approx([11.20, -0.10])


def test_eligibility_is_decided_by_rule_and_each_removal_has_its_reason(catalogue):
    contexts = catalogue.contexts([{"loyal": True}, {"loyal": False}, {}])
    eligible = catalogue.eligible(contexts)
    assert eligible.sum(axis=1).tolist() == [10, 6, 6]  # not loyal, and not known to be loyal: no tote
    (removal,) = catalogue.removals(contexts.take(slice(1, 2)))
    assert removal.reason == "for the loyal"
    assert set(removal.offers) == set(np.flatnonzero(~eligible[1]).tolist())
    assert catalogue.removals(contexts.take(slice(0, 1))) == ()


def test_a_rule_without_words_says_what_it_forbids(spring):
    del spring["rules"][1]["reason"]
    catalogue = bandit.Catalogue.from_dict(spring)
    (removal,) = catalogue.removals(catalogue.contexts([{"loyal": False}]))
    assert removal.reason == "no gift tote when not loyal"


def test_the_mapping_round_trips_and_the_version_follows_the_content(spring):
    one = bandit.Catalogue.from_dict(spring)
    again = bandit.Catalogue.from_dict(one.to_dict())
    assert again.to_dict() == one.to_dict()
    assert again.version == one.version
    spring["dimensions"][0]["options"][1]["rate"] = 0.11
    assert bandit.Catalogue.from_dict(spring).version != one.version


def test_toml_and_mapping_are_the_same_structure(tmp_path):
    path = tmp_path / "catalogue.toml"
    path.write_text(
        """
        name = "spring"
        [context]
        undeclared = "drop"
        loyal = { type = "boolean" }
        [[dimensions]]
        name = "discount"
        options = [ { name = "0" }, { name = "10", rate = 0.10, depth = 10 } ]
        """,
        encoding="utf-8",
    )
    catalogue = bandit.Catalogue.from_toml(path)
    assert catalogue.undeclared == "drop"
    assert catalogue.dimensions[0].options[1].attributes == {"depth": 10.0}
    assert bandit.Catalogue.from_dict(catalogue.to_dict()).version == catalogue.version


def test_a_default_that_is_written_out_is_the_same_catalogue(spring, tmp_path):
    """Told apart by equality, never by which text object it is: one from a file, one from here."""
    path = tmp_path / "catalogue.toml"
    path.write_text(
        'currency = "EUR"\n[objective]\nevent = "purchase"\n[[dimensions]]\nname = "d"\n'
        'options = [{ name = "a", rate = 0.0 }]\n',
        encoding="utf-8",
    )
    plain = bandit.Catalogue.from_dict({"dimensions": [{"name": "d", "options": [{"name": "a"}]}]})
    assert bandit.Catalogue.from_toml(path).version == plain.version


def test_only_dimensions_are_needed():
    catalogue = bandit.Catalogue.from_dict({"dimensions": [{"name": "d", "options": [{"name": "a"}]}]})
    assert catalogue.n_offers == 1
    assert catalogue.fallback is None
    assert catalogue.eligible(catalogue.contexts([{}])).all()


BAD_CATALOGUES = {
    "no dimensions": (lambda m: m.pop("dimensions"), "no [[dimensions]]"),
    "empty dimensions": (lambda m: m.update(dimensions=[]), "no [[dimensions]]"),
    "no options": (lambda m: m["dimensions"][0].update(options=[]), "has no options"),
    "option twice": (lambda m: m["dimensions"][1]["options"].append({"name": "sms"}), "twice"),
    "dimension twice": (lambda m: m["dimensions"].append(m["dimensions"][0]), "twice"),
    "empty name": (lambda m: m["dimensions"][1]["options"].append({"name": " "}), "empty name"),
    "unknown key": (lambda m: m.update(fallbak={}), "fallbak"),
    "rate is text": (lambda m: m["dimensions"][0]["options"][0].update(rate="ten"), "dimensions[0].options[0].rate"),
    "rate above 1": (lambda m: m["dimensions"][0]["options"][0].update(rate=10), "share"),
    "attribute is text": (lambda m: m["dimensions"][0]["options"][0].update(depth="deep"), "float"),
    "cost is infinite": (lambda m: m["dimensions"][0]["options"][0].update(contact_cost=float("inf")), "finite"),
    "unknown objective": (lambda m: m["objective"].update(kind="glory"), "glory"),
    "margin above 1": (lambda m: m["objective"].update(margin=35), "margin"),
    "odd window": (lambda m: m["objective"].update(window="a week"), "not a duration"),
    "no window": (lambda m: m["objective"].update(window="0d"), "longer than nothing"),
    "rule on unknown dimension": (lambda m: m["rules"][0].update(forbid={"colour": ["red"]}), 'dimension "colour"'),
    "rule on unknown option": (lambda m: m["rules"][0].update(forbid={"gift": ["mug"]}), '"mug"'),
    "rule forbids nothing": (lambda m: m["rules"][0].update(forbid={}), "forbids nothing"),
    "condition on unknown fact": (lambda m: m["rules"][1].update(when="age > 3"), '"age" is not a declared fact'),
    "condition not well formed": (lambda m: m["rules"][1].update(when="loyal and"), "condition"),
    "condition of wrong type": (lambda m: m["rules"][1].update(when='recency > "x"'), "type"),
    "condition on undeclared value": (lambda m: m["rules"][1].update(when='gender == "z"'), "not a declared value"),
    "condition is a number": (lambda m: m["rules"][1].update(when="recency + 1"), "not true or false"),
    "condition calls": (lambda m: m["rules"][1].update(when="gender.to_upper == 'F'"), "condition"),
    "condition too long": (lambda m: m["rules"][1].update(when="loyal and " * 300 + "loyal"), "characters"),
    "condition too deep": (lambda m: m["rules"][1].update(when="not " * 490 + "loyal"), "condition"),
    "fallback lacks a dimension": (lambda m: m["fallback"].pop("gift"), "lacks the dimension"),
    "fallback illegal": (lambda m: m["fallback"].update(discount="20", gift="tote"), "margin floor"),
    "fact without values": (lambda m: m["context"]["gender"].pop("values"), "values"),
    "numeric fact with values": (lambda m: m["context"]["recency"].update(values=["1"]), "only a categorical"),
    "half a scale": (lambda m: m["context"]["recency"].update(center=1.0), "both center and scale"),
    "scale of 0": (lambda m: m["context"]["recency"].update(center=1.0, scale=0.0), "scale above 0"),
    "transform of a yes or no": (
        lambda m: m["context"]["loyal"].update(transform="log"),
        "has a transform",
    ),
    "unknown transform": (lambda m: m["context"]["recency"].update(transform="root"), "transform"),
    "fact with the name of a setting": (lambda m: m["context"].update(undeclared={"type": "boolean"}), "undeclared"),
    "fact with a space": (lambda m: m["context"].update({"days since": {"type": "numeric"}}), "underscores"),
    "every offer forbidden": (lambda m: m["rules"].append({"forbid": {"gift": ["none", "tote"]}}), "no legal offer"),
}


@pytest.mark.parametrize(("change", "words"), BAD_CATALOGUES.values(), ids=BAD_CATALOGUES.keys())
def test_a_catalogue_that_cannot_be_used_is_refused_in_one_sentence(change, words):
    with pytest.raises(CatalogueError) as caught:
        bandit.Catalogue.from_dict(broken(change))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_many_combinations_are_one_clear_error_and_fewer_are_numbered_without_those_forbidden():
    """12^7 = 35,831,808 are refused; of 12^5 = 248,832, one option of d0 for each of d1 leaves 12^4 = 20,736."""
    dimensions = [
        {"name": f"d{place}", "options": [{"name": str(option)} for option in range(12)]} for place in range(7)
    ]
    with pytest.raises(CatalogueError, match="make 35,831,808 combinations; at most 10,000,000"):
        bandit.Catalogue.from_dict({"dimensions": dimensions})
    assert 12**5 < MAX_COMBINATIONS < 12**7
    others = [
        {"forbid": {"d0": [str(option)], "d1": [str(other) for other in range(12) if other != option]}}
        for option in range(12)
    ]
    catalogue = bandit.Catalogue.from_dict({"dimensions": dimensions[:5], "rules": others})
    assert catalogue.n_offers == 20_736
    assert (catalogue.options[:, 0] == catalogue.options[:, 1]).all()
    assert bandit.Catalogue.from_dict({"dimensions": dimensions[:5]}).n_offers == 248_832


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(0, 4), st.integers(0, 2**32))
def test_the_grid_numbers_what_looking_at_every_combination_leaves(sizes, n_rules, seed):
    """Against one combination after the other, in the order of itertools.product, each rule looked at by itself."""
    rng = np.random.default_rng(seed)
    rules = [[rng.random(size) < 0.5 if rng.random() < 0.6 else None for size in sizes] for _ in range(n_rules)]

    def hit(offer, rule):
        return all(named is None or named[option] for named, option in zip(rule, offer, strict=True))

    every = list(itertools.product(*map(range, sizes)))
    left = [offer for offer in every if not any(hit(offer, rule) for rule in rules)]
    grid = OfferGrid(sizes, rules)
    assert grid.n_offers == len(left)
    if left:
        assert [tuple(offer) for offer in grid.options().tolist()] == left
        number = {offer: place for place, offer in enumerate(left)}
        assert grid.find(np.array(every)).tolist() == [number.get(offer, -1) for offer in every]
        extra = [rng.random(size) < 0.5 for size in sizes]
        assert grid.allowed([extra]).tolist() == [not hit(offer, extra) for offer in left]


def test_costs_of_a_few_offers_are_those_of_all(catalogue):
    few = catalogue.money_of(np.array([7, 2]))
    for name in ("rate", "contact_cost", "redemption_cost"):
        np.testing.assert_array_equal(getattr(few, name), getattr(catalogue.money, name)[[7, 2]])


def test_malformed_toml_is_named_with_its_line(tmp_path):
    path = tmp_path / "catalogue.toml"
    path.write_text('name = "spring"\n[[dimensions]\n', encoding="utf-8")
    with pytest.raises(CatalogueError, match="line 2"):
        bandit.Catalogue.from_toml(path)
    with pytest.raises(CatalogueError, match="cannot be read"):
        bandit.Catalogue.from_toml(tmp_path / "none.toml")
    path.write_bytes(b"\xff\xfe name")
    with pytest.raises(CatalogueError, match="UTF-8"):
        bandit.Catalogue.from_toml(path)


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ({"gender": ["f"]}, "must be text"),
        ({"recency": "soon"}, "numeric"),
        ({"recency": float("nan")}, "NaN"),
        ({"recency": "nan"}, "numeric"),
        ({"recency": float("inf")}, "infinite"),
        ({"recency": True}, "numeric"),
        ({"loyal": "perhaps"}, "boolean"),
        ({"loyal": 2}, "boolean"),
        ({"age": 3}, 'has "age"'),
    ],
)
def test_a_context_that_does_not_fit_is_refused(catalogue, context, words):
    with pytest.raises(ContextError, match=words):
        catalogue.contexts([context])


def test_undeclared_facts_can_be_dropped_instead(spring):
    spring["context"]["undeclared"] = "drop"
    catalogue = bandit.Catalogue.from_dict(spring)
    assert set(catalogue.contexts([{"age": 3, "loyal": True}]).columns) == {"gender", "recency", "loyal"}


def test_columns_and_rows_give_the_same_contexts(catalogue):
    rows = [{"gender": "f", "recency": 1.5, "loyal": True}, {"gender": "other"}, {"recency": "3", "loyal": "no"}]
    columns = {
        "gender": ["f", "other", None],
        "recency": np.array([1.5, np.nan, 3.0]),
        "loyal": [True, None, False],
    }
    one, two = catalogue.contexts(rows), catalogue.contexts(columns)
    for name in one.columns:
        np.testing.assert_array_equal(one.columns[name], two.columns[name])
    assert one.columns["gender"].tolist() == [0, 2, -1]  # f, unseen, missing


@given(st.lists(st.one_of(st.none(), st.text(max_size=4)), min_size=1, max_size=6))
def test_any_text_of_a_categorical_fact_finds_a_bucket(texts):
    catalogue = bandit.Catalogue.from_dict(SPRING)
    codes = catalogue.contexts({"gender": texts}).columns["gender"]
    forms = [normal_text(text or "") for text in texts]
    expected = [-1 if is_missing_text(form or "null") else {"f": 0, "m": 1}.get(form, 2) for form in forms]
    assert codes.tolist() == expected


def test_eligible_for_a_batch_is_eligible_for_each(catalogue):
    contexts = draw_contexts(catalogue, 50, np.random.default_rng(1))
    together = catalogue.eligible(contexts)
    apart = [catalogue.eligible(contexts.take(slice(row, row + 1)))[0] for row in range(50)]
    np.testing.assert_array_equal(together, np.array(apart))


def test_the_mask_of_one_context_is_shared_by_those_for_whom_the_same_rules_hold(catalogue, monkeypatch):
    monkeypatch.setattr(eligibility, "MASK_CACHE_BYTES", 2 * catalogue.n_offers)
    loyal, other = catalogue.contexts([{"loyal": True}]), catalogue.contexts([{"loyal": False}])
    mask = catalogue.eligible(loyal, catalogue.fired(loyal))
    same = catalogue.contexts([{"loyal": True, "gender": "f"}])
    assert catalogue.eligible(same, catalogue.fired(same)) is mask
    with pytest.raises(ValueError, match="read-only"):
        mask[0, 0] = False
    assert catalogue.eligible(other).sum() == 6
    own = catalogue.eligible(loyal)
    own[0, 0] = False  # the caller's own
    assert catalogue.eligible(loyal).all()


def test_masks_are_remembered_within_a_bound(spring, monkeypatch):
    """Four rules hold or not by recency and gender; at most two masks of ten offers are kept, and all are right."""
    spring["rules"] += [
        {"when": f"recency > {days}", "forbid": {"discount": [name]}} for days, name in ((1, "0"), (2, "10"))
    ]
    catalogue = bandit.Catalogue.from_dict(spring)
    monkeypatch.setattr(eligibility, "MASK_CACHE_BYTES", 2 * catalogue.n_offers)
    contexts = catalogue.contexts([{"loyal": row % 2 == 0, "recency": float(row % 4)} for row in range(40)])
    apart = [catalogue.eligible(contexts.take(slice(row, row + 1)))[0] for row in range(40)]
    np.testing.assert_array_equal(np.array(apart), catalogue.eligible(contexts))
    assert len(catalogue._eligibility._masks) <= 2


@pytest.mark.parametrize("n", [1, 5])
def test_the_json_of_a_context_reads_back_as_it_was(catalogue, n):
    """Line ends, quotes and numpy's own texts included; what is missing is left out; integers are floats."""
    texts = ["a\nb", 'say "hi"', "line\u2028end", np.str_("f"), None]
    for text in texts:
        rows = [{"gender": text, "recency": 3, "loyal": True}] * (n - 1) + [{"gender": text, "recency": None}]
        written = contexts_json(catalogue.facts, catalogue.contexts(rows))
        assert len(written) == n
        known = {} if text is None else {"gender": str(text)}
        assert [json.loads(each) for each in written] == [known | {"recency": 3.0, "loyal": True}] * (n - 1) + [known]
        for each in written[:-1]:
            assert '"recency":3.0' in each


@pytest.mark.parametrize(
    "row",
    [
        {"gender": "f", "recency": 1.5, "loyal": True},
        {"gender": "x", "recency": 3, "loyal": "no"},
        {"gender": "", "recency": "2.5", "loyal": 1},
        {"gender": None, "recency": np.float64(4.0), "loyal": np.bool_(False)},
        {"gender": float("nan")},
        {},
    ],
)
def test_one_context_is_read_as_a_batch_is(catalogue, row):
    one, many = catalogue.contexts([row], ["c"]), catalogue.contexts([row, row], ["c", "c"])
    assert one.n == 1
    assert one.customers.tolist() == ["c"]
    for name, column in many.columns.items():
        assert one.columns[name].dtype == column.dtype
        np.testing.assert_array_equal(one.columns[name], column[:1])
    for name, column in many.text.items():
        assert one.text[name].tolist() == column[:1].tolist()


def test_an_illegal_offer_is_refused_with_its_reason(catalogue):
    with pytest.raises(OfferError, match="margin floor"):
        catalogue.offer_index({"discount": "20", "channel": "sms", "gift": "tote"})
    with pytest.raises(OfferError, match="options are 0, 10, 20"):
        catalogue.offer_index({"discount": "15", "channel": "sms", "gift": "tote"})
    with pytest.raises(OfferError, match='unknown dimension "colour"'):
        catalogue.offer_index({"discount": "0", "channel": "sms", "gift": "tote", "colour": "red"})


@pytest.mark.parametrize("table", ["groups", "rollout", "sticky", "guardrails"])
def test_half_a_character_in_the_place_of_a_table_is_refused_with_a_sentence(table):
    with pytest.raises(CatalogueError, match="catalogue: a text has half a character; write whole ones"):
        bandit.Catalogue.from_dict(SPRING | {table: "\ud800"})
