"""Ids that a spreadsheet or a column of floating-point numbers has rounded, so that different ones look the same."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from bandit.logfiles.columns.coded_text import Utf8Texts
from bandit.logfiles.rejections import ImportFinding
from bandit.printable import counted, plain

KEPT_DIGITS = 15
"""Digits of a number that a spreadsheet keeps; it writes zeros for the others."""

_SCIENTIFIC = re.compile(r"\s*[-+]?(\d)(?:[.,](\d+))?[eE]\+?(\d{1,3})\s*")
_WHOLE = re.compile(r"\s*\d{16,}\s*")
_SURE_ZEROS = 6


class IdDamage:
    """Looks for ids in scientific notation with fewer digits than the number has, and for ids that end in zeros."""

    def __init__(self, what: str, column: str) -> None:
        self._what, self._column = what, column
        self._rounded: dict[str, int] = {}
        self._n_rounded = 0
        self._long: set[str] = set()
        self._kept_digits = False

    def add(self, texts: Sequence[str]) -> None:
        """Look at the texts of some rows."""
        for text in _scientific(texts):
            if _is_rounded(text):
                self._n_rounded += 1
                if len(self._rounded) < 10_000:
                    self._rounded[text] = self._rounded.get(text, 0) + 1
        if not self._kept_digits and len(self._long) < 10_000:
            self._long.update(text.strip() for text in _long(texts) if _WHOLE.fullmatch(text))
            self._kept_digits = any(set(text[KEPT_DIGITS:]) != {"0"} for text in self._long)

    def finding(self) -> ImportFinding | None:
        """Return what is wrong with the ids, None where nothing is."""
        cure = f'export "{self._column}" as text, with all digits'
        if self._n_rounded:
            most = sorted(self._rounded, key=lambda text: -self._rounded[text])[:3]
            listed = self._examples([f'"{plain(text)}"' for text in most])
            rows = counted(self._n_rounded, "row", ("has", "have"))
            text = (
                f'{rows} a {self._what} in scientific notation in "{self._column}"{listed}, so that digits '
                "are lost and different ones look the same"
            )
            return ImportFinding("damaged ids", text, cure, refuses=True)
        lost = sum(len(text) - KEPT_DIGITS for text in self._long)
        if self._kept_digits or lost < _SURE_ZEROS:
            return None
        example = self._examples([plain(min(self._long))])
        text = (
            f'every long {self._what} in "{self._column}" has zeros after its first {KEPT_DIGITS} '
            f"digits{example}: a spreadsheet has rounded them, and different ones look the same"
        )
        return ImportFinding("damaged ids", text, cure, refuses=True)

    def _examples(self, texts: Sequence[str]) -> str:
        """Return examples as a part of a sentence; none of customers, who are named in no message."""
        return "" if self._what == "customer" else f" (such as {', '.join(texts)})"


def _is_rounded(text: str) -> bool:
    """Return whether a text is a number in scientific notation with fewer digits than the number has."""
    found = _SCIENTIFIC.fullmatch(text)
    return found is not None and "+" in text and 1 + len(found[2] or "") < 1 + int(found[3])


def _scientific(texts: Sequence[str]) -> Sequence[str]:
    """Return the texts, or of texts whose bytes are known those that may be numbers in scientific notation."""
    if isinstance(texts, Utf8Texts):
        if not (texts.data == ord("+")).any():
            return ()
        rows = np.flatnonzero(texts.odd() | texts.like_numbers())
        return [texts[row] for row in rows.tolist()]
    joined = "\n".join(texts)
    return texts if "E+" in joined or "e+" in joined else ()


def _long(texts: Sequence[str]) -> Sequence[str]:
    """Return texts of more than KEPT_DIGITS signs, of texts whose bytes are known those that may be whole numbers."""
    if isinstance(texts, Utf8Texts):
        rows = np.flatnonzero((texts.sizes > KEPT_DIGITS) & (texts.odd() | texts.like_numbers(KEPT_DIGITS + 1)))
        return [texts[row] for row in rows.tolist()]
    return texts if max(map(len, texts), default=0) > KEPT_DIGITS else ()
