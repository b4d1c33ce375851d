"""The structure of a mapping file; errors name the path of the entry that does not fit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from bandit.errors import CatalogueError

Scalar: TypeAlias = str | int | float | bool


class _MappingSection(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """A table of a mapping file; unknown keys are refused, so that a misspelt key is found."""


class ColumnsSection(_MappingSection, frozen=True):
    """[columns]: customer, decision id, time, propensity, group and eligible offers of a row.

    `time_unit` and `time_start` are for times that are plain numbers. The `propensity` "unknown" says that the log does
    not have it, and names no column. `eligible` has the eligible offers as `mask_text` writes them; without it they
    are those that the rules leave.
    """

    customer: Annotated[
        str | None,
        Meta(description="The column with the customer's key; needed without `row_customer`.", examples=["customer"]),
    ] = None
    row_customer: Annotated[
        bool, Meta(description="Whether each row is a customer of its own, in a log without keys.", examples=[True])
    ] = False
    decision_id: Annotated[
        str | None,
        Meta(
            description="The column with the decision's id, by which a second import of the same log adds nothing; by "
            "default made of customer, time and offer, and without their columns of the file's content and the line.",
            examples=["id"],
        ),
    ] = None
    time: Annotated[
        str | None,
        Meta(
            description="The column with the time of the decision; by default lines are a second apart.",
            examples=["sent_at"],
        ),
    ] = None
    time_format: Annotated[
        str,
        Meta(
            description='`"iso"`, `"unix"` for plain numbers, or a format of Python\'s `strptime`. Times without a '
            "zone are UTC.",
            examples=["%d.%m.%Y %H:%M"],
        ),
    ] = "iso"
    time_unit: Annotated[
        Literal["us", "ms", "s", "min", "h", "d"],
        Meta(description='The unit of times that are numbers; with `time_format = "unix"` only.', examples=["ms"]),
    ] = "s"
    time_start: Annotated[
        str | None,
        Meta(
            description="The time of the number 0, by default 1970-01-01; without a column of times that of line 0, by "
            "default 2000-01-01.",
            examples=["2026-03-01T00:00:00"],
        ),
    ] = None
    propensity: Annotated[
        str | int | float | None,
        Meta(
            description="How probable the offer was when it was chosen: a column, a number or a fraction for all rows, "
            'or `"unknown"`.',
            examples=["probability", 0.5, "1/3", "unknown"],
        ),
    ] = None
    weight: Annotated[
        str | int | float | None,
        Meta(
            description="How many decisions a row stands for, above 0, as where a logger kept a part of them: a "
            "column, or a number for all rows; by default 1, or what the format of the log says of its own lines.",
            examples=["weight", 1],
        ),
    ] = None
    group: Annotated[
        str | None, Meta(description="The column with the customer's group, for `lift` and others.", examples=["group"])
    ] = None
    eligible: Annotated[
        str | None,
        Meta(
            description="The column with the eligible offers as `export` writes them; by default the rules say.",
            examples=["eligible"],
        ),
    ] = None


class FactSource(_MappingSection, frozen=True):
    """The source of a fact: a column, other names for its values, and the value of a blank (default: missing)."""

    column: Annotated[str, Meta(description="The column of the fact.", examples=["club"])]
    map: Annotated[
        dict[str, Scalar],
        Meta(
            description="What texts of the column stand for; others stand for themselves.", examples=[{"member": True}]
        ),
    ] = {}
    blank: Annotated[
        Scalar | None,
        Meta(description="What an empty cell stands for; by default the fact is missing.", examples=[False]),
    ] = None


class OptionSource(_MappingSection, frozen=True):
    """The source of a dimension's option: a column, and the option that each of its values stands for."""

    column: Annotated[str, Meta(description="The column of the option.", examples=["discount"])]
    map: Annotated[
        dict[str, str],
        Meta(
            description="Which option each text of the column is; others are names of options.",
            examples=[{"10 %": "10"}],
        ),
    ] = {}


class WhenSource(_MappingSection, frozen=True):
    """The condition under which an event happened: a column's number is `above` another, or its text `equals` one."""

    column: Annotated[str, Meta(description="The column of the number or text.", examples=["amount"])]
    above: Annotated[
        float | None, Meta(description="The event happened where the number is above this one.", examples=[0])
    ] = None
    equals: Annotated[
        str | list[str] | None,
        Meta(description="The event happened where the text is this one, or one of these.", examples=["bought"]),
    ] = None


