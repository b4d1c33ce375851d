"""The registry of estimators by name, and how a list of names is resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.errors import InputError
from bandit.ope.estimator import check_needs
from bandit.ope.estimators.clipped_ips import ClippedIps
from bandit.ope.estimators.dm import DirectMethod
from bandit.ope.estimators.dr import DoublyRobust
from bandit.ope.estimators.dr_os import ShrunkDR
from bandit.ope.estimators.ips import Ips
from bandit.ope.estimators.mips import MarginalIps
from bandit.ope.estimators.mrdr import MoreRobustDR
from bandit.ope.estimators.pseudo_inverse import PseudoInverse
from bandit.ope.estimators.slope import CLIPPED_IPS_SLOPE, DR_OS_SLOPE, SWITCH_DR_SLOPE
from bandit.ope.estimators.sndr import SelfNormalisedDR
from bandit.ope.estimators.snips import Snips
from bandit.ope.estimators.switch_dr import SwitchDR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.ope.estimator import AnyEstimator, Estimator
    from bandit.ope.feedback import Need

ESTIMATORS: dict[str, AnyEstimator] = {
    each.name: each
    for each in (
        Ips(),
        ClippedIps(),
        Snips(),
        DirectMethod(),
        DoublyRobust(),
        SelfNormalisedDR(),
        SwitchDR(),
        ShrunkDR(),
        MoreRobustDR(),
        MarginalIps(),
        PseudoInverse(),
        CLIPPED_IPS_SLOPE,
        SWITCH_DR_SLOPE,
        DR_OS_SLOPE,
    )
}
"""Every estimator with its default parameters, by name."""

DEFAULT: tuple[str | Estimator, ...] = ("ips", "snips", "dm", "dr", "sndr", "switch-dr", "dr-os")
"""The estimators computed by default."""

ALL: tuple[str | AnyEstimator, ...] = tuple(ESTIMATORS)
"""The names of all registered estimators."""

_PREDICTIONS: frozenset[Need] = frozenset({"predictions"})


def resolve(
    estimators: Sequence[str | AnyEstimator], has: frozenset[Need] = frozenset(), *, predictions: bool = False
) -> tuple[AnyEstimator, ...]:
    """Return the requested estimators; `DEFAULT` and `ALL` are reduced to those whose needs the log meets.

    `has` are the needs that are met; `predictions=True` is short for including "predictions". InputError for an
    unknown name, for an empty list, and for an estimator named explicitly whose need is not met.
    """
    if isinstance(estimators, str):
        raise InputError(f'estimators is the text "{estimators}"; give a list of names')
    chosen = tuple(_by_name(each) if isinstance(each, str) else each for each in estimators)
    if not chosen:
        raise InputError(f"no estimator was asked for; choose from {', '.join(ESTIMATORS)}")
    met = has | _PREDICTIONS if predictions else has
    if estimators is DEFAULT or tuple(estimators) == ALL:
        return tuple(each for each in chosen if each.needs is None or each.needs in met)
    check_needs(chosen, met)
    return chosen


def _by_name(name: str) -> AnyEstimator:
    if name not in ESTIMATORS:
        raise InputError(f'there is no estimator "{name}"; choose from {", ".join(ESTIMATORS)}')
    return ESTIMATORS[name]
