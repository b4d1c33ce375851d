"""Kind: the same export again, longer, without decision ids, so that every decision would count twice.

The log `growing` is made here: 300 rows of 61 customers over 10 days, 30 rows a day; a customer has one row a day.
"""

import json

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.logfiles import LogMapping, import_log
from bandit.store import Store, StoreLog

CATALOGUE = """
[objective]
kind = "conversion"
event = "order"

[[dimensions]]
name = "variant"
options = [{ name = "card" }, { name = "mail" }]
"""
BY_CONTENT = """
[columns]
customer = "client"
time = "day"
propensity = "1/2"

[offer]
variant = { column = "variant" }

[[outcomes]]
event = "order"
when = "sold"
"""
BY_LINE = BY_CONTENT.replace('customer = "client"\ntime = "day"', "row_customer = true")
FILES = ("--catalogue", "catalogue.toml", "--mapping", "mapping.toml", "--json")
HEADER = "day,client,variant,sold\n"


def rows(seed=3, n=300):
    """n rows as text, drawn with a fixed generator: a fifth ordered."""
    random = np.random.default_rng(seed)
    arms, sold = random.integers(0, 2, n), random.random(n) < 0.2
    return [f"2026-04-{1 + i // 30:02d},k{i % 61},{['card', 'mail'][arms[i]]},{int(sold[i])}\n" for i in range(n)]


@pytest.fixture(params=[BY_CONTENT, BY_LINE], ids=["customer and time", "line"])
def shop(desk, request):
    """A folder with a mapping that names a customer and a time, or neither."""
    desk.write("catalogue.toml", CATALOGUE).write("mapping.toml", request.param)
    desk.by_line = request.param == BY_LINE
    return desk


def bring(desk, name, lines, *options):
    """Import a file of some rows; return (imported, repeated, sentences)."""
    desk.write(name, HEADER + "".join(lines))
    desk.run("import", "o.db", name, *FILES, *options)
    if desk.code:
        return None
    found = desk.json
    return found["n_imported"], found["n_repeated"], [each["text"] for each in found["findings"]]


def totals(desk):
    """The numbers of decisions and of conversions in the database."""
    with Store.open(desk.folder / "o.db") as store:
        log = StoreLog(store, Catalogue.from_toml(desk.folder / "catalogue.toml"))
        return log.n, int(sum(batch.converted.sum() for batch in log.batches()))


def orders(lines):
    """The number of rows that ordered."""
    return sum(line.endswith(",1\n") for line in lines)


def test_a_longer_export_adds_its_new_rows_alone(shop):
    """270 rows yesterday, 300 today: 300 decisions, 30 of them new, and the sentence that says so."""
    log = rows()
    assert bring(shop, "first.csv", log[:270]) == (270, 0, [])
    imported, repeated, said = bring(shop, "second.csv", log)
    assert (imported, repeated) == (30, 270)
    assert said[0].startswith("270 of 300 rows were in the log before")
    assert totals(shop) == (300, orders(log))
    assert bring(shop, "second.csv", log)[:2] == (0, 300)
    assert bring(shop, "first.csv", log[:270])[:2] == (0, 270)
    assert totals(shop) == (300, orders(log))


def test_three_exports_in_a_row_are_one_log(shop):
    """100, then 200, then 300 rows: 300 decisions."""
    log = rows()
    assert [bring(shop, f"{n}.csv", log[:n])[0] for n in (100, 200, 300)] == [100, 100, 100]
    assert totals(shop) == (300, orders(log))


def test_outcomes_that_came_later_are_added_to_the_decisions_that_are_there(shop):
    """The first export knows of no order on its last day; the second does: those orders are added, none twice."""
    log = rows()
    early = [*log[:270], *(line[:-2] + "0\n" for line in log[270:])]
    late = orders(log[270:])
    assert late > 1
    bring(shop, "first.csv", early)
    imported, repeated, said = bring(shop, "second.csv", log)
    assert (imported, repeated) == (0, 300)
    assert f"{late} of them have outcomes not known before" in said[0]
    assert totals(shop) == (300, orders(log))


