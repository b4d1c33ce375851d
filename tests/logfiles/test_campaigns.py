"""The real campaigns, where they are there: what is known of them comes out to six digits."""

from pathlib import Path

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.evaluate import evaluate
from bandit.logfiles import LogMapping, import_log
from bandit.policies import ConstantOffer, SegmentRules
from bandit.store import Store, StoreLog
from tests.conftest import DATA

FIXTURES = Path(__file__).parents[1] / "fixtures"

pytestmark = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="the real campaigns are not there"),
]


@pytest.fixture(scope="module")
def open_campaign(tmp_path_factory):
    """A function that imports a campaign once and returns (store, catalogue, report)."""
    stores = {}

    def opened(name, file):
        if name not in stores:
            catalogue = Catalogue.from_toml(FIXTURES / f"{name}_catalogue.toml")
            mapping = LogMapping.from_toml(FIXTURES / f"{name}_mapping.toml")
            store = Store.open(tmp_path_factory.mktemp(name) / "offers.db", durability="process")
            stores[name] = store, catalogue, import_log(store, catalogue, mapping, DATA / file)
        return stores[name]

    yield opened
    for store, _, _ in stores.values():
        store.close()


def with_objective(catalogue, **changed):
    plain = catalogue.to_dict()
    return Catalogue.from_dict(plain | {"objective": plain.get("objective", {}) | changed})


def everyone(catalogue):
    return {catalogue.label(offer): ConstantOffer(catalogue, offer) for offer in range(catalogue.n_offers)}


@pytest.mark.parametrize(
    ("objective", "wanted", "logged"),
    [
        ({"kind": "revenue"}, {"none": 0.652789, "mens": 1.422617, "womens": 1.077202}, 1.050908),
        ({"kind": "conversion"}, {"none": 0.005726, "mens": 0.012531, "womens": 0.008837}, 0.009031),
        (
            {"kind": "conversion", "event": "visit"},
            {"none": 0.106167, "mens": 0.182757, "womens": 0.151400},
            0.146781,
        ),
    ],
)
def test_hillstrom_means_of_sending_to_everyone(open_campaign, objective, wanted, logged):
    """Everybody has the same propensity, so snips is the mean of the arm."""
    store, catalogue, report = open_campaign("hillstrom", "hillstrom.csv.gz")
    assert (report.n_rows, report.n_imported, report.n_refused) == (64_000, 64_000, 0)
    target = with_objective(catalogue, **objective)
    result = evaluate(
        StoreLog(store, target),
        everyone(target),
        catalogue=target,
        rng=np.random.default_rng(1),
        estimators=("ips", "snips"),
    )
    assert round(result.realised_mean, 6) == logged
    assert {row.name: round(row.estimate("snips").value, 6) for row in result.rows} == wanted


def test_hillstrom_rule_ties_with_mens_to_everyone(open_campaign):
    """Women's buyers to the women's mail: a large claimed win would be a red flag."""
    store, catalogue, _ = open_campaign("hillstrom", "hillstrom.csv.gz")
    rules = SegmentRules.from_dict(
        catalogue,
        {"segments": [{"when": "womens and not mens", "offer": {"email": "womens"}}], "otherwise": {"email": "mens"}},
    )
    mens = ConstantOffer(catalogue, {"email": "mens"}, name="mens to all")
    result = evaluate(
        StoreLog(store, catalogue),
        [rules, mens],
        mens,
        catalogue=catalogue,
        rng=np.random.default_rng(1),
        estimators=("snips", "ips"),
    )
    difference = result.row("segment rules").against_baseline("snips")
    assert difference.low < 0 < difference.high


def test_matching_gift_has_37_offers_and_the_two_blank_amounts_are_refused(open_campaign):
    """With 734 of 33,394 gifts left after the two refusals (736 of 33,396 before)."""
    store, catalogue, report = open_campaign("matching_gift", "matching_gift.csv.gz")
    assert catalogue.n_offers == 37
    assert [refusal.line for refusal in report.refused] == [21_996, 42_330]
    assert report.by_reason == {'"amount" is blank where "gave" happened': 2}
    batch = next(StoreLog(store, catalogue).batches(100_000))
    assert np.unique(batch.offer).size == 37
    none = catalogue.offer_index({"match_ratio": "none", "match_size": "none", "ask": "none"})
    assert round(batch.converted[batch.offer == none].mean(), 6) == 0.017858
    assert batch.converted[batch.offer != none].sum() == 734
    assert np.unique(batch.propensity).tolist() == pytest.approx([1 / 54, 1 / 3])


def test_matching_gift_without_its_amounts_keeps_every_row(tmp_path):
    catalogue = Catalogue.from_toml(FIXTURES / "matching_gift_catalogue.toml")
    mapping = LogMapping.from_toml(FIXTURES / "matching_gift_mapping.toml")
    plain = LogMapping.from_dict(
        {
            "columns": {"row_customer": True, "propensity": "propensity"},
            "offer": {name: {"column": name} for name in catalogue.dimension_names},
            "outcomes": [{"event": "gave", "when": "gave"}],
        }
    )
    assert mapping.file.propensity
    with Store.open(tmp_path / "offers.db", durability="process") as store:
        report = import_log(store, catalogue, plain, DATA / "matching_gift.csv.gz")
        batch = next(StoreLog(store, catalogue).batches(100_000))
    assert (report.n_imported, report.n_refused) == (50_083, 0)
    with_match = batch.propensity < 0.1
    assert round(batch.converted[~with_match].mean(), 6) == 0.017858
    assert round(batch.converted[with_match].mean(), 6) == 0.022039


def test_starbucks_has_eleven_offers_and_its_best_fixed_one_earns_24_70(open_campaign):
    store, catalogue, report = open_campaign("starbucks", "starbucks_decisions.csv.gz")
    assert (report.n_imported, report.n_refused, catalogue.n_offers) == (102_000, 0, 11)
    assert store.counts().customers == 17_000
    result = evaluate(
        StoreLog(store, catalogue),
        everyone(catalogue),
        catalogue=catalogue,
        rng=np.random.default_rng(1),
        estimators=("snips",),
    )
    values = {row.name: row.estimate("snips").value for row in result.rows}
    assert round(values["none · none · 0"], 2) == 11.20
    assert round(max(values.values()), 2) == 24.70
    assert result.customers == 17_000
