"""Whether the rows that are refused differ in their outcomes and offers from those that are taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bandit.logfiles.columns.number_style import guess_number_style
from bandit.logfiles.columns.outcomes import OutcomeReader
from bandit.logfiles.columns.values import INVALID, is_blank
from bandit.logfiles.mapping.schema import WhenSource
from bandit.logfiles.rejections import Rejections
from bandit.logfiles.selection_findings import (
    OutcomeComparison,
    OutcomeCure,
    more_often_refused,
    offer_finding,
    other_reasons_finding,
    outcome_finding,
    split_finding,
)
from bandit.logfiles.sources.source import SourceChunk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, FloatArray
    from bandit.logfiles.columns.number_style import NumberStyle
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.mapping.schema import OutcomeSection
    from bandit.logfiles.rejections import ImportFinding
    from bandit.logfiles.row_reader import CheckedRows

_KEPT_ROWS = 20_000
_KEPT_TEXTS = 1_000


@dataclass(slots=True, eq=False)
class _OutcomeRows:
    """The rows refused because of one outcome, in columns: at most `_KEPT_ROWS` of the `n`; and those that are taken.

    `known` says whether it can be read that the event happened, `happened` whether it did.
    """

    n: int = 0
    known: list[bool] = field(default_factory=list)
    happened: list[bool] = field(default_factory=list)
    when: list[str] = field(default_factory=list)
    amount: list[str] = field(default_factory=list)
    taken_happened: int = 0
    taken_money: float = 0.0
    taken_texts: dict[str, None] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        """The number of refused rows whose cells are kept."""
        return len(self.known)


@dataclass(slots=True, eq=False)
class _SplitRows:
    """The rows in which a number is cut in two by the delimiter: how many, and what is known to have come of them."""

    n: int = 0
    known: int = 0
    happened: int = 0
    examples: dict[str, None] = field(default_factory=dict)


class SelectionCheck:
    """Compares the refused rows of a log with those taken, as far as what they say can be read.

    A row whose amount or whose sign of success cannot be read is refused because of its outcome; where only buyers
    or only large amounts are concerned, the rest of the log has another mean. Memory: some thousand texts.
    """

    def __init__(self, catalogue: Catalogue, mapping: LogMapping) -> None:
        self._catalogue = catalogue
        self._style = mapping.numbers
        self._outcomes: Sequence[OutcomeSection] = mapping.file.outcomes
        self._rows = [_OutcomeRows() for _ in self._outcomes]
        names = [outcome.event for outcome in self._outcomes]
        event = catalogue.objective.event
        self._target = names.index(event) if event in names else None
        self._n_taken = self._n_refused = 0
        self._offers_taken = np.zeros(catalogue.n_offers, dtype=np.int64)
        self._offers_refused = np.zeros(catalogue.n_offers, dtype=np.int64)
        self._reader = OutcomeReader(mapping)
        self._split = _SplitRows()
        self._delimiter = mapping.file.delimiter
        self._other_n = self._other_known = self._other_happened = 0

    def add(self, chunk: SourceChunk, rows: CheckedRows) -> None:
        """Count the rows of a chunk that is checked; what came of decisions is not looked at where it has own rows."""
        if chunk.events is not None:
            return
        self._add_split(chunk)
        ok = rows.ok
        n_taken = int(ok.sum())
        self._n_taken += n_taken
        self._n_refused += len(ok) - n_taken
        known = rows.offer >= 0
        self._offers_taken += np.bincount(rows.offer[ok & known], minlength=len(self._offers_taken))
        because = np.zeros(len(ok), dtype=np.bool_)
        for place, (outcome, event) in enumerate(zip(self._outcomes, rows.events, strict=True)):
            kept = self._rows[place]
            taken = ok & event.happened
            kept.taken_happened += int(taken.sum())
            amounts = event.revenue if outcome.reward is None else event.reward
            kept.taken_money += float(np.nansum(np.where(taken, amounts, np.nan)))
            _keep_texts(kept.taken_texts, chunk, _amount_column(outcome), taken)
            because |= event.refused
            if event.refused.any():
                _keep_rows(kept, chunk, outcome, event.readable, event.happened, event.refused)
        if n_taken < len(ok):
            self._offers_refused += np.bincount(rows.offer[~ok & known], minlength=len(self._offers_refused))
            self._add_others(rows, ~ok & ~because)

    def _add_split(self, chunk: SourceChunk) -> None:
        """Count the rows with numbers that are cut in two, and what came of them."""
        n = len(next(iter(chunk.split.values()), ()))
        if self._target is None or not n:
            return
        whole = SourceChunk(np.arange(n), chunk.split, (), chunk.n_fields)
        event = self._reader.read(whole, Rejections(0).chunk(whole.lines))[self._target]
        self._split.n += n
        self._split.known += int(event.readable.sum())
        self._split.happened += int(event.happened.sum())
        amounts = _amount_column(self._outcomes[self._target])
        texts = () if amounts is None else chunk.split[amounts]
        self._split.examples.update(dict.fromkeys(text for text in texts[:3] if self._delimiter in text))

    def _add_others(self, rows: CheckedRows, others: BoolArray) -> None:
        """Count the rows that are refused for another reason than their outcome, and what came of them."""
        self._other_n += int(others.sum())
        if self._target is not None:
            event = rows.events[self._target]
            self._other_known += int((others & event.readable).sum())
            self._other_happened += int((others & event.readable & event.happened).sum())

    def findings(self, by_reason: Mapping[str, int]) -> tuple[ImportFinding, ...]:
        """Return what differs between the refused rows and the others; `by_reason` counts the refused ones."""
        found = [
            self._outcome(outcome, rows) for outcome, rows in zip(self._outcomes, self._rows, strict=True) if rows.n
        ]
        if self._target is not None and self._split.n:
            found.append(split_finding(self._compared(self._split), tuple(self._split.examples)[:3], self._delimiter))
        if self._target is not None and self._other_n:
            rows = self._rows[self._target]
            compared = OutcomeComparison(
                self._outcomes[self._target].event,
                self._other_n,
                self._other_known,
                self._other_happened,
                self._n_taken,
                rows.taken_happened,
            )
            found.append(other_reasons_finding(compared, by_reason))
        offer = more_often_refused(self._offers_refused, self._offers_taken)
        if offer is not None:
            label = self._catalogue.label(offer)
            found.append(offer_finding(label, offer, self._offers_refused, self._offers_taken))
        return tuple(finding for finding in found if finding is not None)

    def _compared(self, rows: _SplitRows) -> OutcomeComparison:
        target = self._target or 0
        taken = self._rows[target].taken_happened
        return OutcomeComparison(self._outcomes[target].event, rows.n, rows.known, rows.happened, self._n_taken, taken)

    def _outcome(self, outcome: OutcomeSection, rows: _OutcomeRows) -> ImportFinding | None:
        """Return what is to be said of the rows refused because of one outcome, None where it is nothing."""
        style = _style_of([*rows.amount, *rows.when], rows.taken_texts, self._style)
        known, happened = np.array(rows.known), np.array(rows.happened)
        amounts = np.full(rows.kept, np.nan) if style is None else style.numbers(rows.amount)
        amounts[amounts == INVALID] = np.nan
        when = outcome.when
        if isinstance(when, WhenSource) and when.above is not None and style is not None:
            numbers = style.numbers(rows.when)
            happened = np.where(known, happened, (numbers > when.above) & (numbers != INVALID))
            known = known | (numbers != INVALID)
        compared = OutcomeComparison(
            outcome.event,
            rows.n,
            int(known.sum()),
            int((known & happened).sum()),
            self._n_taken,
            rows.taken_happened,
            _sum_of(amounts, known & happened),
            rows.taken_money,
        )
        return outcome_finding(compared, self._cure(outcome, rows, style, known), when_given=when is not None)

    def _cure(
        self, outcome: OutcomeSection, rows: _OutcomeRows, style: NumberStyle | None, known: BoolArray
    ) -> OutcomeCure:
        """Return what the texts of the refused rows say about how to read them."""
        truth_column = outcome.when if isinstance(outcome.when, str) else None
        words = tuple(dict.fromkeys(text.strip() for text, read in zip(rows.when, known, strict=True) if not read))
        amounts = tuple(dict.fromkeys(text.strip() for text in rows.amount if not is_blank(text)))
        column = _amount_column(outcome)
        return OutcomeCure(
            keys=tuple(self._style.keys(style)) if style is not None else (),
            amount_column=column,
            blank_amounts=column is not None and all(map(is_blank, rows.amount)),
            examples=amounts[:3],
            truth_column=truth_column if words else None,
            words=words[:5],
        )


def _keep_rows(
    kept: _OutcomeRows,
    chunk: SourceChunk,
    outcome: OutcomeSection,
    readable: BoolArray,
    happened: BoolArray,
    refused: BoolArray,
) -> None:
    """Keep the cells of some refused rows."""
    places = np.flatnonzero(refused)
    kept.n += len(places)
    places = places[: max(0, _KEPT_ROWS - kept.kept)]
    kept.known += readable[places].tolist()
    kept.happened += happened[places].tolist()
    rows = places.tolist()
    when = outcome.when.column if isinstance(outcome.when, WhenSource) else outcome.when
    for column, texts in ((when, kept.when), (_amount_column(outcome), kept.amount)):
        texts.extend([""] * len(rows) if column is None else [chunk.columns[column][row] for row in rows])


def _keep_texts(texts: dict[str, None], chunk: SourceChunk, column: str | None, taken: BoolArray) -> None:
    """Keep some of the distinct texts of a column in rows that are taken."""
    if column is None or len(texts) >= _KEPT_TEXTS:
        return
    places = np.flatnonzero(taken)[:_KEPT_TEXTS].tolist()
    texts.update(dict.fromkeys(chunk.columns[column][row] for row in places))


def _amount_column(outcome: OutcomeSection) -> str | None:
    """Return the column with an outcome's amounts, None where it has none."""
    if outcome.revenue is not None or outcome.reward is not None:
        amount = outcome.revenue if outcome.reward is None else outcome.reward
        return amount if isinstance(amount, str) else None
    return outcome.when.column if isinstance(outcome.when, WhenSource) and outcome.when.above is not None else None


def _style_of(refused: Sequence[str], taken: Mapping[str, None], own: NumberStyle) -> NumberStyle | None:
    """Return the style that reads the numbers of refused rows and those of others, None where there is none."""
    unread = [text for text in dict.fromkeys(refused) if own.number(text) == INVALID]
    numbers = [text for text in unread if guess_number_style([text]) is not None]
    if not numbers or 2 * len(numbers) < len(unread):
        return None
    found = guess_number_style([*numbers, *taken]) or guess_number_style(numbers)
    if found is None:
        return None
    return own.with_marks_of(found.style)


def _sum_of(amounts: FloatArray, happened: BoolArray) -> float | None:
    """Return the sum of the amounts where the event happened; None where fewer than nine in ten are known."""
    known = happened & np.isfinite(amounts)
    if not happened.any() or known.sum() < 0.9 * happened.sum():
        return None
    return float(amounts[known].mean() * happened.sum())
