"""A mapping that cannot be used is refused with its place."""

import pytest

from bandit.errors import CatalogueError
from tests.logfiles.import_tools import ROW, bring, is_empty, mapping, table

BAD_MAPPINGS = {
    "an unknown key": ({"columns": {"customer": "who", "propensity": "p", "tme": "at"}}, "unknown field `tme`"),
    "no customer": ({"columns": {"propensity": "p"}}, "needs either customer"),
    "two customers": ({"columns": {"customer": "who", "row_customer": True, "propensity": "p"}}, "needs either"),
    "no propensity": ({"columns": {"customer": "who"}}, "needs one source of propensities"),
    "propensity above 1": ({"columns": {"customer": "who", "propensity": 1.5}}, "above 0 and at most 1; seen 1.5"),
    "propensity of 0": ({"columns": {"customer": "who", "propensity": "0/3"}}, "above 0 and at most 1; seen 0/3"),
    "two propensities": ({"propensity": [{"value": 0.5}]}, "needs one source of propensities"),
    "a fact not declared": ({"context": {"age": "rec"}}, 'maps "age", which the catalogue does not declare'),
    "a dimension left out": ({"offer": {"discount": "0", "channel": "sms"}}, 'says nothing of the dimension "gift"'),
    "a dimension unknown": (
        {"offer": {"discount": "0", "channel": "sms", "gift": "none", "size": "1"}},
        'unknown dimension "size"',
    ),
    "a column written as an option": (
        {"offer": {"discount": "disc", "channel": "sms", "gift": "none"}},
        r'write \{ column = "disc" \}',
    ),
    "a constant offer that is not legal": (
        {"offer": {"discount": "20", "channel": "sms", "gift": "tote"}},
        "margin floor",
    ),
    "a look-up to a misspelt option": (
        {"offer": {"column": "disc", "lookup": {"x": {"discount": "20", "channel": "e-mail", "gift": "tote"}}}},
        'did you mean "email"',
    ),
    "an outcome twice": ({"outcomes": [{"event": "a", "when": "b"}, {"event": "a"}]}, '"a" twice'),
    "an outcome of a reserved name": ({"outcomes": [{"event": "closed"}]}, "closed = true"),
    "nothing that came of it": ({"outcomes": [], "closed": False}, "has no"),
    "a delimiter of two": ({"delimiter": ";;"}, "one character"),
    "no offer": ({"offer": {}}, r"has no \[offer\]"),
    "a start that is no time": (
        {"columns": {"customer": "who", "propensity": "p", "time_start": "spring"}},
        'time_start "spring" is no time',
    ),
    "a unit without numbers": (
        {"columns": {"customer": "who", "propensity": "p", "time": "at", "time_unit": "h"}},
        'add time_format = "unix"',
    ),
}


@pytest.mark.parametrize(("changed", "words"), BAD_MAPPINGS.values(), ids=BAD_MAPPINGS)
def test_a_mapping_that_cannot_be_used_is_refused_with_its_place(tmp_path, changed, words):
    with pytest.raises(CatalogueError, match=words):
        bring(tmp_path, table(ROW), using=mapping(**changed))
    assert is_empty(tmp_path)