def test_overlapping_windows_are_joined_by_customer_and_time(desk):
    """Days 1 to 7, then days 4 to 10: 210 rows, then 120 known and 90 new; 300 in all, as in one export."""
    desk.write("catalogue.toml", CATALOGUE).write("mapping.toml", BY_CONTENT)
    log = rows()
    assert bring(desk, "first.csv", log[:210])[:2] == (210, 0)
    assert bring(desk, "second.csv", log[90:])[:2] == (90, 120)
    assert bring(desk, "third.csv", log[::-1])[:2] == (0, 300)
    assert totals(desk) == (300, orders(log))


def test_a_customer_with_the_same_offer_twice_a_day_has_two_decisions(desk):
    """Two rows that say the same are two decisions, in the first export and in the second."""
    desk.write("catalogue.toml", CATALOGUE).write("mapping.toml", BY_CONTENT)
    log = rows(n=60)
    assert bring(desk, "first.csv", [*log, log[0], log[0]])[:2] == (62, 0)
    assert bring(desk, "second.csv", [*log, log[0], log[0], log[0]])[:2] == (1, 62)


def test_other_rows_are_not_taken_for_known_ones(shop):
    """Negative control: another campaign of the same shape, whose customers have other names, is new as a whole."""
    bring(shop, "first.csv", rows(seed=3))
    other = [line.replace(",k", ",z") for line in rows(seed=4)]
    assert bring(shop, "second.csv", other) == (300, 0, [])
    assert totals(shop) == (600, orders(rows(seed=3)) + orders(other))


def test_all_rows_are_new_where_that_is_said(shop):
    """`--as-new` takes 300 equal rows as 300 decisions, once: the same file again adds nothing."""
    log = rows()
    bring(shop, "first.csv", log[:270])
    assert bring(shop, "second.csv", log, "--as-new")[:2] == (300, 0)
    assert bring(shop, "second.csv", log, "--as-new")[:2] == (0, 300)


def test_a_shorter_or_changed_export_without_ids_is_refused(desk):
    """Named by lines, an export with fewer or other rows cannot be told from the earlier one, so it is not doubled."""
    desk.write("catalogue.toml", CATALOGUE).write("mapping.toml", BY_LINE)
    log = rows()
    bring(desk, "first.csv", log)
    for lines in (log[:200], [*log[:150], "2026-04-06,k1,card,0\n", *log[150:]]):
        assert bring(desk, "second.csv", lines) is None
        assert "its first 128 rows are those of first.csv" in desk.err
        assert "--as-new" in desk.err
    assert totals(desk) == (300, orders(log))


def test_rows_that_lost_their_order_are_not_taken_for_known_ones(shop):
    """The same rows with the outcomes of others: decisions that had an order and have none are not the same."""
    log = rows()
    bring(shop, "first.csv", log)
    swapped = [line[:-2] + ("0\n" if line.endswith("1\n") else "1\n") for line in log]
    assert bring(shop, "second.csv", swapped) is None
    assert f'{orders(log)} of them had "order" there and do not have it here' in shop.err
    assert totals(shop) == (300, orders(log))


def test_few_rows_that_say_little_are_new_with_a_word(desk):
    """Six rows of one offer without an order can be alike by chance: they are new decisions, and that is said."""
    desk.write("catalogue.toml", CATALOGUE).write("mapping.toml", BY_LINE)
    few = ["2026-04-01,k1,card,0\n"] * 6
    assert bring(desk, "first.csv", few)[:2] == (6, 0)
    imported, repeated, said = bring(desk, "second.csv", [*few, "2026-04-02,k2,mail,1\n"])
    assert (imported, repeated) == (7, 0)
    assert said[0].startswith("the first 6 rows are the same as those of first.csv")


def test_files_in_order_of_their_offers_are_not_the_same(desk):
    """Two weeks of 100 card and 100 mail, in this order, have the same offers line by line and are 400 decisions."""
    desk.write("catalogue.toml", CATALOGUE).write("mapping.toml", BY_LINE)
    for week, seed in ((1, 5), (2, 6)):
        random = np.random.default_rng(seed)
        lines = [f"w{week},k,{arm},{int(random.random() < 0.2)}\n" for arm in ["card"] * 100 + ["mail"] * 100]
        imported, repeated, _ = bring(desk, f"week_{week}.csv", lines)
        assert (imported, repeated) == (200, 0)


