"""VW's text format: escaped names, and the lines of contexts and offers."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from bandit.domain import Contexts, FloatArray
from bandit.encoding.encoder import Encoder


def quoted(names: Sequence[str]) -> list[str]:
    """Return names percent-encoded: ASCII without `|`, `:`, spaces and line ends."""
    return [quote(name, safe="") for name in names]


def features(names: Sequence[str], row: Sequence[float]) -> str:
    """Return VW's text of the columns that are not zero; VW reads a name without a number as 1."""
    return " ".join(
        name if value == 1.0 else f"{name}:{value:.9g}" for name, value in zip(names, row, strict=True) if value != 0.0
    )


def context_lines(encoder: Encoder, contexts: Contexts) -> list[str]:
    """Return the facts of each context in the namespace `c`, without the intercept, which VW adds."""
    names = quoted(encoder.context_names[1:])
    return ["|c " + features(names, row) for row in encoder.context_matrix(contexts)[:, 1:].tolist()]


def offer_lines(names: Sequence[str], columns: FloatArray) -> list[str]:
    """Return each row of (N, K) columns in the namespace `a`."""
    clean = quoted(names)
    return ["|a " + features(clean, row) for row in columns.tolist()]
