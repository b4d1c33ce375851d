"""The tables of a catalogue file as structures, and durations as they are written in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bandit.catalogue.events import EventPart
from bandit.catalogue.group_schema import GroupsFile
from bandit.catalogue.live_schema import GuardrailFile, RolloutFile, StickyFile
from bandit.catalogue.objective import ObjectiveKind
from bandit.catalogue.offer_costs import RateStacking
from bandit.domain import MICROSECONDS
from bandit.errors import CatalogueError

MAX_WINDOW_DAYS = 36_525
"""Longest duration: a hundred years, so that adding one to a time gives a valid calendar date."""

_UNITS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_WINDOW = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d|w)")


class _Strict(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A section of the file; unknown keys are refused, so that a misspelt key is an error."""


class FactFile(_Strict, frozen=True):
    """One fact under [context]."""

    type: Annotated[
        Literal["categorical", "numeric", "boolean"],
        Meta(
            description="What the fact's values are: texts of a list, numbers, or true and false.", examples=["numeric"]
        ),
    ]
    values: Annotated[
        list[str],
        Meta(
            description="The values of a categorical fact, which needs them. Another text at a decision counts as one "
            "further value, the same for all of them.",
            examples=[["f", "m"]],
        ),
    ] = []
    aliases: Annotated[
        list[str],
        Meta(
            description="Earlier names of the fact: contexts that were logged under them are read as this fact, and "
            "what was learned of it stays.",
            examples=[["tier"]],
        ),
    ] = []
    value_aliases: Annotated[
        dict[str, list[str]],
        Meta(
            description="Earlier or other spellings of a categorical fact's values, by value: each counts as it.",
            examples=[{"f": ["female"]}],
        ),
    ] = {}
    undeclared_values: Annotated[
        Literal["other"] | None,
        Meta(
            description="That values of a categorical fact which are not declared are expected, as one further value. "
            "Without it they are counted and named, and a file whose column is mostly of them is refused.",
            examples=["other"],
        ),
    ] = None
    center: Annotated[
        float | None,
        Meta(
            description="What is subtracted from a numeric fact before a model sees it; by default the mean of "
            "the first 500 outcomes. Needs `scale` as well. A fact with both stays as it is, unless a `transform` is "
            "declared: then center and scale are those of the transformed values.",
            examples=[30.0],
        ),
    ] = None
    scale: Annotated[
        float | None,
        Meta(
            description="What a numeric fact is divided by before a model sees it, above 0; by default the standard "
            "deviation of the first 500 outcomes. Needs `center` as well.",
            examples=[20.0],
        ),
    ] = None
    transform: Annotated[
        Literal["none", "log", "rank", "auto"] | None,
        Meta(
            description='How Thompson sampling transforms a numeric fact before it is standardised: "log" is the '
            'signed logarithm, for money, counts and days, "rank" the normal score of the value\'s rank, "none" leaves '
            'it as it is, and "auto", the default without `center` and `scale`, chooses the one of the three after '
            "which the values of the first 500 outcomes are most nearly normal.",
            examples=["log"],
        ),
    ] = None
    min: Annotated[
        float | None,
        Meta(
            description="The least value that a numeric fact can have; `outside` says what becomes of others.",
            examples=[0.0],
        ),
    ] = None
    max: Annotated[
        float | None,
        Meta(
            description="The largest value that a numeric fact can have; `outside` says what becomes of others.",
            examples=[3650.0],
        ),
    ] = None
    outside: Annotated[
        Literal["clip", "missing", "refuse"] | None,
        Meta(
            description='What becomes of a value below `min` or above `max`: "clip", the default, learns it as the '
            'bound, "missing" as a missing value, and "refuse" has the decision refused. What is not refused is logged '
            "as it was sent, and conditions read it so.",
            examples=["missing"],
        ),
    ] = None
    stored: Annotated[
        Literal["yes", "hashed", "bucketed", "no"],
        Meta(
            description='What is kept of a fact: "yes", the default, the value as it was sent; "hashed", of a '
            "categorical fact, a hash of it under the customer key, which is needed to read the catalogue and to "
            'decide; "bucketed", of a numeric fact, the lower one of the `edges` that it is between; "no", nothing. '
            "Policies learn from and decide by what is kept, and conditions read it: they compare a bucketed fact by "
            "`>=` or `<` with an edge after the first. What is not kept is read by the conditions of `[[rules]]` "
            "alone ([how](../howto/store_less.md)).",
            examples=["bucketed"],
        ),
    ] = "yes"
    edges: Annotated[
        list[float],
        Meta(
            description='The edges of the buckets of a numeric fact that is `stored = "bucketed"`, two or more in '
            "increasing order. What is below the first one counts to the first bucket.",
            examples=[[0.0, 18.0, 30.0, 45.0]],
        ),
    ] = []
    hashed_with: Annotated[
        str | None,
        Meta(
            description="What the program puts into the catalogue that a database keeps: that the `values` are hashes, "
            "and a check of the customer key that they are hashed with. In a file, leave it out.",
            examples=["0f1e2d3c4b5a6978"],
        ),
    ] = None


