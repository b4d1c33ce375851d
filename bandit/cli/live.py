"""The commands of live use: decide, record, learn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit.cli.console import note, output_format, progress, show, show_json, show_plain
from bandit.cli.options import AsJson, CatalogueFile, Database, Format, OnePolicy, PolicyId
from bandit.errors import InputError, NumberError

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import FloatArray, IntArray
    from bandit.engine import Engine


EngineSeed = Annotated[
    int | None, typer.Option("--seed", min=0, help="Seed of the draw: with the same decision id, the same offer.")
]
Moment = Annotated[
    str | None, typer.Option("--time", metavar="ISO", help="Time of the decision or event; default: now.")
]


def decide(
    db: Database,
    customer: Annotated[
        str, typer.Argument(metavar="CUSTOMER", help="The customer's key; with --out, the file of an audience.")
    ],
    context: Annotated[
        str | None, typer.Option(metavar="JSON", help="The facts of the context, as a JSON object.")
    ] = None,
    fact: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="One fact of the context; can be repeated.")
    ] = None,
    policy: OnePolicy = None,
    policy_id: PolicyId = None,
    catalogue: CatalogueFile = None,
    decision_id: Annotated[
        str | None,
        typer.Option(
            "--decision-id", metavar="ID", help="Your own id: repeating the command with it returns the same decision."
        ),
    ] = None,
    time: Moment = None,
    group: Annotated[
        str | None,
        typer.Option(help="The group to decide for; default: the customer's own if groups are declared, else policy."),
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="How many of the most probable offers to list.")] = 5,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Decide for an audience, and write its offers as CSV."),
    ] = None,
    campaign: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --out: who has a decision of this campaign already keeps it."),
    ] = None,
    column: Annotated[
        str, typer.Option("--customer-column", metavar="NAME", help="With --out: the column of the customers' keys.")
    ] = "customer",
    seed: EngineSeed = None,
    as_json: AsJson = False,
    format_name: Format = None,
) -> None:
    """Choose an offer for one customer, and log the decision before it is printed.

    With --out, for an audience: `decide offers.db audience.csv --campaign spring -o offers.csv`. The audience (CSV,
    Parquet or JSON) has a row a customer and the catalogue's facts as columns; the offers have the decision's id, the
    options and the propensity. Run again, also after it was stopped, each customer has the same offer.
    """
    if out is not None or campaign is not None:
        from bandit.cli.audience_offers import AudienceOptions, decide_audience

        if context is not None or fact or decision_id is not None:
            raise InputError(
                "--context, --fact and --decision-id are of one customer; an audience has facts in its file"
            )
        if out is None or campaign is None:
            raise InputError("an audience needs both --out FILE for its offers and --campaign NAME to keep them under")
        options = AudienceOptions(db, Path(customer), out, campaign, column, parse_moment(time), as_json)
        with _engine(db, policy, policy_id, catalogue, seed=seed, group=group) as engine:
            decide_audience(engine, options)
        return
    from bandit.cli.policies import parse_json
    from bandit.domain import RewardPredictor
    from bandit.report.decisions import decision_json, decision_rows, decision_tables
    from bandit.report.evaluations import unit_of

    style = output_format(as_json, format_name)
    facts = parse_json(context, "the context") if context is not None else {}
    for text in fact or []:
        name, sign, value = text.partition("=")
        if not (name and sign):
            raise InputError(f'the fact "{text}" cannot be read; write NAME=VALUE, as gender=f')
        if name in facts:
            raise InputError(f'the fact "{name}" is given twice; give it once')
        facts[name] = value
    with _engine(db, policy, policy_id, catalogue, seed=seed, group=group, facts=facts) as engine:
        decision = engine.decide(customer, facts, decision_id=decision_id, time=parse_moment(time))
        predicted: FloatArray | None = None
        if isinstance(engine.policy, RewardPredictor):
            predicted = engine.policy.predict(
                engine.catalogue.contexts([facts], [engine.store.customers.stored(customer)])
            )[0]
        document = decision_json(decision, engine.catalogue, predicted, top) | {"policy": engine.policy.name}
        rows = decision_rows(decision, engine.catalogue, predicted, top)
        if show_plain(style, lambda: document, lambda: [("offers", rows)]):
            return
        unit = unit_of(engine.catalogue.objective, engine.catalogue.currency)
        show(decision_tables(decision, engine.catalogue, predicted, unit, top))


def record(
    db: Database,
    decision_id: Annotated[
        str | None, typer.Argument(metavar="[DECISION_ID]", help="The decision's id, as decide printed it.")
    ] = None,
    event: Annotated[
        str | None, typer.Argument(metavar="[EVENT]", help='What happened: "purchase", "return", "closed", ...')
    ] = None,
    revenue: Annotated[float | None, typer.Option(help="Revenue of the event; negative for a return.")] = None,
    reward: Annotated[float | None, typer.Option(help='Reward of the event, for objective "reward".')] = None,
    event_id: Annotated[
        str | None, typer.Option("--event-id", metavar="ID", help="An id of your own; default: the event's name.")
    ] = None,
    time: Moment = None,
    correct: Annotated[
        bool, typer.Option("--correct", help="Replace the event that was recorded under this id.")
    ] = False,
    outcomes: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Record the outcomes of a file: a row an event.")
    ] = None,
    campaign: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --from: rows are of this campaign's decision for their customer."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COLUMN", help="With --from: a column of another name; can be repeated."),
    ] = None,
    event_name: Annotated[
        list[str] | None,
        typer.Option(metavar="THEIRS=OURS", help="With --from: what an event of the file is; leaves out all others."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Record an event of a decision; recording the same event again changes nothing.

    With --from, the outcomes of a file (CSV, Parquet, JSON): its columns are decision_id, event, time, revenue, reward
    and event_id, of which only the first two are needed. With --campaign, a column customer does for decision_id:
    `record offers.db --from shop.csv --campaign spring --event-name "Placed Order=purchase" --column time=Timestamp`.
    """
    if outcomes is not None:
        from bandit.cli.outcomes import record_outcomes

        if decision_id is not None or event is not None or revenue is not None or reward is not None or correct:
            raise InputError("--from FILE has the decisions, the events and their amounts; leave the other ones out")
        record_outcomes(db, outcomes, campaign, column or [], event_name or [], as_json=as_json)
        return
    if decision_id is None or event is None:
        raise InputError("give the id of a decision and the event, or a file of outcomes with --from")
    if campaign is not None or column or event_name:
        raise InputError("--campaign, --column and --event-name say how to read the file of --from; give it, too")
    import numpy as np

    from bandit.cli.databases import catalogue_for, writing
    from bandit.clock import now, plausible_time
    from bandit.engine.event_watch import EventWatch
    from bandit.store import EventRows

    at = None if time is None else plausible_time(parse_moment(time))
    with writing(db) as store:
        watch = EventWatch(catalogue_for(store, None).events, warn=False)
        delays: list[IntArray] = []
        rows = EventRows(
            event=event,
            time=np.array([now() if at is None else at], dtype=np.int64),
            revenue=_amount("revenue", revenue),
            reward=_amount("reward", reward),
            decision_ids=[decision_id],
            event_ids=[event_id],
            time_given=at is not None,
            on_delays=delays.append,
        )
        watch.check(rows)
        receipt = watch.noted(store.append_events(rows, correct=correct), rows, delays)
    if as_json:
        show_json(receipt.to_dict())
        return
    result = (
        "replaces the earlier one"
        if receipt.n_corrected
        else "was already recorded"
        if receipt.n_repeated
        else "recorded"
    )
    lines = [f'The event "{event}" of the decision "{decision_id}": {result}.']
    show([], [*lines, *(f"Note: {note.sentence}." for note in receipt.notes)])


