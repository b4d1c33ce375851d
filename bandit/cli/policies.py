"""Parse the names of policies, offers and facts on the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from bandit.catalogue import Catalogue
from bandit.cli.choices import POLICY_FORMS
from bandit.domain import Policy
from bandit.errors import InputError, PolicyError
from bandit.policies import ConstantOffer, PolicyTable, SegmentRules, ThompsonSampling, Uniform, VowpalWabbit
from bandit.policies.vw import VowpalWabbitSlates
from bandit.printable import did_you_mean

MOST_OFFERS = 50
"""Most offers for which `everyone` stands for one policy each."""


_FORMS = {"rules": "rules:FILE.toml", "table": "table:FILE.json", "offer": "offer:DIMENSION=OPTION,..."}
"""How a policy is written that needs more than its kind."""


def parse_policies(
    catalogue: Catalogue, texts: Sequence[str], baseline: str | None = None
) -> tuple[dict[str, Policy], str | None]:
    """Return the policies by the name of their row, and the baseline's name; it is added to them if it is missing.

    The baseline may also be named as its row is. InputError for text that names no policy. The same policy given twice
    is one.
    """
    from bandit.evaluate import LOGGED

    if baseline == "everyone":
        raise InputError("the baseline is one policy, and everyone names many; write offer:DIMENSION=OPTION,...")
    named: dict[str, Policy] = {}
    base = baseline
    for text in [*texts, *([] if baseline in {None, LOGGED} else [str(baseline)])]:
        if text == baseline and text in named:  # the name of a row, such as "rules" of rules:FILE.toml
            continue
        for policy in _several(catalogue, text):
            name = next((name for name, known in named.items() if known.spec() == policy.spec()), None)
            if name is None:
                name = policy.name if policy.name not in named else f"{policy.name} ({text})"
                named[name] = policy
            if text == baseline:
                base = name
    return named, base


def parse_policy(catalogue: Catalogue, text: str) -> Policy:
    """Return one policy; InputError for text that names no policy, and for `everyone`, which names many."""
    kind, _, rest = text.partition(":")
    try:
        match kind:
            case "uniform" if not rest:
                return Uniform(catalogue)
            case "thompson":
                return _thompson(catalogue, rest)
            case "vw":
                return VowpalWabbit(catalogue, rest) if rest else VowpalWabbit(catalogue)
            case "vw-slates":
                return VowpalWabbitSlates(catalogue, rest) if rest else VowpalWabbitSlates(catalogue)
            case "rules" if rest:
                return SegmentRules.from_toml(catalogue, Path(rest))
            case "table" if rest:
                return PolicyTable.read(catalogue, rest)
            case "offer" if rest:
                return _going_on(catalogue, ConstantOffer(catalogue, parse_offer(rest)))
    except PolicyError as fault:
        raise InputError(f'the policy "{text}" cannot be used: {fault}') from fault
    form = _FORMS.get(text.removesuffix(":"))
    if form is not None:
        raise InputError(f'"{text}" is no policy by itself; write {form}')
    kinds = ("uniform", "thompson", "vw", "vw-slates", "rules", "table", "offer", "everyone")
    raise InputError(f'"{text}" is no policy{did_you_mean(kind, kinds)}; write one of {POLICY_FORMS}')


class _Settings(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The settings of Thompson sampling on the command line."""

    draws: int | msgspec.UnsetType = msgspec.UNSET
    width: float | msgspec.UnsetType = msgspec.UNSET
    floor: float | msgspec.UnsetType = msgspec.UNSET
    half_life: str | msgspec.UnsetType = msgspec.UNSET
    personal: bool | msgspec.UnsetType = msgspec.UNSET
    pairs: bool | msgspec.UnsetType = msgspec.UNSET


def _thompson(catalogue: Catalogue, text: str) -> ThompsonSampling:
    """Return Thompson sampling with settings from `half_life=30d,width=0.3`; PolicyError for unknown settings."""
    parts = [part.partition("=") for part in text.split(",") if part]
    given = {name.strip(): value.strip() for name, _, value in parts}
    try:
        settings = msgspec.convert(given, _Settings, strict=False)
    except msgspec.ValidationError as fault:
        unknown = next((name for name in given if name not in _Settings.__struct_fields__), "")
        raise PolicyError(
            f"{fault}; settings are {', '.join(_Settings.__struct_fields__)}"
            f"{did_you_mean(unknown, _Settings.__struct_fields__)}"
        ) from fault
    return ThompsonSampling(catalogue, **msgspec.to_builtins(settings))


def parse_offer(text: str) -> dict[str, str]:
    """Return an offer from `discount=10,channel=email`, or from JSON if a name contains a comma."""
    if text.startswith("{"):
        return {name: str(option) for name, option in parse_json(text, "the offer").items()}
    pairs = [part.partition("=") for part in text.split(",")]
    wrong = next((name for name, sign, option in pairs if not (name and sign and option)), None)
    if wrong is not None:
        raise InputError(f'the offer "{text}" cannot be read at "{wrong}"; write DIMENSION=OPTION,DIMENSION=OPTION')
    return {name.strip(): option.strip() for name, _, option in pairs}


def parse_json(text: str, what: str) -> dict[str, object]:
    """Return a JSON object; InputError for other text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as fault:  # not JSON, or a number of thousands of digits
        raise InputError(f"{what} is not JSON ({fault}): {text[:80]}") from fault
    if not isinstance(value, dict):
        raise InputError(f'{what} must be a JSON object such as {{"gender": "f"}}; seen {text[:80]}')
    return value


def _several(catalogue: Catalogue, text: str) -> list[Policy]:
    if text != "everyone":
        return [parse_policy(catalogue, text)]
    if catalogue.n_offers > MOST_OFFERS:
        raise InputError(
            f"everyone stands for one policy an offer, and the catalogue has {catalogue.n_offers:,} offers (at most "
            f"{MOST_OFFERS}); name those you mean with offer:..."
        )
    return [ConstantOffer(catalogue, index) for index in np.flatnonzero(~catalogue.stopped).tolist()]


def _going_on(catalogue: Catalogue, policy: ConstantOffer) -> ConstantOffer:
    """Return the policy; InputError where its offer has an option that is stopped."""
    if catalogue.stopped[policy.offer]:
        raise InputError(
            f"the offer {catalogue.label(policy.offer)} has an option that is stopped, so no policy chooses it; name "
            "one that goes on"
        )
    return policy