def test_a_log_with_ids_and_without_customers_grows(desk):
    """A row's customer is its own decision, so that a longer file has the same customers as the shorter one."""
    mapping = BY_LINE.replace("row_customer = true", 'row_customer = true\ndecision_id = "day"')
    desk.write("catalogue.toml", CATALOGUE).write("mapping.toml", mapping)
    log = [f"id{i},{line.split(',', 1)[1]}" for i, line in enumerate(rows(n=50))]
    assert bring(desk, "first.csv", log[:40])[:2] == (40, 0)
    assert bring(desk, "second.csv", log)[:2] == (10, 40)


def test_a_longer_export_under_a_changed_catalogue_adds_its_new_rows_alone(shop):
    """A cost and an option are new: 270 rows are there under the old version, and 30 are added under the new one."""
    log = rows()
    bring(shop, "first.csv", log[:270])
    shop.write(
        "catalogue.toml", CATALOGUE.replace('{ name = "mail" }', '{ name = "mail", per_send = 0.5 }, { name = "sms" }')
    )
    assert bring(shop, "second.csv", log)[:2] == (30, 270)
    assert totals(shop) == (300, orders(log))


def test_a_longer_export_with_an_offer_that_the_catalogue_does_not_have_is_not_doubled(shop):
    """Five rows of a third variant at the end: 305 decisions, 270 of which were there."""
    log = [*rows(), *(f"2026-04-11,k{i},sms,0\n" for i in range(5))]
    bring(shop, "first.csv", log[:270])
    assert bring(shop, "second.csv", log)[:2] == (35, 270)
    assert bring(shop, "second.csv", log)[:2] == (0, 305)


def test_the_library_says_the_same(tmp_path):
    """`import_log` has the sentence in `findings`, and takes `as_new`."""
    catalogue = Catalogue.from_dict(
        {
            "objective": {"kind": "conversion", "event": "order"},
            "dimensions": [{"name": "variant", "options": [{"name": "card"}, {"name": "mail"}]}],
        }
    )
    mapping = LogMapping.from_dict(
        {
            "columns": {"customer": "client", "time": "day", "propensity": "1/2"},
            "offer": {"variant": {"column": "variant"}},
            "outcomes": [{"event": "order", "when": "sold"}],
        }
    )
    path = tmp_path / "log.csv"
    with Store.open(tmp_path / "o.db") as store:
        for n in (20, 30):
            path.write_text(HEADER + "".join(rows(n=30)[:n]), encoding="utf-8")
            report = import_log(store, catalogue, mapping, path)
        assert [each.kind for each in report.findings] == ["repeated rows"]
        assert StoreLog(store, catalogue).notices == ()
        assert import_log(store, catalogue, mapping, path, as_new=True).n_imported == 30
        kept = store.imports.all()
    assert [row.n_imported for row in kept] == [20, 10, 30]
    assert json.loads(json.dumps(dict(kept[0].details)))["findings"] == []


def test_growing_files_of_the_shared_cases(desk):
    """400 rows yesterday, one more today: 401 decisions, and a word."""
    desk.take_shared("growing_1.csv", "growing_2.csv")
    desk.write(
        "catalogue.toml", CATALOGUE.replace("variant", "offer").replace('"card"', '"a"').replace('"mail"', '"b"')
    )
    mapping = BY_CONTENT.replace("variant", "offer").replace('"client"', '"customer"').replace('"sold"', '"bought"')
    desk.write("mapping.toml", mapping)
    for name, imported, repeated in (("growing_1.csv", 400, 0), ("growing_2.csv", 1, 400)):
        desk.run("import", "o.db", name, *FILES)
        assert (desk.json["n_imported"], desk.json["n_repeated"]) == (imported, repeated)
    assert desk.json["findings"][0]["text"].startswith("400 of 401 rows were in the log before")
    assert totals(desk)[0] == 401
