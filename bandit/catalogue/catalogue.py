"""The catalogue: its legal offers as arrays, with eligibility, costs, names and the checked context."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
import numpy as np

from bandit.catalogue.conditions import compile_condition
from bandit.catalogue.context_batch import parse_contexts
from bandit.catalogue.customer_key import customer_key as environment_key
from bandit.catalogue.dimensions import Dimension, Option
from bandit.catalogue.eligibility import Eligibility, Rule
from bandit.catalogue.events import EventParts
from bandit.catalogue.fact_hash import FactHash
from bandit.catalogue.fact_values import FactValues
from bandit.catalogue.facts import Fact
from bandit.catalogue.file_tables import CatalogueFile, window_microseconds
from bandit.catalogue.group_schema import embed_rules
from bandit.catalogue.groups import Groups, build_groups
from bandit.catalogue.hashed_values import hashed_again, hashed_condition, hashed_file
from bandit.catalogue.live_schema import GuardrailFile
from bandit.catalogue.objective import LARGEST_AMOUNT, Money, Objective
from bandit.catalogue.offer_costs import costs_of
from bandit.catalogue.offer_grid import MAX_DENSE_OFFERS, OfferGrid, OptionMasks
from bandit.catalogue.option_attributes import attribute_notes, check_attributes
from bandit.catalogue.plain_values import shown
from bandit.catalogue.rates import check_rates, losing_offers
from bandit.catalogue.rollout import DeclaredRollout, StickyOffers, build_rollout
from bandit.catalogue.schema import decode, encode
from bandit.catalogue.stopped import check_stopped, stopping_rules
from bandit.catalogue.toml import read_toml
from bandit.catalogue.unstored import check_unstored, only_facts, unread_facts, with_inferred_rules
from bandit.domain import BoolArray, Contexts, EligibleSets, IntArray, ObjectArray, Removal
from bandit.errors import CatalogueError, OfferError
from bandit.printable import did_you_mean

MAX_COMBINATIONS = 10_000_000
"""Most combinations of options that a catalogue may have, legal or not."""

MAX_DIMENSIONS = 1_000
"""Most dimensions that a catalogue may have."""

_MOST_SHOWN = 10**18

Given = TypeVar("Given")


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What may be offered, to whom, and what it is worth; every legal offer has a number.

    Offers are numbered in the order of the catalogue, the last dimension running fastest; combinations that a stacking
    rule forbids have no number.
    """

    name: str
    currency: str
    objective: Objective
    undeclared: Literal["refuse", "drop"]
    facts: Mapping[str, Fact]
    dimensions: tuple[Dimension, ...]
    grid: OfferGrid
    rules: tuple[Rule, ...]
    fallback: int | None
    file: CatalogueFile
    groups: Groups | None = None
    rollout: DeclaredRollout | None = None
    sticky: StickyOffers | None = None

    unstored: Mapping[str, Fact] = field(default_factory=dict)
    fact_hash: FactHash | None = field(default=None, repr=False)
    _in_clear: CatalogueFile | None = field(default=None, repr=False)

    @staticmethod
    def from_toml(path: str | Path, *, customer_key: bytes | None = None) -> Catalogue:
        """Read a catalogue; CatalogueError says where and what is wrong. `customer_key` as for `from_dict`."""
        if not isinstance(path, (str, Path)):
            raise CatalogueError(f"a catalogue is read from the path of its TOML file; seen {shown(path)}")
        content = embed_rules(read_toml(Path(path), "a catalogue"), Path(path))
        return Catalogue.from_dict(content, where=str(path), customer_key=customer_key)

    @staticmethod
    def from_dict(
        mapping: Mapping[str, object], where: str = "catalogue", *, customer_key: bytes | None = None
    ) -> Catalogue:
        """Build a catalogue from the structure of its TOML file; CatalogueError says where and what is wrong.

        Facts that are `stored = "hashed"` are hashed with `customer_key`, by default that of the environment. Without a
        key they stay in the clear, for the analysis of log files: no database takes such a catalogue.

        >>> discount = {"name": "discount", "options": [{"name": "0"}, {"name": "10", "rate": 0.1}]}
        >>> channel = {"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]}
        >>> catalogue = Catalogue.from_dict({"dimensions": [discount, channel]})
        >>> catalogue.n_offers, catalogue.label(3)
        (4, '10 · sms')
        """
        if not isinstance(mapping, Mapping):
            raise CatalogueError(
                f"{where}: is built of the content of its TOML file; seen {shown(mapping)}; read a file by "
                "Catalogue.from_toml"
            )
        file = decode(mapping, where)
        check_attributes(file, where)
        catalogue = _build(file, where)
        check_rates(catalogue, where)
        if any(fact.stored == "hashed" for fact in file.context.values()):
            key = environment_key() if customer_key is None else customer_key
            catalogue = catalogue if key is None else _under_key(file, FactHash.of_lines(key), where)
        for note in catalogue.notes:
            warnings.warn(f"{where}: {note}", stacklevel=2)
        return catalogue

    @staticmethod
    def from_stored(
        mapping: Mapping[str, object], where: str = "catalogue", *, fact_hash: FactHash | None = None
    ) -> Catalogue:
        """Build a catalogue from what `to_dict` returned, as a database has it.

        It may have been written before all of today's checks: those on what it means are left out, so that the log can
        still be read, and nothing is warned of. `fact_hash` hashes given values of hashed facts, if it has their key.
        """
        return _build(decode(mapping, where, stored=True), where, fact_hash)

    def under(self, fact_hash: FactHash) -> Catalogue:
        """Return the catalogue with its hashed facts under more or fewer of the same keys; their codes stay the same.

        CatalogueError for other keys, and for fewer ones where the values in the clear are not known.
        """
        mine = self.fact_hash
        if mine is None or mine.keys == fact_hash.keys:
            return self
        shared = min(mine.n_keys, fact_hash.n_keys)
        if not shared or mine.keys[:shared] != fact_hash.keys[:shared]:
            raise CatalogueError("its facts are hashed with another customer key; read the catalogue with that one")
        if self._in_clear is not None:
            return _under_key(self._in_clear, fact_hash, self.name)
        if shared < mine.n_keys:
            raise CatalogueError("its facts are hashed with a newer customer key as well; read it from its file")
        file = hashed_again(self.file, lambda form: fact_hash.after(shared, form), fact_hash.check)
        return _build(file, self.name, fact_hash)

    @cached_property
    def declared_facts(self) -> Mapping[str, Fact]:
        """All facts in order: those that policies learn from, `facts`, and those of which nothing is stored."""
        if not self.unstored:
            return self.facts
        return {name: self.unstored.get(name) or self.facts[name] for name in self.file.context}

    @cached_property
    def hashed_facts(self) -> tuple[str, ...]:
        """The facts that are declared `stored = "hashed"`."""
        return tuple(name for name, fact in self.facts.items() if fact.stored == "hashed")

    def stored_condition(self, text: str) -> str:
        """Return a valid condition as it is stored: with the hashes of the values that hashed facts are compared with.

        Values that are hashes already stay as they are.
        """
        hashed = [name for name in self.hashed_facts if self.facts[name].hashed]
        if not hashed or self.fact_hash is None:
            return text
        known = {value for name in hashed for value in (*self.facts[name].values, *self.facts[name].value_aliases)}
        of = self.fact_hash.of
        return hashed_condition(text, hashed, lambda value: value if value in known else of(value))

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What in the catalogue may be taken for something else than was meant, a sentence each."""
        return (*attribute_notes(self.file), *unread_facts(self))

    @cached_property
    def events(self) -> EventParts:
        """What each event that is recorded is taken for."""
        return EventParts.of(self.file, self.objective)

    def to_dict(self) -> dict[str, object]:
        """Return the structure that `from_dict` reads."""
        return encode(self.file)

    @cached_property
    def version(self) -> str:
        """A hash of the content: 16 hex digits that change when anything in the catalogue does."""
        return hashlib.blake2b(msgspec.json.encode(self.to_dict(), order="sorted"), digest_size=8).hexdigest()

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences on what is allowed in a catalogue and seldom meant, such as offers that lose money."""
        losing = losing_offers(self)
        return () if losing is None else (losing,)

    @property
    def silent_groups(self) -> tuple[str, ...]:
        """The declared groups whose decisions the policy does not learn from."""
        return () if self.groups is None else self.groups.silent

    @property
    def guardrails(self) -> tuple[GuardrailFile, ...]:
        """The declared guardrails, in order."""
        return tuple(self.file.guardrails)

    @property
    def n_offers(self) -> int:
        """The number of legal offers, N."""
        return self.grid.n_offers

    @cached_property
    def options(self) -> IntArray:
        """The option of each offer in each dimension, (N, dimensions), read-only."""
        options = self.grid.options()
        options.flags.writeable = False
        return options

    @cached_property
    def money(self) -> Money:
        """The costs of every offer, (N,) each; use `money_of` for a few offers."""
        return self._costs(self.options)

    def money_of(self, offer: IntArray) -> Money:
        """Return the costs of n offers, (n,) each."""
        if self.n_offers > MAX_DENSE_OFFERS:
            return self._costs(self.options[offer])
        money = self.money
        return Money(money.rate[offer], money.contact_cost[offer], money.redemption_cost[offer])

    def _costs(self, options: IntArray) -> Money:
        return costs_of(self.levers, options, self.file.objective.stacking)

    @cached_property
    def levers(self) -> tuple[tuple[Option, ...], ...]:
        """The options of each dimension, in order."""
        return tuple(dimension.options for dimension in self.dimensions)

    @cached_property
    def stopped(self) -> BoolArray:
        """Which offers have an option that is stopped, (N,): logs may have them, and no policy chooses them."""
        stopped = np.zeros(self.n_offers, dtype=np.bool_)
        for place, lever in enumerate(self.levers):
            named = np.array([option.stopped for option in lever])
            if named.any():
                stopped |= named[self.options[:, place]]
        return stopped

    @cached_property
    def dimension_names(self) -> tuple[str, ...]:
        """The dimensions' names, in order."""
        return tuple(dimension.name for dimension in self.dimensions)

    def offer(self, index: int) -> dict[str, str]:
        """Return the option of each dimension of one offer."""
        row = self.options[index].tolist()
        return {name: options[option] for (name, options, _), option in zip(self._names, row, strict=True)}

    def offers(self, indices: IntArray) -> dict[str, ObjectArray]:
        """Return the option names of n offers, one column for each dimension."""
        chosen = self.options[indices].T
        return {name: column[options] for (name, _, column), options in zip(self._names, chosen, strict=True)}

    def label(self, index: int) -> str:
        """Return one offer as text, such as "10 · email · tote"."""
        return " · ".join(self.offer(index).values())

    def offer_index(self, offer: Mapping[str, str]) -> int:
        """Return the number of an offer; OfferError for an unknown name or a combination that is not legal."""
        offer = self._by_present_names(offer)
        self._check_names(offer)
        index = int(self.offer_indices({name: [option] for name, option in offer.items()})[0])
        if index < 0:
            reasons = [rule.words for rule in self.file.rules if rule.when is None and rule.forbids(offer)]
            raise OfferError(f"the offer {_show(offer)} is not legal: {'; '.join(reasons)}")
        return index

    def current_names(self, offer: Mapping[str, str]) -> dict[str, str]:
        """Return an offer with the options' own names in place of earlier ones; unknown options stay as they are."""
        options = {dimension.name: dimension for dimension in self.dimensions}
        return {
            name: options[name].names[options[name].codes[option]]
            if name in options and option in options[name].codes
            else option
            for name, option in offer.items()
        }

    def offer_indices(self, columns: Mapping[str, Sequence[str] | ObjectArray]) -> IntArray:
        """Return the numbers of n offers given as one column for each dimension; -1 where unknown or not legal.

        Earlier names of dimensions and options (`aliases`) are read too. OfferError where a dimension is missing or
        unknown.
        """
        columns = self._by_present_names(columns)
        self._check_dimensions(columns)
        n = len(next(iter(columns.values())))
        options = np.empty((n, len(self.dimensions)), dtype=np.int64)
        for place, dimension in enumerate(self.dimensions):
            codes = dimension.codes
            given = columns[dimension.name]
            options[:, place] = np.fromiter(map(codes.get, given, repeat(-1)), dtype=np.int64, count=n)
        return self.grid.find(options)

    def contexts(
        self,
        given: Mapping[str, FactValues] | Sequence[Mapping[str, object]],
        customers: Sequence[str] | ObjectArray | None = None,
        *,
        exact: bool = False,
        stored: bool = False,
    ) -> Contexts:
        """Return a checked batch from columns, or from one mapping a row; ContextError says what does not fit.

        Columns may also be those of a pandas, polars or pyarrow table. Texts are compared in normal form, without
        spaces around them; with `exact` as they are, which is how stored decisions were made. With `stored` the values
        are those of a log: hashed facts are hashes, and facts of which nothing is stored are not among the columns.
        """
        facts = self.facts if stored else self.declared_facts
        return parse_contexts(facts, self.undeclared, given, customers, exact=exact, stored=stored)

    def kept(self, contexts: Contexts) -> Contexts:
        """Return contexts with what the log keeps of them, which is what policies read."""
        return contexts if not self.unstored else only_facts(contexts, self.facts)

    def with_rules_that_held(self, contexts: Contexts, logged: BoolArray) -> Contexts:
        """Return n contexts from the log that know of rules on facts that are not stored whether they held.

        `logged` (n or 1, N) are the offers that were eligible, from which it is inferred.
        """
        return contexts if not self.unstored else with_inferred_rules(self, contexts, logged)

    def fired(self, contexts: Contexts) -> BoolArray:
        """Return (n, R): which of the R rules that have a condition hold for each context."""
        return self._eligibility.fired(contexts)

    def eligible(self, contexts: Contexts, fired: BoolArray | None = None) -> BoolArray:
        """Return the (n, N) mask of the eligible offers of each context, as a copy that the caller may change.

        With `fired` given, the mask of a single context is shared between calls and read-only.
        """
        return self._eligibility.masks(self.fired(contexts)).copy() if fired is None else self._eligibility.masks(fired)

    def eligible_sets(self, fired: BoolArray) -> EligibleSets:
        """Return the eligible sets of n contexts from `fired` (n, R), each distinct set once."""
        return self._eligibility.sets(fired)

    def removals(self, context: Contexts, fired: BoolArray | None = None) -> tuple[Removal, ...]:
        """Return which rules removed which offers for one context (a batch of one); `fired` as in `eligible`."""
        return self._eligibility.removals((self.fired(context) if fired is None else fired)[0])

    def reasons(self, context: Contexts, fired: BoolArray | None = None) -> tuple[Removal, ...]:
        """Return `removals` with the rules that hold for everybody, in the order of the rules."""
        removals = self.removals(context, fired)
        if not removals or not self._standing_removals:
            return removals or self._standing_removals
        return tuple(sorted((*self._standing_removals, *removals), key=lambda removal: removal.rule))

    @cached_property
    def _standing_removals(self) -> tuple[Removal, ...]:
        """One removal for each rule without a condition."""
        return tuple(
            Removal(rule.number, rule.reason, lambda: np.zeros(self.n_offers, dtype=np.bool_), rule.combinations)
            for rule in self.rules
            if rule.when is None
        )

    @cached_property
    def _eligibility(self) -> Eligibility:
        return Eligibility(self.rules, self.grid)

    @cached_property
    def _names(self) -> tuple[tuple[str, tuple[str, ...], ObjectArray], ...]:
        """Each dimension's name, and its options' names as a tuple and as a column."""
        return tuple(
            (dimension.name, dimension.names, np.array(dimension.names, dtype=object)) for dimension in self.dimensions
        )

    def _by_present_names(self, given: Mapping[str, Given]) -> Mapping[str, Given]:
        """Return a mapping by dimension with the dimensions' earlier names replaced by the present ones."""
        present = {alias: dimension.name for dimension in self.dimensions for alias in dimension.aliases}
        if not present or all(name not in present for name in given):
            return given
        return {name: given[name] for name in given if name not in present} | {
            present[name]: given[name] for name in given if name in present and present[name] not in given
        }

    def _check_dimensions(self, given: Mapping[str, object]) -> None:
        if not isinstance(given, Mapping):
            raise OfferError(f"an offer is a mapping of dimensions to options; seen {shown(given)}")
        missing = [name for name in self.dimension_names if name not in given]
        unknown = [name for name in given if name not in self.dimension_names]
        if missing or unknown:
            fault = f'lacks the dimension "{missing[0]}"' if missing else f'has the unknown dimension "{unknown[0]}"'
            hint = did_you_mean(unknown[0], missing or self.dimension_names) if unknown else ""
            raise OfferError(
                f"an offer names one option of each dimension ({', '.join(self.dimension_names)}); the one seen {fault}"
                f"{hint}"
            )

    def _check_names(self, offer: Mapping[str, str]) -> None:
        self._check_dimensions(offer)
        for dimension in self.dimensions:
            if offer[dimension.name] not in dimension.codes:
                hint = did_you_mean(str(offer[dimension.name]), dimension.names)
                raise OfferError(
                    f'"{offer[dimension.name]}" is not an option of "{dimension.name}"; '
                    f"options are {', '.join(dimension.names)}{hint}"
                )


