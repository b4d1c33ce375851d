"""Facts are read as the mapping says, and blanks are missing."""

from tests.logfiles.import_tools import (
    bring,
    columns_of,
    mapping,
    row,
    table,
)


def test_values_of_facts_may_be_renamed_and_blanks_filled(tmp_path):
    context = {
        "gender": {"column": "sex", "map": {"W": "f", "H": "m"}},
        "recency": {"column": "rec", "blank": 99},
        "loyal": {"column": "club", "map": {"member": True, "guest": False}},
    }
    bring(tmp_path, table(row(sex="W", rec="", club="member")), using=mapping(context=context))
    assert columns_of(tmp_path).context.tolist() == ['{"gender":"f","recency":99.0,"loyal":true}']


def test_a_value_never_seen_is_no_reason_to_refuse(tmp_path):
    report = bring(tmp_path, table(row(sex="divers"), row(id="d2", sex="f")))
    assert (report.n_imported, report.n_refused) == (2, 0)
    assert columns_of(tmp_path).context[0] == '{"gender":"divers","recency":1.5,"loyal":true}'


def test_blank_facts_are_missing(tmp_path):
    bring(tmp_path, table(row(sex="", rec=" ", gift="none")))
    assert columns_of(tmp_path).context[0] == '{"loyal":true}'