class NumbersSection(_MappingSection, frozen=True):
    """How the file writes numbers."""

    decimal: Annotated[str, Meta(description="The character before the decimals.", examples=[","])] = "."
    thousands: Annotated[
        str, Meta(description="The character between groups of three digits; empty for none.", examples=["."])
    ] = ""
    signs: Annotated[
        list[str], Meta(description="Texts around a number that are left out, such as currencies.", examples=[["€"]])
    ] = []
    missing: Annotated[
        list[str], Meta(description="Words that stand for no number at all.", examples=[["n/a", "-"]])
    ] = []
    brackets: Annotated[
        bool, Meta(description="Whether a number in brackets is negative: (41.06) for -41.06.", examples=[True])
    ] = False
    trailing_minus: Annotated[
        bool, Meta(description="Whether a minus stands behind its number: 41.06- for -41.06.", examples=[True])
    ] = False


class OutcomeSection(_MappingSection, frozen=True):
    """One entry of [[outcomes]]: an event; without `when` it happened in every row."""

    event: Annotated[str, Meta(description="The event's name, such as the objective's.", examples=["purchase"])]
    when: Annotated[
        str | WhenSource | None,
        Meta(
            description="The column that says whether it happened (1, true, yes), or a column and a bound; without it, "
            "in every row.",
            examples=["bought", {"column": "amount", "above": 0}],
        ),
    ] = None
    revenue: Annotated[
        str | float | None,
        Meta(
            description="The column with the event's revenue, in the currency, or one amount for all.",
            examples=["amount", 10],
        ),
    ] = None
    reward: Annotated[
        str | float | None,
        Meta(
            description='The column with the event\'s reward, or one for all; for the objective "reward".',
            examples=["score", 1],
        ),
    ] = None
    add: Annotated[
        list[str],
        Meta(
            description="Columns whose amounts are added to the revenue where they are not blank, such as the discount "
            "that it is net of.",
            examples=[["discount_amount"]],
        ),
    ] = []
    partial: Annotated[
        list[str],
        Meta(
            description="Columns that say what was returned: where one is not blank, a return without a revenue cannot "
            "be read, since it need not be of all.",
            examples=[["products.0.sku"]],
        ),
    ] = []
    returns: Annotated[
        bool,
        Meta(
            description="Whether the revenue is money paid back, whatever its sign; blank stands for all that was paid "
            "where a row is an event.",
            examples=[True],
        ),
    ] = False


class EventRowsSection(_MappingSection, frozen=True):
    """[event_rows]: how to read a file whose rows are events, of which some are decisions and the others outcomes.

    An entry of [[outcomes]] without `when` is about the rows whose event has its name.
    """

    event: Annotated[str, Meta(description="The column that names the event of each row.", examples=["event"])]
    decision: Annotated[
        str | list[str | list[str]],
        Meta(
            description="The event that is the decision. With several, a row of a later one makes a decision only "
            "where no row of an earlier one does; those in a list of their own are equal.",
            examples=["shown", ["shown", "purchase"], [["email sent", "sms sent"]]],
        ),
    ]
    join: Annotated[
        Literal["decision_id", "customer"] | None,
        Meta(
            description="By what other rows find their decision: its id, or the customer's latest decision before them "
            "within the objective's window. By default the id where `[columns]` has `decision_id`.",
            examples=["customer"],
        ),
    ] = None
    event_id: Annotated[
        str | None,
        Meta(
            description="The column with an id of each row: of rows with the same id the first counts, and that of "
            "the decision's row is its id where `[columns]` has no `decision_id`.",
            examples=["message_id"],
        ),
    ] = None
    order: Annotated[
        str | None,
        Meta(
            description="The column with the order's number: a return goes to the decision that its order went to.",
            examples=["order_id"],
        ),
    ] = None


class PropensitySection(_MappingSection, frozen=True):
    """One entry of [[propensity]]: the offers with the options named (all, without any), and their propensity."""

    value: Annotated[
        str | int | float,
        Meta(description="The propensity: a number or a fraction.", examples=["1/3", 0.5]),
    ]
    offer: Annotated[
        dict[str, str],
        Meta(
            description="Options by dimension: the entry is about the offers that have them; without any, about all.",
            examples=[{"channel": "sms"}],
        ),
    ] = {}


class PolicyTableSection(_MappingSection, frozen=True):
    """[table]: decisions that a client drew from policy tables; propensities are read off the tables and checked."""

    files: Annotated[
        str | list[str],
        Meta(
            description="The tables' files (.json), as seen from the mapping's own folder.",
            examples=["table.json", ["table-1.json", "table-2.json"]],
        ),
    ]
    period: Annotated[
        str,
        Meta(
            description="The column with the period that each draw was made for, such as the campaign.",
            examples=["campaign"],
        ),
    ]
    id: Annotated[
        str | None,
        Meta(description="The column with the id of each row's table; needed with several tables.", examples=["table"]),
    ] = None


