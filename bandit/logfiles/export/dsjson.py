"""Files of exports in dsjson, which Vowpal Wabbit reads with `--dsjson --cb_explore_adf`: one JSON event a line.

`c` has the facts in the namespace `facts` and in `_multi` one action for each eligible offer, with a namespace for
each dimension; names and texts are percent-encoded there, since VW splits them at `|`, `:` and spaces. `a` has the
actions by their place in `_multi`, from 1, the chosen one first. `p` has their probabilities in that order, where the
log kept them all; else there is no `p`, and VW learns by `_label_probability`. `_label_cost` is minus the reward, `o`
has the reward, and `pdrop` of a line that stands for s > 1 decisions is 1 - 1 / s, by which VW weighs it.
`offer_bandit`, which VW ignores, has the columns of the log as they are, to import them again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
import numpy as np
from numpy.typing import NDArray

from bandit.catalogue.context_json import contexts_json
from bandit.domain import Contexts
from bandit.logfiles.export.table import columns
from bandit.store.records import object_array

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, FloatArray, ObjectArray
    from bandit.logfiles.export.rows import ExportedLog, ExportRows

_MOST_CACHED = 50_000_000
"""Most characters of actions that are cached."""


class DsjsonFile:
    """A dsjson file being written."""

    def __init__(self, path: Path, log: ExportedLog) -> None:
        self._log, self._catalogue = log, log.catalogue
        self._actions = _Actions(log.catalogue)
        names = log.layout.names
        self._own = _record(names)
        self._file = path.open("wb")

    def write(self, rows: ExportRows) -> None:
        """Append rows."""
        stored, batch = rows.stored, rows.batch
        table = [
            column.texts() if column.kind == "time" else _plain(column.values, column.kind)
            for column in columns(rows, self._log.layout, self._catalogue)
        ]
        own = _lines(list(map(self._own, *table)))
        facts = contexts_json(self._catalogue.facts, _encoded(batch.contexts))
        ids = _lines(stored.decision_id.tolist())
        times = table[self._log.layout.names.index("time")]
        costs = (0.0 - batch.reward).tolist()
        propensities = batch.propensity.tolist()
        vectors, weights = self._vectors(rows), stored.weight.tolist()
        text = []
        for row, (number, offer) in enumerate(zip(rows.sets.tolist(), batch.offer.tolist(), strict=True)):
            mask = rows.masks[number]
            multi = self._actions.multi(number, mask)
            place = int(np.count_nonzero(mask[:offer]))
            order = _chosen_first(place, int(np.count_nonzero(mask)))
            vector = vectors[row]
            s = weights[row]
            dropped = f'"pdrop":{1.0 - 1.0 / s!r},' if s > 1.0 else ""
            known = (
                "" if vector is None else f'"p":{_json(vector[np.flatnonzero(mask)][np.array(order) - 1].tolist())},'
            )
            text.append(
                f'{{"_label_cost":{costs[row]!r},"_label_probability":{propensities[row]!r},'
                f'"_label_Action":{place + 1},"_labelIndex":{place},"Timestamp":"{times[row]}","Version":"1",'
                f'"EventId":{ids[row]},"a":{_json(order)},{known}{dropped}"c":{{"facts":{facts[row]},"_multi":{multi}}},'
                f'"o":[{{"EventId":{ids[row]},"v":{0.0 - costs[row]!r}}}],"offer_bandit":{own[row]}}}\n'
            )
        self._file.write("".join(text).encode())

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def _vectors(self, rows: ExportRows) -> list[FloatArray | None]:
        """Return the (N,) probabilities of each row, None where the log does not have them for these offers."""
        same = self._log.same_catalogue(rows).tolist()
        kept = rows.stored.probabilities.tolist()
        return [
            np.frombuffer(vector, dtype="<f8") if vector is not None and is_same else None
            for vector, is_same in zip(kept, same, strict=True)
        ]


class _Actions:
    """The JSON of the actions of each eligible set, cached."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._of_set: dict[int, str] = {}
        self._size = 0

    def multi(self, number: int, mask: BoolArray) -> str:
        """Return the JSON list of the set's offers."""
        text = self._of_set.get(number)
        if text is None:
            options = self._catalogue.offers(np.flatnonzero(mask))
            names = [quote(name, safe="") for name in options]
            actions = [
                {name: {"option": quote(option, safe="")} for name, option in zip(names, chosen, strict=True)}
                for chosen in zip(*options.values(), strict=True)
            ]
            text = _json(actions)
            if self._size > _MOST_CACHED:
                self._of_set.clear()
                self._size = 0
            self._of_set[number] = text
            self._size += len(text)
        return text


def _record(names: Sequence[str]) -> Callable[..., object]:
    """Return the function that makes an object of a row's values, one for each name, without those that are None."""
    fields = [(f"f{place}", object, None) for place in range(len(names))]
    rename = {f"f{place}": name for place, name in enumerate(names)}
    try:
        return msgspec.defstruct("Own", fields, rename=rename, omit_defaults=True, gc=False)
    except ValueError:  # a name with a quote, a backslash or a control character; a dict is slower

        def plain(*values: object) -> dict[str, object]:
            return {name: value for name, value in zip(names, values, strict=True) if value is not None}

        return plain


def _encoded(contexts: Contexts) -> Contexts:
    """Return the contexts with their texts percent-encoded, each distinct text once."""
    text: dict[str, ObjectArray] = {}
    for name, column in contexts.text.items():
        table = {value: None if value is None else quote(value, safe="") for value in set(column.tolist())}
        text[name] = object_array(list(map(table.__getitem__, column.tolist())))
    return Contexts(contexts.n, contexts.columns, text, contexts.customers)


def _plain(values: NDArray[Any], kind: str) -> Sequence[object]:
    """Return plain Python values, None where missing."""
    if kind in {"number", "count"}:
        missing = np.isnan(values) if kind == "number" else values == -1
        values = values.astype(object)
        values[missing] = None
    return values.tolist()  # type: ignore[no-any-return]


def _chosen_first(place: int, n: int) -> list[int]:
    """Return the numbers 1 to n with `place` + 1 first."""
    return [place + 1, *range(1, place + 1), *range(place + 2, n + 1)]


def _lines(values: list[object]) -> list[str]:
    """Return the JSON of each value."""
    return msgspec.json.Encoder(enc_hook=str).encode_lines(values).decode().split("\n")[:-1]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
