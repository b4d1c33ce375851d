"""Files with a row an event: decisions, purchases and returns stand in rows of their own."""

import pytest

from bandit.catalogue import Catalogue
from bandit.logfiles import LogMapping, from_frame

FILES = ("--catalogue", "catalogue.toml", "--mapping", "mapping.toml")


def uniform_value(desk, log, *options):
    """The value per decision of the uniform policy and of the log, by `evaluate`."""
    desk.run("evaluate", log, "--policy", "uniform", *options, "--json")
    assert desk.code == 0, desk.err
    return desk.json["realised"]["value"]


def test_purchases_and_returns_join_their_decision_by_its_id(desk):
    """Kind 5: v1 30, v2 40 - 40 returned in full, v3 none, v4 25.50 + 10 - 5.50 = 30, v5 none, and v9, an order
    without a view, makes a decision but has no customer, so it is refused. 60 of 5 decisions: 12 each. The refund of
    v8, which the file does not have, and "scroll" count for nothing, and both are said.
    """
    desk.take("event_rows").run("import", "o.db", "log.csv", *FILES, "--json")
    assert desk.code == 0
    rows = desk.json["event_rows"]
    assert (desk.json["n_imported"], desk.json["n_refused"]) == (5, 1)
    assert (rows["n_rows"], rows["joined"], rows["other"]) == (12, {"order": 5, "refund": 2}, {"scroll": 1})
    assert rows["unjoined"] == [{"event": "refund", "reason": "no decision has their id", "n": 1, "line": 13}]
    assert uniform_value(desk, "o.db") == pytest.approx(12.0)
    assert uniform_value(desk, "log.csv", *FILES) == pytest.approx(12.0)


def test_what_counts_for_nothing_is_said_in_sentences(desk):
    """The import prints how many rows of what are decisions and outcomes, and which count for nothing."""
    desk.take("event_rows").run("import", "o.db", "log.csv", *FILES)
    said = " ".join(desk.out.split())
    assert 'of 12 rows 6 are decisions, and these outcomes belong to them: 5 of "order", 2 of "refund".' in said
    assert '1 row of "refund" counts for nothing, the first at line 13: no decision has their id.' in said
    assert 'Rows of events that the mapping does not name count for nothing: "scroll" (1).' in said
    desk.run("evaluate", "log.csv", *FILES, "--policy", "uniform")
    assert '1 row of "refund" counts for nothing' in " ".join(desk.err.split())


def test_a_repeated_import_adds_nothing(desk):
    """The same file twice: all decisions are there before, and the value stays 12."""
    desk.take("event_rows").run("import", "o.db", "log.csv", *FILES)
    desk.run("import", "o.db", "log.csv", *FILES, "--json")
    assert (desk.json["n_imported"], desk.json["n_repeated"]) == (0, 5)
    assert uniform_value(desk, "o.db") == pytest.approx(12.0)


def test_without_ids_the_latest_mail_before_a_purchase_earns_it(desk):
    """Six mails. ada's purchase of 50 (March 5, twice the same event id: once) goes to the mail of March 4; her return
    of 20 names order o1 and goes there too, although a later mail stands between: 30. bob's purchases are before his
    mail and 19 days after it, outside 7 days: 0. cem's return of o4 names no amount: all 30 back, 0. eva's return pays
    back what was never bought. 30 of 6 decisions: 5. Only "a" of March 6 and "a" of March 18 had their window open
    when the file ends, on March 20 at 10: March 18 + 7 days; March 6 + 7 = March 13 was over.
    """
    desk.take("event_rows_by_customer").run("import", "o.db", "log.csv", *FILES, "--json")
    assert desk.code == 0
    rows = desk.json["event_rows"]
    assert (rows["n_decisions"], rows["joined"]) == (6, {"purchase": 2, "return": 2})
    assert {(each["event"], each["n"]) for each in rows["unjoined"]} == {("purchase", 2), ("return", 1)}
    assert (rows["n_repeated"], rows["other"], rows["n_open"]) == (1, {"opened": 1}, 1)
    assert uniform_value(desk, "o.db") == pytest.approx(5.0)
    assert uniform_value(desk, "log.csv", *FILES) == pytest.approx(5.0)