class OptionFile(_Strict, frozen=True):
    """One option; keys other than the costs are free numeric attributes."""

    name: Annotated[str, Meta(description="The option's name; options of one dimension differ.", examples=["10"])]
    rate: Annotated[
        float,
        Meta(description="The share of the revenue that is given away, 0 to 1: 0.10 is 10 % off.", examples=[0.1]),
    ] = 0.0
    contact_cost: Annotated[
        float,
        Meta(description="What sending it costs, in the currency, whether or not anything is bought.", examples=[0.1]),
    ] = 0.0
    redemption_cost: Annotated[
        float,
        Meta(description="What it costs when the customer converts, in the currency, as a gift does.", examples=[1.2]),
    ] = 0.0
    aliases: Annotated[
        list[str],
        Meta(
            description="Earlier names of the option: decisions that were logged under them are decisions for this "
            "option, and what was learned of it stays.",
            examples=[["10 %"]],
        ),
    ] = []
    attributes: Annotated[
        dict[str, float],
        Meta(
            description="Numbers that describe the option, so that what is learned of one depth informs the others. "
            "Each is written as a key of its own beside `name`.",
            examples=[{"depth": 10}],
        ),
    ] = {}
    stopped: Annotated[
        bool,
        Meta(
            description="Whether the option has been stopped: logs may have it, and no policy chooses it any more.",
            examples=[True],
        ),
    ] = False


class AttributeFile(_Strict, frozen=True):
    """Prior knowledge about an attribute of a dimension's options (`rate` is one too): how response depends on it."""

    monotone: Annotated[
        Literal["increasing", "decreasing"],
        Meta(description="The direction in which the response goes as the attribute grows.", examples=["increasing"]),
    ]


class DimensionFile(_Strict, frozen=True):
    """One entry of [[dimensions]]."""

    name: Annotated[str, Meta(description="The lever's name; dimensions differ.", examples=["channel"])]
    options: Annotated[
        list[OptionFile],
        Meta(
            description='The values that the lever can take, at least one; "none" is an option like any other.',
            examples=[[{"name": "email"}, {"name": "sms", "contact_cost": 0.1}]],
        ),
    ]
    attributes: Annotated[
        dict[str, AttributeFile],
        Meta(
            description="Prior knowledge about attributes of the options, by name; `rate` is an attribute, too.",
            examples=[{"rate": {"monotone": "increasing"}}],
        ),
    ] = {}
    aliases: Annotated[
        list[str],
        Meta(
            description="Earlier names of the lever: logged decisions that have it under them are read as this one.",
            examples=[["medium"]],
        ),
    ] = []


class RuleFile(_Strict, frozen=True):
    """One entry of [[rules]]: stacking without `when`, eligibility with it."""

    forbid: Annotated[
        dict[str, list[str]],
        Meta(
            description="Options by dimension: an offer with one of them in each dimension named here is forbidden.",
            examples=[{"discount": ["20"], "gift": ["tote"]}],
        ),
    ]
    when: Annotated[
        str | None,
        Meta(
            description="The [condition](conditions.md) on the facts under which the rule holds; without it, always.",
            examples=["not loyal"],
        ),
    ] = None
    reason: Annotated[
        str,
        Meta(
            description="Why, in words: shown beside what the rule removed. By default made from the rule.",
            examples=["margin floor"],
        ),
    ] = ""

    @property
    def words(self) -> str:
        """The declared reason, or a sentence made from the rule."""
        combination = " with ".join(f"{name} {' or '.join(options)}" for name, options in self.forbid.items())
        return self.reason or (f"no {combination}" if self.when is None else f"no {combination} when {self.when}")

    def forbids(self, offer: Mapping[str, str]) -> bool:
        """Return whether an offer has a forbidden option in every dimension that the rule names."""
        return all(offer.get(name) in options for name, options in self.forbid.items())


class ObjectiveFile(_Strict, frozen=True):
    """The [objective]."""

    kind: Annotated[
        ObjectiveKind,
        Meta(
            description="What a decision earns: 1 for a conversion, its revenue, its profit, or the `reward` that your "
            "events bring.",
            examples=["profit"],
        ),
    ] = "conversion"
    event: Annotated[str, Meta(description="The event that counts as a conversion.", examples=["purchase"])] = (
        "purchase"
    )
    margin: Annotated[
        float,
        Meta(
            description="The share of the revenue that is earned before incentives, 0 to 1; for profit.",
            examples=[0.35],
        ),
    ] = 1.0
    window: Annotated[
        str,
        Meta(
            description='How long after a decision events count, as "36h" or "7d" (units s, min, h, d, w).',
            examples=["7d"],
        ),
    ] = "7d"
    activation: Annotated[
        str | None,
        Meta(
            description="The event without which a decision is no outcome ([activation](../activation-and-sticky.md)).",
            examples=["shown"],
        ),
    ] = None
    stages: Annotated[
        list[str],
        Meta(
            description="The events that lead to the conversion, in order, as a click before a purchase "
            "([stages](../stages.md)): what can be learned of rare conversions is learned from them.",
            examples=[["click", "cart"]],
        ),
    ] = []
    stacking: Annotated[
        RateStacking,
        Meta(
            description="How the rates of one offer's options combine: `sum` adds them up, `product` takes each from "
            "what the others leave, 1 - (1 - rate) x (1 - rate), whatever their order.",
            examples=["product"],
        ),
    ] = "sum"
    largest_amount: Annotated[
        float | None,
        Meta(
            description="The largest amount of money (or raw reward, of either sign) that the outcome of one decision "
            "can plausibly be, above 0; what becomes of larger ones, `outside` says. Without it, 1e30.",
            examples=[5000.0],
        ),
    ] = None
    outside: Annotated[
        Literal["clip", "refuse"] | None,
        Meta(
            description='What becomes of an amount beyond `largest_amount`: "clip", the default, learns it as the '
            'bound, "refuse" has the event refused when it is recorded. What is not refused is logged as it was sent, '
            "and reports count it.",
            examples=["refuse"],
        ),
    ] = None

    @property
    def window_microseconds(self) -> int:
        """The attribution window in microseconds."""
        return window_microseconds(self.window)


