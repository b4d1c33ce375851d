"""The eligible offers of imported decisions are those that the rules leave."""

from bandit.store import Store
from tests.logfiles.import_tools import (
    bring,
    read_back,
    row,
    spring,
    table,
)

DAY = 86_400_000_000


def test_eligible_offers_are_those_that_the_rules_leave(tmp_path):
    """Four of ten offers have the tote (two with 0, two with 10), and guests do not get it."""
    bring(tmp_path, table(row(id="a"), row(id="b", club="0", gift="none")))
    assert read_back(tmp_path).eligible.sum(axis=1).tolist() == [10, 6]
    with Store.open(tmp_path / "offers.db") as store:
        page = store.decisions.page("purchase", 7 * DAY)
        assert store.eligible_sets.removals(int(page.eligible_set_id[1])) == '[{"rule":2,"reason":"for the loyal"}]'


def test_the_fallback_is_eligible_where_nothing_else_is(tmp_path):
    """Nobody under 1 gets anything: there the fallback is served, as the engine does; all else was before this rule.

    The 10 % of b are imported under a version without the rule, and are none of the decisions of the catalogue.
    """
    every = {"when": "recency < 1", "forbid": {"channel": ["email", "sms"]}, "reason": "too soon"}
    catalogue = spring(rules=[every])
    soon = {"rec": "0.5", "gift": "none"}
    rows = [row(id="a", disc="0", **soon), row(id="b", **soon), row(id="c", disc="0", gift="none")]
    report = bring(tmp_path, table(*rows), catalogue=catalogue)
    assert (report.n_imported, report.refused) == (3, ())
    assert [(each.words, each.n) for each in report.outside] == [("removed by rule 1 (too soon)", 1)]
    assert read_back(tmp_path, catalogue).eligible.sum(axis=1).tolist() == [1, 12]
