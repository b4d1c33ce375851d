"""Rejections that name the key of the mapping that cures them, and the imports that follow the advice."""

import pytest

from tests.logfiles.import_tools import MAPPING, bring, mapping, read_back, row, table

COLUMNS = MAPPING["columns"]


def refused(tmp_path, **changed):
    """The reason why a row with these fields is refused, beside one that can be used."""
    report = bring(tmp_path, table(row(), row(id="d2", **changed)))
    assert (report.n_imported, report.n_refused) == (1, 1)
    return report.refused[0].reason


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"amount": "36,68"}, '"36,68" in "amount" is not a finite number; put decimal = ","'),
        ({"amount": "1,144.60"}, 'put thousands = "," under [numbers]'),
        ({"amount": "€36.68"}, 'put signs = ["€"] under [numbers]'),
        ({"rec": "1,5"}, 'which the fact "recency" needs; put decimal = ","'),
        ({"p": "0,25"}, 'the propensity "0,25" is not a finite number; put decimal = ","'),
        ({"at": "31.12.2026"}, '"31.12.2026" is not an ISO 8601 time; put time_format = "%d.%m.%Y" under [columns]'),
        ({"bought": "sold"}, 'put when = { column = "bought", equals = "..." }'),
        ({"club": "gold"}, 'put loyal = { column = "club", map = { "..." = true, "..." = false } }'),
    ],
)
def test_a_rejection_names_the_key_that_cures_it(tmp_path, changed, said):
    assert said in refused(tmp_path, **changed)


def test_a_blank_amount_is_told_as_it_is_written(tmp_path):
    assert refused(tmp_path, amount="") == '"amount" is blank although "purchase" happened'


def test_a_german_file_is_read_with_the_keys_that_were_named(tmp_path):
    """1.144,60 and 36,68 euros are 1144.60 and 36.68."""
    rows = [
        row(at="31.12.2026", p="0,25", rec="1,5", amount="1.144,60 €"),
        row(id="d2", at="01.01.2027", p="0,25", rec="2", amount="36,68"),
    ]
    using = mapping(
        columns=COLUMNS | {"time_format": "%d.%m.%Y"}, numbers={"decimal": ",", "thousands": ".", "signs": ["€"]}
    )
    assert bring(tmp_path, table(*rows), using=using).n_imported == 2
    batch = read_back(tmp_path)
    assert sorted(batch.revenue.tolist()) == [36.68, 1144.6]
    assert batch.propensity.tolist() == [0.25, 0.25]
    assert sorted(batch.contexts.columns["recency"].tolist()) == [1.5, 2.0]


def test_an_outcome_of_other_words_is_read_with_equals(tmp_path):
    outcomes = [{"event": "purchase", "when": {"column": "bought", "equals": ["sold", "paid"]}}]
    rows = [row(bought="sold"), row(id="d2", bought="no"), row(id="d3", bought=" paid "), row(id="d4", bought="")]
    assert bring(tmp_path, table(*rows), using=mapping(outcomes=outcomes)).n_imported == 4
    assert int(read_back(tmp_path).converted.sum()) == 2


def test_missing_words_are_missing_facts(tmp_path):
    using = mapping(numbers={"missing": ["NA"]})
    assert bring(tmp_path, table(row(rec="NA")), using=using).n_imported == 1
    assert read_back(tmp_path).contexts.columns["recency"].tolist() != [1.5]
