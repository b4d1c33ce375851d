"""Policy tables: how they are read, the probabilities that they write, and the draw that a client computes."""

import hashlib
import json

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bandit
from bandit.errors import PolicyError
from bandit.policies import PolicyTable, build
from bandit.policies.policy_table import drawn_numbers
from bandit.policies.table_file import (
    TABLE_FORMAT,
    TABLE_VERSION,
    UNIT,
    FactCheck,
    TableDocument,
    TableFact,
    TableSegment,
    TableSource,
    in_units,
    offer_rows,
    with_id,
)
from tests.conftest import SPRING

PLAIN = {"discount": "0", "channel": "email", "gift": "none"}
SMS = {"discount": "20", "channel": "sms", "gift": "none"}
TOTE = {"discount": "0", "channel": "email", "gift": "tote"}


def row(when, checks, offers, probability):
    return TableSegment(when, checks, 0.5, 100, offer_rows(offers, np.array(probability)))


def document(catalogue, **changes):
    """Women below 12 get three offers, other declared genders two; everybody else gets the plain offer."""
    made = TableDocument(
        format=TABLE_FORMAT,
        version=TABLE_VERSION,
        id="",
        catalogue=catalogue.version,
        made="2026-11-27",
        policy=TableSource("thompson", "thompson", 1, 4),
        decisions=200,
        dimensions=list(catalogue.dimension_names),
        facts={"gender": TableFact("categorical", ["f", "m"]), "recency": TableFact("numeric")},
        segments=[
            row(
                "gender f and recency < 12",
                [FactCheck("gender", values=["f"]), FactCheck("recency", below=12.0, missing=True)],
                [PLAIN, SMS, TOTE],
                [0.5, 0.3, 0.2],
            ),
            row("gender known", [FactCheck("gender")], [PLAIN, SMS], [0.25, 0.75]),
        ],
        otherwise=row("everybody else", [], [PLAIN], [1.0]),
    )
    return with_id(msgspec.structs.replace(made, **changes))


@pytest.fixture
def table(catalogue):
    return PolicyTable(catalogue, document(catalogue))


def test_the_first_segment_whose_checks_hold_has_the_probabilities(catalogue, table):
    contexts = catalogue.contexts(
        [
            {"gender": "f", "recency": 3.0, "loyal": True},
            {"gender": "f", "loyal": True},
            {"gender": "f", "recency": 12.0, "loyal": True},
            {"gender": "m", "recency": 3.0},
            {"gender": "x", "recency": 3.0},
            {},
        ]
    )
    assert table.row_of(contexts).tolist() == [0, 0, 1, 1, 2, 2]
    chosen = table.probabilities(contexts, catalogue.eligible(contexts), np.random.default_rng(1))
    places = [catalogue.offer_index(offer) for offer in (PLAIN, SMS, TOTE)]
    assert chosen[:, places].tolist() == [
        [0.5, 0.3, 0.2],
        [0.5, 0.3, 0.2],
        [0.25, 0.75, 0.0],
        [0.25, 0.75, 0.0],
        [1.0, 0.0, 0.0],
        [1.0, 0.0, 0.0],
    ]


def test_offers_that_are_not_eligible_give_their_part_to_the_others(catalogue, table):
    """Without the tote 0.5 and 0.3 become 5/8 and 3/8; where none of the row is left it is the fallback."""
    contexts = catalogue.contexts([{"gender": "f", "recency": 3.0}] * 2)
    eligible = catalogue.eligible(contexts)
    eligible[1] = False
    eligible[1, [catalogue.fallback, 5]] = True
    eligible[1, catalogue.offer_index(SMS)] = False
    chosen = table.probabilities(contexts, eligible, np.random.default_rng(1))
    left = chosen[0, [catalogue.offer_index(PLAIN), catalogue.offer_index(SMS)]]
    assert left.tolist() == pytest.approx([0.625, 0.375], abs=1e-15)
    assert chosen[1, catalogue.fallback] == 1.0


