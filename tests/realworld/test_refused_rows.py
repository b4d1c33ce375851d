"""Kind: rows that are refused because of what came of them, so that the others give a wrong number.

The log `orders` has 400 rows, an even draw between card and mail; 96 ordered. By hand, from the file: 41,955.54 in all,
104.8888 a row; card 15,565.55 / 202 = 77.0572, mail 26,389.99 / 198 = 133.2828. Seven orders are of 1,000 or more.
"""

import csv

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.errors import LogFileError
from bandit.logfiles import LogMapping, import_log, open_log
from bandit.store import Store, StoreLog

OFFERS = ("--catalogue", "catalogue.toml", "--mapping", "mapping.toml")
COMPARED = ("--policy", "offer:variant=mail", "--baseline", "offer:variant=card")


@pytest.fixture
def orders(desk):
    """The log, and the function that writes it with other cells."""
    desk.take("orders")
    with (desk.folder / "orders.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    def written(name, change, numbers=""):
        with (desk.folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["variant", "sold", "total"])
            writer.writeheader()
            writer.writerows({**row, **change(row)} for row in rows)
        text = (desk.folder / "mapping.toml").read_text(encoding="utf-8")
        desk.write("mapping_cured.toml", f"{text}\n[numbers]\n{numbers}\n" if "=" in numbers else text)
        return desk

    return written


def money(write):
    """A change that writes the amounts of orders in another way."""
    return lambda row: {"total": write(float(row["total"])) if row["total"] else ""}


def means(desk, log, mapping):
    """The mean revenue a row of a log, of all rows and of each offer."""
    catalogue = Catalogue.from_toml(desk.folder / "catalogue.toml")
    read = open_log(desk.folder / log, catalogue, LogMapping.from_toml(desk.folder / mapping))
    (batch,) = read.batches(1_000_000)
    parts = [batch.revenue, *(batch.revenue[batch.offer == offer] for offer in (0, 1))]
    return [round(float(part.mean()), 4) for part in parts]


def german(amount):
    """1221.53 as 1.221,53."""
    return f"{amount:,.2f}".translate(str.maketrans(",.", ".,"))


WAYS = [
    (german, 96, 'decimal = "," and thousands = "."', 'decimal = ","\nthousands = "."'),
    ("€{:.2f}".format, 96, 'signs = ["€"]', 'signs = ["€"]'),
    ("{:,.2f}".format, 7, 'thousands = ","', 'thousands = ","'),
    (lambda x: f"{x:,.2f}".replace(",", "\u202f"), 7, 'thousands = " "', 'thousands = " "'),
    (lambda x: f"{x:,.2f}".replace(",", "\u2019"), 7, """thousands = "'\"""", 'thousands = "\'"'),
    (lambda x: f"{x:.2f} USD", 96, 'signs = ["USD"]', 'signs = ["USD"]'),
]


@pytest.mark.parametrize(("write", "n", "key", "numbers"), WAYS)
def test_a_file_whose_buyers_are_refused_is_refused_with_the_key_that_cures_it(orders, write, n, key, numbers):
    """All 96 orders, or the seven of 1,000 or more, cannot be read: of the refused rows all ordered.

    With the key the mean is 41,955.54 / 400 = 104.8888 a row, 77.0572 for card and 133.2828 for mail, as in the plain
    file.
    """
    desk = orders("log.csv", money(write), numbers)
    for command in (("evaluate", "log.csv", *COMPARED), ("import", "o.db", "log.csv")):
        desk.run(*command, *OFFERS)
        assert desk.code == 2
        assert f"{n} rows are refused because of the outcome" in desk.err
        assert f'"order" happened in all {n} of them' in desk.err
        assert f"put {key} under [numbers] in the mapping" in desk.err
    assert not (desk.folder / "o.db").exists()
    assert means(desk, "log.csv", "mapping_cured.toml") == [104.8888, 77.0572, 133.2828]


def test_returns_in_brackets_are_negative_where_the_mapping_says_so(orders):
    """Every tenth order is returned and written (x): refused, all of them orders; with `brackets` they count as -x."""
    totals = []

    def change(row):
        if not row["total"]:
            return {}
        back = len(totals) % 10 == 9
        totals.append(-float(row["total"]) if back else float(row["total"]))
        return {"total": f"({row['total']})"} if back else {}

    desk = orders("log.csv", change, "brackets = true")
    desk.run("import", "o.db", "log.csv", *OFFERS)
    assert desk.code == 2
    assert "put brackets = true under [numbers]" in desk.err
    assert means(desk, "log.csv", "mapping_cured.toml")[0] == round(sum(totals) / 400, 4)
    desk.run("import", "o.db", "log.csv", "--catalogue", "catalogue.toml", "--mapping", "mapping_cured.toml", "--json")
    assert (desk.json["n_imported"], desk.json["findings"]) == (400, [])


def test_a_mark_that_only_buyers_have_is_not_taken_for_no_purchase(orders):
    """`sold` is x for the 96 orders and blank for others: all orders are refused, 0 of 304 rows taken ordered."""
    desk = orders("log.csv", lambda row: {"sold": "x" if row["sold"] == "1" else ""})
    desk.run("evaluate", "log.csv", *COMPARED, *OFFERS)
    assert desk.code == 2
    assert '96 rows are refused because of the outcome ("sold" says "x")' in desk.err
    assert 'put when = { column = "sold", equals = "x" } under [[outcomes]]' in desk.err


def test_a_word_that_only_others_have_is_found_too(orders):
    """`sold` is yes or nope: all 304 rows without an order are refused, and 100 % of the rows taken ordered."""
    desk = orders("log.csv", lambda row: {"sold": "yes" if row["sold"] == "1" else "nope"})
    desk.run("import", "o.db", "log.csv", *OFFERS)
    assert desk.code == 2
    assert '304 rows are refused because of the outcome ("sold" says "nope")' in desk.err
    assert "with the words that mean that it happened" in desk.err


def test_blank_amounts_without_when_are_rows_without_an_order(orders):
    """Without `when` every row ordered, so the 304 blank amounts are refused: `above = 0` reads the file."""
    desk = orders("log.csv", lambda row: {})
    text = (desk.folder / "mapping.toml").read_text(encoding="utf-8")
    desk.write("mapping.toml", text.replace('when = "sold"\n', ""))
    desk.run("import", "o.db", "log.csv", *OFFERS)
    assert desk.code == 2
    assert 'put when = { column = "total", above = 0 } under [[outcomes]]' in desk.err


def test_numbers_that_the_delimiter_cuts_in_two_are_found(orders):
    """1,144.60 without quotes is two fields: the seven large orders have too many fields and are all buyers."""
    desk = orders("log.csv", money("{:,.2f}".format))
    desk.write("log.csv", (desk.folder / "log.csv").read_text(encoding="utf-8").replace('"', ""))
    desk.run("import", "o.db", "log.csv", *OFFERS)
    assert desk.code == 2
    assert '7 rows are refused since a number has "," in it without quotes (such as "1,' in desk.err
    assert '"order" happened in all 7 of them' in desk.err


def test_rows_refused_for_another_reason_are_compared_too(orders):
    """A propensity that only orders have: 304 rows are refused since it is blank, none of them ordered, all others."""
    desk = orders("log.csv", lambda row: {})
    header, *rows = (desk.folder / "log.csv").read_text(encoding="utf-8").splitlines()
    lines = [f"{header},p", *(f"{row},{'' if row.split(',')[1] == '0' else 0.5}" for row in rows)]
    desk.write("log.csv", "\n".join(lines) + "\n")
    text = (desk.folder / "mapping.toml").read_text(encoding="utf-8")
    desk.write("mapping.toml", text.replace('"1/2"', '"p"'))
    desk.run("import", "o.db", "log.csv", *OFFERS)
    assert desk.code == 2
    assert "304 rows are refused for reasons other than the outcome (such as: propensity is blank)" in desk.err
    assert '"order" happened in 0 (0 %) of them and in 100 % of the rows taken (96 of 96)' in desk.err


def test_rows_refused_at_random_are_not_remarked_on(tmp_path):
    """Negative control: 10 % of the rows lose their propensity whatever came of them; in 40 logs nothing is said.

    At the level .001 a finding about the outcome, and one about the offer, is expected in .08 of 40 logs.
    """
    random = np.random.default_rng(5)
    catalogue = Catalogue.from_dict(
        {
            "objective": {"kind": "conversion", "event": "order"},
            "dimensions": [{"name": "variant", "options": [{"name": "card"}, {"name": "mail"}]}],
        }
    )
    mapping = LogMapping.from_dict(
        {
            "columns": {"row_customer": True, "propensity": "p"},
            "offer": {"variant": {"column": "variant"}},
            "outcomes": [{"event": "order", "when": "sold"}],
        }
    )
    noticed = 0
    for _ in range(40):
        sold, lost, arm = random.random(400) < 0.24, random.random(400) < 0.1, random.integers(0, 2, 400)
        rows = zip(np.array(["card", "mail"])[arm], sold.astype(int), np.where(lost, "", "0.5"), strict=True)
        path = tmp_path / "log.csv"
        path.write_text("variant,sold,p\n" + "".join(f"{a},{s},{p}\n" for a, s, p in rows), encoding="utf-8")
        noticed += len(open_log(path, catalogue, mapping).notices)
    assert noticed <= 1


def test_what_is_accepted_is_remembered_by_the_database_and_said_again(orders):
    """The seven large orders are left out knowingly: import, evaluate, lift, doctor and results repeat it."""
    desk = orders("log.csv", money("{:,.2f}".format))
    desk.run("import", "o.db", "log.csv", *OFFERS, "--accept-refused", "--json")
    assert desk.code == 0
    assert desk.json["n_refused"] == 7
    assert desk.json["findings"][0]["kind"] == "refused by outcome"
    said = "7 rows are refused because of the outcome"
    desk.run("evaluate", "o.db", *COMPARED)
    assert "doubt: when log.csv was imported on " in desk.out
    assert said in " ".join(desk.out.split())
    desk.run("evaluate", "o.db", *COMPARED, "--json")
    assert any(each["check"] == "import" and said in each["sentence"] for each in desk.json["findings"])
    desk.run("results", "o.db", "--json")
    assert said in desk.json["noticed"][0]
    desk.run("doctor", "o.db", "--json")
    assert any(said in each for each in desk.json["notes"])


def test_the_library_refuses_and_accepts_in_the_same_words(orders):
    """`import_log` and `open_log` raise LogFileError; `accept_refused` in the mapping or the call lets them go on."""
    desk = orders("log.csv", money("{:,.2f}".format))
    catalogue = Catalogue.from_toml(desk.folder / "catalogue.toml")
    mapping = LogMapping.from_toml(desk.folder / "mapping.toml")
    path = desk.folder / "log.csv"
    with Store.open(desk.folder / "o.db") as store:
        with pytest.raises(LogFileError, match="accept_refused = true"):
            import_log(store, catalogue, mapping, path)
        assert import_log(store, catalogue, mapping, path, accept_refused=True).n_imported == 393
        assert "7 rows are refused" in StoreLog(store, catalogue).notices[0]
    with pytest.raises(LogFileError, match="7 rows are refused"):
        open_log(path, catalogue, mapping)
    text = (desk.folder / "mapping.toml").read_text(encoding="utf-8")
    desk.write("mapping.toml", "accept_refused = true\n" + text)
    log = open_log(path, catalogue, LogMapping.from_toml(desk.folder / "mapping.toml"))
    assert log.n == 393
    assert "7 rows are refused" in log.notices[0]


@pytest.mark.parametrize(
    ("name", "numbers", "delimiter"),
    [
        ("money_plain.csv", "", ","),
        ("money_german.csv", 'decimal = ","\nthousands = "."', ";"),
        ("money_euro.csv", 'signs = ["€"]', ","),
    ],
)
def test_money_of_the_shared_cases(desk, name, numbers, delimiter):
    """Mean revenue 194.7144 a row, a 199.7229, b 189.8636, in all three ways of writing it."""
    desk.take("orders").take_shared(name)
    catalogue, mapping = (
        (desk.folder / each).read_text(encoding="utf-8") for each in ("catalogue.toml", "mapping.toml")
    )
    for old, new in (("variant", "offer"), ('"card"', '"a"'), ('"mail"', '"b"')):
        catalogue = catalogue.replace(old, new)
    desk.write("catalogue.toml", catalogue)
    for old, new in (("variant", "offer"), ('"sold"', '"bought"'), ('"total"', '"amount"')):
        mapping = mapping.replace(old, new)
    mapping = f'delimiter = "{delimiter}"\n{mapping}'
    arguments = ("--policy", "offer:offer=a", "--baseline", "offer:offer=b", "--json")
    if numbers:
        desk.write("mapping.toml", mapping).run("evaluate", name, *OFFERS, *arguments)
        assert desk.code == 2
        assert "440 rows are refused because of the outcome" in desk.err
    desk.write("mapping.toml", f"{mapping}\n[numbers]\n{numbers}\n")
    assert means(desk, name, "mapping.toml") == [194.7144, 199.7229, 189.8636]
    assert desk.run("import", "m.db", name, *OFFERS).code == 0
