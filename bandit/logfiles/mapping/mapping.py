"""Mapping files: read and checked, what each column of a log means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bandit.catalogue.plain_values import shown
from bandit.catalogue.toml import read_toml
from bandit.errors import CatalogueError
from bandit.logfiles.columns.number_style import DECIMAL_MARKS, THOUSANDS_MARKS, NumberStyle
from bandit.logfiles.columns.values import INVALID, share
from bandit.logfiles.mapping.schema import (
    EventRowsSection,
    MappingDocument,
    NumbersSection,
    OfferSection,
    WhenSource,
    decode,
)

CLOSED = "closed"
"""The event after which no more events of a decision are expected."""

UNKNOWN_PROPENSITY = "unknown"
"""The `propensity` under [columns] of a log that does not have the probabilities of its offers."""


@dataclass(frozen=True, slots=True)
class LogMapping:
    """A checked mapping file; `where` names it in messages."""

    file: MappingDocument
    offer: OfferSection
    where: str

    @property
    def propensities_known(self) -> bool:
        """Whether the log has the propensities of its decisions."""
        return self.file.columns.propensity != UNKNOWN_PROPENSITY

    @property
    def numbers(self) -> NumberStyle:
        """How the log writes numbers."""
        given = self.file.numbers
        signs, missing = tuple(given.signs), tuple(given.missing)
        return NumberStyle(given.decimal, given.thousands, signs, missing, given.brackets, given.trailing_minus)

    @staticmethod
    def from_toml(path: str | Path) -> LogMapping:
        """Read a mapping file; CatalogueError says where and what is wrong."""
        return LogMapping.from_dict(read_toml(Path(path), "a mapping"), where=str(path))

    @staticmethod
    def of(given: object) -> LogMapping:
        """Return a mapping given as the path of its file, as the content of one, or checked already.

        CatalogueError for anything else, and where the file or its content does not fit.
        """
        if isinstance(given, LogMapping):
            return given
        if isinstance(given, (str, Path)):
            return LogMapping.from_toml(given)
        if isinstance(given, Mapping):
            return LogMapping.from_dict(given)
        raise CatalogueError(
            f"a mapping is the path of its TOML file, its content as a dict, or a LogMapping; seen {shown(given)}"
        )

    @staticmethod
    def from_dict(mapping: Mapping[str, object], where: str = "mapping") -> LogMapping:
        """Build a mapping from the structure of its TOML file; CatalogueError says what is wrong.

        >>> LogMapping.from_dict(
        ...     {
        ...         "columns": {"customer": "customer", "propensity": "1/2"},
        ...         "offer": {"channel": {"column": "channel"}},
        ...         "outcomes": [{"event": "purchase", "when": "bought", "revenue": "amount"}],
        ...     }
        ... ).propensities_known
        True
        """
        file, offer = decode(mapping, where)
        try:
            _check(file)
        except CatalogueError as fault:
            raise CatalogueError(f"{where}: {fault}") from fault
        return LogMapping(file, offer, where)


def _check(file: MappingDocument) -> None:
    columns = file.columns
    if (columns.customer is None) != columns.row_customer:
        raise CatalogueError(
            "[columns] needs either customer = the column with the customers' keys, "
            "or row_customer = true where each row is a customer of its own"
        )
    if file.table is not None:
        _check_table(file)
    elif (columns.propensity is None) != bool(file.propensity):
        raise CatalogueError(
            "needs one source of propensities: propensity under [columns] (a column, a number or a fraction such "
            'as "1/3"), or [[propensity]] entries where it depends on the offer; where the log does not have them, say '
            f'so by propensity = "{UNKNOWN_PROPENSITY}"'
        )
    fixed_weight(columns.weight)
    if columns.time is None and (columns.time_format != "iso" or columns.time_unit != "s"):
        raise CatalogueError("[columns] has time_format or time_unit without time; name the column of the times")
    if columns.time_format == "iso" and columns.time_unit != "s":
        raise CatalogueError('[columns] time_unit is for times that are numbers; add time_format = "unix"')
    _check_time_format(columns.time_format)
    if len(file.delimiter) != 1 or file.delimiter in '"\r\n':
        raise CatalogueError(f"delimiter is one character; seen {file.delimiter!r}")
    _check_numbers(file.numbers)
    if file.event_rows is not None:
        _check_event_rows(file, file.event_rows)
    _check_outcomes(file)
    if not file.outcomes and file.closed is False:
        raise CatalogueError("has no [[outcomes]] and closed = false; name the column that says what came of it")


def _check_outcomes(file: MappingDocument) -> None:
    seen: set[str] = set()
    for outcome in file.outcomes:
        if isinstance(outcome.when, WhenSource) and (outcome.when.above is None) == (outcome.when.equals is None):
            raise CatalogueError(
                f'[[outcomes]] "{outcome.event}": when needs either above = a number or equals = a text'
            )
        if not outcome.event.strip() or outcome.event == CLOSED:
            raise CatalogueError(
                f'[[outcomes]] has the event "{outcome.event}"; give a name other than "{CLOSED}", which is written '
                "by itself where closed = true"
            )
        if outcome.event in seen:
            raise CatalogueError(f'[[outcomes]] has the event "{outcome.event}" twice; names must differ')
        seen.add(outcome.event)
        if outcome.revenue is None and (outcome.add or outcome.returns or outcome.partial):
            raise CatalogueError(
                f'[[outcomes]] "{outcome.event}" has add, partial or returns without revenue; name its column'
            )


def _check_event_rows(file: MappingDocument, rows: EventRowsSection) -> None:
    columns = file.columns
    join = join_of(file)
    if not decision_events(rows):
        raise CatalogueError('[event_rows] decision names no event; write the event that is the decision, as "shown"')
    if join == "decision_id" and columns.decision_id is None:
        raise CatalogueError('[event_rows] join = "decision_id" needs decision_id under [columns]')
    if join == "customer" and columns.customer is None:
        raise CatalogueError(
            "[event_rows] needs decision_id or customer under [columns], by which the rows of one decision are found"
        )
    if join == "customer" and columns.time is None:
        raise CatalogueError(
            '[event_rows] join = "customer" needs time under [columns]: an event goes to the latest decision of its '
            "customer before it"
        )
    if not file.outcomes:
        raise CatalogueError("[event_rows] without [[outcomes]]: name the events that say what came of the decisions")


def join_of(file: MappingDocument) -> str:
    """Return by what the rows of a file with a row an event find their decision: "decision_id" or "customer"."""
    rows = file.event_rows
    given = None if rows is None else rows.join
    return given or ("customer" if file.columns.decision_id is None else "decision_id")


def decision_events(rows: EventRowsSection) -> dict[str, int]:
    """Return the events that are decisions, each with its rank: the rows of a lower one go before."""
    given = [rows.decision] if isinstance(rows.decision, str) else rows.decision
    ranked = [(event, rank) for rank, each in enumerate(given) for event in ([each] if isinstance(each, str) else each)]
    return {event.strip(): rank for event, rank in reversed(ranked) if event.strip()}


def _check_numbers(numbers: NumbersSection) -> None:
    for name, seen, allowed in (
        ("decimal", numbers.decimal, DECIMAL_MARKS),
        ("thousands", numbers.thousands, THOUSANDS_MARKS),
    ):
        if seen not in allowed:
            listed = ", ".join(f'"{each}"' for each in allowed)
            raise CatalogueError(f'[numbers] {name} is one of {listed}; seen "{seen}"')
    if numbers.decimal == numbers.thousands:
        raise CatalogueError(f'[numbers] decimal and thousands are both "{numbers.decimal}"; they must differ')
    if any(not sign.strip() or any(each.isdigit() or each in "+-.," for each in sign) for sign in numbers.signs):
        raise CatalogueError('[numbers] signs are marks such as "€" or "%", without digits, points, + and -')


def _check_time_format(style: str) -> None:
    if style in {"iso", "unix"}:
        return
    try:
        datetime.strptime("", style)  # noqa: DTZ007 - the format is checked, not the time
    except ValueError:
        return  # a valid format, which an empty text does not fit
    except re.error as fault:
        raise CatalogueError(f'[columns] time_format "{style}" is none: {fault}') from fault


def fixed_weight(value: str | float | None) -> float | None:
    """Return a weight given as a number; None for a text, which names a column, and where none is given.

    CatalogueError where it is not above 0.
    """
    if value is None or isinstance(value, str):
        return None
    if not 0.0 < float(value) < INVALID:
        raise CatalogueError(f"[columns] weight is a column or a number above 0; seen {value}")
    return float(value)


def _check_table(file: MappingDocument) -> None:
    """CatalogueError unless a mapping with [table] has customers, and no other source of propensities."""
    given = file.columns.propensity
    if file.propensity or (given is not None and fixed_propensity(given) is not None) or given == UNKNOWN_PROPENSITY:
        raise CatalogueError(
            "has [table], whose files have the propensities, and another source of them; leave the other out, or name "
            "a column under [columns] that is to be compared with the table"
        )
    if file.columns.customer is None:
        raise CatalogueError("has [table] without customer under [columns]: a draw is of a customer's own key")


def fixed_propensity(value: str | float) -> float | None:
    """Return a propensity given as a number or a fraction; None for any other text, which names a column.

    CatalogueError where it is outside (0, 1].
    """
    number = share(value) if isinstance(value, str) else float(value)
    if isinstance(value, str) and number == INVALID:
        return None
    if not 0.0 < number <= 1.0:
        raise CatalogueError(f"a propensity is above 0 and at most 1; seen {value}")
    return number
