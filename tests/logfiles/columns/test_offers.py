"""Offers and propensities are read as the mapping says."""

from tests.logfiles.import_tools import (
    bring,
    columns_of,
    mapping,
    read_back,
    row,
    spring,
    table,
)


def test_propensities_may_depend_on_the_offer(tmp_path):
    """The first entry that covers an offer counts; what no entry covers is refused."""
    shares = [
        {"offer": {"discount": "0", "gift": "none"}, "value": "1/3"},
        {"offer": {"discount": "0"}, "value": 0.125},
        {"offer": {"discount": "10"}, "value": "1 / 54"},
    ]
    columns = {"customer": "who", "decision_id": "id"}
    rows = [row(id="a", disc="0", gift="none"), row(id="b", disc="0"), row(id="c"), row(id="d", disc="20", gift="none")]
    report = bring(tmp_path, table(*rows), using=mapping(columns=columns, propensity=shares))
    assert columns_of(tmp_path).propensity.tolist() == [1 / 3, 0.125, 1 / 54]
    assert report.refused[0].reason == "no entry of [[propensity]] covers the offer 20 · email · none"


def test_whole_offers_may_be_looked_up_and_options_renamed(tmp_path):
    offers = {"column": "disc", "lookup": {"Mail | 10 %": {"discount": "10", "channel": "email", "gift": "none"}}}
    report = bring(tmp_path, table(row(id="a", disc="Mail | 10 %"), row(id="b")), using=mapping(offer=offers))
    assert report.refused[0].reason == '"10" in "disc" is no offer of [offer.lookup], which has Mail | 10 %'
    renamed = {"discount": {"column": "disc", "map": {"ten": "10"}}, "channel": "sms", "gift": "none"}
    bring(tmp_path, table(row(id="c", disc="ten"), row(id="d", disc="20")), using=mapping(offer=renamed))
    batch = read_back(tmp_path)
    labels = [spring().label(offer) for offer in batch.offer.tolist()]
    assert labels == ["10 · email · none", "10 · sms · none", "20 · sms · none"]