def checked_catalogue(given: object) -> Catalogue:
    """Return a catalogue; CatalogueError for anything else, such as the path of its file."""
    if isinstance(given, Catalogue):
        return given
    raise CatalogueError(f"a catalogue is made by Catalogue.from_toml or from_dict; seen {shown(given)}")


def _show(offer: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {option}" for name, option in offer.items())


def _under_key(file: CatalogueFile, fact_hash: FactHash, where: str) -> Catalogue:
    """Return the catalogue of a file whose hashed facts are in the clear, with their hashes."""
    return replace(_build(hashed_file(file, fact_hash), where, fact_hash), _in_clear=file)


def _build(file: CatalogueFile, where: str, fact_hash: FactHash | None = None) -> Catalogue:
    check = None if fact_hash is None or not fact_hash.keys else fact_hash.check
    declared = {
        name: Fact(
            name,
            fact.type,
            tuple(fact.values),
            fact.center,
            fact.scale,
            tuple(fact.aliases),
            {alias: value for value, aliases in fact.value_aliases.items() for alias in aliases},
            file.takes_any_value(name),
            fact.transform,
            -math.inf if fact.min is None else fact.min,
            math.inf if fact.max is None else fact.max,
            fact.outside or "clip",
            tuple(fact.edges),
            fact.stored,
            fact.hashed_with is not None,
            fact_hash if fact.hashed_with is not None and fact.hashed_with == check else None,
        )
        for name, fact in file.context.items()
    }
    facts = {name: fact for name, fact in declared.items() if fact.stored != "no"}
    dimensions = tuple(
        Dimension(
            dimension.name,
            tuple(
                Option(
                    option.name,
                    option.rate,
                    option.contact_cost,
                    option.redemption_cost,
                    option.attributes,
                    option.stopped,
                    tuple(option.aliases),
                )
                for option in dimension.options
            ),
            {name: attribute.monotone for name, attribute in dimension.attributes.items()},
            tuple(dimension.aliases),
        )
        for dimension in file.dimensions
    )
    if len(dimensions) > MAX_DIMENSIONS:
        raise CatalogueError(f"{where}: has {len(dimensions):,} dimensions; at most {MAX_DIMENSIONS:,} are read")
    named = [_named(dimensions, rule.forbid) for rule in file.rules]
    grid = _grid(dimensions, [each for rule, each in zip(file.rules, named, strict=True) if rule.when is None], where)
    rules = tuple(
        Rule(
            number,
            rule.words,
            None
            if rule.when is None
            else compile_condition(rule.when, declared, f"{where}: rule {number}", rule_number=number),
            each,
            grid,
        )
        for number, (rule, each) in enumerate(zip(file.rules, named, strict=True), start=1)
    )
    rules += stopping_rules(dimensions, len(rules), grid)
    check_unstored(rules, grid.n_offers, where)
    objective = Objective(
        file.objective.kind,
        file.objective.event,
        file.objective.margin,
        file.objective.window_microseconds,
        file.objective.activation,
        tuple(file.objective.stages),
        file.objective.largest_amount or LARGEST_AMOUNT,
        file.objective.outside == "refuse",
    )
    catalogue = Catalogue(
        name=file.name,
        currency=file.currency,
        objective=objective,
        undeclared=file.undeclared,
        facts=facts,
        dimensions=dimensions,
        grid=grid,
        rules=rules,
        fallback=None,
        file=file,
        unstored={name: fact for name, fact in declared.items() if fact.stored == "no"},
        fact_hash=fact_hash,
    )
    fallback = None
    if file.fallback is not None:
        try:
            fallback = catalogue.offer_index(file.fallback)
        except OfferError as fault:
            raise CatalogueError(f"{where}: [fallback]: {fault}") from fault
    check_stopped(catalogue, fallback, where)
    groups = None
    if file.groups is not None:
        groups = build_groups(file.groups, declared, catalogue.offer_index, fallback, where)
    rollout = None
    if file.rollout is not None:
        rollout = build_rollout(file.rollout, groups, declared, catalogue.offer_index, fallback, where)
    sticky = None
    if file.sticky is not None:
        sticky = StickyOffers(window_microseconds(file.sticky.duration), tuple(file.sticky.until))
    return replace(catalogue, fallback=fallback, groups=groups, rollout=rollout, sticky=sticky)


def _grid(dimensions: tuple[Dimension, ...], forbidden: Sequence[OptionMasks], where: str) -> OfferGrid:
    sizes = [len(dimension.options) for dimension in dimensions]
    n_combinations = math.prod(sizes)
    if n_combinations > MAX_COMBINATIONS:
        seen = f"{n_combinations:,}" if n_combinations < _MOST_SHOWN else f"more than {_MOST_SHOWN:,}"
        raise CatalogueError(
            f"{where}: the dimensions make {seen} combinations; at most {MAX_COMBINATIONS:,} can be "
            "looked through: leave out options or a dimension"
        )
    grid = OfferGrid(sizes, forbidden)
    if not grid.n_offers:
        raise CatalogueError(f"{where}: the stacking rules leave no legal offer; take one of them away")
    return grid


def _named(dimensions: tuple[Dimension, ...], forbid: Mapping[str, Sequence[str]]) -> OptionMasks:
    """Return the options that a rule names, a mask for each dimension that it looks at."""
    return tuple(
        np.array([name in forbid[dimension.name] for name in dimension.names]) if dimension.name in forbid else None
        for dimension in dimensions
    )
