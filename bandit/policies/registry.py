"""The kinds of policies, and how to build one from its description, as `spec` returns it and the log stores it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bandit.catalogue.plain_values import shown
from bandit.errors import PolicyError
from bandit.policies.constant import ConstantOffer
from bandit.policies.policy_table import PolicyTable
from bandit.policies.segment_rules import SegmentRules
from bandit.policies.thompson.policy import ThompsonSampling
from bandit.policies.uniform import Uniform
from bandit.policies.vw import VowpalWabbit, VowpalWabbitSlates

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import Policy

POLICY_KINDS = ("uniform", "constant", "rules", "thompson", "vw", "vw-slates", "table")


def build(catalogue: Catalogue, spec: Mapping[str, object]) -> Policy:
    """Return the untrained policy of a description; PolicyError for an unknown kind or setting.

    >>> from bandit import Catalogue
    >>> channels = {"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]}
    >>> build(Catalogue.from_dict({"dimensions": [channels]}), {"kind": "uniform"}).name
    'uniform'
    """
    if not isinstance(spec, Mapping):
        raise PolicyError(f'a policy is described by a mapping such as {{"kind": "uniform"}}; seen {shown(spec)}')
    settings: dict[str, Any] = {key: value for key, value in spec.items() if key != "kind"}
    try:
        match spec.get("kind"):
            case "uniform":
                return Uniform(catalogue)
            case "constant":
                return ConstantOffer(catalogue, **settings)
            case "rules":
                return SegmentRules.from_dict(catalogue, settings)
            case "thompson":
                # Descriptions that do not name their methods of learning were written before there were any.
                return ThompsonSampling(catalogue, **{"methods": (), **settings})
            case "vw":
                return VowpalWabbit(catalogue, **settings)
            case "vw-slates":
                return VowpalWabbitSlates(catalogue, **settings)
            case "table":
                return PolicyTable(catalogue, **settings)
    except (TypeError, ValueError, AttributeError, OverflowError) as fault:
        raise PolicyError(f"the policy's description has a setting it does not know: {fault}") from fault
    raise PolicyError(f"there is no policy of kind {spec.get('kind')!r}; kinds are {', '.join(POLICY_KINDS)}")