def test_a_longer_export_adds_its_new_rows_to_the_decisions_that_are_there(desk):
    """Kind 9: the first eleven rows, then all fifteen: five decisions are there before, by the ids of their rows, one
    is new, and cem's return, which comes with the second export, takes his 30 back: 30 of 6 decisions, 5 each.
    """
    desk.take("event_rows_by_customer")
    head = (desk.folder / "log.csv").read_text().splitlines(keepends=True)[:12]
    desk.write("first.csv", "".join(head)).run("import", "o.db", "first.csv", *FILES, "--json")
    assert desk.json["n_imported"] == 5
    assert uniform_value(desk, "o.db") == pytest.approx((30 + 30) / 5)
    desk.run("import", "o.db", "log.csv", *FILES, "--json")
    assert (desk.json["n_imported"], desk.json["n_repeated"]) == (1, 5)
    assert uniform_value(desk, "o.db") == pytest.approx(5.0)


def test_the_order_of_the_rows_does_not_matter(desk):
    """The same rows upside down give the same 5 a decision."""
    desk.take("event_rows_by_customer")
    head, *rows = (desk.folder / "log.csv").read_text().splitlines()
    desk.write("turned.csv", "\n".join([head, *reversed(rows)]) + "\n")
    assert uniform_value(desk, "turned.csv", *FILES) == pytest.approx(5.0)


def test_the_shared_file_has_its_known_values(desk):
    """500 decisions, 206 purchases of 10,171.86, 50 returned in full for 2,497.29: net 7,674.57, 15.34914 each, and
    156 that stay converted.
    """
    desk.take_shared("events_long.csv").take("event_rows")
    mapping = (desk.folder / "mapping.toml").read_text()
    for old, new in (("view", "shown"), ("order", "purchase"), ("what", "event"), ("euros", "amount")):
        mapping = mapping.replace(f'"{old}"', f'"{new}"')
    mapping = mapping.replace('decision_id = "shown"', 'decision_id = "decision"').replace("shopper", "customer")
    mapping = mapping.replace("money back", "return").replace(
        'banner = { column = "banner" }', 'o = { column = "offer" }'
    )
    catalogue = (desk.folder / "catalogue.toml").read_text().replace('"order"', '"purchase"')
    catalogue = catalogue.replace('"banner"', '"o"').replace('"sale"', '"a"').replace('"plain"', '"b"')
    desk.write("mapping.toml", mapping).write("catalogue.toml", catalogue)
    desk.run("import", "o.db", "events_long.csv", *FILES, "--json")
    assert desk.json["n_imported"] == 500
    assert desk.json["event_rows"]["joined"] == {"purchase": 206, "refund": 50}
    assert uniform_value(desk, "o.db") == pytest.approx(7_674.57 / 500)
    assert uniform_value(desk, "events_long.csv", *FILES) == pytest.approx(7_674.57 / 500)
    converts = (*FILES, "--objective", "conversion")
    assert uniform_value(desk, "events_long.csv", *converts) == pytest.approx(156 / 500)


