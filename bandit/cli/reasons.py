"""The commands that give reasons: why, importance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandit.cli.console import note, progress, show, show_json
from bandit.cli.options import AsJson, Database, Level
from bandit.errors import InputError


def why(
    db: Database,
    decision_id: Annotated[
        str | None, typer.Argument(metavar="[DECISION_ID]", help="The decision's id, as `decide` returned it.")
    ] = None,
    customer: Annotated[
        str | None,
        typer.Option("--customer", metavar="NAME", help="List the last decisions of this customer with their ids."),
    ] = None,
    last: Annotated[int, typer.Option("--last", min=1, metavar="N", help="How many decisions to list.")] = 10,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write the explanation to one HTML file (extra [report])."),
    ] = None,
    level: Level = 0.95,
    as_json: AsJson = False,
) -> None:
    """Say why a customer was given an offer.

    What was eligible and which rule removed what; what served the customer (policy, segment rules, a group, the
    fallback); the chosen offer beside the runner-up, each with its expected value, P(convert) and revenue, and
    credible intervals of the policy's belief at that moment; which facts moved it, by contributions that sum exactly;
    and whether it was chosen to explore, with which probability. The policy's state is computed again as `verify`
    does, which takes a moment for an old decision. What cannot be known is said: of imported decisions, and of those
    made with a state that an erasure or a retention run has deleted.

    With --customer NAME in place of an id, the customer's last decisions are listed with their ids.
    """
    if (decision_id is None) == (customer is None):
        raise InputError("give either the id of a decision, or --customer NAME to list those of a customer")
    if customer is not None:
        if html is not None:
            raise InputError("--html explains one decision; give its id (--customer NAME lists them)")
        _list_decisions(db, customer, last, as_json=as_json)
        return
    from bandit.cli.databases import reading_without_key
    from bandit.explain import explain_decision
    from bandit.report.reason_tables import REASON_WIDTH, reason_tables
    from bandit.report.reasons import reason_view

    with reading_without_key(db) as store, progress("computing the decision again") as report:
        explanation = explain_decision(store, str(decision_id), level=level, progress=report)
    if html is not None:
        from bandit.report.reasons_html import write_reasons_html

        write_reasons_html(html, reason_view(explanation))
        note(f"Written to {html}: the reasons of decision {decision_id}.")
    if as_json:
        show_json(explanation.to_dict())
    elif html is None:
        show(reason_tables(reason_view(explanation)), width=REASON_WIDTH)


def _list_decisions(db: Path, customer: str, last: int, *, as_json: bool) -> None:
    from bandit.cli.databases import reading
    from bandit.explain import customer_decisions
    from bandit.report.reason_tables import REASON_WIDTH, customer_table

    with reading(db) as store:
        found = customer_decisions(store, customer, last)
    if as_json:
        show_json(found.to_dict())
        return
    lines = ["", f"To explain one: offer-bandit why {db} DECISION_ID"]
    show(customer_table(found, customer), lines, width=REASON_WIDTH)