class LookupSection(_MappingSection, frozen=True):
    """[offer] as a table of whole offers: the values of one column, and the offer that each stands for."""

    column: Annotated[str, Meta(description="The column that names the whole offer.", examples=["campaign"])]
    lookup: Annotated[
        dict[str, dict[str, str]],
        Meta(
            description="The offer that each value of the column stands for: one option of each dimension.",
            examples=[{"Mens E-Mail": {"channel": "email", "range": "men"}}],
        ),
    ]


class MappingDocument(_MappingSection, frozen=True):
    """A mapping file without [offer], which has two shapes.

    `closed` says of which decisions no more events will come: all (true), none (false), or those that a column marks.
    """

    columns: Annotated[
        ColumnsSection,
        Meta(
            description="The columns of customer, time, propensity and so on.",
            examples=[{"customer": "customer", "propensity": "probability"}],
        ),
    ]
    context: Annotated[
        dict[str, str | FactSource],
        Meta(
            description="The source of each fact: a column, or a table. A fact that is left out is missing.",
            examples=[{"gender": "gender", "loyal": {"column": "club", "map": {"member": True, "guest": False}}}],
        ),
    ] = {}
    propensity: Annotated[
        list[PropensitySection],
        Meta(
            description="Propensities that depend on the offer, instead of `propensity` under `[columns]`.",
            examples=[[{"value": "1/3", "offer": {"channel": "sms"}}, {"value": "2/3"}]],
        ),
    ] = []
    outcomes: Annotated[
        list[OutcomeSection],
        Meta(
            description="What came of each decision, as events.",
            examples=[[{"event": "purchase", "when": "bought", "revenue": "amount"}]],
        ),
    ] = []
    table: Annotated[
        PolicyTableSection | None,
        Meta(
            description="Policy tables that the decisions were drawn from, instead of a source of propensities; a "
            "`propensity` under `[columns]` is then compared with them.",
            examples=[{"files": "table.json", "period": "campaign"}],
        ),
    ] = None
    event_rows: Annotated[
        EventRowsSection | None,
        Meta(
            description="How to read a file with a row an event; by default a row is a decision.",
            examples=[{"event": "event", "decision": "shown"}],
        ),
    ] = None
    numbers: Annotated[
        NumbersSection,
        Meta(
            description="How the file writes numbers: decimals, thousands, signs.",
            examples=[{"decimal": ",", "thousands": "."}],
        ),
    ] = NumbersSection()
    closed: Annotated[
        bool | str,
        Meta(
            description="Of which decisions no more events will come: all, none, or those that a column marks.",
            examples=[True, "settled"],
        ),
    ] = True
    accept_refused: Annotated[
        bool,
        Meta(
            description="Whether a log is read although its rows are refused because of what came of them, so that the "
            "others give other numbers than the whole log would, or although its customers or ids have lost digits.",
            examples=[True],
        ),
    ] = False
    optional: Annotated[
        list[str],
        Meta(
            description="Paths that a file of JSON need not have: blank where none of its rows has them.",
            examples=[["properties.discount"]],
        ),
    ] = []
    delimiter: Annotated[str, Meta(description="The character between the cells of a CSV file.", examples=[";"])] = ","
    escaped_formulas: Annotated[
        bool,
        Meta(
            description="Whether a CSV file has an apostrophe, to be left out, before text that spreadsheets run "
            "as a formula, as `export` writes it.",
            examples=[True],
        ),
    ] = False


OfferSection: TypeAlias = LookupSection | dict[str, str | OptionSource]


def decode(mapping: Mapping[str, object], where: str) -> tuple[MappingDocument, OfferSection]:
    """Return the checked structure; CatalogueError names `where` and the path of the entry that does not fit."""
    plain = {key: _plain(value) for key, value in mapping.items()}
    offer = plain.pop("offer", None)
    if not isinstance(offer, dict) or not offer:
        raise CatalogueError(
            f'{where}: has no [offer]; write an option or {{ column = "..." }} for each dimension there'
        )
    try:
        file = msgspec.convert(plain, MappingDocument)
    except msgspec.ValidationError as fault:
        raise CatalogueError(f"{where}: {fault}") from fault
    try:
        return file, (
            msgspec.convert(offer, LookupSection)
            if "lookup" in offer
            else msgspec.convert(offer, dict[str, str | OptionSource])
        )
    except msgspec.ValidationError as fault:
        raise CatalogueError(f"{where}: {str(fault).replace('`$', '`$.offer')}") from fault


def _plain(value: object) -> object:
    """Return TOML's dates as text, which is what a mapping declares."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, (dt.date, dt.datetime, dt.time)):
        return value.isoformat()
    return value