def test_an_amount_that_cannot_be_read_takes_its_decision_along_and_is_said(desk):
    """Kind 5: an order of "30 euros" must not make its decision one without an order: the decision is refused."""
    desk.take("event_rows")
    log = (desk.folder / "log.csv").read_text().replace("ada,sale,30", "ada,sale,30 euros")
    desk.write("log.csv", log).run("import", "o.db", "log.csv", *FILES, "--json")
    refused = {each["line"]: each["reason"] for each in desk.json["refused"]}
    assert 'its "order" at line 4: "30 euros" in "euros" is not a finite number' in refused[2]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('["view", "order"]', '"seen"', 'no row has the event "seen" of [event_rows] decision in the column "what"'),
        (
            'event = "order"\nrevenue',
            'event = "buy"\nrevenue',
            '[[outcomes]] has the event "buy" and not "order", the event that converts',
        ),
        (
            'event = "order"\nrevenue',
            'event = "order"\nwhen = { column = "what", equals = "odrer" }\nrevenue',
            "no row is",
        ),
        ('decision_id = "view"', 'time = "at"\ndecision_id = "shopper"', 'has no column "at"'),
        ('decision = ["view", "order"]', 'decision = "view"\njoin = "customer"', "needs time under [columns]"),
        ('event = "what"', 'event = "waht"', 'has no column "waht"'),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(desk, old, new, said):
    """Each names what was seen and the key to correct, and nothing is imported."""
    desk.take("event_rows")
    mapping = (desk.folder / "mapping.toml").read_text()
    assert old in mapping
    desk.write("mapping.toml", mapping.replace(old, new)).run("import", "o.db", "log.csv", *FILES)
    assert desk.code == 2
    assert said in desk.err
    assert not (desk.folder / "o.db").exists()


def test_rows_with_one_decision_id_name_the_cure(desk):
    """Without [event_rows] the second row of a decision is refused with the key that reads it."""
    desk.take("event_rows")
    mapping = (desk.folder / "mapping.toml").read_text()
    wide = mapping.replace('[event_rows]\nevent = "what"\ndecision = ["view", "order"]\n', "")
    wide = wide.replace('event = "order"\n', 'event = "order"\nwhen = { column = "what", equals = "order" }\n')
    wide = wide.replace("returns = true", "")
    desk.write("mapping.toml", wide).run("import", "o.db", "log.csv", *FILES)
    assert "write [event_rows]" in " ".join(desk.out.split())


def test_a_frame_with_a_row_an_event_is_a_log(desk):
    """A purchase of 8 and one of 4 that was returned: 8 of 2 decisions, 4 each, without a file."""
    catalogue = Catalogue.from_dict(
        {
            "objective": {"kind": "revenue", "event": "buy", "window": "7d"},
            "dimensions": [{"name": "mail", "options": [{"name": "a"}, {"name": "b"}]}],
        }
    )
    mapping = LogMapping.from_dict(
        {
            "columns": {"decision_id": "d", "row_customer": True, "propensity": 0.5},
            "event_rows": {"event": "what", "decision": "sent"},
            "offer": {"mail": {"column": "mail"}},
            "outcomes": [{"event": "buy", "revenue": "eur"}, {"event": "back", "revenue": "eur"}],
        }
    )
    frame = {
        "what": ["sent", "buy", "sent", "buy", "back"],
        "d": ["1", "1", "2", "2", "2"],
        "mail": ["a", None, "b", None, None],
        "eur": [None, 8.0, None, 4.0, -4.0],
    }
    log = from_frame(frame, catalogue, mapping)
    (batch,) = log.batches()
    assert batch.reward.tolist() == [8.0, 0.0]
    assert batch.converted.tolist() == [True, False]
    assert log.report.event_rows is not None
    assert log.report.event_rows.n_rows == 5


def test_one_amount_for_all_conversions_can_stand_in_the_mapping(desk):
    """Kind 13: revenue = 10 pays 10 for each of two conversions among four rows: 5 a decision."""
    desk.take("event_rows").write("wide.csv", "who,banner,bought\na,sale,1\nb,plain,0\nc,sale,0\nd,plain,1\n")
    desk.write(
        "mapping.toml",
        '[columns]\ncustomer = "who"\npropensity = 0.5\n[offer]\nbanner = { column = "banner" }\n'
        '[[outcomes]]\nevent = "order"\nwhen = "bought"\nrevenue = 10\n',
    )
    assert uniform_value(desk, "wide.csv", *FILES) == pytest.approx(5.0)
    desk.run("import", "o.db", "wide.csv", *FILES)
    assert uniform_value(desk, "o.db") == pytest.approx(5.0)
