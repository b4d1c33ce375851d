"""One decision, and the report of a learning run, as tables and as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
from rich.markup import escape
from rich.table import Table

from bandit.report.numbers import count
from bandit.tabular import RowTable

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import Decision, FloatArray
    from bandit.learning import LearnReport
    from bandit.tabular import Cell


def decision_json(
    decision: Decision, catalogue: Catalogue, predicted: FloatArray | None, top: int
) -> dict[str, object]:
    """Return plain JSON values; `predicted` is the (N,) expected reward of the offers, or None."""
    return {
        "decision_id": decision.decision_id,
        "customer": decision.customer,
        "offer": dict(decision.offer),
        "propensity": decision.propensity,
        "time": decision.time,
        "group": decision.group,
        "fault": decision.fault,
        "logged": decision.logged,
        "held_from": decision.held_from,
        "arm": decision.arm,
        "n_eligible": int(decision.eligible.sum()),
        "top": [
            {
                "offer": catalogue.offer(index),
                "probability": float(decision.probabilities[index]),
                "predicted_value": None if predicted is None else float(predicted[index]),
            }
            for index in _top(decision, top)
        ],
        "removed": [
            {
                "rule": removal.rule,
                "reason": removal.reason,
                "n_offers": len(removal.offers),
                "n_combinations": removal.combinations,
            }
            for removal in decision.reasons
        ],
    }


def decision_rows(decision: Decision, catalogue: Catalogue, predicted: FloatArray | None, top: int) -> RowTable:
    """Return one row for the chosen offer and for each of the `top` most probable ones."""
    chosen = dict(decision.offer)
    head: dict[str, Cell] = {"decision_id": decision.decision_id, "customer": decision.customer}
    rows = [head | {"chosen": True, **chosen, "probability": decision.propensity, "predicted_value": None}]
    for index in _top(decision, top):
        offer = catalogue.offer(index)
        value = None if predicted is None else float(predicted[index])
        if offer == chosen:
            rows[0]["predicted_value"] = value
            continue
        numbers = {"probability": float(decision.probabilities[index]), "predicted_value": value}
        rows.append(head | {"chosen": False, **offer, **numbers})
    return RowTable(tuple(rows))


def decision_tables(
    decision: Decision, catalogue: Catalogue, predicted: FloatArray | None, unit: str, top: int
) -> list[Table]:
    """Return tables of the chosen offer, the most probable offers, and the offers removed by rules."""
    chosen = Table(title=f'offer for "{escape(decision.customer)}"', title_justify="left", show_header=False)
    chosen.add_column()
    chosen.add_column(overflow="fold")
    for dimension, option in decision.offer.items():
        chosen.add_row(escape(dimension), escape(option))
    chosen.add_section()
    if catalogue.groups is not None:
        chosen.add_row("group", escape(decision.group))
    if decision.arm is not None:
        chosen.add_row("served by", escape(decision.arm))
    what = "propensity" if decision.arm is None else "propensity of the roll-out"
    chosen.add_row(what, f"{decision.propensity:.4f}")
    chosen.add_row("decision id", escape(decision.decision_id))
    if decision.held_from is not None:
        chosen.add_row("held from decision", escape(decision.held_from))
    if decision.fault is not None:
        chosen.add_row("fallback served", escape(decision.fault))
    tables = [chosen]
    best = _top(decision, top)
    if best:
        eligible = int(decision.eligible.sum())
        table = Table(title=f"most probable of {count(eligible)} eligible offers", title_justify="left")
        table.add_column("offer", overflow="fold")
        table.add_column("probability", justify="right")
        if predicted is not None:
            table.add_column(f"predicted {unit}", justify="right")
        for index in best:
            value = [] if predicted is None else [f"{predicted[index]:,.4g}"]
            table.add_row(escape(catalogue.label(index)), f"{decision.probabilities[index]:.4f}", *value)
        tables.append(table)
    if decision.reasons:
        removed = Table(title="removed by the catalogue's rules", title_justify="left")
        removed.add_column("rule", justify="right")
        removed.add_column("reason", overflow="fold")
        removed.add_column("offers", justify="right")
        for removal in decision.reasons:
            never = removal.combinations
            offers = f"{count(never)} never offered" if never else count(len(removal.offers))
            removed.add_row(str(removal.rule), escape(removal.reason), offers)
        tables.append(removed)
    return tables


def learned_table(learned: LearnReport, policy: str) -> Table:
    """Return what one learning run did."""
    table = Table(title=f"learned by {escape(policy)}", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    words = {
        "n": "outcomes learned",
        "n_restated": "of these updates",
        "n_skipped": "skipped (offer not in this catalogue)",
        "n_uncounted": "with an event that does not count",
        "step": "steps so far",
    }
    numbers = asdict(learned)
    for key, said in words.items():
        if key == "n_uncounted" and not numbers[key]:
            continue
        table.add_row(said, count(numbers[key]))
    return table


def _top(decision: Decision, top: int) -> list[int]:
    """Return the most probable offers; empty for a repeated decision, whose probabilities are not stored."""
    if math.isnan(float(decision.probabilities.sum())):
        return []
    order = np.argsort(-decision.probabilities, kind="stable")[:top]
    return [index for index in order.tolist() if decision.probabilities[index] > 0]
