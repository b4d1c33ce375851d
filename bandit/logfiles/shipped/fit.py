"""A mapping that ships, fitted to a catalogue and to what a file has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tomli_w

from bandit.domain import Progress
from bandit.errors import InputError, LogFileError
from bandit.logfiles.columns.time_styles import TimeStyle, guess_time_style
from bandit.logfiles.events.counts import named_events
from bandit.logfiles.mapping.mapping import UNKNOWN_PROPENSITY, LogMapping
from bandit.logfiles.shipped.paths import SHIPPED_MAPPINGS, OutcomePaths, ShippedPaths, flat, shipped_paths
from bandit.logfiles.shipped.survey import ALL, DECISION, PURCHASE, RETURN, PathSurvey
from bandit.logfiles.sources.open_source import open_source
from bandit.printable import plain

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.logfiles.sources.source import Source

_PATHS_NAMED = 5


@dataclass(frozen=True, slots=True)
class ShippedMapping:
    """A mapping that ships, fitted to a file: the mapping, its TOML file, and a sentence on what was taken for what."""

    mapping: LogMapping
    toml: str
    sentence: str


def fit_shipped_mapping(
    name: str, source: Source, catalogue: Catalogue, progress: Progress | None = None
) -> ShippedMapping:
    """Return a mapping that ships, fitted to the events and paths that a file has and to a catalogue.

    The file is read once. An option's column is the path whose values are most often the catalogue's options in the
    rows that are decisions. LogFileError where the file has no such decisions or purchases, or no path with options.
    """
    paths = shipped_paths(name)
    return _Fit(name, paths, catalogue, PathSurvey.of(paths, catalogue, source, progress)).mapping()


class _Fit:
    """Fits the paths of a tool to a file and a catalogue."""

    def __init__(self, name: str, paths: ShippedPaths, catalogue: Catalogue, seen: PathSurvey) -> None:
        self._name, self._paths, self._catalogue, self._seen = name, paths, catalogue, seen
        self._event = seen.most(paths.event_rows.event, ALL)
        self._optional: list[str] = []

    def mapping(self) -> ShippedMapping:
        """Return the mapping; LogFileError where the file does not have what it needs."""
        objective, seen, paths = self._catalogue.objective, self._seen, self._paths
        if objective.kind == "reward":
            raise self._fault('reads purchases and returns; objectives of kind "reward" need a mapping of their own')
        if self._event is None:
            raise self._fault(f"finds no event: no row has {_either(paths.event_rows.event)}")
        decision = self._decision()
        columns = {
            key: found
            for key, found in (
                ("customer", self._need("customer", paths.columns.customer, ALL)),
                ("decision_id", seen.most(paths.columns.decision_id, DECISION)),
                ("time", self._need("time", paths.columns.time, ALL)),
            )
            if found is not None
        }
        style = guess_time_style(list(seen.times[columns["time"]])) or TimeStyle("iso")
        times = {} if style.time_format == "iso" else {"time_format": style.time_format}
        times |= {"time_unit": style.unit} if style.unit != "s" else {}
        propensity = seen.most(paths.columns.propensity, DECISION) or UNKNOWN_PROPENSITY
        event_rows: dict[str, object] = {"event": self._event, "decision": decision, "join": "customer"}
        if "decision_id" in columns:
            event_rows["event_id"] = columns["decision_id"]
        order = seen.most(paths.event_rows.order, PURCHASE)
        if order is not None:
            event_rows["order"] = order
        offer = {name: self._offer(name) for name in self._catalogue.dimension_names}
        outcomes = [self._purchase(), *self._returned()]
        given = {
            "columns": columns | times | {"propensity": propensity},
            "event_rows": event_rows,
            "offer": {name: {"column": path} for name, path in offer.items()},
            "context": {
                name: seen.most(self._paths.context.of(name), DECISION) or self._paths.context.of(name)[0]
                for name in self._catalogue.facts
            },
            "outcomes": outcomes,
            "optional": sorted(set(self._optional)),
        }
        return ShippedMapping(
            LogMapping.from_dict(given, f'the mapping "{self._name}"'),
            tomli_w.dumps(given),
            self._sentence(decision, offer, outcomes, propensity),
        )

    def _decision(self) -> list[str | list[str]]:
        """Return the events that are decisions: of each group of alternatives the first that the file has."""
        there = {event.casefold(): event for event in reversed(self._seen.named(self._event or ""))}
        groups = [[each] if isinstance(each, str) else each for each in self._paths.event_rows.decision]
        found = [next((there[each.casefold()] for each in group if each.casefold() in there), None) for group in groups]
        chosen = [event for event in found if event is not None]
        if not chosen:
            raise self._fault(
                f'finds no decision, such as "{flat(self._paths.event_rows.decision)[0]}": the events in '
                f'"{self._event}" are {named_events(self._seen.named(self._event or ""))}'
            )
        alone = all(isinstance(each, str) for each in self._paths.event_rows.decision)
        return [chosen[0]] if alone else [chosen]

    def _need(self, what: str, paths: Sequence[str], part: str) -> str:
        found = self._seen.most(paths, part)
        if found is None:
            raise self._fault(f"finds no {what}: no row has {_either(paths)}")
        return found

    def _offer(self, dimension: str) -> str:
        """Return the path whose values are most often options of a dimension."""
        names = set(self._catalogue.dimensions[self._catalogue.dimension_names.index(dimension)].names)
        paths = self._paths.offer.of(dimension)
        hits = {path: sum(n for text, n in self._seen.options.get(path, {}).items() if text in names) for path in paths}
        best = max(paths, key=hits.__getitem__)
        if hits[best]:
            return best
        seen = [
            f'"{path}" has {named_events(values)}'
            for path, values in self._seen.options.items()
            if values and path in paths
        ]
        raise self._fault(
            f'finds no option of "{dimension}" ({", ".join(sorted(names))}) in the decisions: '
            + ("; ".join(seen[:_PATHS_NAMED]) if seen else f"none has {_either(paths)}")
        )

    def _when(self, part: OutcomePaths) -> dict[str, object] | None:
        """Return the condition for the rows of an outcome, None where the file has none."""
        wanted = {event.casefold() for event in part.events}
        for path in (self._event or "", *part.names):
            there = [event for event in self._seen.named(path) if event.casefold() in wanted]
            if there:
                return {"column": path, "equals": sorted(there)}
        return None

    def _purchase(self) -> dict[str, object]:
        objective, part = self._catalogue.objective, self._paths.purchase
        when = self._when(part)
        if when is None:
            raise self._fault(
                f'finds no purchase, such as "{part.events[0]}": the events in "{self._event}" are '
                f"{named_events(self._seen.named(self._event or ''))}"
            )
        entry: dict[str, object] = {"event": objective.event, "when": when}
        revenue = self._seen.most(part.revenue, PURCHASE)
        if revenue is None and objective.kind != "conversion":
            raise self._fault(f'finds no amount of "{part.events[0]}": none has {_either(part.revenue)}')
        if revenue is not None:
            entry["revenue"] = revenue
        net, discount = self._seen.most(part.net, PURCHASE), self._seen.most(part.discount, PURCHASE)
        rates = any(option.rate > 0 for dimension in self._catalogue.dimensions for option in dimension.options)
        if objective.kind == "profit" and rates and net is not None and discount is not None:
            # The catalogue's rate takes the discount off, so the amount is the one before it.
            entry |= {"revenue": net, "add": [discount]}
        return entry

    def _returned(self) -> list[dict[str, object]]:
        """Return the entry for returns, none where the file has none."""
        part = self._paths.returned
        when = self._when(part)
        if when is None:
            return []
        revenue = self._seen.most(part.revenue, RETURN)
        if revenue is None:
            revenue = part.revenue[0]
            self._optional.append(revenue)
        name = "return" if self._catalogue.objective.event != "return" else "returned"
        partial = [path for path in part.partial if self._seen.filled[RETURN][path]]
        entry: dict[str, object] = {"event": name, "when": when, "revenue": revenue, "returns": True}
        return [entry | ({"partial": partial} if partial else {})]

    def _sentence(
        self,
        decision: Sequence[str | list[str]],
        offer: dict[str, str],
        outcomes: Sequence[dict[str, object]],
        propensity: str,
    ) -> str:
        offers = ", ".join(f'"{name}" from {path}' for name, path in offer.items())
        amounts = [f"{each['event']} from {' + '.join(_amounts(each))}" for each in outcomes if "revenue" in each]
        said = f'The mapping "{self._name}" takes {_either(flat(decision), "and")} for the decisions, options: {offers}'
        said += f"; amounts: {', '.join(amounts)}" if amounts else ""
        said += "; propensities: " + ("unknown" if propensity == UNKNOWN_PROPENSITY else f"from {propensity}")
        return plain(f"{said}.")

    def _fault(self, message: str) -> LogFileError:
        return LogFileError(
            plain(
                f'the mapping "{self._name}" {message}; write a mapping of your own, from the paths that '
                f"`offer-bandit mappings {self._name}` prints"
            )
        )


def _amounts(outcome: dict[str, object]) -> list[str]:
    more = outcome.get("add", [])
    return [str(outcome["revenue"]), *(map(str, more) if isinstance(more, list) else [])]


def _either(names: Sequence[str], word: str = "or") -> str:
    quoted = [f'"{name}"' for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {word} {quoted[-1]}"


def shipped_mapping(
    name: str, path: str | Path, catalogue: Catalogue, *, progress: Progress | None = None
) -> ShippedMapping:
    """Return a mapping that ships, fitted to a file: as `fit_shipped_mapping`.

    InputError for a name that none has; LogFileError where the file cannot be read or does not have what it needs.
    """
    if name not in SHIPPED_MAPPINGS:
        raise InputError(f'no mapping "{name}" ships; there are {", ".join(SHIPPED_MAPPINGS)}')
    return fit_shipped_mapping(name, open_source(Path(path), progress=progress), catalogue, progress)
