"""Event exports of common tools, imported by the mappings that ship, and other JSON."""

import gzip
import json

import pytest

from bandit.catalogue import Catalogue
from bandit.logfiles import open_log, shipped_mapping

SEGMENT = ("--catalogue", "catalogue.toml", "--mapping", "segment")


def earned(desk, log, name):
    """The rewards of a log read by a mapping that ships, by customer."""
    catalogue = Catalogue.from_toml(desk.folder / "catalogue.toml")
    (batch,) = open_log(
        desk.folder / log, catalogue, shipped_mapping(name, desk.folder / log, catalogue).mapping
    ).batches()
    return dict(zip(batch.contexts.customers.tolist(), batch.reward.tolist(), strict=True))


def realised(desk, log, name):
    """The value per decision of the log, by `evaluate`; the propensities are unknown and estimated."""
    desk.run("evaluate", log, "--catalogue", "catalogue.toml", "--mapping", name, "--policy", "uniform", "--json")
    assert desk.code == 0, desk.err
    return desk.json["realised"]["value"]


@pytest.mark.parametrize("name", ["segment", "rudderstack"])
def test_track_calls_with_coupons_and_refunds_are_a_log(desk, name):
    """u1 buys for 30 (the call came twice under one messageId: once), u2 nothing, u3 for 50 of which 20 are refunded:
    30, u4 for 20, and the refund names the order alone: all of it, 0. 60 of 4 promotions shown: 15 each. "Product
    Viewed" and the identify call, which has no event, are named and count for nothing.
    """
    desk.take("segment")
    assert earned(desk, "events.jsonl", name) == {"u1": 30.0, "u2": 0.0, "u3": 30.0, "u4": 0.0}
    assert realised(desk, "events.jsonl", name) == pytest.approx(15.0)
    desk.run("import", "o.db", "events.jsonl", "--catalogue", "catalogue.toml", "--mapping", name, "--json")
    rows = desk.json["event_rows"]
    assert (desk.json["n_imported"], rows["joined"], rows["n_repeated"]) == (4, {"purchase": 3, "return": 2}, 1)
    assert rows["other"] == {"Product Viewed": 1, "(blank)": 1}
    said = " ".join(desk.err.split())
    assert 'takes "Promotion Viewed" for the decisions, options: "promotion" from properties.promotion_id' in said
    assert "amounts: purchase from properties.revenue, return from properties.total; propensities: unknown" in said
    desk.run("results", "o.db", "--json")
    assert desk.code == 0, desk.err


def test_a_rate_of_the_catalogue_is_taken_off_the_amount_before_the_discount(desk):
    """Profit at margin .5, ten_off has the rate .1: u1's subtotal 27 + discount 3 = 30 earns 30 x (.5 - .1) = 12;
    u3's 45 + 5 - 20 = 30 earns 12, too. From the amount after the discount it would be 10.8: taken off twice.
    """
    desk.take("segment")
    text = (desk.folder / "catalogue.toml").read_text().replace('"revenue"', '"profit"\nmargin = 0.5')
    desk.write("catalogue.toml", text.replace('{ name = "ten_off" }', '{ name = "ten_off", rate = 0.1 }'))
    assert earned(desk, "events.jsonl", "segment") == pytest.approx({"u1": 12.0, "u2": 0.0, "u3": 12.0, "u4": 0.0})
    desk.run("import", "o.db", "events.jsonl", *SEGMENT)
    assert "purchase from properties.subtotal + properties.discount" in " ".join(desk.err.split())


def test_a_partial_refund_without_an_amount_is_refused(desk):
    """A refund that names a product and no amount need not be of all: its decision is refused, with the line."""
    desk.take("segment")
    text = (desk.folder / "events.jsonl").read_text()
    partial = text.replace(
        '{"order_id": "o3"}}', '{"order_id": "o3", "products": [{"product_id": "p9", "quantity": 1}]}}'
    )
    desk.write("events.jsonl", partial).run("import", "o.db", "events.jsonl", *SEGMENT, "--json")
    (refused,) = desk.json["refused"]
    assert refused["line"] == 9
    assert (
        'its "return" at line 11: it says by "properties.products.0.product_id" what was returned' in refused["reason"]
    )


def test_braze_events_are_a_log(desk):
    """x1's mail (sent, then delivered: one decision) earns shoes and socks, 80 + 10; x2's purchase is four days after
    it, outside three days; x3 buys nothing. 90 of 3 mails delivered: 30 each. Times are seconds since 1970.
    """
    desk.take("braze")
    assert earned(desk, "events.jsonl", "braze") == {"x1": 90.0, "x2": 0.0, "x3": 0.0}
    assert realised(desk, "events.jsonl", "braze") == pytest.approx(30.0)
    note = " ".join(desk.err.split())
    assert '1 row of "purchase" counts for nothing, the first at line 7: their customer has no decision' in note
    desk.run("import", "o.db", "events.jsonl", "--catalogue", "catalogue.toml", "--mapping", "braze")
    desk.run("evaluate", "o.db", "--policy", "uniform", "--json")
    assert desk.json["realised"]["value"] == pytest.approx(30.0)


