"""How the numbers of a file are written: decimal and thousands separators, signs, and words for a missing number."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bandit.domain import FloatArray
from bandit.logfiles.columns.values import INVALID, floats, is_blank, number, share

DECIMAL_MARKS = (".", ",")
"""What may stand between a number's whole part and its decimals."""

THOUSANDS_MARKS = ("", ",", ".", "'", " ")
"""What may stand between groups of three digits."""

MISSING_WORDS = ("NA", "N/A", "n/a", "NULL", "null", "None", "none", "NaN", "nan", "-", "?", "#N/A")
"""Words that programs write where a number is missing."""

_CODES = frozenset(
    {"US$", "A$", "C$", "R$", "Rs", "AUD", "CAD", "EUR", "USD", "GBP", "CHF", "SEK", "NOK", "DKK", "PLN", "CZK"}
    | {"JPY", "INR", "kr", "zł", "Kč"}
)
_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2019": "'", "\u2212": "-"})
_BRACKETS = re.compile(r"(?P<before>[^()]{0,4})\((?P<inner>[^()-]*\d[^()]*)\)(?P<after>[^()]{0,4})")
_TRAILING = re.compile(r"(?P<inner>[^-]*\d)\s*-(?P<after>\s*[^\d\s.,'()+-]{0,4})")
_WRITTEN = re.compile(
    r"(?P<sign>[-+]?)\s*(?P<before>[^\d\s.,'()+-]{0,4})\s*(?P<inner>[-+]?)"
    r"(?P<digits>\d[\d.,' ]*|[.,]\d+)\s*(?P<after>[^\d\s.,'()+-]{0,4})"
)


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """One way of writing numbers; `signs` such as "€" or "%" are left out, and `missing` are words for no number.

    With `brackets`, "(41.06)" is -41.06; with `trailing_minus`, "41.06-" is.

    >>> NumberStyle(decimal=",", thousands=".", signs=("€",)).number("1.221,53 €")
    1221.53
    """

    decimal: str = "."
    thousands: str = ""
    signs: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    brackets: bool = False
    trailing_minus: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as Python writes them."""
        return self == NumberStyle()

    def number(self, text: str) -> float:
        """Return the finite number of a text, NaN for a blank and a missing one, and INVALID for anything else."""
        return number(self._plain(text))

    def share(self, text: str) -> float:
        """Return a number or a fraction such as "1/3"; as `number`."""
        return share(self._plain(text))

    def numbers(self, texts: Sequence[str]) -> FloatArray:
        """Return a column of text as numbers, (n,)."""
        return floats(texts, number if self.is_plain else self.number)

    def shares(self, texts: Sequence[str]) -> FloatArray:
        """Return a column of numbers and fractions, (n,)."""
        return floats(texts, share if self.is_plain else self.share)

    def _plain(self, text: str) -> str:
        """Return the text as Python writes the number; a text that does not fit is returned as no number."""
        if self.is_plain:
            return text
        bare = text.translate(_SPACES).strip()
        if is_blank(bare) or bare in self.missing:
            return ""
        for sign in sorted(self.signs, key=len, reverse=True):  # R$ before $
            bare = bare.replace(sign, "", 1)
        bare = re.sub(r"^([-+])\s+", r"\1", bare.strip())
        if (inner := self._negative(bare)) is not None:
            bare = f"-{inner}"
        whole, mark, rest = bare.partition(self.decimal)
        if self.thousands and self.thousands in whole:
            # Groups of two digits before the last three are how millions are written in India.
            mark_again = re.escape(self.thousands)
            if not re.fullmatch(rf"[-+]?\d{{1,3}}(?:{mark_again}\d{{2,3}})*{mark_again}\d{{3}}", whole):
                return text + "?"
            whole = whole.replace(self.thousands, "")
        if self.decimal != "." and "." in whole + rest:
            return text + "?"
        return f"{whole}.{rest}" if mark else whole

    def _negative(self, bare: str) -> str | None:
        """Return the number between brackets or before a trailing minus, where these are negative numbers."""
        if self.brackets and bare.startswith("(") and bare.endswith(")"):
            inner = bare[1:-1].strip()
        elif self.trailing_minus and bare.endswith("-"):
            inner = bare[:-1].strip()
        else:
            return None
        return inner if inner[:1].isdigit() or inner[:1] == self.decimal else f"?{inner}"

    def with_marks_of(self, other: NumberStyle) -> NumberStyle:
        """Return another style that reads the signs, words and negative numbers of this one, too."""
        return replace(
            other,
            signs=tuple(dict.fromkeys((*self.signs, *other.signs))),
            missing=tuple(dict.fromkeys((*self.missing, *other.missing))),
            brackets=self.brackets or other.brackets,
            trailing_minus=self.trailing_minus or other.trailing_minus,
        )

    def keys(self, other: NumberStyle) -> list[str]:
        """Return the entries of [numbers] that differ in another style, as TOML writes them."""
        changed = []
        if other.decimal != self.decimal:
            changed.append(f'decimal = "{other.decimal}"')
        if other.thousands != self.thousands:
            changed.append(f'thousands = "{other.thousands}"')
        for name, own, others in (("signs", self.signs, other.signs), ("missing", self.missing, other.missing)):
            if set(others) - set(own):
                listed = ", ".join(f'"{each}"' for each in dict.fromkeys((*own, *others)))
                changed.append(f"{name} = [{listed}]")
        changed += ["brackets = true"] if other.brackets and not self.brackets else []
        changed += ["trailing_minus = true"] if other.trailing_minus and not self.trailing_minus else []
        return changed


@dataclass(frozen=True, slots=True)
class GuessedStyle:
    """The style that reads all texts of a column; `ambiguous` where another would read other numbers from them."""

    style: NumberStyle
    ambiguous: bool


def guess_number_style(texts: Iterable[str]) -> GuessedStyle | None:
    """Return the style in which all these texts are numbers, None where there is none.

    A mark that stands twice in a number, or before another mark, separates thousands; one that is not followed by
    three digits precedes decimals. "1,144" alone may be either: thousands are guessed, and the guess is ambiguous.

    >>> guess_number_style(["221,53", "1.221,53"]).style == NumberStyle(decimal=",", thousands=".")
    True
    >>> guess_number_style(["1,144"]).ambiguous
    True
    """
    distinct = [each for text in dict.fromkeys(texts) if not is_blank(each := text.translate(_SPACES).strip())]
    missing = tuple(word for word in MISSING_WORDS if word in distinct)
    brackets = any(map(_BRACKETS.fullmatch, distinct))
    trailing = any(_TRAILING.fullmatch(text) for text in distinct if text not in missing)
    bare = [
        _TRAILING.sub(r"\g<inner>\g<after>", _BRACKETS.sub(r"\g<before>\g<inner>\g<after>", each)) for each in distinct
    ]
    written = [found for text in bare if text not in missing and (found := _WRITTEN.fullmatch(text))]
    if not written or len(written) < len(distinct) - len(missing):
        return _exponents(distinct, missing)
    signs = tuple(dict.fromkeys(sign for each in written for sign in (each["before"], each["after"]) if sign))
    bodies = [each["digits"].strip() for each in written]
    if not all(map(_is_sign, signs)):
        return None
    decimal, thousands, sure = _marks(bodies)
    style = NumberStyle(decimal, thousands, signs, missing, brackets, trailing)
    if any(style.number(text) == INVALID for text in distinct):
        return None
    return GuessedStyle(style, not sure)


def _is_sign(text: str) -> bool:
    """Return whether a text beside a number is a currency's or a percent sign."""
    return text in _CODES or text == "%" or (len(text) == 1 and unicodedata.category(text) == "Sc")


