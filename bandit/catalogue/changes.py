"""What differs between two versions of a catalogue, and what each change does to belief, eligibility and money."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal

import msgspec

from bandit.catalogue.aliases import NameMap
from bandit.catalogue.catalogue import Catalogue
from bandit.catalogue.file_tables import FactFile, ObjectiveFile, OptionFile, RuleFile
from bandit.tabular import Cell, Tabular

ChangeKind = Literal["added", "removed", "renamed", "changed"]

_COSTS = {
    "rate": "every conversion gives another share of its revenue away",
    "contact_cost": "every such offer costs another amount to send",
    "redemption_cost": "every conversion costs another amount",
}
_NAMES = frozenset({"name", "aliases", "value_aliases", "attributes", "options"})


@dataclass(frozen=True, slots=True)
class CatalogueChange(Tabular):
    """One change: its kind, the thing and its name, the values before and after ("" for none), and what it does.

    `belief` is about what a policy has learned, `eligibility` about which offers a customer may get, `money` about what
    an offer earns; each is a sentence, "" where the change does nothing to it.
    """

    kind: ChangeKind
    what: str
    name: str
    before: str = ""
    after: str = ""
    belief: str = ""
    eligibility: str = ""
    money: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return plain JSON values."""
        return asdict(self)

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row."""
        return [{field.name: getattr(self, field.name) for field in fields(self)}]

    @property
    def effects(self) -> str:
        """The sentences on what the change does, one after the other."""
        return "; ".join(each for each in (self.belief, self.eligibility, self.money) if each)


def catalogue_changes(before: Catalogue, after: Catalogue) -> tuple[CatalogueChange, ...]:
    """Return the changes from one catalogue to another, none where both mean the same.

    Names go by the aliases of the later one: without an alias a renamed option is one removed and one added.

    >>> channels = {"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]}
    >>> one = Catalogue.from_dict({"dimensions": [channels]})
    >>> renamed = {"name": "channel", "options": [{"name": "email"}, {"name": "text", "aliases": ["sms"]}]}
    >>> [change.kind for change in catalogue_changes(one, Catalogue.from_dict({"dimensions": [renamed]}))]
    ['renamed']
    """
    names = NameMap(before, after)
    return (*_dimensions(names), *_facts(names), *_rules(names), *_objective(before, after), *_rest(before, after))


def _dimensions(names: NameMap) -> Iterator[CatalogueChange]:
    before = {dimension.name: dimension for dimension in names.before.file.dimensions}
    kept = {names.dimension(name): name for name in before}
    for name in before:
        present = names.dimension(name)
        if present is None:
            belief = "scores keep their level, at the mean of its options; earlier decisions are not learned any more"
            yield CatalogueChange("removed", "dimension", name, belief=belief, eligibility=_offers(names))
        elif present != name:
            yield CatalogueChange("renamed", "dimension", name, name, present, belief="kept under the new name")
    for dimension in names.after.file.dimensions:
        if dimension.name not in kept:
            belief = "its options begin at their prior; earlier decisions lack it and are not learned any more"
            options = ", ".join(option.name for option in dimension.options)
            yield CatalogueChange(
                "added", "dimension", dimension.name, after=options, belief=belief, eligibility=_offers(names)
            )
            continue
        yield from _options(names, before[kept[dimension.name]].options, dimension.options, kept[dimension.name])
        attributes = before[kept[dimension.name]].attributes, dimension.attributes
        if attributes[0] != attributes[1]:
            belief = "the order that is declared holds for what is believed"
            one, other = map(_shown, attributes)
            yield CatalogueChange("changed", "attributes", dimension.name, one, other, belief=belief)


def _options(
    names: NameMap, before: list[OptionFile], after: list[OptionFile], dimension: str
) -> Iterator[CatalogueChange]:
    known = {names.option(dimension, option.name): option for option in before}
    for option in before:
        present, label = names.option(dimension, option.name), f"{dimension} = {option.name}"
        if present is None:
            belief = (
                "what it taught stays with the earlier policy, and is recalled if it returns; write stopped = true "
                "instead, and later events of its decisions count as well"
            )
            yield CatalogueChange("removed", "option", label, belief=belief, eligibility=_offers(names))
        elif present != option.name:
            yield CatalogueChange(
                "renamed", "option", label, option.name, present, belief="kept under the new name, as are its decisions"
            )
    for option in after:
        label, old = f"{dimension} = {option.name}", known.get(option.name)
        if old is None:
            belief = (
                "begins at a prior by which all new options together win about a tenth of the draws, unless an earlier "
                "policy knew it"
            )
            values = _shown({key: getattr(option, key) for key in _COSTS if getattr(option, key)} | option.attributes)
            yield CatalogueChange("added", "option", label, "", values, belief=belief, eligibility=_offers(names))
        else:
            yield from _values(old, option, "option", label)


def _values(old: OptionFile, new: OptionFile, what: str, label: str) -> Iterator[CatalogueChange]:
    for key in new.__struct_fields__:
        one, other = getattr(old, key), getattr(new, key)
        if one == other or key in _NAMES - {"attributes"}:
            continue
        if key in _COSTS:
            yield CatalogueChange(
                "changed", f"{what}'s {key}", label, f"{one:g}", f"{other:g}", belief=_ordered(key), money=_COSTS[key]
            )
        elif key == "attributes":
            belief = "the effect that was learned of the attribute counts at the new value"
            yield CatalogueChange("changed", f"{what}'s attributes", label, _shown(one), _shown(other), belief=belief)
        else:
            belief = "kept, and later events of its decisions count" if key == "stopped" and other else ""
            eligibility = "no policy gives it any more" if belief else "who may get it may change"
            yield CatalogueChange(
                "changed",
                f"{what}'s {key}",
                label,
                _shown(one),
                _shown(other),
                belief=belief,
                eligibility=eligibility,
            )


def _ordered(key: str) -> str:
    """Return what a change of a cost does to the belief."""
    if key == "rate":
        return "kept; where the rates order the options, the slope that was learned counts at the new rate"
    return "kept: the response to an offer does not depend on what it costs"


def _facts(names: NameMap) -> Iterator[CatalogueChange]:
    before, after = names.before.file.context, names.after.file.context
    kept = {names.fact(name): name for name in before}
    for name, fact in before.items():
        present = names.fact(name)
        if present is None and name in after and "no" in {fact.stored, after[name].stored}:
            if fact != after[name]:
                yield from _unstored(name, fact, after[name])
        elif present is None and name in after:
            yield CatalogueChange(
                "changed", "fact's type", name, fact.type, after[name].type, belief="begins at its prior"
            )
        elif present is None and fact.stored == "no":
            yield CatalogueChange("removed", "fact", name, fact.type, belief="no effect: nothing was learned of it")
        elif present is None:
            belief = "scores keep their level, at the mean of its effects"
            yield CatalogueChange("removed", "fact", name, fact.type, belief=belief)
        elif present != name:
            yield CatalogueChange("renamed", "fact", name, name, present, belief="kept under the new name")
    for name, fact in after.items():
        old = kept.get(name)
        if old is not None:
            yield from _fact_values(names, old, before[old], fact)
        elif name not in before and fact.stored == "no":
            yield CatalogueChange("added", "fact", name, "", fact.type, belief="not stored: nothing is learned of it")
        elif name not in before:
            unknown = fact.type == "numeric" and fact.scale is None
            belief = "its effects begin at their prior" + (", once 30 values have shown its scale" if unknown else "")
            yield CatalogueChange("added", "fact", name, "", fact.type, belief=belief)


def _unstored(name: str, old: FactFile, new: FactFile) -> Iterator[CatalogueChange]:
    """Yield the change of a fact of which nothing is stored before or after."""
    if new.stored == "no" and old.stored != "no":
        belief = "nothing is learned of it from now on; what is in the log stays until it is erased or retained"
    elif old.stored == "no" and new.stored != "no":
        belief = "its effects begin at their prior"
    else:
        belief = "no effect: nothing is learned of it"
    yield CatalogueChange("changed", "fact", name, _shown(old), _shown(new), belief=belief)


def _fact_values(names: NameMap, name: str, old: FactFile, new: FactFile) -> Iterator[CatalogueChange]:
    known = {names.value(name, value) for value in old.values}
    for value in old.values:
        present = names.value(name, value)
        if present is None:
            belief = 'customers with it count as "other" now'
            yield CatalogueChange("removed", "value", f"{name} = {value}", belief=belief)
        elif present != value:
            yield CatalogueChange(
                "renamed", "value", f"{name} = {value}", value, present, belief="kept under the new name"
            )
    for value in new.values:
        if value not in known:
            belief = 'its effects begin at their prior; before, customers with it counted as "other"'
            yield CatalogueChange("added", "value", f"{name} = {value}", belief=belief)
    for key in new.__struct_fields__:
        if key not in {"type", "values", "hashed_with"} | _NAMES and getattr(old, key) != getattr(new, key):
            one, other = _shown(getattr(old, key)), _shown(getattr(new, key))
            scales = key in {"center", "scale", "transform"}
            belief = "no effect: a policy that has learned keeps the scale it began with" if scales else ""
            if key in {"stored", "edges"}:
                how = "by their hash; earlier ones count as undeclared" if new.stored == "hashed" else "by bucket"
                how = "as they are" if new.stored == "yes" else how
                belief = f"from now on values are logged and learned {how}; what is in the log stays as it is"
            yield CatalogueChange("changed", f"fact's {key}", name, one, other, belief=belief)


def _rules(names: NameMap) -> Iterator[CatalogueChange]:
    def key(rule: RuleFile, name: Callable[[str, str | None], str | None]) -> str:
        forbid = {
            str(name(dimension, None)): sorted(str(name(dimension, option)) for option in options)
            for dimension, options in rule.forbid.items()
        }
        return msgspec.json.encode([forbid, rule.when], order="sorted").decode()

    def present(dimension: str, option: str | None) -> str | None:
        return names.dimension(dimension) if option is None else names.option(dimension, option)

    old = {key(rule, present): rule for rule in names.before.file.rules}
    new = {key(rule, lambda one, other: other or one): rule for rule in names.after.file.rules}
    for text in [each for each in old if each not in new]:
        yield CatalogueChange(
            "removed", "rule", old[text].words, _rule_words(old[text]), eligibility=_widened(names, old[text])
        )
    for text in [each for each in new if each not in old]:
        yield CatalogueChange(
            "added", "rule", new[text].words, "", _rule_words(new[text]), eligibility=_widened(names, new[text])
        )


def _rule_words(rule: RuleFile) -> str:
    forbidden = " with ".join(f"{name} {' or '.join(options)}" for name, options in rule.forbid.items())
    return f"no {forbidden}" + ("" if rule.when is None else f" when {rule.when}")


def _widened(names: NameMap, rule: RuleFile) -> str:
    if rule.when is None:
        return _offers(names)
    return "customers to whom the condition applies have other offers"


def _offers(names: NameMap) -> str:
    return f"the catalogue has {names.after.n_offers:,} legal offers; before {names.before.n_offers:,}"


_OBJECTIVE: Mapping[str, tuple[str, str]] = {
    "kind": ("a belief about another objective says nothing: learned again, or begun untrained", "another goal"),
    "event": ("a conversion is another event: begun untrained, learned from the log", ""),
    "window": ("outcomes that count otherwise now are learned as changes, once", "events count for another time"),
    "margin": ("kept: the response to an offer does not depend on it", "every revenue earns another share"),
    "stages": ("the conversion has other stages: begun untrained, learned from the log", ""),
    "activation": ("another event activates a decision: begun untrained, learned from the log", ""),
}


def _objective(before: Catalogue, after: Catalogue) -> Iterator[CatalogueChange]:
    for key in ObjectiveFile.__struct_fields__:
        one, other = getattr(before.file.objective, key), getattr(after.file.objective, key)
        if one != other:
            belief, money = _OBJECTIVE.get(key, ("", "rewards are computed otherwise"))
            yield CatalogueChange("changed", "objective", key, _shown(one), _shown(other), belief=belief, money=money)


def _rest(before: Catalogue, after: Catalogue) -> Iterator[CatalogueChange]:
    """Yield the changes of all other tables and keys."""
    for key in before.file.__struct_fields__:
        one, other = getattr(before.file, key), getattr(after.file, key)
        if key in {"dimensions", "context", "rules", "objective"} or one == other:
            continue
        eligibility = "another offer is served where nothing else can be" if key == "fallback" else ""
        yield CatalogueChange("changed", "catalogue", key, _shown(one), _shown(other), eligibility=eligibility)


def _shown(value: object) -> str:
    """Return a value of a catalogue in one line, "" for none."""
    plain = msgspec.to_builtins(value)
    if plain is None or plain in ({}, []):
        return ""
    if isinstance(plain, dict):
        return ", ".join(f"{key} = {_shown(each)}" for key, each in plain.items())
    if isinstance(plain, list):
        return ", ".join(map(_shown, plain))
    return f"{plain:g}" if isinstance(plain, float) else str(plain)