def test_pages_of_klaviyo_are_a_log(desk):
    """P1's mail earns 30 - 12 refunded for order 1002 = 18; P2 buys at 10:00+02:00, 08:00 UTC, when the mail came:
    64.50; P3 nothing. The metrics' names stand in what the page includes.
    """
    desk.take("klaviyo")
    assert earned(desk, "events.json", "klaviyo") == {"P1": 18.0, "P2": 64.5, "P3": 0.0}


def test_the_fitted_mapping_can_be_printed_kept_and_used(desk):
    """`mappings segment LOG --catalogue` prints the mapping by which the same log earns the same 15 a decision."""
    desk.take("segment").run("mappings", "segment", "events.jsonl", "--catalogue", "catalogue.toml")
    assert desk.code == 0, desk.err
    desk.write("mine.toml", desk.out)
    assert realised(desk, "events.jsonl", "mine.toml") == pytest.approx(15.0)
    desk.run("mappings")
    assert all(f"{name}: " in desk.out for name in ("braze", "klaviyo", "rudderstack", "segment"))
    desk.run("mappings", "klaviyo")
    assert 'events = ["Placed Order"]' in desk.out


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Viewed", "Seen", 'finds no decision, such as "Promotion Viewed": the events in "event" are'),
        ("Order Completed", "Bought", 'finds no purchase, such as "Order Completed": the events in "event" are'),
        ('"promotion_id"', '"banner"', 'finds no option of "promotion" (free_shipping, ten_off) in the decisions'),
        ('"timestamp"', '"when"', "finds no time: no row has"),
        ("ten_off", "ten", "of decisions"),
    ],
)
def test_what_an_export_does_not_have_is_refused_by_name(desk, old, new, said):
    """One sentence with what was looked for, what is there, and how to write a mapping of one's own."""
    desk.take("segment")
    text = (desk.folder / "events.jsonl").read_text().replace(old, new)
    desk.write("events.jsonl", text).run("import", "o.db", "events.jsonl", *SEGMENT)
    if said == "of decisions":
        assert "no policy of the catalogue can choose (promotion ten)" in " ".join(desk.out.split())
        return
    assert desk.code == 2
    assert said in desk.err
    assert "`offer-bandit mappings segment`" in desk.err


def test_unknown_names_of_mappings_are_refused(desk):
    """A name that ships nothing is named, with those that there are."""
    desk.take("segment").run("mappings", "segmnt")
    assert (desk.code, "braze, klaviyo, rudderstack, segment" in desk.err) == (2, True)
    desk.run("mappings", "segment", "events.jsonl")
    assert (desk.code, "give both" in desk.err) == (2, True)
    desk.run("import", "o.db", "events.jsonl", "--catalogue", "catalogue.toml", "--mapping", "segmnt")
    assert desk.code == 2
    assert 'did you mean "segment"?' in desk.err


MAPPING = """optional = []
[columns]
customer = "who.id"
time = "at"
propensity = 0.5
[event_rows]
event = "event.name"
decision = "shown"
[offer]
banner = { column = "cards.0.banner" }
[[outcomes]]
event = "order"
revenue = "money.eur"
"""


@pytest.mark.parametrize("form", ["lines", "gzip", "list", "page"])
def test_json_of_any_form_is_read_by_paths(desk, form):
    """ada sees the sale and buys for 7, bob sees plain: 3.5 a decision, as lines, gzipped lines, a list or a page; a
    misspelt path is named with the nearest one.
    """
    rows = [
        {"event": {"name": "shown"}, "who": {"id": "ada"}, "at": "2026-01-01T10:00:00Z", "cards": [{"banner": "sale"}]},
        {
            "event": {"name": "shown"},
            "who": {"id": "bob"},
            "at": "2026-01-01T11:00:00Z",
            "cards": [{"banner": "plain"}],
        },
        {"event": {"name": "order"}, "who": {"id": "ada"}, "at": "2026-01-02T10:00:00Z", "money": {"eur": 7}},
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    texts = {"list": json.dumps(rows, indent=2), "page": json.dumps({"data": rows, "next": None}, indent=2)}
    desk.take("event_rows").write("mapping.toml", MAPPING).write("log.json", texts.get(form, lines))
    if form == "gzip":
        (desk.folder / "log.json").write_bytes(gzip.compress(lines.encode()))
    files = ("--catalogue", "catalogue.toml", "--mapping", "mapping.toml")
    desk.run("evaluate", "log.json", *files, "--policy", "uniform", "--json")
    assert desk.code == 0, desk.err
    assert desk.json["realised"]["value"] == pytest.approx(3.5)
    desk.write("mapping.toml", MAPPING.replace("money.eur", "money.euro"))
    desk.run("evaluate", "log.json", *files, "--policy", "uniform")
    assert desk.code == 2
    assert 'none of the 3 rows has "money.euro"; did you mean "money.eur"?' in desk.err
    desk.write("mapping.toml", MAPPING.replace("cards.0.banner", "cards.0.baner"))
    desk.run("evaluate", "log.json", *files, "--policy", "uniform")
    assert (desk.code, '"cards.0.baner"; did you mean "cards.banner"?' in desk.err) == (2, True)
