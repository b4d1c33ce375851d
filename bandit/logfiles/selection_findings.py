"""What is said, and whether a log is refused, where the refused rows differ from those that are taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.logfiles.rejections import ImportFinding
from bandit.printable import counted, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bandit.domain import FloatArray, IntArray

SELECTION_LEVEL = 0.001
"""Level of the tests that compare refused rows with others."""

MATERIAL_CHANGE = 0.01
"""A log is refused where its mean changes by at least this share through the rows that are refused."""

_FEWEST_UNREAD, _FEWEST_OF_OFFER = 5, 5


@dataclass(frozen=True, slots=True)
class OutcomeComparison:
    """How often an event happened in n_refused rows, as far as that is `n_known`, and in the rows that are taken.

    `refused_money` is the sum of the refused rows' amounts, None where it is not known.
    """

    event: str
    n_refused: int
    n_known: int
    n_happened: int
    n_taken: int
    taken_happened: int
    refused_money: float | None = None
    taken_money: float = 0.0

    @property
    def p_value(self) -> float:
        """The p-value of Fisher's exact test of whether the event is as frequent in both, 1 where nothing is known."""
        return fisher(self.n_happened, self.n_known, self.taken_happened, self.n_taken)

    @property
    def rates(self) -> tuple[float, float]:
        """The share of rows with the event in the whole log, and in the rows that are taken."""
        refused = self.n_happened * self.n_refused / max(self.n_known, 1)
        whole = (self.taken_happened + refused) / max(self.n_taken + self.n_refused, 1)
        return whole, self.taken_happened / max(self.n_taken, 1)

    @property
    def material(self) -> bool:
        """Whether the event's share, or the mean amount a row, changes through the rows that are refused."""
        return _changes(*self.rates) or self.money_changes

    @property
    def money_changes(self) -> bool:
        """Whether the mean amount a row is known to change."""
        if self.refused_money is None or self.n_refused < 2:
            return False
        whole = (self.taken_money + self.refused_money) / (self.n_taken + self.n_refused)
        return _changes(whole, self.taken_money / max(self.n_taken, 1))


@dataclass(frozen=True, slots=True)
class OutcomeCure:
    """How cells that cannot be read could be: entries of [numbers], or words of a column that says what happened."""

    keys: tuple[str, ...]
    amount_column: str | None
    blank_amounts: bool
    examples: tuple[str, ...]
    truth_column: str | None
    words: tuple[str, ...]


def outcome_finding(compared: OutcomeComparison, cure: OutcomeCure, *, when_given: bool) -> ImportFinding | None:
    """Return what is to be said of rows that are refused because of one outcome, None where it is nothing."""
    known = 2 * compared.n_known >= compared.n_refused and when_given
    if known:
        selected = compared.p_value < SELECTION_LEVEL
        refuses = (selected and compared.material) or compared.money_changes
    else:
        unread = compared.n_refused
        selected = unread >= _FEWEST_UNREAD
        refuses = (selected and unread >= MATERIAL_CHANGE * (unread + compared.taken_happened)) or (
            compared.money_changes
        )
    if not (selected or refuses):
        return None
    text = (
        f"{counted(compared.n_refused, 'row', ('is', 'are'))} refused because of the outcome ({_seen(cure)}), "
        f"and {_difference(compared) if known else _unread(compared)}{_money(compared)}"
    )
    return ImportFinding("refused by outcome", text, _cure(compared, cure, when_given=when_given), refuses)


def other_reasons_finding(compared: OutcomeComparison, by_reason: Mapping[str, int]) -> ImportFinding | None:
    """Return what is to be said where rows refused for other reasons have another outcome, None where it is nothing."""
    if compared.p_value >= SELECTION_LEVEL:
        return None
    reason = next(iter(by_reason), "")
    text = (
        f"{counted(compared.n_refused, 'row', ('is', 'are'))} refused for reasons other than the outcome (such as: "
        f"{reason}), but {_difference(compared)}"
    )
    cure = "correct the mapping or the file so that they can be read"
    return ImportFinding("refused rows differ", text, cure, refuses=compared.material)


def split_finding(compared: OutcomeComparison, examples: tuple[str, ...], delimiter: str) -> ImportFinding | None:
    """Return what is to be said of rows in which the delimiter cuts a number in two, None where it is nothing."""
    known = 2 * compared.n_known >= compared.n_refused
    selected = compared.p_value < SELECTION_LEVEL if known else compared.n_refused >= _FEWEST_UNREAD
    if not selected:
        return None
    share = compared.n_refused / (compared.n_refused + compared.taken_happened)
    such = f" (such as {_listed(examples)})" if examples else ""
    text = (
        f'{counted(compared.n_refused, "row", ("is", "are"))} refused since a number has "{delimiter}" in it without '
        f"quotes{such}, so that there are too many fields, and {_difference(compared) if known else _unread(compared)}"
    )
    cure = "write the file with quotes around such numbers, or with another delimiter, which delimiter = names"
    return ImportFinding("refused by outcome", text, cure, compared.material if known else share >= MATERIAL_CHANGE)


def offer_finding(label: str, offer: int, refused: IntArray, taken: IntArray) -> ImportFinding:
    """Return what is to be said of an offer whose rows are refused more often than others."""
    share, usual = refused[offer] / refused.sum(), taken[offer] / taken.sum()
    text = (
        f"refused rows are not of all offers alike: {_percent(share)} of them have {label}, of the rows taken "
        f"{_percent(usual)} ({taken[offer]:,} of {taken.sum():,})"
    )
    return ImportFinding("refused rows by offer", plain(text))