def _exponents(distinct: Sequence[str], missing: tuple[str, ...]) -> GuessedStyle | None:
    """Return the plain style where all texts are numbers such as 1e-05 or plain ones."""
    style = NumberStyle(missing=missing)
    numbers = [style.number(text) for text in distinct]
    return GuessedStyle(style, ambiguous=False) if numbers and INVALID not in numbers else None


def _marks(bodies: Sequence[str]) -> tuple[str, str, bool]:
    """Return (decimal mark, thousands mark, whether that is sure) of numbers without signs."""
    decimals, thousands, unsure = set[str](), set[str](), set[str]()
    for body in bodies:
        marks = [mark for mark in body if mark in ".,' "]
        if not marks:
            continue
        last = marks[-1]
        if len(set(marks)) > 1:
            decimals.add(last)
            thousands |= set(marks[:-1])
        elif last in "' " or len(marks) > 1:
            thousands.add(last)
        elif re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", body):
            unsure.add(last)
        else:
            decimals.add(last)
    unsure -= decimals | thousands
    decimal = next(iter(sorted(decimals)), None)
    if decimal is None:
        # 1.144 is a plain number; 1,144 is more often written for a thousand and some than for one and some.
        decimal = "." if "." not in thousands else ","
    grouped = next(iter(sorted(thousands)), "")
    if not grouped and "," in unsure and decimal != ",":
        return decimal, ",", bool(decimals)
    if not grouped and "." in unsure and decimal == ",":
        return decimal, ".", True
    return decimal, grouped, True


def number_cure(text: str, style: NumberStyle) -> str:
    """Return what to put into the mapping so that a text becomes a number, as the end of a sentence; empty if unknown.

    >>> number_cure("36,68", NumberStyle())
    '; put decimal = "," under [numbers] in the mapping'
    """
    found = guess_number_style([text])
    if found is None:
        return ""
    entries = style.keys(style.with_marks_of(found.style))
    if not entries:
        return ""
    other = ' (or decimal = ",")' if found.ambiguous else ""
    return f"; put {' and '.join(entries)}{other} under [numbers] in the mapping"
