"""A catalogue file, validated: an error names the path of the key that does not fit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from bandit.catalogue.aliases import alias_texts, check_aliases
from bandit.catalogue.alike import check_alike
from bandit.catalogue.event_schema import check_events, check_stages
from bandit.catalogue.file_tables import (
    CatalogueFile,
    DimensionFile,
    FactFile,
    ObjectiveFile,
    OptionFile,
    RuleFile,
    window_microseconds,
)
from bandit.catalogue.group_schema import check_group_keys, check_groups
from bandit.catalogue.live_schema import check_guardrail, check_live_keys, check_rollout
from bandit.catalogue.objective import LARGEST_AMOUNT
from bandit.errors import CatalogueError
from bandit.printable import did_you_mean

SETTINGS_AMONG_FACTS = ("undeclared", "undeclared_values")
"""Settings that stand under [context] among the facts."""

_LEARNED = ("center", "scale", "transform")
"""Keys of a fact that say how it is learned."""

MAX_NAME = 1_000
"""Longest name in a catalogue in characters."""


def decode(mapping: Mapping[str, object], where: str, *, stored: bool = False) -> CatalogueFile:
    """Return the validated structure of a file; CatalogueError names `where` and the path of the faulty key.

    In a catalogue that a database has already (`stored`), names may look alike.
    """
    plain = dict(mapping)
    context = plain.get("context")
    if isinstance(context, Mapping):
        settings = {name: context[name] for name in SETTINGS_AMONG_FACTS if isinstance(context.get(name), str)}
        plain |= settings
        plain["context"] = {name: fact for name, fact in context.items() if name not in settings}
    plain["dimensions"] = _gather_attributes(plain.get("dimensions"))
    if plain["dimensions"] is None:
        raise CatalogueError(f"{where}: has no [[dimensions]]; name at least one lever and its options")
    try:
        check_group_keys(plain.get("groups"))
        check_live_keys(plain)
        file = msgspec.convert(plain, CatalogueFile)
        _check(file)
        if not stored:
            check_alike(file)
            _check_costs(file)
    except (msgspec.ValidationError, OverflowError) as fault:  # an integer may be more than a float holds
        raise CatalogueError(f"{where}: {fault}") from fault
    except UnicodeEncodeError as fault:  # a text in the place of something else, which a message would have quoted
        raise CatalogueError(f"{where}: a text has half a character; write whole ones") from fault
    except CatalogueError as fault:
        raise CatalogueError(f"{where}: {fault}") from fault
    return file


def encode(file: CatalogueFile) -> dict[str, object]:
    """Return the structure as plain values as they stand in TOML; empty keys are left out."""
    plain: dict[str, object] = _without_empty(msgspec.to_builtins(file))
    for dimension in cast("list[dict[str, Any]]", plain["dimensions"]):
        dimension["options"] = [
            {key: value for key, value in option.items() if key != "attributes" and (key, value) != ("stopped", False)}
            | option.get("attributes", {})
            for option in dimension["options"]
        ]
    objective = cast("dict[str, Any]", plain.get("objective", {}))
    if objective.get("stacking") == "sum":  # left out where it is the default, so that versions stay what they were
        del objective["stacking"]
    for fact in cast("dict[str, Any]", plain.get("context", {})).values():
        if isinstance(fact, dict) and fact.get("stored") == "yes":
            del fact["stored"]
    settings = {name: plain.pop(name) for name in SETTINGS_AMONG_FACTS if name in plain}
    plain["context"] = {**settings, **cast("dict[str, Any]", plain.get("context", {}))}
    return plain


def _without_empty(value: Any) -> Any:  # noqa: ANN401 - any plain value
    if isinstance(value, dict):
        return {
            key: _without_empty(inner) for key, inner in value.items() if inner is not None and inner not in ([], {})
        }
    if isinstance(value, list):
        return [_without_empty(inner) for inner in value]
    return value


def _gather_attributes(dimensions: object) -> object:
    """Move the free keys of each option under `attributes`, where `OptionFile` has them."""
    if not isinstance(dimensions, Sequence) or isinstance(dimensions, str):
        return dimensions
    costs = set(OptionFile.__struct_fields__) - {"attributes"}

    def gathered(option: object) -> object:
        if not isinstance(option, Mapping):
            return option
        free = {key: value for key, value in option.items() if key not in costs}
        return {key: value for key, value in option.items() if key in costs} | {"attributes": free}

    return [
        {**dimension, "options": [gathered(option) for option in dimension["options"]]}
        if isinstance(dimension, Mapping) and isinstance(dimension.get("options"), (list, tuple))
        else dimension
        for dimension in dimensions
    ]


def _check(file: CatalogueFile) -> None:
    if not file.dimensions:
        raise CatalogueError("has no [[dimensions]]; name at least one lever and its options")
    for what, text in _texts(file):
        _check_text(what, text)
    _distinct("dimension", [dimension.name for dimension in file.dimensions])
    check_aliases(file)
    for dimension in file.dimensions:
        _check_dimension(dimension)
    for name, fact in file.context.items():
        _check_fact(name, fact)
    objective = file.objective
    _check_largest_amount(objective)
    if not 0 <= objective.margin <= 1:
        raise CatalogueError(f"[objective] margin is a share between 0 and 1; seen {objective.margin}")
    if objective.window_microseconds <= 0:
        raise CatalogueError("[objective] window must be longer than nothing")
    options = {dimension.name: {option.name for option in dimension.options} for dimension in file.dimensions}
    for number, rule in enumerate(file.rules, start=1):
        _check_rule(number, rule, options)
    if file.groups is not None:
        check_groups(file.groups, has_fallback=file.fallback is not None)
    _check_live(file)


def _check_live(file: CatalogueFile) -> None:
    """Check what is declared about the policy while it is live."""
    if file.rollout is not None:
        grouped = file.groups is not None and file.groups.rules is not None
        check_rollout(
            file.rollout, has_substitute=grouped or file.rollout.rules is not None or file.fallback is not None
        )
    groups = () if file.groups is None else tuple(file.groups.shares)
    for number, guardrail in enumerate(file.guardrails, start=1):
        check_guardrail(number, guardrail, groups)
    _distinct("guardrail", [guardrail.words for guardrail in file.guardrails])
    if file.sticky is not None:
        if window_microseconds(file.sticky.duration) <= 0:
            raise CatalogueError("[sticky] for must be longer than nothing")
        _distinct("event of [sticky] until", file.sticky.until)
    _check_activation(file.objective)
    check_stages(file.objective)
    check_events(file)


def _check_activation(objective: ObjectiveFile) -> None:
    """Check that the activating event can come without the outcome."""
    if objective.activation is None:
        return
    if not objective.activation.strip():
        raise CatalogueError("[objective] activation is the name of an event; seen an empty text")
    if objective.activation in {objective.event, "closed"}:
        raise CatalogueError(
            f'[objective] activation is an event that comes before the outcome, as "shown"; seen '
            f'"{objective.activation}", which says the outcome'
        )


def _texts(file: CatalogueFile) -> Iterator[tuple[str, str]]:
    """Yield (kind, text) for every text of a catalogue that is stored or shown."""
    yield from (("name", file.name), ("currency", file.currency), ("event", file.objective.event))
    for dimension in file.dimensions:
        yield "dimension", dimension.name
        for option in dimension.options:
            yield "option", option.name
            yield from (("attribute", name) for name in option.attributes)
    for name, fact in file.context.items():
        yield "fact", name
        yield from (("value", value) for value in fact.values)
    yield from (("reason", rule.reason) for rule in file.rules)
    if file.groups is not None:
        yield from file.groups.texts()
    if file.rollout is not None:
        yield from file.rollout.texts()
    yield from (("event", guardrail.event) for guardrail in file.guardrails)
    if file.sticky is not None:
        yield from (("event", event) for event in file.sticky.until)
    if file.objective.activation is not None:
        yield "event", file.objective.activation
    yield from (("event", event) for event in file.objective.stages)
    yield from (("event", event) for event in file.events)
    yield from alias_texts(file)


def _check_text(what: str, text: str) -> None:
    if len(text) > MAX_NAME:
        raise CatalogueError(f'the {what} "{text[:40]}..." has {len(text):,} characters; at most {MAX_NAME:,} are read')
    if "\0" in text:
        raise CatalogueError(f"the {what} {text!r} has a zero character, which cannot be stored; take it out")
    try:
        text.encode()
    except UnicodeEncodeError as fault:
        raise CatalogueError(f"the {what} {text!r} has half a character; write whole ones") from fault


def _check_dimension(dimension: DimensionFile) -> None:
    if not dimension.options:
        raise CatalogueError(f'dimension "{dimension.name}" has no options; name at least one ("none" is one)')
    _distinct(f'option of "{dimension.name}"', [option.name for option in dimension.options])
    known = {"rate", *(key for option in dimension.options for key in option.attributes)}
    for name in dimension.attributes:
        if name not in known:
            raise CatalogueError(
                f'dimension "{dimension.name}": no option has the attribute "{name}"; attributes are '
                f"{', '.join(sorted(known))}"
            )
    if all(option.stopped for option in dimension.options):
        raise CatalogueError(
            f'dimension "{dimension.name}": every option is stopped; leave one of them without stopped = true'
        )
    for option in dimension.options:
        numbers = {
            "rate": option.rate,
            "contact_cost": option.contact_cost,
            "redemption_cost": option.redemption_cost,
            **option.attributes,
        }
        for key, number in numbers.items():
            if not math.isfinite(number):
                raise CatalogueError(
                    f'option "{option.name}" of "{dimension.name}": {key} must be finite, not {number}'
                )
        if not 0 <= option.rate <= 1:
            raise CatalogueError(
                f'option "{option.name}" of "{dimension.name}": rate is a share, 0 to 1; seen {option.rate}'
            )


def _check_costs(file: CatalogueFile) -> None:
    """Check that costs are amounts of money; sums and products of larger numbers are more than a float holds."""
    for dimension in file.dimensions:
        for option in dimension.options:
            for key, cost in (("contact_cost", option.contact_cost), ("redemption_cost", option.redemption_cost)):
                if abs(cost) > LARGEST_AMOUNT:
                    raise CatalogueError(
                        f'option "{option.name}" of "{dimension.name}": {key} is within +-{LARGEST_AMOUNT:g}; seen '
                        f"{cost:g}"
                    )


def _check_fact(name: str, fact: FactFile) -> None:
    if fact.type == "categorical":
        if not fact.values:
            raise CatalogueError(f'[context] "{name}" is categorical and needs its values = [...]')
        _distinct(f'value of "{name}"', fact.values)
    elif fact.values:
        raise CatalogueError(f'[context] "{name}" is {fact.type}; only a categorical fact has values')
    elif fact.undeclared_values is not None:
        raise CatalogueError(f'[context] "{name}" is {fact.type}; only a categorical fact has undeclared_values')
    declared = [number for number in (fact.center, fact.scale) if number is not None]
    if declared and fact.type != "numeric":
        raise CatalogueError(f'[context] "{name}" is {fact.type}; only a numeric fact has center and scale')
    if len(declared) == 1:
        raise CatalogueError(f'[context] "{name}" needs both center and scale, or neither')
    _check_bounds(name, fact)
    _check_buckets(name, fact)
    if fact.transform is not None and fact.type != "numeric":
        raise CatalogueError(f'[context] "{name}" is {fact.type}; only a numeric fact has a transform')
    if not all(map(math.isfinite, declared)) or (fact.scale is not None and fact.scale <= 0):
        raise CatalogueError(f'[context] "{name}": center must be finite and scale above 0')
    if name == "undeclared":
        raise CatalogueError('[context] "undeclared" is the setting "refuse" or "drop"; name the fact otherwise')
    if not name.isidentifier():
        raise CatalogueError(f'[context] "{name}" cannot be used in conditions; use letters, digits and underscores')


def _check_bounds(name: str, fact: FactFile) -> None:
    bounds = [number for number in (fact.min, fact.max) if number is not None]
    if fact.outside is not None and not bounds:
        raise CatalogueError(f'[context] "{name}" has outside, which is about min and max; declare one of them')
    if bounds and fact.type != "numeric":
        raise CatalogueError(f'[context] "{name}" is {fact.type}; only a numeric fact has min and max')
    if not all(map(math.isfinite, bounds)):
        raise CatalogueError(f'[context] "{name}": min and max must be finite numbers; leave one out for no bound')
    if len(bounds) == 2 and not bounds[0] < bounds[1]:
        raise CatalogueError(f'[context] "{name}": min must be below max; seen {bounds[0]:g} and {bounds[1]:g}')


def _check_buckets(name: str, fact: FactFile) -> None:
    edges = list(fact.edges)
    if fact.stored == "hashed" and fact.type != "categorical":
        raise CatalogueError(f'[context] "{name}" is {fact.type}; only a categorical fact is stored hashed')
    if fact.hashed_with is not None and fact.stored != "hashed":
        raise CatalogueError(f'[context] "{name}" has hashed_with, which the program writes; leave it out')
    if fact.stored == "no" and (declared := next((key for key in _LEARNED if getattr(fact, key) is not None), None)):
        raise CatalogueError(
            f'[context] "{name}" is not stored, so that nothing learns from it; leave {declared} out, or store it'
        )
    if fact.stored != "bucketed":
        if edges:
            raise CatalogueError(f'[context] "{name}" has edges, which are those of buckets; add stored = "bucketed"')
        return
    if fact.type != "numeric":
        raise CatalogueError(f'[context] "{name}" is {fact.type}; only a numeric fact is stored by bucket')
    if len(edges) < 2 or not all(map(math.isfinite, edges)) or sorted(set(edges)) != edges:
        raise CatalogueError(
            f'[context] "{name}" is stored by bucket and needs edges = [...], two or more finite numbers in increasing '
            "order"
        )


def _check_largest_amount(objective: ObjectiveFile) -> None:
    largest = objective.largest_amount
    if largest is None:
        if objective.outside is not None:
            raise CatalogueError("[objective] outside is about largest_amount; declare that too")
        return
    if not 0.0 < largest <= LARGEST_AMOUNT:
        raise CatalogueError(f"[objective] largest_amount is above 0 and at most {LARGEST_AMOUNT:g}; seen {largest:g}")


def _check_rule(number: int, rule: RuleFile, options: Mapping[str, set[str]]) -> None:
    if not rule.forbid:
        raise CatalogueError(f"rule {number} forbids nothing; name dimensions and options under forbid")
    for name, forbidden in rule.forbid.items():
        if name not in options:
            raise CatalogueError(
                f'rule {number} names the unknown dimension "{name}"; dimensions are {", ".join(options)}'
                f"{did_you_mean(name, options)}"
            )
        unknown = [option for option in forbidden if option not in options[name]]
        if unknown:
            raise CatalogueError(
                f'rule {number} names "{unknown[0]}", which is not an option of "{name}"'
                f"{did_you_mean(unknown[0], options[name])}"
            )


def _distinct(what: str, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if not name.strip():
            raise CatalogueError(f"a {what} has an empty name; give it one")
        if name in seen:
            raise CatalogueError(f'the {what} "{name}" is there twice; names must differ')
        seen.add(name)