class CatalogueFile(_Strict, frozen=True):
    """A whole catalogue."""

    dimensions: Annotated[
        list[DimensionFile],
        Meta(
            description="The levers, at least one. An offer has exactly one option of each.",
            examples=[[{"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]}]],
        ),
    ]
    name: Annotated[str, Meta(description="The campaign's name, shown in reports.", examples=["spring"])] = "offers"
    currency: Annotated[str, Meta(description="The unit of money, a label for people.", examples=["EUR"])] = "EUR"
    objective: Annotated[
        ObjectiveFile, Meta(description="What is to be earned.", examples=[{"kind": "profit", "margin": 0.35}])
    ] = ObjectiveFile()
    undeclared: Annotated[
        Literal["refuse", "drop"],
        Meta(
            description="What happens to a fact of a decision that is not declared; written under `[context]`.",
            examples=["drop"],
        ),
    ] = "refuse"
    undeclared_values: Annotated[
        Literal["other"] | None,
        Meta(
            description="That undeclared values of every categorical fact are expected (as `undeclared_values` of one "
            "fact); written under `[context]`.",
            examples=["other"],
        ),
    ] = None
    context: Annotated[
        dict[str, FactFile],
        Meta(
            description="What is known of a customer at a decision: facts by name (letters, digits, underscores).",
            examples=[{"loyal": {"type": "boolean"}}],
        ),
    ] = {}
    rules: Annotated[
        list[RuleFile],
        Meta(
            description="What may not be offered: combinations that exclude each other, and who may not get what.",
            examples=[[{"forbid": {"gift": ["tote"]}, "when": "not loyal"}]],
        ),
    ] = []
    fallback: Annotated[
        dict[str, str] | None,
        Meta(
            description="The offer that is served where nothing else can be: one option of each dimension.",
            examples=[{"channel": "email"}],
        ),
    ] = None
    groups: Annotated[
        GroupsFile | None,
        Meta(
            description="Standing groups of customers, to be compared with each other ([groups](../groups.md)).",
            examples=[{"policy": 0.9, "holdout": 0.1}],
        ),
    ] = None
    rollout: Annotated[
        RolloutFile | None,
        Meta(
            description="How far the policy is rolled out ([roll-out](../rollout.md)); without it, to everybody.",
            examples=[{"mode": "ramp", "share": 0.1}],
        ),
    ] = None
    guardrails: Annotated[
        list[GuardrailFile],
        Meta(
            description="Bounds on how often an event follows the policy's decisions ([guardrails](../guardrails.md)).",
            examples=[[{"event": "unsubscribe", "at_most": 0.004}]],
        ),
    ] = []
    sticky: Annotated[
        StickyFile | None,
        Meta(
            description="How long a customer keeps an offer ([sticky offers](../activation-and-sticky.md)).",
            examples=[{"for": "3d"}],
        ),
    ] = None
    events: Annotated[
        dict[str, EventPart],
        Meta(
            description="The names of the events that are recorded, and what each does ([events](../events.md)): it "
            "`converts`, `returns` money, is `shown`, is `feedback`, or is `ignored`. With it, other names are "
            "refused.",
            examples=[{"purchase": "converts", "refund": "returns"}],
        ),
    ] = {}

    def takes_any_value(self, fact: str) -> bool:
        """Return whether values of a categorical fact are expected that are not declared."""
        return "other" in {self.context[fact].undeclared_values, self.undeclared_values}


def window_microseconds(text: str) -> int:
    """Return a duration such as "36h" or "7d" in microseconds; CatalogueError for any other text.

    >>> window_microseconds("36h")
    129600000000
    """
    found = _WINDOW.fullmatch(text.strip())
    if not found:
        raise CatalogueError(f'"{text}" is not a duration; write a number and one of {", ".join(_UNITS)}, as "7d"')
    seconds = float(found[1]) * _UNITS[found[2]]
    if seconds > MAX_WINDOW_DAYS * _UNITS["d"]:
        raise CatalogueError(f'"{text}" is longer than {MAX_WINDOW_DAYS:,} days; write a shorter duration')
    return round(seconds * MICROSECONDS)