def more_often_refused(refused: IntArray, taken: IntArray) -> int | None:
    """Return the offer whose rows are refused most clearly more often than others, None where there is none.

    `refused` and `taken` (N,) count the rows of each offer. The tests are Fisher's, the level is Bonferroni's.
    """
    n, m = int(refused.sum()), int(taken.sum())
    tried = np.flatnonzero(refused >= _FEWEST_OF_OFFER)
    excess: FloatArray = refused[tried] / max(n, 1) - taken[tried] / max(m, 1)
    if not len(tried) or m == 0 or excess.max() <= 0.0:
        return None
    offer = int(tried[int(np.argmax(excess))])
    p_value = fisher(int(refused[offer]), n, int(taken[offer]), m)
    return offer if p_value * np.count_nonzero(refused + taken) < SELECTION_LEVEL else None


def fisher(k: int, n: int, other_k: int, other_n: int) -> float:
    """Return the p-value of Fisher's exact test of k in n against other_k in other_n: twice the smaller tail.

    All four of four against a quarter of sixteen: twice C(8, 4) / C(20, 4) = 70 / 4,845.

    >>> round(fisher(4, 4, 4, 16), 4)
    0.0289
    """
    from scipy.special import gammaln  # noqa: PLC0415 - slow to import, and needed for logs with refused rows alone

    if min(n, other_n) == 0:
        return 1.0
    total, successes = n + other_n, k + other_k
    low, high = max(0, successes - other_n), min(n, successes)
    counts = np.arange(low, high + 1)

    def choose(of: int, some: IntArray) -> FloatArray:
        ways: FloatArray = gammaln(of + 1) - gammaln(some + 1) - gammaln(of - some + 1)
        return ways

    logs = choose(successes, counts) + choose(total - successes, n - counts)
    weights = np.exp(logs - logs.max())
    tails = weights[counts <= k].sum(), weights[counts >= k].sum()
    return min(1.0, 2.0 * float(min(tails) / weights.sum()))


def _changes(whole: float, taken: float) -> bool:
    """Return whether two means differ by at least `MATERIAL_CHANGE` of the larger one."""
    return abs(whole - taken) >= MATERIAL_CHANGE * max(abs(whole), abs(taken), 1e-300)


def _seen(cure: OutcomeCure) -> str:
    """Return what stands in the cells that cannot be read."""
    if cure.truth_column is not None:
        return f'"{cure.truth_column}" says {_listed(cure.words)}'
    if cure.blank_amounts:
        return f'"{cure.amount_column}" is blank'
    return f'amounts such as {_listed(cure.examples)} in "{cure.amount_column}"'


def _difference(compared: OutcomeComparison) -> str:
    n, known = compared.n_happened, compared.n_known
    refused = f"all {n:,}" if n == known and n > 1 else f"{n:,} ({_percent(n / max(known, 1))})"
    return (
        f'"{compared.event}" happened in {refused} of them and in {_percent(compared.rates[1])} of the rows taken '
        f"({compared.taken_happened:,} of {compared.n_taken:,})"
    )


def _unread(compared: OutcomeComparison) -> str:
    return (
        f'so that it is not known whether "{compared.event}" happened or what it was worth; it happened in '
        f"{_percent(compared.rates[1])} of the rows taken ({compared.taken_happened:,} of {compared.n_taken:,})"
    )


def _money(compared: OutcomeComparison) -> str:
    """Return the mean amounts where they are known."""
    if compared.refused_money is None or not compared.n_happened or not compared.taken_happened:
        return ""
    refused = compared.refused_money / compared.n_happened
    return f", with {refused:,.6g} on average against {compared.taken_money / compared.taken_happened:,.6g}"


def _cure(compared: OutcomeComparison, cure: OutcomeCure, *, when_given: bool) -> str:
    if cure.truth_column is not None:
        guessed = compared.taken_happened == 0 and len(cure.words) <= 2
        words = _listed(cure.words) if guessed else '"...", "..."'
        words = words if guessed and len(cure.words) == 1 else f"[{words}]"
        hint = "" if guessed else ", with the words that mean that it happened,"
        when = f'when = {{ column = "{cure.truth_column}", equals = {words} }}'
        return f"put {when}{hint} under [[outcomes]] in the mapping"
    if cure.keys:
        return f"put {' and '.join(map(plain, cure.keys))} under [numbers] in the mapping"
    if cure.blank_amounts and not when_given:
        return f'put when = {{ column = "{cure.amount_column}", above = 0 }} under [[outcomes]] in the mapping'
    if cure.blank_amounts:
        return "fill in the amounts, or take the amounts out of [[outcomes]] in the mapping"
    return "write the amounts in one way, and say how under [numbers] in the mapping"


def _listed(texts: tuple[str, ...]) -> str:
    return ", ".join(f'"{plain(text)}"' for text in texts)


def _percent(share: float) -> str:
    """Return a share in per cent with one decimal, 0 and 100 only where they are exact."""
    text = f"{100 * share:.1f} %"
    if text in {"0.0 %", "100.0 %"}:
        return {0.0: "0 %", 1.0: "100 %"}.get(float(share), f"{'less than 0.1' if share < 0.5 else 'more than 99.9'} %")
    return text