def test_the_client_draws_in_three_lines_what_the_table_says(catalogue, table):
    """The lines of the docstring, in plain Python; the share of each offer is its probability.

    Of 4,000 customers the share of an offer of probability p has the deviation sqrt(p (1 - p) / 4,000) <= 0.008.
    """
    plain = json.loads(table.to_bytes())
    customers = [f"customer-{number}" for number in range(4_000)]
    drawn = drawn_numbers(plain["id"], customers, ["spring"] * 4_000)
    offers = table.drawn_offers(np.zeros(4_000, dtype=np.int64), drawn)
    for customer, offer in zip(customers, offers.tolist(), strict=True):
        digest = hashlib.sha256(f"{plain['id']}|{customer}|spring".encode()).hexdigest()
        number = int(digest[:13], 16) / 16**13
        chosen = next(each for each in plain["segments"][0]["offers"] if each["up_to"] > number)
        assert catalogue.offer(offer) == chosen["offer"]
    shares = [np.mean(offers == catalogue.offer_index(offer)) for offer in (PLAIN, SMS, TOTE)]
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=4 * 0.008)
    anew = table.drawn_offers(
        np.zeros(4_000, dtype=np.int64), drawn_numbers(plain["id"], customers, ["summer"] * 4_000)
    )
    # Two independent draws agree with probability 0.25 + 0.09 + 0.04 = 0.38.
    assert np.mean(anew == offers) == pytest.approx(0.38, abs=4 * 0.008)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40).filter(lambda given: sum(given) > 1e-6))
def test_rounded_probabilities_sum_to_1_and_are_less_than_a_unit_off(given_):
    probability = np.array(given_)
    units = in_units(probability)
    assert units.sum() == UNIT
    assert (units >= 0).all()
    assert np.abs(units - probability / probability.sum() * UNIT).max() < 1.0


def test_a_table_survives_its_file_and_a_description(catalogue, table, tmp_path):
    (tmp_path / "table.json").write_bytes(table.to_bytes())
    again = PolicyTable.read(catalogue, tmp_path / "table.json")
    assert again.to_bytes() == table.to_bytes()
    stored = build(catalogue, json.loads(json.dumps(table.spec())))
    assert stored.to_bytes() == table.to_bytes()
    assert stored.name == f"table {table.document.id[:8]}"
    assert stored.is_for_catalogue


def edited(table, change):
    plain = json.loads(table.to_bytes())
    change(plain)
    return json.dumps(plain).encode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plain: plain.update(format="something"), "is no policy table"),
        (lambda plain: plain.update(version=2), "of version 2; this program reads version 1"),
        (lambda plain: plain.update(decisions=201), "was changed after it was written"),
        (lambda plain: plain["segments"][0]["offers"][0].update(probability=0.6), "was changed after"),
        (lambda plain: plain.update(segment=[]), "is no policy table as it was written"),
    ],
)
def test_a_file_that_was_changed_is_refused(catalogue, table, tmp_path, change, said):
    (tmp_path / "table.json").write_bytes(edited(table, change))
    with pytest.raises(PolicyError, match=said):
        PolicyTable.read(catalogue, tmp_path / "table.json")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{", b"null"])
def test_a_file_of_anything_else_is_refused(catalogue, tmp_path, content):
    (tmp_path / "table.json").write_bytes(content)
    with pytest.raises(PolicyError, match="policy table"):
        PolicyTable.read(catalogue, tmp_path / "table.json")
    with pytest.raises(PolicyError, match="cannot be read"):
        PolicyTable.read(catalogue, tmp_path / "none.json")


def test_probabilities_that_do_not_sum_to_1_are_refused(catalogue):
    wrong = document(catalogue)
    offers = [msgspec.structs.replace(wrong.otherwise.offers[0], probability=0.9, up_to=0.9)]
    wrong = with_id(msgspec.structs.replace(wrong, otherwise=msgspec.structs.replace(wrong.otherwise, offers=offers)))
    with pytest.raises(PolicyError, match=r"sum to 0\.9"):
        PolicyTable(catalogue, msgspec.to_builtins(wrong))


def test_another_catalogue_is_told_by_the_offers_and_facts_that_it_lacks(catalogue, spring):
    made = document(catalogue)
    spring["dimensions"][2]["options"][1]["name"] = "mug"
    spring["rules"] = []
    with pytest.raises(PolicyError, match="of other offers than the catalogue"):
        PolicyTable(bandit.Catalogue.from_dict(spring), made)
    other = {**SPRING, "context": {"loyal": {"type": "boolean"}}}
    with pytest.raises(PolicyError, match='asks for the fact "gender"'):
        PolicyTable(bandit.Catalogue.from_dict(other), made)
    values = {**SPRING, "context": {**SPRING["context"], "gender": {"type": "categorical", "values": ["m"]}}}
    with pytest.raises(PolicyError, match="asks for the value 'f'"):
        PolicyTable(bandit.Catalogue.from_dict(values), made)
