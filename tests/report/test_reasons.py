"""Explanations in words: every kind says its one sentence, nothing is wider than 80 columns, and names stay names."""

import html
import io
import re

import numpy as np
import pytest
from rich.console import Console

import bandit
from bandit.explain import customer_decisions
from bandit.report.reason_tables import customer_table, reason_tables
from bandit.report.reasons import reason_view
from bandit.report.reasons_html import reasons_html
from tests.conftest import SPRING
from tests.engine.conftest import DAY, KEY, Clock, context, serve

HOSTILE = ('<script>alert("x")</script>', "[red]a[/red]", "\x1b[31mb", "{{ 7 * 7 }}", "a&b'c\"d", "\u202eevil", "[/]")


def said(tables):
    out = io.StringIO()
    console = Console(file=out, width=80, highlight=False)
    for table in tables:
        console.print(table)
    return out.getvalue()


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    """An explanation of a decision under a catalogue, a policy, facts, a customer and an id with hostile names."""
    script, markup, colour, braces, quotes, turned, closing = HOSTILE
    catalogue = bandit.Catalogue.from_dict(
        {
            "name": script,
            "currency": "<b>",
            "objective": {"kind": "profit", "event": markup, "window": "7d", "margin": 0.4},
            "context": {
                "kind": {"type": "categorical", "values": [script, quotes, turned]},
                "age": {"type": "numeric"},
            },
            "dimensions": [
                {"name": markup, "options": [{"name": script}, {"name": colour, "rate": 0.1}]},
                {"name": quotes, "options": [{"name": closing}, {"name": braces}]},
            ],
            "rules": [{"forbid": {markup: [colour], quotes: [closing]}, "reason": script}],
        }
    )
    path = tmp_path_factory.mktemp("names") / "o.db"
    clock = Clock()
    policy = bandit.ThompsonSampling(catalogue, name=script)
    with bandit.Engine.open(path, catalogue, policy, seed=1, customer_key=KEY, clock=clock) as engine:
        facts = [{"kind": (script, quotes, turned)[row % 3], "age": float(row)} for row in range(60)]
        batch = engine.decide_batch([f"{quotes}{row}" for row in range(60)], facts)
        engine.record_batch(batch.decision_ids[::3], markup, revenue=np.full(20, 30.0))
        clock.now += 8 * DAY
        engine.learn()
        found = engine.decide(colour, facts[2], decision_id=script).explain()
        listed = customer_decisions(engine.store, colour)
    return found, listed


def test_hostile_names_are_only_text_on_a_terminal(explained):
    found, listed = explained
    for text in (said(reason_tables(reason_view(found))), said(customer_table(listed, HOSTILE[2]))):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert max(map(len, text.splitlines())) <= 80
    assert "[red]a[/red]" in said(reason_tables(reason_view(found)))


def test_hostile_names_are_only_text_in_html(explained):
    page = reasons_html(reason_view(explained[0]))
    assert "<script" not in page
    assert "\x1b" not in page
    assert "{{ 7 * 7 }}" in page
    assert html.escape(HOSTILE[0]) in page.replace("&#34;", "&quot;")


def test_the_page_needs_no_network_and_is_whole(explained):
    page = reasons_html(reason_view(explained[0]))
    assert not re.search(r"(src|href)\s*=|url\(|@import|https?:", page)
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")


class TestSentences:
    @pytest.fixture
    def engine(self, tmp_path, catalogue):
        clock = Clock()
        with bandit.Engine.open(
            tmp_path / "o.db", catalogue, bandit.ThompsonSampling(catalogue), seed=7, customer_key=KEY, clock=clock
        ) as opened:
            serve(opened, clock, 200, np.random.default_rng(1))
            clock.now += 8 * DAY
            opened.learn()
            yield opened

    def test_the_best_and_an_explored_offer_say_which_they_are(self, engine):
        seen = set()
        for number in range(30):
            found = engine.decide(f"new-{number}", context(number)).explain()
            text = " ".join(said(reason_tables(reason_view(found))).split())
            best = found.chance.is_best
            assert ("because it has the highest expected profit" in text) == best
            assert ("was chosen to explore" in text) == (not best)
            assert ("The best offer would have been drawn with" in text) == (not best)
            assert "Computed again from the log it is the same." in text
            assert "for the loyal" in text or number % 3 == 0
            seen.add(best)
            if len(seen) == 2:
                break
        assert seen == {True, False}

    def test_the_shown_parts_add_up_to_the_shown_lead(self, engine):
        """Each number is rounded to .01 or .001: their sum is the last row up to half a digit a row."""
        found = engine.decide("new", context(3)).explain()
        *parts, total = [float(row.number) for row in reason_view(found).reasons]
        assert sum(parts) == pytest.approx(total, abs=0.006 * (len(parts) + 1))
        assert total == pytest.approx(found.lead.reward.value, abs=0.006)

    def test_the_table_says_what_the_record_does(self, engine):
        found = engine.decide("new", context(3)).explain()
        rows = {row[0]: row[1:] for row in reason_view(found).offers}
        assert rows["offer"] == tuple(each.label for each in found.offers)
        assert rows["P(purchase)"][0].startswith(f"{100 * found.offers[0].p_convert.value:.3g}%")
        assert "expected profit, EUR" in rows
        assert found.to_rows()[1]["role"] == found.offers[1].role
        assert found._repr_html_().startswith("<p>decision ")


def test_a_fact_that_counts_by_its_rank_says_so(tmp_path):
    """recency is declared with its ranks; gender, of which nothing is transformed, is the control."""
    plain = {**SPRING, "context": {**SPRING["context"], "recency": {"type": "numeric", "transform": "rank"}}}
    catalogue, clock = bandit.Catalogue.from_dict(plain), Clock()
    options = {"seed": 7, "customer_key": KEY, "clock": clock, "durability": "process"}
    with bandit.Engine.open(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue), **options) as engine:
        serve(engine, clock, 200, np.random.default_rng(1))
        clock.now += 8 * DAY
        engine.learn()
        found = engine.decide("customer-3", context(3)).explain()
    facts = {each.fact: each.transform for each in found.lead.facts}
    assert facts["recency"] == "rank"
    assert facts["gender"] == ""
    remarks = {row.words.partition(" ")[0]: row.remark for row in reason_view(found).reasons}
    assert remarks["recency"].endswith(", by its rank")
    assert "by its" not in remarks["gender"]
    assert sum(each.worth for each in found.lead.facts) == pytest.approx(found.lead.reward.value - found.lead.base)
