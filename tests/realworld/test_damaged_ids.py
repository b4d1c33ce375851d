"""Kind: ids that a spreadsheet or floating-point numbers have rounded, so that customers are merged without a word."""

import numpy as np
import pyarrow as pa
import pytest

from bandit.catalogue import Catalogue
from bandit.errors import LogFileError
from bandit.logfiles import LogMapping, from_frame
from tests.realworld.test_growing_files import BY_CONTENT, CATALOGUE, FILES

HEADER = "day,client,variant,sold\n"
EVALUATE = ("--policy", "offer:variant=mail", "--baseline", "offer:variant=card")


def customers(n):
    """n customer numbers of 13 digits, all different."""
    return [1_230_000_000_000 + 7_919 * i for i in range(n)]


def log(write, n=60):
    """n rows whose customers are written in some way."""
    return HEADER + "".join(
        f"2026-04-{1 + i // 30:02d},{write(each)},{['card', 'mail'][i % 2]},{int(i % 5 == 0)}\n"
        for i, each in enumerate(customers(n))
    )


@pytest.fixture
def shop(desk):
    """A folder with the mapping of a log with customers."""
    return desk.write("catalogue.toml", CATALOGUE).write("mapping.toml", BY_CONTENT)


@pytest.mark.parametrize("write", ["{:.2E}".format, "{:.5e}".format])
def test_customers_in_scientific_notation_are_refused(shop, write):
    """60 customers of 13 digits become one text with three digits, 1.23E+12: import and evaluate refuse the file."""
    shop.write("log.csv", log(write))
    for command in (("import", "o.db", "log.csv"), ("evaluate", "log.csv", *EVALUATE)):
        shop.run(*command, *FILES)
        assert shop.code == 2
        assert '60 rows have a customer in scientific notation in "client"' in shop.err
        assert 'export "client" as text' in shop.err
    assert shop.run("import", "o.db", "log.csv", *FILES, "--accept-refused").code == 0


def test_customers_with_zeros_in_place_of_digits_are_refused(shop):
    """Of 18 digits a spreadsheet keeps 15: all 60 customers end in 000, which by chance has the probability 1e-180."""
    shop.write("log.csv", log(lambda each: f"{each * 100_000 // 1_000 * 1_000}"))
    shop.run("import", "o.db", "log.csv", *FILES)
    assert shop.code == 2
    assert "has zeros after its first 15 digits" in shop.err
    assert "123000000000000000" not in shop.err


@pytest.mark.parametrize(
    "write",
    [str, lambda each: f"{each}{each % 89_999 + 10_001}", lambda each: f"{each % 97:x}e{each % 89}", "{:.12e}".format],
)
def test_customers_with_all_their_digits_are_taken(shop, write):
    """Negative control: 13 digits, 18 digits, hexadecimal names such as 3e12, and 1.230000007919e+12 are as given."""
    shop.write("log.csv", log(write))
    assert shop.run("import", "o.db", "log.csv", *FILES).code == 0
    assert shop.json["n_imported"] == 60


def test_customers_of_a_frame_that_are_floating_point_numbers_are_refused():
    """Numbers of 19 digits as float64 keep 53 bits: neighbours become one customer, and the log is refused."""
    catalogue = Catalogue.from_dict(
        {
            "objective": {"kind": "conversion", "event": "order"},
            "dimensions": [{"name": "variant", "options": [{"name": "card"}, {"name": "mail"}]}],
        }
    )
    mapping = LogMapping.from_dict(
        {
            "columns": {"customer": "client", "propensity": "1/2"},
            "offer": {"variant": {"column": "variant"}},
            "outcomes": [{"event": "order", "when": "sold"}],
        }
    )
    ids = np.arange(40) + 1_234_567_890_123_456_789
    columns = {"variant": ["card", "mail"] * 20, "sold": [0, 1] * 20}
    assert from_frame(pa.table({**columns, "client": ids}), catalogue, mapping).n == 40
    with pytest.raises(LogFileError, match="40 rows have a customer in scientific notation"):
        from_frame(pa.table({**columns, "client": ids.astype(np.float64)}), catalogue, mapping)
