"""The command table: what it writes and says, and the way back of decisions that a client drew from it."""

import csv
import hashlib
import json
import random
from pathlib import Path

import pytest

from tests.cli.conftest import FILES, run

FAST = ("--no-value", "--policy", "rules:rules.toml")


def draw(table, customer, period, segment):
    """The three lines that the file states."""
    digest = hashlib.sha256(f"{table['id']}|{customer}|{period}".encode()).hexdigest()
    drawn = int(digest[:13], 16) / 16**13
    return next(each for each in segment["offers"] if each["up_to"] > drawn)


def passes(check, value):
    if value is None:
        return check.get("missing", False)
    known = "values" not in check or value in check["values"]
    return known and value >= check.get("at_least", value) and not ("below" in check and value >= check["below"])


def client(table, n, period="summer"):
    """What a client without this program makes of a table: rows with the facts and the offers of n customers."""
    facts = random.Random(7)  # noqa: S311 - not for secrets
    for number in range(n):
        known = {
            "gender": facts.choice(["f", "m", None]),
            "recency": facts.choice([None, round(facts.expovariate(0.3), 2)]),
            "loyal": facts.choice([True, False, None]),
        }
        found = (each for each in table["segments"] if all(passes(one, known[one["fact"]]) for one in each["checks"]))
        chosen = draw(table, f"c{number}", period, next(found, table["otherwise"]))
        texts = {name: "" if value is None else str(value).lower() for name, value in known.items()}
        bought = facts.random() < 0.2
        yield {
            "customer": f"c{number}",
            "time": "2026-09-01T10:00:00",
            "table": table["id"],
            "period": period,
            **texts,
            **chosen["offer"],
            "purchase": str(int(bought)),
            "revenue": "40" if bought else "",
            "propensity": chosen["probability"],
        }


def write(path, rows):
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def made(capsys, *options):
    ran = run(capsys, "table", "offers.db", "-o", "table.json", "--import-mapping", "back.toml", *options)
    assert ran.code == 0, ran.err
    return json.loads(Path("table.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_policy_of_the_database_becomes_a_table_and_what_it_keeps_is_said(capsys, example):
    ran = run(capsys, "table", "offers.db", "-o", "table.json", "--baseline", "rules:rules.toml", "--rows", "4")
    assert ran.code == 0, ran.err
    table = json.loads(Path("table.json").read_text(encoding="utf-8"))
    assert table["policy"] == {"kind": "thompson", "name": "thompson sampling", "id": 1, "step": 1}
    said = " ".join(ran.out.split())
    assert "beside thompson sampling" in said
    assert "of customers that neither had learned from" in said
    assert "policy 1 (thompson sampling) after 1 step of learning" in said
    assert f"table {table['id']}" in said
    found = run(
        capsys, "table", "offers.db", "-o", "t.json", "--baseline", "rules:rules.toml", "--rows", "4", "--json"
    ).json
    assert {"gain", "stand_in_gain", "loss", "kept", "folds", "n", "baseline"} == set(found["value"])
    assert found["value"]["n"] == 2_000
    judged = run(capsys, "evaluate", "offers.db", "--policy", "table:t.json", "--baseline", "logged")
    assert judged.code == 0, judged.err
    assert f"table {found['id'][:8]}" in judged.out


@pytest.mark.slow
def test_a_log_file_has_the_table_that_its_database_has(capsys, example):
    made(capsys, *FAST, "--as-of", "2030-01-01")
    ran = run(capsys, "table", "log.csv", *FILES, "-o", "file.json", *FAST)
    assert ran.code == 0, ran.err
    one, other = (json.loads(Path(name).read_text(encoding="utf-8")) for name in ("table.json", "file.json"))
    assert one["segments"] == other["segments"]
    assert one["otherwise"] == other["otherwise"]


def test_what_a_client_drew_comes_back_with_its_propensities(capsys, example):
    """300 rows that a client of its own drew; the exported log has each propensity as the table writes it."""
    rows = list(client(made(capsys, *FAST, "--explore", "0.2"), 300))
    write("sent.csv", rows)
    ran = run(capsys, "import", "new.db", "sent.csv", "--mapping", "back.toml", "--catalogue", "catalogue.toml")
    assert ran.code == 0, ran.err
    assert run(capsys, "export", "new.db", "log-again.csv").code == 0
    with Path("log-again.csv").open(encoding="utf-8", newline="") as file:
        exported = {row["customer"]: row for row in csv.DictReader(file)}
    assert {customer: float(row["propensity"]) for customer, row in exported.items()} == {
        row["customer"]: row["propensity"] for row in rows
    }
    assert len({row["propensity"] for row in rows}) > 2
    assert run(capsys, "import", "new.db", "sent.csv", "--mapping", "back.toml", "--json").json["n_repeated"] == 300
    read = run(capsys, "results", "sent.csv", "--mapping", "back.toml", "--catalogue", "catalogue.toml", "--json")
    assert read.code == 0, read.err
    assert read.json["whole"]["n"] == 300


def other_offer(row):
    row["channel"] = "sms" if row["channel"] == "email" else "email"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row: row.update(table="ffff"), 'of the table "ffff", and [table] names'),
        (lambda row: row.update(period=" "), '"period" is blank'),
        (other_offer, "for this customer and period"),
        (lambda row: row.update(propensity="0.5"), "the row has the propensity 0.5, and the table says 0."),
    ],
)
def test_a_row_that_contradicts_the_table_is_refused(capsys, example, change, said):
    rows = list(client(made(capsys, *FAST, "--explore", "0.2"), 60))
    change(rows[3])
    write("sent.csv", rows)
    text = Path("back.toml").read_text(encoding="utf-8")
    Path("back.toml").write_text(text.replace('time = "time"', 'time = "time"\npropensity = "propensity"'))
    ran = run(capsys, "import", "new.db", "sent.csv", "--mapping", "back.toml", "--catalogue", "catalogue.toml")
    assert ran.code == 0, ran.err
    assert said in ran.out
    assert "5" in ran.out  # its line
    found = run(
        capsys, "import", "n.db", "sent.csv", "--mapping", "back.toml", "--catalogue", "catalogue.toml", "--json"
    )
    assert (found.json["n_imported"], found.json["n_refused"]) == (59, 1)