def learn(
    db: Database,
    policy: OnePolicy = None,
    policy_id: PolicyId = None,
    catalogue: CatalogueFile = None,
    time: Annotated[
        str | None, typer.Option("--now", metavar="ISO", help="Treat this as the current time; default: the clock.")
    ] = None,
    as_json: AsJson = False,
    format_name: Format = None,
) -> None:
    """Update the policy with the new outcomes in the log."""
    from bandit.report.decisions import learned_table
    from bandit.tabular import RowTable

    style = output_format(as_json, format_name)
    moment_given = parse_moment(time)
    with _engine(db, policy, policy_id, catalogue) as engine:
        if engine.status().folding is not None:
            with progress("learning the log anew by other methods") as report:
                engine.fold_anew(progress=report)
        with progress("learning") as report:
            learned = engine.learn(now=moment_given, progress=report)
        document = asdict(learned) | {"policy": engine.policy.name, "policy_id": engine.policy_id}
        if show_plain(style, lambda: document, lambda: [("learned", RowTable((document,)))]):
            return
        lines = [] if engine.policy.learns else [f"{engine.policy.name} learns nothing."]
        if not learned.learner:
            lines.append("Another process is learning; run the command again later for the outcomes that are left.")
        if learned.n_uncounted:
            lines.append(f"`offer-bandit doctor {db}` lists the events that do not count.")
        show([learned_table(learned, engine.policy.name)], lines)


