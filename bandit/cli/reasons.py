"""The commands that give reasons: why, importance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit.cli.console import note, progress, show, show_json
from bandit.cli.options import (
    AsJson,
    CatalogueFile,
    Cluster,
    Database,
    Event,
    Level,
    LogOptions,
    MappingFile,
    Objective,
    PolicyId,
    Window,
    WrittenBy,
)
from bandit.errors import InputError

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.cli.logs import Opened
    from bandit.policies import ThompsonSampling
    from bandit.store import Store


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


def importance(
    db: Database,
    catalogue: CatalogueFile = None,
    mapping: MappingFile = None,
    policy_id: PolicyId = None,
    objective: Objective = None,
    event: Event = None,
    window: Window = None,
    written_by: WrittenBy = None,
    cluster: Cluster = None,
    level: Level = 0.95,
    as_json: AsJson = False,
) -> None:
    """Say which facts and options matter over a log, and what each is worth in money.

    By the model of rewards that Thompson sampling has learned: that of --policy-id or of the live policy, or a new one
    fitted to the log where the database has none. What a fact is worth is what a policy that does not see it would
    earn less; an option, what a policy that may not use it would. Beside it stands how much of the variation between
    customers each fact accounts for: in how offers compare (the choice), and whatever the offer (the level).

    DB can also be a log file (Parquet, CSV, dsjson), with --catalogue and, unless it is an export, --mapping, or a
    dataset that `export --partitions` wrote.
    """
    from bandit.cli.logs import left_out_json, opened, unused
    from bandit.explain import importance_of
    from bandit.ope.estimate import check_level
    from bandit.report.importance import importance_headline, importance_lines, importance_tables
    from bandit.report.reason_tables import REASON_WIDTH

    check_level(level)
    options = LogOptions(db, catalogue, mapping, objective, event, window, written_by, cluster)
    with opened(options, "learn from") as found:
        policy, source = _learned_policy(found, policy_id, cluster)
        with progress("comparing") as report:
            result = importance_of(found.log, policy, level=level, progress=report)
        if as_json:
            show_json(result.to_dict() | {"model": source} | left_out_json(found.log))
            return
        lines = [*importance_lines(result), source, *unused(found.log)]
        show([], [importance_headline(result), ""], width=REASON_WIDTH)
        show(importance_tables(result), lines, width=REASON_WIDTH)


def _learned_policy(found: Opened, policy_id: int | None, cluster: str | None) -> tuple[ThompsonSampling, str]:
    """Return Thompson sampling that has learned, and where the model is from; InputError for another policy."""
    from bandit.cli.clusters import part_runner
    from bandit.policies import ThompsonSampling

    if policy_id is not None and found.store is None:
        raise InputError("--policy-id names a policy of a database; a log file has none, so a model is fitted to it")
    stored = None if found.store is None else _stored_policy(found.store, found.catalogue, policy_id)
    if stored is not None:
        return stored
    policy = ThompsonSampling(found.catalogue)
    with part_runner(found.log, cluster) as runner, progress("fitting a model") as report:
        policy.fit(found.log, report, runner)
    return policy, "The model was fitted to this log."


def _stored_policy(store: Store, catalogue: Catalogue, policy_id: int | None) -> tuple[ThompsonSampling, str] | None:
    """Return the policy asked for, or the live one if it is Thompson sampling that has learned; None without one."""
    from bandit.engine.default_policy import default_policy
    from bandit.learning import StateWalk
    from bandit.policies import ThompsonSampling

    rows = {row.id: row for row in store.catalogues.policies()}
    number = policy_id or default_policy(store) or max(rows, default=None)
    if policy_id is not None and policy_id not in rows:
        known = ", ".join(map(str, rows)) or "none"
        raise InputError(f"{store.path}: there is no policy {policy_id}; known are {known}")
    if number is None:
        return None
    kind = str(rows[number].spec.get("kind"))
    same = store.catalogues.get(rows[number].catalogue_id).version == catalogue.version
    if policy_id is not None and (kind != "thompson" or not same):
        what = f'is of kind "{kind}"' if kind != "thompson" else "is of another catalogue or objective"
        raise InputError(
            f"{store.path}: policy {number} {what}, so its model cannot be asked; leave --policy-id out to fit one"
        )
    if kind != "thompson" or not same:
        return None
    latest = store.ledger.latest_step(number) or 0
    walk = StateWalk(store, number)
    walk.skip_to_snapshot(latest)
    policy = walk.move_to(latest)
    if not isinstance(policy, ThompsonSampling) or not policy.posterior(catalogue.contexts([{}])).n_learned:
        return None
    return policy, f"The model is that of policy {number} after {latest:,} steps of learning."