def test_an_offer_that_the_row_does_not_have_is_refused(capsys, example):
    rows = list(client(made(capsys, *FAST), 60))
    rows[0].update({"discount": "20", "channel": "email", "gift": "none"})
    write("sent.csv", rows)
    ran = run(capsys, "import", "new.db", "sent.csv", "--mapping", "back.toml", "--catalogue", "catalogue.toml")
    assert "to nobody in" in ran.out


@pytest.mark.slow
def test_rows_of_several_tables_are_told_by_their_ids(capsys, example):
    first = made(capsys, *FAST, "--explore", "0.2")
    Path("table.json").rename("first.json")
    second = made(capsys, *FAST, "--explore", "0.4")
    assert first["id"] != second["id"]
    write("sent.csv", list(client(first, 40, "spring")) + list(client(second, 40)))
    text = Path("back.toml").read_text(encoding="utf-8")
    Path("back.toml").write_text(text.replace('"table.json",', '"table.json", "first.json",'))
    ran = run(capsys, "import", "n.db", "sent.csv", "--mapping", "back.toml", "--catalogue", "catalogue.toml", "--json")
    assert (ran.json["n_imported"], ran.json["n_refused"]) == (80, 0)
    Path("back.toml").write_text(
        text.replace('"table.json",', '"table.json", "first.json",').replace('id = "table"', "")
    )
    ran = run(capsys, "import", "m.db", "sent.csv", "--mapping", "back.toml", "--catalogue", "catalogue.toml")
    assert ran.code == 2
    assert "names 2 tables" in ran.sentence


def test_the_spreadsheet_has_a_line_an_offer(capsys, example):
    ran = run(capsys, "table", "offers.db", "-o", "table.csv", *FAST, "--json")
    assert ran.code == 0, ran.err
    with Path("table.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["table"] for row in rows} == {ran.json["id"]}
    assert sum(float(row["probability"]) for row in rows) == pytest.approx(ran.json["rows"])
    assert {"when", "share", "customers", "discount", "channel", "gift", "up_to"} <= set(rows[0])


def test_names_that_a_spreadsheet_would_run_are_escaped(capsys, example):
    text = Path("catalogue.toml").read_text(encoding="utf-8").replace('"tote"', '"=1+1"')
    Path("catalogue.toml").write_text(text, encoding="utf-8")
    Path("log.csv").write_text(Path("log.csv").read_text(encoding="utf-8").replace(",tote", ",=1+1"), encoding="utf-8")
    ran = run(capsys, "table", "log.csv", *FILES, "-o", "table.csv", "--no-value", "--policy", "uniform")
    assert ran.code == 0, ran.err
    content = Path("table.csv").read_text(encoding="utf-8")
    assert ",'=1+1," in content
    assert ",=1+1," not in content


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-o", "table.txt"), ".json, or as .csv"),
        (("-o", "table.json", "--rows", "5000"), "1 to 1,000 rows"),
        (("-o", "table.json", "--by", "gendr"), 'no fact "gendr"'),
        (("-o", "table.json", "--policy", "thompsn"), "is no policy"),
        (("-o", "table.json", "--policy-id", "9"), "there is no policy 9; known are 1"),
        (("-o", "table.json", "--policy", "uniform", "--policy-id", "1"), "give one of them"),
        (("-o", "none/table.json", *FAST), "cannot be written"),
        (("-o", "table.csv", *FAST, "--import-mapping", "back.toml"), "must be .json"),
        (("-o", "table.json", *FAST, "--as-of", "2001-01-01"), "no decisions to make a table of before this time"),
        (("-o", "table.json", *FAST, "--as-of", "soon"), "is not an ISO 8601 time"),
        (("-o", "table.json", "--level", "2"), "level is 2"),
    ],
)
def test_bad_input_is_one_sentence(capsys, example, options, said):
    ran = run(capsys, "table", "offers.db", *options)
    assert ran.code == 2
    assert said in ran.sentence
    assert not Path("table.json").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("[table]", "[tabel]"), "tabel"),
        (lambda text: text.replace('"table.json"', '"other.json"'), "cannot be read"),
        (lambda text: text.replace('customer = "customer"', "row_customer = true"), "without customer under [columns]"),
        (lambda text: text.replace('time = "time"', 'time = "time"\npropensity = 0.5'), "another source of them"),
    ],
)
def test_a_mapping_that_cannot_be_used_says_why(capsys, example, change, said):
    write("sent.csv", list(client(made(capsys, *FAST), 5)))
    Path("back.toml").write_text(change(Path("back.toml").read_text(encoding="utf-8")), encoding="utf-8")
    ran = run(capsys, "import", "new.db", "sent.csv", "--mapping", "back.toml", "--catalogue", "catalogue.toml")
    assert ran.code == 2
    assert said in ran.sentence