@contextmanager
def _engine(
    db: Path,
    policy: str | None,
    policy_id: int | None,
    catalogue: Path | None,
    *,
    seed: int | None = None,
    group: str | None = None,
    facts: dict[str, object] | None = None,
) -> Iterator[Engine]:
    """Yield an engine with the given policy, or with the one stored in the database.

    With `facts`, the context is checked before anything is written; a database that this command created is removed
    if the command fails.
    """
    from bandit.catalogue import Catalogue
    from bandit.cli.databases import all_or_nothing, migration_shown
    from bandit.cli.datasets import refuse_dataset
    from bandit.cli.policies import parse_policy
    from bandit.engine import Engine

    refuse_dataset(db)
    if policy is not None and policy_id is not None:
        raise InputError("--policy and --policy-id both name the policy; give one of them")
    with all_or_nothing(db):
        if policy is None:
            if catalogue is not None:
                raise InputError("--catalogue needs --policy: a policy stored in the database has its own catalogue")
            with migration_shown(db):
                opened = Engine.resume(db, policy_id=policy_id, seed=seed, group=group)
        else:
            known = Catalogue.from_toml(catalogue) if catalogue is not None else _newest_catalogue(db)
            built = parse_policy(known, policy)
            if facts is not None:
                known.contexts([facts])
            with migration_shown(db):
                opened = Engine.open(db, known, built, seed=seed, group=group)
        with opened as engine:
            if engine.learner.newly_carried and engine.learner.carried is not None:
                note(f"{db}: {engine.learner.carried.words}")
            yield engine


def _newest_catalogue(db: Path) -> Catalogue:
    from bandit.cli.databases import catalogue_for, reading

    with reading(db) as store:
        return catalogue_for(store, None)


def parse_moment(text: str | None) -> int | None:
    """Return an ISO 8601 time in microseconds, None for None; InputError if it cannot be read."""
    if text is None:
        return None
    from bandit.logfiles.columns.values import INVALID_TIME, moment

    read = moment(text)
    if read == INVALID_TIME:
        raise InputError(f'the time "{text}" is not an ISO 8601 time; write it as 2026-01-31T18:00:00+01:00')
    return read


def _amount(name: str, value: float | None) -> FloatArray:
    import numpy as np

    if value is not None and not np.isfinite(value):
        raise NumberError(f"{name} must be a finite number; seen {value}: send the amount, or leave it out")
    return np.array([np.nan if value is None else value])
